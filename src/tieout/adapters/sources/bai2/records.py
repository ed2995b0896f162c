"""The logical records of a BAI2 file, whatever physical lines they were written on.

A record is its code, fields and, at best, a slash. In the wild several records share a line, a record's text spills
over lines without a continuation code, text contains slashes and records end at the line's end without one. What is
held at one time is bounded. What records mean is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from tieout.model.errors import InputError, Place

BLOCK_CHARACTERS = 1 << 18
RECORD_CHARACTERS = 16 * 1024 * 1024
"""Most characters of a record with its continuations."""

RECORD_LINES = 100_000
"""Most continuations, or lines without a code, of one record."""

CONTINUATION = "88"
TEXT_CODES = ("16",)
"""Records that may end in free text, and so go on in a line that begins with no code."""

_LONG_LINE = 1 << 20
"""A line from this length on is cut between two of its records, so that a file without line ends is read as well."""

_START = re.compile(r"\s*(01|02|03|16|49|88|98|99),")
_INNER = re.compile(
    r"""/\s*+(?=(?: 01,[^,/\r\n]{0,80},[^,/\r\n]{0,80},[0-9]{6}, | 02,[^,/\r\n]{0,80},[^,/\r\n]{0,80},[1-4]?,[0-9]{6},
        | 03,[^,/\r\n]{0,80},(?:[A-Za-z]{3})?, | 16,[0-9]{3},[+-]?[0-9]{0,40}, | 49,[+-]?[0-9]{1,40},[0-9]{1,12}\s*+/
        | 88, | (?:98|99),[+-]?[0-9]{1,40},[0-9]{1,12},[0-9]{1,12}\s*+/ ))""",
    re.VERBOSE,
)
"""A slash that ends a record inside a line: what follows has the form of another. Other slashes are text."""


@dataclass(slots=True)
class Record:
    """One logical record: its line and code, its own part and those of its continuations, without codes and slashes.

    `count` is the number of physical records it was written in, as control counts have it.
    """

    line: int
    code: str
    parts: list[str] = field(default_factory=list)
    count: int = 1

    @property
    def fields(self) -> list[str]:
        """The fields in order, those of continuations behind the record's own."""
        return [text.strip() for part in self.parts for text in part.split(",")]


def records(file: TextIO, path: Path) -> Iterator[Record]:
    """The records of a file in order. Raises InputError, naming the line, where there is something else."""
    current: Record | None = None
    texts: list[list[str]] = []
    held = pieces = 0
    is_ended = True
    for line, code, text in _pieces(file, path):
        held += len(text)
        pieces += 1
        body, is_slash = _without_slash(text)
        if current is None or code not in (None, CONTINUATION):
            if code is None or code == CONTINUATION:
                raise _broken(path, line, "the file does not begin with a BAI2 record")
            if current is not None:
                yield _joined(current, texts)
            current, texts, held, pieces = Record(line, code), [[body]], len(text), 0
        elif code == CONTINUATION:
            texts.append([body])
            current.count += 1
        elif is_ended or current.code not in TEXT_CODES:
            raise _broken(path, line, "not a BAI2 record, nor the text of one")
        else:
            texts[-1].append(body)
        if held > RECORD_CHARACTERS or pieces > RECORD_LINES:
            raise _broken(path, line, "a record that does not end")
        is_ended = is_slash
    if current is not None:
        yield _joined(current, texts)


def _joined(record: Record, texts: list[list[str]]) -> Record:
    """The record with its parts; lines that went on without a code are joined to their part by a blank."""
    record.parts = [texts_of[0] if len(texts_of) == 1 else " ".join(map(str.strip, texts_of)) for texts_of in texts]
    return record


def _broken(path: Path, line: int, message: str) -> InputError:
    hint = "fetch the file again from the bank; nothing of it was taken"
    return InputError(message, hint=hint, place=Place(str(path), line))


def _without_slash(text: str) -> tuple[str, bool]:
    """A piece without the slash that ends it, and whether there was one."""
    trimmed = text.rstrip()
    return (trimmed[:-1], True) if trimmed.endswith("/") else (trimmed, False)


def _pieces(file: TextIO, path: Path) -> Iterator[tuple[int, str | None, str]]:
    """(line, code, rest) of every record, and (line, None, text) of lines that begin with no code; no blank ones."""
    for line, text in _lines(file, path):
        if not text or text.isspace():
            continue
        start = 0
        for slash in _INNER.finditer(text):
            yield _piece(line, text[start : slash.start() + 1])
            start = slash.end()
        if start < len(text) and not text[start:].isspace():
            yield _piece(line, text[start:])


def _piece(line: int, text: str) -> tuple[int, str | None, str]:
    match = _START.match(text)
    return (line, None, text) if match is None else (line, match[1], text[match.end() :])


def _lines(file: TextIO, path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines; an overlong one in parts that end where a record does."""
    number = 1
    rest = ""
    while block := file.read(max(BLOCK_CHARACTERS, len(rest))):
        rest = (rest + block).lstrip("\ufeff") if number == 1 else rest + block
        *lines, rest = rest.split("\n")
        for line in lines:
            yield number, line.strip("\x1a")
            number += 1
        if len(rest) > _LONG_LINE:
            ends = [slash.start() + 1 for slash in _INNER.finditer(rest)]
            if ends:
                yield number, rest[: ends[-1]]
                rest = rest[ends[-1] :]
        if len(rest) > RECORD_CHARACTERS:
            raise _broken(path, number, f"a line of more than {RECORD_CHARACTERS // (1024 * 1024)} million characters")
    if rest:
        yield number, rest.strip("\x1a")
