"""`tieout.yaml` to a checked `Configuration`: every problem at once, with file, line, field and the likely fix."""
