"""The nouns of Tieout: frozen, slotted dataclasses and plans as data. Nothing here does input or output."""
