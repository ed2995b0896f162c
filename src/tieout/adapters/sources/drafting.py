"""What formats share: drafts gathered into chunks, text whose bytes may be damaged, exact sums. Nothing here knows a
format.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Context, Decimal
from pathlib import Path
from typing import TextIO

from tieout.adapters.sources.csv.encoding import Encoding
from tieout.model.errors import InputError
from tieout.model.money import EXPONENTS, parse_decimal
from tieout.model.reading import CHUNK_ROWS, DraftChunk, SourceOptions
from tieout.model.record import DRAFT_COLUMNS

Columns = dict[str, str | None]
Draft = tuple[int, Columns]
"""A draft's line in the file and its columns."""

CHUNK_CHARACTERS = 16 * 1024 * 1024
"""A chunk ends early when its texts reach this length."""

AMOUNT_CHARACTERS = 40

EXACT = Context(prec=120)
"""Adds amounts of up to AMOUNT_CHARACTERS without ever rounding."""

_UNDECODED = re.compile("[\udc80-\udcff]")


def declared_encoding(options: SourceOptions) -> str | None:
    """What `settings.encoding` says, if anything."""
    declared = options.settings.get("encoding")
    return None if declared is None else str(declared)


def open_text(path: Path, encoding: Encoding, newline: str | None = "") -> TextIO:
    """The file as text. Bytes that cannot be decoded become lone surrogates, which `is_damaged` finds again."""
    errors = "replace" if encoding.name.startswith(("utf-16", "utf-32")) else "surrogateescape"
    return path.open(encoding=encoding.name, errors=errors, newline=newline)


def is_damaged(text: str) -> bool:
    """Whether a text holds bytes that could not be decoded, or NUL."""
    return "\0" in text or (not text.isascii() and _UNDECODED.search(text) is not None)


def shown(text: str, limit: int = 80) -> str:
    """A text for people: cut, and with U+FFFD for what could not be decoded."""
    return _UNDECODED.sub("\ufffd", text[:limit]).replace("\0", "\ufffd")


def plain_text(amount: Decimal) -> str:
    """Decimal text without an exponent, and no minus before zero."""
    return format(amount if amount else abs(amount), "f")


def is_held(amount: Decimal, currency: str | None) -> bool:
    """Whether a currency can hold an amount exactly, within one record's limit; True where the code is unknown.

    The normaliser quarantines a line whose amount is not held, so a statement's sum leaves it out as well.
    """
    if currency not in EXPONENTS:
        return True
    try:
        parse_decimal(plain_text(amount), currency)
    except InputError:
        return False
    return True


def attributes_text(attributes: Mapping[str, object]) -> str | None:
    """Canonical JSON of the attributes: sorted keys, no white space; None when there are none."""
    if not attributes:
        return None
    return json.dumps(attributes, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def chunks(drafts: Iterator[Draft]) -> Iterator[DraftChunk]:
    """Gather drafts into columns, CHUNK_ROWS or CHUNK_CHARACTERS of text at a time."""
    rows: list[Draft] = []
    characters = 0
    for draft in drafts:
        rows.append(draft)
        characters += sum(len(text) for text in draft[1].values() if text)
        if len(rows) == CHUNK_ROWS or characters > CHUNK_CHARACTERS:
            yield _columns(rows)
            rows, characters = [], 0
    if rows:
        yield _columns(rows)


def _columns(rows: list[Draft]) -> DraftChunk:
    """Rows turned into columns; a column that is None throughout is left out."""
    chunk: dict[str, list[str | None] | list[int]] = {"line": [line for line, _ in rows]}
    for column in DRAFT_COLUMNS:
        values = [columns.get(column) for _, columns in rows]
        if any(value is not None for value in values):
            chunk[column] = values
    return chunk
