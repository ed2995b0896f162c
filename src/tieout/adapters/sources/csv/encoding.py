"""Which encoding a text file is in, and its streaming copy in UTF-8 where it is in another.

DuckDB reads only UTF-8 without an extension that cannot be assumed, so other encodings are copied to a temporary
file first. What the bytes mean as rows and fields is not known here.
"""

from __future__ import annotations

import codecs
import os
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tieout.model.errors import InputError, Place

BLOCK_BYTES = 1 << 18
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LOST = "�"


@dataclass(frozen=True, slots=True)
class Encoding:
    """A codec's name, why it was chosen in plain words, and the bytes of the mark to skip at the file's start."""

    name: str
    evidence: str
    mark_bytes: int = 0

    @property
    def is_utf8(self) -> bool:
        """Whether the file can be read as it stands."""
        return self.name in ("utf-8", "utf-8-sig", "ascii")


class OwnedParameters(dict[str, object]):
    """Parameters of a query over a temporary file; the file is deleted when they are no longer needed."""

    def __init__(self, values: Mapping[str, object], temporary: Path | None = None):
        super().__init__(values)
        if temporary is not None:
            weakref.finalize(self, _delete, str(temporary))


def _delete(name: str) -> None:
    Path(name).unlink(missing_ok=True)


def temporary_file() -> Path:
    """A new empty file, readable by this user only, that the caller must delete."""
    handle, name = tempfile.mkstemp(prefix="tieout-", suffix=".csv")
    os.close(handle)
    return Path(name)


def linked_without_glob(path: Path) -> tuple[Path, Path | None]:
    """A name for the file that DuckDB does not take for a pattern of names, and the link to delete if one was made."""
    if not any(mark in str(path) for mark in "*?["):
        return path, None
    link = temporary_file()
    link.unlink()
    link.symlink_to(path.resolve())
    return link, link


def detect_encoding(path: Path, declared: str | None, file: str) -> Encoding:
    """The file's encoding: declared, marked, or inferred from all of its bytes. `file` names it in errors.

    A file with bytes that are not UTF-8 still counts as UTF-8 where most of its lines with non-ASCII bytes are:
    then it is a UTF-8 file with some broken rows, and not one in another encoding.
    """
    with path.open("rb") as opened:
        head = opened.read(1 << 20)
    marked = next((Encoding(n, "byte order mark", len(m)) for m, n in _BYTE_ORDER_MARKS if head.startswith(m)), None)
    if declared is not None:
        return _declared(declared, marked, file)
    if marked is not None:
        return marked
    wide = _wide(head)
    if wide is not None:
        return wide
    good, bad = _utf8_lines(path)
    if not bad:
        return Encoding("utf-8", "all bytes are ASCII" if not good else "all bytes are valid UTF-8")
    if good > bad:
        return Encoding("utf-8", f"{good:,} lines are UTF-8; {bad:,} are not and are rejected")
    return _legacy(_non_ascii_lines(path))


def transcode(path: Path, encoding: Encoding, target: Path) -> None:
    """Copy the file to UTF-8 in blocks. What cannot be decoded becomes U+FFFD, which the framing rejects."""
    decoder = codecs.getincrementaldecoder(encoding.name)(errors="replace")
    with path.open("rb") as source, target.open("wb") as copy:
        source.seek(encoding.mark_bytes)
        while block := source.read(BLOCK_BYTES):
            copy.write(decoder.decode(block).encode("utf-8", errors="replace"))
        copy.write(decoder.decode(b"", final=True).encode("utf-8", errors="replace"))


def has_lost_characters(row: bytes) -> bool:
    """Whether a row of a copy made by `transcode` holds a character that could not be decoded."""
    return _LOST.encode() in row


