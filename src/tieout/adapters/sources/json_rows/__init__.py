"""Generic JSON: arrays, JSON lines, lists under a name."""
