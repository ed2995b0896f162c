"""Framing: which bytes of a CSV file are rows, so that every row becomes a draft or a rejection and none is lost.

DuckDB's own handling of bad rows is not used. It reads on inside an open quote and gives up whatever it swallows,
numbers only the rows it keeps, and stops altogether at mixed line ends. Instead the file is proven first: `survey`
shows, at the speed of reading, that every line is one plain row of equal width, which DuckDB then reads in parallel
and frames in the same way. A file that cannot be proven is mended by `mend` into a copy in strict form, in which each
line that is no row of its own (blank, rejected, continuation of a quoted field) is a placeholder. So the number of a
row in the copy is its line in the file, and bad rows are known, with line and reason, before the query runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from tieout.adapters.sources.csv.encoding import BLOCK_BYTES, has_lost_characters
from tieout.adapters.sources.csv.records import LINE_END, BlockCheck, block_check, grammar
from tieout.model.errors import InputError, Place
from tieout.model.record import Rejection

PLACEHOLDER = "\ufdd0"
"""First field of a line that is no row: a Unicode noncharacter, which no text may carry (a row that does is
rejected)."""

ROW_BYTES = 1 << 25
"""Longest row that is read; a longer one is rejected (10 MB fields are meant to pass)."""

LINE_BYTES = 1 << 28
"""A file without a line end for that long is refused: it cannot be framed."""

SHORT_LOOK_BYTES = 1 << 16
PATIENCE = 16
EXCERPT_CHARACTERS = 160
LONG_LINE_BYTES = 1 << 20
_MARK = PLACEHOLDER.encode()
_TOO_LONG = f"longer than {ROW_BYTES >> 20} MiB"


@dataclass(frozen=True, slots=True)
class Framing:
    """What must be known to frame a UTF-8 file: its dialect, width, and lines before the first row (`skip`)."""

    delimiter: str
    quote: str
    columns: int
    skip: int
    transcoded: bool = False
    file: str = ""


@dataclass(slots=True)
class Framed:
    """What framing found. `is_plain`: DuckDB may read the file itself, skipping `skip` lines; else `copy` holds
    what it reads, placeholders included. `line_end` is what the lines of that file end in. `longest_bytes` is at
    least the longest line's length if that is long.
    """

    is_plain: bool
    rows: int = 0
    longest_bytes: int = 0
    line_end: str = "\n"
    copy: Path | None = None
    rejections: list[Rejection] = field(default_factory=list)


class _Buffer:
    """The file's bytes from the current position on; grows on request, forgets what was passed."""

    def __init__(self, opened: BinaryIO):
        self.opened = opened
        self.data = b""
        self.at = 0
        self.ended = False

    def more(self) -> bool:
        """Read at least one block more, as much again as there is; False at the end of the file."""
        block = self.opened.read(max(BLOCK_BYTES, len(self.data) - self.at))
        if not block:
            self.ended = True
            return False
        self.data = self.data[self.at :] + block
        self.at = 0
        return True

    def line_end(self) -> int | None:
        """Where the current physical line ends (after its line end), or None without one in the buffer."""
        found = LINE_END.search(self.data, self.at)
        if found is None or (found.end() == len(self.data) and found.group() == b"\r" and not self.ended):
            return None
        return found.end()