def _declared(name: str, marked: Encoding | None, file: str) -> Encoding:
    try:
        codec = codecs.lookup(name).name
        "".encode(codec)
    except LookupError:
        hint = "use for example utf-8, utf-16, latin-1, cp1252 or cp932"
        place = Place(file, field="settings.encoding")
        raise InputError(f"unknown encoding {name!r}", hint=hint, place=place) from None
    if codec in ("utf-8", "utf-8-sig", "ascii"):
        is_marked = marked is not None and marked.name == "utf-8-sig"
        return Encoding("utf-8-sig", "declared", 3) if is_marked else Encoding("utf-8", "declared")
    if codec.startswith("utf-16") and marked is not None and marked.name.startswith("utf-16"):
        return Encoding(marked.name, "declared", marked.mark_bytes)
    return Encoding(codec, "declared")


def _wide(head: bytes) -> Encoding | None:
    """UTF-16 without a mark: every other byte of mostly Latin text is zero."""
    sample = head[:4096]
    pairs = len(sample) // 2
    if pairs < 4:
        return None
    odd, even = sample[1::2].count(0), sample[0::2].count(0)
    if odd > pairs * 0.4 and even < pairs * 0.05:
        return Encoding("utf-16-le", "every second byte is zero")
    if even > pairs * 0.4 and odd < pairs * 0.05:
        return Encoding("utf-16-be", "every second byte is zero")
    return None


def _line_blocks(path: Path) -> Iterator[bytes]:
    """The file in blocks that end at a line feed where there is one."""
    with path.open("rb") as opened:
        rest = b""
        while block := opened.read(BLOCK_BYTES):
            block = rest + block
            cut = block.rfind(b"\n") + 1 or (0 if len(block) < 4 * BLOCK_BYTES else len(block))
            rest = block[cut:]
            if cut:
                yield block[:cut]
        if rest:
            yield rest


def _utf8_lines(path: Path) -> tuple[int, int]:
    """Lines with valid, and lines with invalid UTF-8 beyond ASCII; blocks of valid ones count as one."""
    good = bad = 0
    for block in _line_blocks(path):
        if block.isascii():
            continue
        if _decodes(block, "utf-8"):
            good += 1
            continue
        for line in block.splitlines():
            if not line.isascii():
                valid = _decodes(line, "utf-8")
                good, bad = good + valid, bad + (not valid)
    return good, bad


def _non_ascii_lines(path: Path, limit: int = 2_000) -> list[bytes]:
    found: list[bytes] = []
    for block in _line_blocks(path):
        if not block.isascii():
            found += [line for line in block.splitlines() if not line.isascii()]
        if len(found) >= limit:
            break
    return found[:limit]


def _legacy(lines: list[bytes]) -> Encoding:
    """Shift-JIS (cp932) or a Western single-byte encoding, from lines that are not UTF-8.

    Nearly any bytes decode as cp932. What tells Japanese text from "Überweisung" is that most of its characters are
    pairs whose first byte lies in 0x81-0x9F, a range that Western text hardly uses: kana and punctuation (0x81-0x83),
    or kanji with a high second byte, where a Western curly quote is followed by a letter.
    """
    text = b"\n".join(lines)
    pairs = others = 0
    try:
        for character in text.decode("cp932"):
            if ord(character) < 0x80 or 0xFF61 <= ord(character) <= 0xFF9F:
                continue
            data = character.encode("cp932")
            is_kana = len(data) == 2 and 0x81 <= data[0] <= 0x83
            is_typical = is_kana or (len(data) == 2 and data[0] <= 0x9F and data[1] >= 0x80)
            pairs, others = pairs + is_typical, others + (not is_typical)
    except (UnicodeDecodeError, UnicodeEncodeError):
        pairs = 0
    is_western = _decodes(text, "cp1252")
    if pairs > (others if is_western else 0):
        return Encoding("cp932", "not UTF-8; Japanese character pairs")
    if is_western:
        return Encoding("cp1252", "not UTF-8; Western single bytes")
    return Encoding("latin-1", "not UTF-8, and not Windows-1252 either")


def _decodes(data: bytes, codec: str) -> bool:
    try:
        data.decode(codec)
    except UnicodeDecodeError:
        return False
    return True
