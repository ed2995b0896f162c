"""File formats, one module each. `catalogue` finds the one that reads a file; outsiders add theirs through the
`tieout.sources` entry-point group."""