def survey(path: Path, framing: Framing) -> Framed:
    """Prove that the file after its header is nothing but plain rows. Reads all of it once, in blocks."""
    framed = Framed(is_plain=False)
    with path.open("rb") as opened:
        head = opened.readline(LONG_LINE_BYTES) if framing.skip else b"\n"
        # DuckDB's `skip` counts records, not lines, once quotes are open, and leaves blank lines out.
        if framing.skip > 1 or (framing.skip and not _is_simple_line(head, framing)):
            return framed
        line_end = b"\r\n" if (head if framing.skip else _first_line(path)).endswith(b"\r\n") else b"\n"
        framed.line_end = line_end.decode("ascii")
        check = block_check(framing.delimiter, framing.quote, framing.columns, line_end)
        rest: list[bytes] = []
        while block := opened.read(BLOCK_BYTES):
            cut = block.rfind(b"\n") + 1
            lines = b"".join([*rest, block[:cut]]) if cut else b""
            rest = [block[cut:]] if cut else [*rest, block]
            length = max(len(lines), sum(map(len, rest)))
            if length > LONG_LINE_BYTES:
                framed.longest_bytes = max(framed.longest_bytes, length)
            if length > ROW_BYTES or not _is_proven(framed, lines, check, framing):
                return framed
        if any(rest) and not _is_proven(framed, b"".join(rest) + line_end, check, framing):
            return framed
    framed.is_plain = True
    return framed


def mend(path: Path, framing: Framing, target: Path) -> Framed:
    """Write the strict copy of a file that could not be proven, and collect the rows that must be rejected."""
    with path.open("rb") as opened, target.open("wb") as copy:
        mender = _Mender(framing, _Buffer(opened), copy)
        mender.run()
    mender.framed.copy = target
    return mender.framed


def _first_line(path: Path) -> bytes:
    with path.open("rb") as opened:
        return opened.readline(LONG_LINE_BYTES)


def _is_simple_line(line: bytes, framing: Framing) -> bool:
    body = line.rstrip(b"\r\n")
    quote = framing.quote.encode()
    balanced = not quote or body.count(quote) % 2 == 0
    return bool(body) and balanced and b"\r" not in body and line.endswith(b"\n")


def _is_proven(framed: Framed, block: bytes, check: BlockCheck, framing: Framing) -> bool:
    rows = check.row_count(block)
    if rows is None or not _is_text(block, framing) or _MARK in block:
        return False
    framed.rows += rows
    return True


def _is_text(data: bytes, framing: Framing) -> bool:
    if data.isascii():
        return True
    if framing.transcoded and has_lost_characters(data):
        return False
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


