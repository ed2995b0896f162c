"""Bank statements in SWIFT's text formats: MT940 (customer statement) and MT942 (interim report), as banks write them.

What lives here: recognising a file, and streaming its lines into fields. What one field says is read in
`fields` and `information`; entries and statements are put together in `statement`.

Messages with or without SWIFT's envelope (`{1:…}{2:…}{4: … -}`), any number in a file, with whatever stands before
and after. One line and one entry are held at a time, each of bounded length.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path

from tieout.adapters.sources.csv.encoding import detect_encoding
from tieout.adapters.sources.drafting import CHUNK_CHARACTERS, chunks
from tieout.adapters.sources.mt940.fields import TAG, is_wrapped_time
from tieout.adapters.sources.mt940.statement import Columns, Entry, EntryDraft, HeldText, StatementReader, read_entry
from tieout.model.errors import InputError, Place
from tieout.model.reading import CHUNK_ROWS, Reading, SourceOptions
from tieout.model.record import Rejection

SETTINGS = ("encoding",)
INFORMATION_TAGS = ("86", "NS")
OPENING_TAGS = ("13", "25", "28", "34", "60")
"""Fields that stand before the entries: after a closing balance, they begin a new statement even without `:20:`."""

LINE_CHARACTERS = 65_536
"""Length up to which a line is held; SWIFT allows 65 characters. What is left out is counted in the entry."""


Draft = tuple[int, Columns]

_SINGLE_BYTES = "tieout-mt940-single-bytes"
_ENVELOPE = re.compile(r"-\}|\{[1-5]:")
_TEXT_BLOCK = re.compile(r"\{4:\s*(?=:)")
_MESSAGE = re.compile(r"\{2:[IO]94([0-2])", re.IGNORECASE)
_SNIFFED = re.compile(r"^:(20|25P?|28C?|34F|60[FM]|61|62[FM]|64|65|86|90[CD]):", re.IGNORECASE | re.MULTILINE)
_STATEMENT_TAGS = frozenset({"28", "28C", "34F", "60F", "60M", "61", "62F", "62M", "64", "65", "90C", "90D"})
_UNPRINTABLE = {
    **dict.fromkeys((*range(0x20), *range(0x7F, 0xA0), 0xFEFF)),
    ord("\t"): " ",
}
"""Control characters and byte order marks, which frame messages in transmission and say nothing."""


class Mt940Source:
    """The `mt940` format."""

    name = "mt940"

    def sniff(self, head: bytes, filename: str) -> int:
        """95 for SWIFT's envelope of an MT940, 941 or 942, 90 for two of a statement's fields, 60 for a single one
        in a file named like a statement (.sta, .mt940 …), 30 for one elsewhere; else 0."""
        text = _head_text(head)
        tags = {match[1].upper() for match in _SNIFFED.finditer(text)}
        if not tags & _STATEMENT_TAGS:
            return 0
        if _MESSAGE.search(text):
            return 95
        if len(tags) > 1:
            return 90
        return 60 if Path(filename).suffix.lower() in (".sta", ".mt940", ".940", ".mt942", ".942", ".swi") else 30

    def read(self, path: Path, options: SourceOptions) -> Reading:
        """Drafts of kind bank_line, one for each `:61:` field, and one Statement for each `:20:` message or page.

        `options.currency` serves messages that name none; `settings.encoding` is inferred where it is not given.
        An entry that cannot be read becomes a Rejection. Raises InputError for an unknown setting and, lazily, for
        a file without a statement's fields.
        """
        file = str(path)
        for key in options.settings:
            if key not in SETTINGS:
                place = Place(file, field=f"settings.{key}")
                raise InputError(f"unknown setting {key!r}", hint=f"known settings: {', '.join(SETTINGS)}", place=place)
        declared = options.settings.get("encoding")
        encoding = detect_encoding(path, None if declared is None else str(declared), file)
        reading = Reading(format=self.name, drafts=iter(()), derived_ids=True)
        reading.inferred["message"] = _message(path)
        if declared is None:
            reading.inferred["encoding"] = f"{encoding.name}: {encoding.evidence}"
        reading.drafts = chunks(_drafts(path, encoding.name, options, reading))
        return reading


def _single_bytes(error: UnicodeError) -> tuple[str, int]:
    """Bytes that the file's encoding does not explain, read as Windows-1252: files are put together of others."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    lost = bytes(error.object[error.start : error.end])
    try:
        return lost.decode("cp1252"), error.end
    except UnicodeDecodeError:
        return lost.decode("latin-1"), error.end


codecs.register_error(_SINGLE_BYTES, _single_bytes)


def _head_text(head: bytes) -> str:
    """The head as text, only to look for fields in it."""
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1"
    text = head.removeprefix(b"\xef\xbb\xbf").decode(encoding, errors="replace")
    return text.replace("\r", "\n").translate({**_UNPRINTABLE, ord("\n"): "\n"})


def _message(path: Path) -> str:
    """Which message the file's beginning shows."""
    with path.open("rb") as file:
        text = _head_text(file.read(4_096))
    named = _MESSAGE.search(text)
    if named:
        return f"MT94{named[1]}"
    tags = {match[1].upper() for match in _SNIFFED.finditer(text)}
    return "MT942" if tags & {"34F", "90C", "90D"} and not tags & {"60F", "60M"} else "MT940"


