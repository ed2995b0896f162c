"""An OFX document as text: its version and encoding, and the stream of its tags with the text behind each.

OFX 1.x is SGML whose value tags need not be closed, OFX 2.x is XML, and real files claim the one while being the
other, so both are read by one tokeniser. It knows nothing of what tags mean. Documents are untrusted: a DOCTYPE is
refused, only the predefined and numeric character references are resolved, nothing is fetched, and what is held at
one time is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

from tieout.adapters.sources.csv.encoding import Encoding, detect_encoding
from tieout.model.errors import InputError, Place

BLOCK_CHARACTERS = 1 << 18
TEXT_CHARACTERS = 16 * 1024 * 1024
"""Longest text between two tags."""

_TAG_CHARACTERS = 4_096
"""A `<` without `>` within this length is text: SGML from banks does not always escape it."""

_MARKUP = re.compile(
    r"""<(?: (?P<comment>!--) | (?P<cdata>!\[CDATA\[) | (?P<instruction>\?)
        | (?P<declaration>!(?:DOCTYPE|ENTITY|ELEMENT|ATTLIST|NOTATION)\b)
        | (?P<end>/?)(?P<name>[A-Za-z][A-Za-z0-9._:-]*+)
          (?:\s++[A-Za-z_][\w.:-]*+\s*+=\s*+(?:"[^"<>]*+"|'[^'<>]*+'))*+\s*+(?P<empty>/?)> )""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_REFERENCE = re.compile(r"&(?:(amp|lt|gt|quot|apos|nbsp)|#([0-9]{1,7})|#[xX]([0-9A-Fa-f]{1,6}));")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'", "nbsp": " "}
_XML_ENCODING = re.compile(r"<\?xml[^>]*?encoding\s*=\s*[\"']([\w.:-]+)")
_HEADER_ENCODING = re.compile(r"\bENCODING\s*:\s*(USASCII|UTF-?8|UNICODE|[A-Za-z0-9-]+)")
_HEADER_CHARSET = re.compile(r"CHARSET\s*:\s*((?:ISO-)?8859-[0-9]{1,2}|[0-9]{3,5}|NONE|UTF-8|[A-Za-z][\w-]*)")
_SGML_VERSION = re.compile(r"VERSION\s*:\s*([0-9]{3})")
_XML_VERSION = re.compile(r"<\?OFX[^>]*?\bVERSION\s*=\s*[\"']([0-9]{3})")
_SINGLE_BYTE = re.compile(r"(?:WINDOWS-|CP)?(125[0-8]|437|85[0-9]|86[0-9])")
_ISO = re.compile(r"(?:ISO-?)?8859-([0-9]{1,2})")


class Tag(NamedTuple):
    """One tag: its line, its name in upper case, whether it closes, and (of an opening one) the text behind it."""

    line: int
    name: str
    is_end: bool
    text: str


def version_of(head: str) -> str:
    """Which OFX a document says it is, for people; from its first characters."""
    if found := _XML_VERSION.search(head):
        return f"OFX {'.'.join(found[1])} (XML)"
    if found := _SGML_VERSION.search(head):
        return f"OFX {'.'.join(found[1])} (SGML)"
    return "OFX, version not stated"


def encoding_of(path: Path, declared: str | None) -> Encoding:
    """The document's encoding: as `declared` in settings, else as its bytes and its header say.

    Bytes that are valid UTF-8 are UTF-8 whatever the header says (many files say 1252 and are not); else the
    header's own encoding counts. Raises InputError for a declared encoding that is not known.
    """
    encoding = detect_encoding(path, declared, str(path))
    if declared is not None or encoding.is_utf8 or encoding.mark_bytes or encoding.name.startswith("utf-16"):
        return encoding
    with path.open("rb") as file:
        stated = _stated_encoding(file.read(4_096).decode("latin-1"))
    return Encoding(stated, "as the file's header says") if stated else encoding


def tags(file: TextIO, path: Path) -> Iterator[Tag]:
    """The tags of a document, in order; comments and instructions are left out.

    Raises InputError for a document type declaration and for a text of more than TEXT_CHARACTERS.
    """
    return _Tokeniser(file, path).run()


class _Tokeniser:
    """Reads by blocks; each character is looked at a bounded number of times."""

    def __init__(self, file: TextIO, path: Path):
        self._file = file
        self._path = path
        self._buffer = ""
        self._position = 0
        self._counted = 0
        self._line = 1
        self._open: tuple[int, str] | None = None
        self._raw: list[str] = []
        self._done: list[str] = []
        self._held = 0
        self._at_end = False

    def run(self) -> Iterator[Tag]:
        """Every tag until the end of the file."""
        while not self._at_end:
            self._fill()
            limit = self._complete()
            while (found := _MARKUP.search(self._buffer, self._position, limit)) is not None:
                self._take_text(found.start())
                self._position = found.end()
                if found["name"] is not None:
                    yield from self._tag(found)
                else:
                    self._pass_over(found)
                    limit = self._complete()
            self._take_text(limit)
            self._position = max(self._position, limit)
        if self._open is not None:
            yield self._opened()

    def _fill(self) -> None:
        """Drop what was read and read on."""
        self._count_lines(self._position)
        self._buffer = self._buffer[self._position :]
        self._position = self._counted = 0
        block = self._file.read(max(BLOCK_CHARACTERS, len(self._buffer)))
        self._buffer += block
        self._at_end = not block

    def _complete(self) -> int:
        """Up to where the buffer holds no markup that is cut off."""
        last = self._buffer.rfind("<", self._position)
        is_cut = last >= 0 and self._buffer.find(">", last) < 0 and len(self._buffer) - last <= _TAG_CHARACTERS
        return last if is_cut and not self._at_end else len(self._buffer)

    def _count_lines(self, position: int) -> None:
        if position > self._counted:
            self._line += self._buffer.count("\n", self._counted, position)
            self._counted = position

    def _take_text(self, end: int) -> None:
        """What stands before `end` is text of the open tag."""
        if self._open is not None and end > self._position:
            self._hold(end - self._position)
            self._raw.append(self._buffer[self._position : end])

    def _hold(self, characters: int) -> None:
        self._held += characters
        if self._held > TEXT_CHARACTERS:
            message = f"a text of more than {TEXT_CHARACTERS // (1024 * 1024)} million characters"
            raise InputError(message, hint="check that this is an OFX file", place=self._place())

    def _tag(self, found: re.Match[str]) -> Iterator[Tag]:
        self._count_lines(found.start())
        if self._open is not None:
            yield self._opened()
        name = found["name"].rpartition(":")[2].upper()
        if found["end"]:
            yield Tag(self._line, name, True, "")
            return
        self._open = (self._line, name)
        if found["empty"]:
            yield self._opened()
            yield Tag(self._line, name, True, "")

    def _opened(self) -> Tag:
        """The open tag with its text, which is complete now."""
        assert self._open is not None
        line, name = self._open
        self._flush()
        text = "".join(self._done).strip()
        if "\n" in text or "\r" in text:
            text = " ".join(part for row in text.splitlines() if (part := row.strip()))
        self._open, self._done, self._held = None, [], 0
        return Tag(line, name, False, text)

    def _flush(self) -> None:
        """Resolve references in the text so far; CDATA that follows is taken as it stands."""
        if self._raw:
            text = "".join(self._raw)
            self._done.append(_REFERENCE.sub(_resolved, text) if "&" in text else text)
            self._raw = []

    def _pass_over(self, found: re.Match[str]) -> None:
        """Leave out a comment or instruction; take a CDATA section as it stands."""
        if found["declaration"]:
            self._count_lines(found.start())
            raise InputError(
                "the document declares a DOCTYPE or entities, which is refused",
                hint="OFX has none: entities and external definitions are never read",
                place=self._place(),
            )
        if found["cdata"]:
            self._flush()
            self._until("]]>", is_text=True)
        else:
            self._until("-->" if found["comment"] else "?>", is_text=False)

    def _until(self, terminator: str, *, is_text: bool) -> None:
        """Go on behind a terminator, or to the end of a file that has none."""
        while (end := self._buffer.find(terminator, self._position)) < 0:
            rest = len(self._buffer) if self._at_end else len(self._buffer) - len(terminator) + 1
            self._take_literal(rest, is_text=is_text)
            self._position = max(self._position, rest)
            if self._at_end:
                return
            self._fill()
        self._take_literal(end, is_text=is_text)
        self._position = end + len(terminator)

    def _take_literal(self, end: int, *, is_text: bool) -> None:
        if is_text and self._open is not None and end > self._position:
            self._hold(end - self._position)
            self._done.append(self._buffer[self._position : end])

    def _place(self) -> Place:
        return Place(str(self._path), self._line)


def _resolved(reference: re.Match[str]) -> str:
    """The character of a reference; one that names no character stays as it is written."""
    name, decimal, hexadecimal = reference.groups()
    if name:
        return _NAMED[name]
    code = int(decimal) if decimal else int(hexadecimal, 16)
    is_character = code in (9, 10, 13) or 0x20 <= code < 0xD800 or 0xE000 <= code <= 0x10FFFF
    return chr(code) if is_character else reference.group()


def _stated_encoding(head: str) -> str | None:
    """The codec that a header names: the XML declaration's, else CHARSET's where ENCODING is not Unicode."""
    if found := _XML_ENCODING.search(head):
        return _codec(found[1])
    encoding, charset = _HEADER_ENCODING.search(head), _HEADER_CHARSET.search(head)
    if encoding and (codec := _codec(encoding[1])):
        return codec
    return _codec(charset[1]) if charset else None


def _codec(name: str) -> str | None:
    """Python's name of a single-byte encoding or of Shift-JIS. Latin-1 is read as its superset Windows-1252."""
    upper = name.upper()
    if found := _SINGLE_BYTE.fullmatch(upper):
        return f"cp{found[1]}" if found[1] not in ("851", "853", "854", "859", "867", "868") else None
    if found := _ISO.fullmatch(upper):
        number = int(found[1])
        return "cp1252" if number == 1 else f"iso8859-{number}" if number in range(2, 17) and number != 12 else None
    return "cp932" if upper in ("SHIFT_JIS", "SHIFT-JIS", "932") else None