class _Mender:
    """Walks a file row by row where it must and block by block where it can, and writes the strict copy."""

    def __init__(self, framing: Framing, buffer: _Buffer, copy: BinaryIO):
        self.framing = framing
        self.buffer = buffer
        self.copy = copy
        self.grammar = grammar(framing.delimiter, framing.quote)
        self.framed = Framed(is_plain=False)
        self.line = 1
        self.failures = 0
        self.placeholder = _MARK + self.grammar.delimiter * (framing.columns - 1) + b"\n"

    def run(self) -> None:
        """Copy, mend or reject everything from the first byte to the last."""
        self.buffer.more()
        if self.buffer.data.startswith(b"\xef\xbb\xbf"):
            self.buffer.at = 3
        for _ in range(self.framing.skip):
            self._pass_line()
        while self.buffer.at < len(self.buffer.data) or self.buffer.more():
            cut = self.buffer.data.rfind(b"\n", self.buffer.at) + 1
            if cut > self.buffer.at and self._copy_block(cut):
                continue
            # The buffer may be refilled while rows are read, so the block's end is kept as a distance.
            left = max(cut - self.buffer.at, 1)
            while left > 0 and (self.buffer.at < len(self.buffer.data) or self.buffer.more()):
                left -= self._row()

    def _copy_block(self, cut: int) -> bool:
        block = self.buffer.data[self.buffer.at : cut]
        line_end = b"\r\n" if b"\r" in block else b"\n"
        check = block_check(self.framing.delimiter, self.framing.quote, self.framing.columns, line_end)
        rows = check.row_count(block)
        if rows is None or _MARK in block or not _is_text(block, self.framing):
            return False
        if len(block) > LONG_LINE_BYTES:
            self.framed.longest_bytes = max(self.framed.longest_bytes, len(block))
        self.copy.write(block.replace(b"\r\n", b"\n"))
        self.framed.rows += rows
        self.line += rows
        self.buffer.at = cut
        return True

    def _row(self) -> int:
        """Take one row, or one line of what is none; returns the bytes passed."""
        raw = self._record()
        if raw is None:
            raw = self._physical_line()
            self._reject(_TOO_LONG if len(raw) > ROW_BYTES else "quotes do not pair up", raw)
        elif not raw.strip() and self.grammar.delimiter not in raw:
            self._placeholders(1)
        else:
            raw = self._take(raw)
        self.buffer.at += len(raw)
        return len(raw)

    def _take(self, raw: bytes) -> bytes:
        """Keep or reject one framed record; returns the bytes that are done with."""
        fields = self.grammar.fields(raw)
        lines = _line_count(raw)
        expected = self.framing.columns
        if len(fields) != expected and lines > 1:
            # A stray quote has run into later lines: give up its own line only and read on from the next.
            raw = self._physical_line()
            self._reject("quotes do not pair up", raw)
            return raw
        if len(fields) != expected:
            plural = "s" if len(fields) != 1 else ""
            self._reject(f"{len(fields)} column{plural} where {expected} are expected", raw)
        elif (fault := self._text_fault(raw, fields)) is not None:
            self._reject(fault, raw, lines)
        else:
            row = self.grammar.row(fields)
            self.framed.longest_bytes = max(self.framed.longest_bytes, len(row))
            self.copy.write(row)
            self.framed.rows += 1
            self.line += 1
            self._placeholders(lines - 1)
        return raw

    def _text_fault(self, raw: bytes, fields: list[bytes]) -> str | None:
        if b"\0" in raw:
            return "a NUL character"
        if not _is_text(raw, self.framing):
            return "bytes that are not of the file's encoding"
        if len(raw) > ROW_BYTES:
            return _TOO_LONG
        return "a Unicode noncharacter" if fields[0] == _MARK else None

    def _record(self) -> bytes | None:
        """The bytes of the record at the current position, or None where no record begins."""
        buffer = self.buffer
        # Each stray quote sends the search ahead for its partner; a file full of them must not cost its square.
        limit = ROW_BYTES if self.failures < PATIENCE else SHORT_LOOK_BYTES
        while True:
            match = self.grammar.record.match(buffer.data, buffer.at)
            if match is not None and (match.end() < len(buffer.data) or buffer.ended):
                return match.group()
            is_open = match is not None or self.grammar.unfinished.match(buffer.data, buffer.at) is not None
            if not is_open or buffer.ended or len(buffer.data) - buffer.at > limit:
                self.failures += 1
                return None
            buffer.more()

    def _physical_line(self) -> bytes:
        """The bytes up to and including the next line end."""
        buffer = self.buffer
        while (end := buffer.line_end()) is None and not buffer.ended:
            if len(buffer.data) - buffer.at > LINE_BYTES:
                reason = f"no line end within {LINE_BYTES >> 20} MiB after line {self.line - 1:,}"
                raise InputError(reason, hint="this is no text table", place=Place(self.framing.file))
            buffer.more()
        return buffer.data[buffer.at : end]

    def _pass_line(self) -> None:
        line = self._physical_line()  # first: reading on moves the position
        self.buffer.at += len(line)
        self._placeholders(1)

    def _placeholders(self, count: int) -> None:
        self.copy.write(self.placeholder * count)
        self.line += count

    def _reject(self, reason: str, raw: bytes, lines: int = 1) -> None:
        if lines > 1:
            reason += f" (a row over lines {self.line} to {self.line + lines - 1})"
        text = raw[: EXCERPT_CHARACTERS * 4].decode("utf-8", errors="replace").rstrip("\r\n")
        rejection = Rejection(self.line, "row", reason, text[:EXCERPT_CHARACTERS].replace("\0", "\\0"))
        self.framed.rejections.append(rejection)
        self._placeholders(lines)


def _line_count(raw: bytes) -> int:
    """Physical lines that a record covers."""
    body = raw[:-1] if raw.endswith((b"\n", b"\r")) else raw
    body = body[:-1] if raw.endswith(b"\r\n") else body
    return 1 + len(LINE_END.findall(body))
