"""One room a use case; the only place with transactions; hands plans to adapters."""