def _lines(path: Path, encoding: str) -> Iterator[tuple[int, str, int]]:
    """Number from 1, text without control characters, and characters left out, of every line."""
    with path.open(encoding=encoding, errors=_SINGLE_BYTES) as file:
        number = 0
        while line := file.readline(LINE_CHARACTERS):
            number += 1
            left_out = 0
            rest = line
            while not rest.endswith("\n") and (rest := file.readline(LINE_CHARACTERS)):
                left_out += len(rest.rstrip("\n"))
            yield number, line if line.isascii() and line[:-1].isprintable() else line.translate(_UNPRINTABLE), left_out


def _drafts(path: Path, encoding: str, options: SourceOptions, reading: Reading) -> Iterator[Draft]:
    """Every entry of the file as (line, columns), appending to the reading's statements and rejections."""
    walk = _Walk(reading, options.currency.upper() if options.currency else None)
    for number, text, left_out in _lines(path, encoding):
        yield from walk.take(number, text.rstrip("\n"), left_out)
    yield from walk.finish()
    if not reading.statements:
        raise InputError(
            "the file holds no bank statement: none of the fields :20: to :65: of an MT940 or MT942 begins a line",
            hint="fetch the file again from the bank, or name its format with --format",
            place=Place(str(path)),
        )


class _Walk:
    """Where in a file of messages the reader is; fed line by line, it gives the drafts that are complete."""

    def __init__(self, reading: Reading, default_currency: str | None):
        self._reading = reading
        self._default_currency = default_currency
        self._statement: StatementReader | None = None
        self._entry: Entry | None = None
        self._text: HeldText | None = None
        self._waiting: list[EntryDraft] = []
        self._waiting_characters = 0
        self._colon = ""
        self._unread_balances = 0

    def take(self, number: int, line: str, left_out: int) -> Iterator[Draft]:
        """The next line of the file: a field, the rest of one, or an envelope's."""
        line, self._colon = self._colon + line, ""
        if line == ":":
            self._colon = line
            return
        if _ENVELOPE.match(line):
            yield from self._end_statement()
            block = _TEXT_BLOCK.search(line)
            line = line[block.end() :] if block else ""
        elif line.strip() == "-":
            yield from self._end_entry()
            return
        match = TAG.match(line)
        if match is None or (self._text is not None and is_wrapped_time(line, self._text.last)):
            if self._text is not None:
                self._text.add(line, left_out)
            return
        tag = match[1].upper()
        yield from self._field(number, tag if tag == "NS" else tag[:2], line[match.end() :], left_out)

    def finish(self) -> Iterator[Draft]:
        """What is left at the end of the file."""
        yield from self._end_statement()
        if self._unread_balances:
            said = f"{self._unread_balances:,} could not be read and count as missing"
            self._reading.inferred["balances"] = said

    def _field(self, number: int, tag: str, text: str, left_out: int) -> Iterator[Draft]:
        """A field begins; the one before it is complete."""
        if tag in INFORMATION_TAGS:
            self._text = self._information(tag)
            if self._text is not None:
                self._text.add(text, left_out)
            return
        yield from self._end_entry()
        if tag == "20" or (tag in OPENING_TAGS and self._statement is not None and self._statement.is_closed):
            yield from self._end_statement()
        if self._statement is None:
            self._statement = StatementReader(self._default_currency)
        if tag == "61":
            self._entry = Entry(number)
            self._text = self._entry.own
            self._text.add(text, left_out)
        elif tag != "21":
            self._statement.add_field(tag, text)
            if self._statement.currency:
                yield from self._release(self._statement, self._statement.currency)

    def _information(self, tag: str) -> HeldText | None:
        """Where information goes: to the entry before it; nowhere when it is on the statement as a whole."""
        if self._entry is None:
            return None
        if self._entry.information is None:
            self._entry.information = HeldText()
            self._entry.is_national = tag == "NS"
        return self._entry.information

    def _end_entry(self) -> Iterator[Draft]:
        """The entry that is being read, if any, is complete."""
        entry, statement = self._entry, self._statement
        self._entry = self._text = None
        if entry is None or statement is None:
            return
        draft = read_entry(entry, statement.account)
        if isinstance(draft, Rejection):
            statement.count_line()
            self._reading.rejections.append(draft)
            return
        statement.count_line(draft.is_expected)
        self._waiting.append(draft)
        self._waiting_characters += len(draft.columns["attributes"] or "")
        if statement.currency:
            yield from self._release(statement, statement.currency)
        elif len(self._waiting) >= CHUNK_ROWS or self._waiting_characters > CHUNK_CHARACTERS:
            yield from self._release(statement, statement.assumed_currency)

    def _release(self, statement: StatementReader, currency: str | None) -> Iterator[Draft]:
        """The entries that waited for their currency."""
        for draft in self._waiting:
            statement.add_amount(draft, currency)
            draft.columns["currency"] = currency
            yield draft.line, draft.columns
        self._waiting = []
        self._waiting_characters = 0

    def _end_statement(self) -> Iterator[Draft]:
        """The statement that is being read, if any, is complete."""
        yield from self._end_entry()
        statement, self._statement = self._statement, None
        if statement is not None:
            yield from self._release(statement, statement.assumed_currency)
            self._reading.statements.append(statement.finish())
            self._unread_balances += statement.unread_balances


SOURCE = Mt940Source()
