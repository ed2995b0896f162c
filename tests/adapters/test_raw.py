"""Raw bytes: kept exactly, once, under their SHA-256."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tieout.adapters import raw
from tieout.adapters.raw import keep_raw, raw_path, sha256_of


def _leftovers(directory: Path) -> list[str]:
    return [entry.name for entry in directory.iterdir() if entry.name.startswith(".incoming")]


@pytest.mark.parametrize("content", [b"", b"x", b"\x00\xff\r\n" * 70_000])
def test_kept_byte_for_byte(tmp_path: Path, content: bytes) -> None:
    """The copy lies under its digest and is the same bytes."""
    (tmp_path / "in").write_bytes(content)
    digest, size = keep_raw(tmp_path / "raw", tmp_path / "in")
    assert (digest, size) == (hashlib.sha256(content).hexdigest(), len(content))
    assert raw_path(tmp_path / "raw", digest).read_bytes() == content
    assert sha256_of(tmp_path / "in") == digest
    assert _leftovers(tmp_path / "raw") == []


def test_twice_is_once(tmp_path: Path) -> None:
    """The same bytes under another name take no second place."""
    for name in ("a", "b"):
        (tmp_path / name).write_text("same")
        keep_raw(tmp_path / "raw", tmp_path / name)
    assert len([path for path in (tmp_path / "raw").rglob("*") if path.is_file()]) == 1


def test_a_truncated_copy_is_replaced(tmp_path: Path) -> None:
    """What a failing disk left under the digest with another size is written again."""
    (tmp_path / "in").write_text("whole")
    digest, _ = keep_raw(tmp_path / "raw", tmp_path / "in")
    raw_path(tmp_path / "raw", digest).write_text("who")
    keep_raw(tmp_path / "raw", tmp_path / "in")
    assert raw_path(tmp_path / "raw", digest).read_text() == "whole"


def test_the_original_may_change_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is named is what was kept, even when the file grows while it is copied."""
    original = tmp_path / "in"
    original.write_text("before")
    copy = raw.shutil.copyfile

    def copy_then_grow(source: Path, target: Path) -> None:
        copy(source, target)
        original.write_text("before and after")

    monkeypatch.setattr(raw.shutil, "copyfile", copy_then_grow)
    digest, size = keep_raw(tmp_path / "raw", original)
    assert size == len("before")
    assert raw_path(tmp_path / "raw", digest).read_text() == "before"


def test_a_failed_copy_leaves_nothing(tmp_path: Path) -> None:
    """A file that cannot be read leaves no trace."""
    with pytest.raises(FileNotFoundError):
        keep_raw(tmp_path / "raw", tmp_path / "missing")
    assert list((tmp_path / "raw").iterdir()) == []


def _synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    seen: list[Path] = []
    real = raw.sync_file

    def note(path: Path) -> None:
        seen.append(path)
        real(path)

    monkeypatch.setattr(raw, "sync_file", note)
    return seen


def test_file_and_directories_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes, the directory that names them and its parent are on disk before the digest is returned."""
    (tmp_path / "in").write_text("x")
    seen = _synced(monkeypatch)
    digest, _ = keep_raw(tmp_path / "raw", tmp_path / "in")
    assert seen[0].name.startswith(".incoming")
    assert seen[1:] == [tmp_path / "raw" / digest[:2], tmp_path / "raw"]


def test_an_existing_copy_is_durable_before_it_is_relied_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that an earlier, killed process put there counts only once its directories are synced."""
    (tmp_path / "in").write_text("x")
    digest, _ = keep_raw(tmp_path / "raw", tmp_path / "in")
    seen = _synced(monkeypatch)
    keep_raw(tmp_path / "raw", tmp_path / "in")
    assert {tmp_path / "raw" / digest[:2], tmp_path / "raw"} <= set(seen)
