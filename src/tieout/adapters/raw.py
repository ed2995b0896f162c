"""Raw bytes, content-addressed: what arrived is kept exactly, once, before anything is made of it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from pathlib import Path
from uuid import uuid4


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def raw_path(directory: Path, sha256: str) -> Path:
    """Where the raw bytes of a digest lie."""
    return directory / sha256[:2] / sha256


def keep_raw(directory: Path, path: Path) -> tuple[str, int]:
    """Copy a file under its SHA-256, durably, and return (digest, size in bytes). Twice is once.

    The copy is hashed, not the original, so that what is named is what was kept even while the file changes.
    """
    directory.mkdir(parents=True, exist_ok=True)
    part = directory / f".incoming-{uuid4().hex}"
    try:
        shutil.copyfile(path, part)
        digest = sha256_of(part)
        size = part.stat().st_size
        target = raw_path(directory, digest)
        if not target.exists() or target.stat().st_size != size:
            sync_file(part)
            target.parent.mkdir(exist_ok=True)
            os.replace(part, target)
        sync_directory(target.parent)  # also where an earlier process, since killed, had put it there
        sync_directory(directory)
    finally:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()
    return digest, size


def sync_file(path: Path) -> None:
    """Force a file's bytes to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(path: Path) -> None:
    """Force a directory's entries to the disk."""
    sync_file(path)
