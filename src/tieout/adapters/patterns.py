"""Paths for an engine that takes file names for patterns."""

from __future__ import annotations

import re
from pathlib import Path

_GLOB = re.compile(r"[*?\[]")


def exact_path(path: Path) -> str:
    """A pattern that means this one file: `acme[1]` is not `acme1`."""
    return _GLOB.sub(r"[\g<0>]", str(path))
