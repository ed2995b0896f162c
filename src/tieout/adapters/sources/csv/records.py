"""The grammar of CSV records: where a record ends, which fields it holds, and whether a block is beyond doubt.

Two readings of one grammar (RFC 4180, https://www.rfc-editor.org/rfc/rfc4180): a *lenient* one for finding and
mending single records, and a *strict* one that proves whole blocks to be plain rows of equal width, which any
parallel reader frames the same way. Bytes are UTF-8 throughout; nothing here opens a file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

LINE_END = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Grammar:
    """How one file separates and quotes its fields. `quote` is empty when quotes mean nothing.

    `record` matches one record with its line end (or the end of the bytes), `unfinished` one that breaks off inside
    an open quote at the end of the bytes.
    """

    delimiter: bytes
    quote: bytes
    record: re.Pattern[bytes]
    field: re.Pattern[bytes]
    unfinished: re.Pattern[bytes]

    def fields(self, record: bytes) -> list[bytes]:
        """The unquoted fields of one record that `record` has matched, with or without its line end."""
        body = record.rstrip(b"\r\n")
        if not self.quote or self.quote not in body:
            return body.split(self.delimiter)
        found: list[bytes] = []
        position = 0
        while True:
            match = self.field.match(body, position)
            if match is None:
                raise ValueError("not one record of this grammar")
            found.append(self._unquoted(match))
            position = match.end() + 1
            if match.end() >= len(body):
                return found

    def _unquoted(self, match: re.Match[bytes]) -> bytes:
        quoted = match.group(1)
        return match.group(2) if quoted is None else quoted.replace(self.quote * 2, self.quote)

    def row(self, fields: list[bytes]) -> bytes:
        """One record in strict form, with a line feed; the inverse of `fields`."""
        special = re.compile(b"[" + re.escape(self.delimiter + self.quote) + rb"\r\n]|^\s|\s$")
        mark = self.quote
        written = [
            mark + field.replace(mark, mark * 2) + mark if mark and special.search(field) else field for field in fields
        ]
        return self.delimiter.join(written) + b"\n"


@lru_cache(maxsize=64)
def grammar(delimiter: str, quote: str) -> Grammar:
    """The grammar of a delimiter and a quote (or ""), both single ASCII characters."""
    mark, cut = quote.encode("ascii"), delimiter.encode("ascii")
    end = rb"(?:\r\n|\n|\r|\Z)"
    plain = b"[^" + re.escape(cut) + rb"\r\n]*+"
    if not mark:
        field = b"()(" + plain + b")"
        record = plain + b"(?:" + re.escape(cut) + plain + b")*+" + end
        return Grammar(cut, mark, re.compile(record), re.compile(field), re.compile(b"(?!)"))
    q, pad = re.escape(mark), b" *+" if cut == b"\t" else b"[ \t]*+"
    inside = b"[^" + q + b"]*+(?:" + q + q + b"[^" + q + b"]*+)*+"
    plain = b"(?!" + pad + q + b")" + plain
    either = b"(?:" + pad + q + inside + q + pad + b"|" + plain + b")"
    record = either + b"(?:" + re.escape(cut) + either + b")*+" + end
    field = pad + q + b"(" + inside + b")" + q + pad + b"|(" + plain + b")"
    unfinished = b"(?:" + either + re.escape(cut) + b")*+" + pad + q + inside + rb"\Z"
    return Grammar(cut, mark, re.compile(record), re.compile(field), re.compile(unfinished))


@dataclass(frozen=True, slots=True)
class BlockCheck:
    """Proves that a block of whole lines is nothing but plain rows: strict quoting, one line a row, equal width.

    A block without quotes is proven by its skeleton: all bytes but delimiters and line ends are deleted, and what
    is left must be one pattern repeated. That costs a twentieth of a regular expression's time.
    """

    quote: bytes
    columns: int
    skeleton: bytes
    dropped: bytes
    rows: re.Pattern[bytes]

    def row_count(self, block: bytes) -> int | None:
        """Rows in the block, or None when anything in it needs a closer look. The block ends in a line end."""
        if b"\0" in block:
            return None
        if self.quote and self.quote in block:
            if self.rows.fullmatch(block) is None or self._has_blank(block):
                return None
            return block.count(b"\n")
        left = block.translate(None, self.dropped)
        count, rest = divmod(len(left), len(self.skeleton))
        if rest or left != self.skeleton * count or self._has_blank(block):
            return None
        return count

    def _has_blank(self, block: bytes) -> bool:
        # With two columns or more an empty line lacks delimiters and is found by its width.
        return self.columns == 1 and (block[:1] in b"\r\n" or b"\n\n" in block or b"\n\r" in block)


@lru_cache(maxsize=64)
def block_check(delimiter: str, quote: str, columns: int, line_end: bytes) -> BlockCheck:
    """The strict check for rows of `columns` fields that end in `line_end` (LF or CR LF)."""
    mark, cut = quote.encode("ascii"), delimiter.encode("ascii")
    skeleton = cut * (columns - 1) + line_end
    dropped = bytes(byte for byte in range(256) if byte not in cut + b"\r\n")
    d, q = re.escape(cut), re.escape(mark)
    field = b"[^" + d + q + rb"\r\n]*+"
    if mark:
        inside = b"[^" + q + rb"\r\n]*+"
        field = b"(?:" + q + inside + b"(?:" + q + q + inside + b")*+" + q + b"|" + field + b")"
    others = b"(?:" + d + field + b"){" + str(columns - 1).encode("ascii") + b"}"
    rows = re.compile(b"(?:" + field + others + re.escape(line_end) + b")*+")
    return BlockCheck(mark, columns, skeleton, dropped, rows)
