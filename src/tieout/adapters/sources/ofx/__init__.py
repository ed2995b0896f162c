"""OFX 1 and 2, QFX."""
