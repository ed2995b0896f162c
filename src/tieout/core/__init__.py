"""Pure decisions: data in, results and problems out. Blind to adapters."""
