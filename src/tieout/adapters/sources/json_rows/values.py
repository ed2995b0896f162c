"""Strict JSON values and lists that are read element by element. What a row means is not known here.

Strict (RFC 8259, and I-JSON's rule on names): no duplicate keys, no NaN or Infinity, no lone surrogates, no NUL.
Numbers keep the text they were written in, so that no float comes near an amount.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TextIO

from tieout.model.errors import InputError, Place

ELEMENT_CHARACTERS = 1 << 25
_READ_CHARACTERS = 1 << 18
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[{}\[\]]|"', re.DOTALL)
_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_SCALAR_END = re.compile(r"[,\]}]")


class JsonFault(Exception):  # noqa: N818  a value for the caller to turn into a rejection, not an error
    """One row cannot be read; the text says why."""


class NumberText(str):
    """A number exactly as it was written."""

    __slots__ = ()


def parse_value(text: str) -> object:
    """A JSON value. Raises JsonFault with the reason."""
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise JsonFault(f"not JSON: {error.msg.lower()} at character {error.pos + 1}") from None
    except RecursionError:
        raise JsonFault("nested too deeply") from None


def parse_row(text: str) -> dict[str, str]:
    """One object as flat texts: nested objects become dotted names, lists stay JSON, null and blank are left out.

    Raises JsonFault when it is no object or not strict.
    """
    value = parse_value(text)
    if not isinstance(value, dict):
        raise JsonFault("not an object")
    row: dict[str, str] = {}
    _flatten(value, "", row)
    for name, cell in row.items():
        _check_text(name)
        _check_text(cell)
    return row


def _flatten(value: dict[str, object], prefix: str, row: dict[str, str]) -> None:
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, dict) and item:
            _flatten(item, f"{name}.", row)
        elif name in row:
            raise JsonFault(f"two values for {name!r}")
        else:
            row[name] = _cell(item)


def _cell(item: object) -> str:
    if item is None:
        return ""
    if isinstance(item, str):
        return item
    return _dump(item)


def _dump(item: object) -> str:
    """JSON text of a value, numbers as they were written."""
    if isinstance(item, NumberText):
        return str(item)
    if isinstance(item, list):
        return f"[{','.join(_dump(one) for one in item)}]"
    if isinstance(item, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{_dump(one)}" for key, one in item.items()) + "}"
    return json.dumps(item, ensure_ascii=False)


def _check_text(text: str) -> None:
    if "\0" in text:
        raise JsonFault("a NUL character")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise JsonFault("bytes that are not UTF-8, or half a surrogate pair") from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise JsonFault(f"key {twice!r} stands twice")
    return found


def _constant(name: str) -> object:
    raise JsonFault(f"{name} is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_float=NumberText, parse_int=NumberText
)


class ListReader:
    """Reads the elements of one list as texts, keeping no more of the file than the element at hand.

    The list is the document itself, or the one list of objects in an object (or the one under `key`).
    """

    def __init__(self, opened: TextIO, file: str, key: str | None):
        self.opened = opened
        self.file = file
        self.key = key
        self.text = ""
        self.at = 0
        self.ended = False
        self.lists: list[str] = []

    def elements(self) -> Iterator[str]:
        """The text of every element, in order. Raises InputError when the brackets do not pair up."""
        start = self._peek()
        if start == "[":
            yield from self._list()
        elif start == "{":
            yield from self._members()
        else:
            raise self._refused("neither a list nor an object")
        if self._peek():
            raise self._refused("text after the end of the document")

    def _members(self) -> Iterator[str]:
        self.at += 1
        seen: set[str] = set()
        if self._peek() == "}":
            self.at += 1
        else:
            yield from self._member(seen)
            while self._separated("}"):
                yield from self._member(seen)
        if not self.lists:
            wanted = f"no list of rows under {self.key!r}" if self.key else "no list of rows"
            raise self._refused(wanted, "name the list with settings.rows")

    def _member(self, seen: set[str]) -> Iterator[str]:
        name = self._name()
        if name in seen:
            raise self._refused(f"key {name!r} stands twice")
        seen.add(name)
        if self._peek() != ":":
            raise self._refused("a key without a value")
        self.at += 1
        is_rows = self._peek() == "[" and (name == self.key if self.key else self._holds_objects())
        if not is_rows:
            self.at = self._element_end()
            return
        self.lists.append(name)
        if len(self.lists) > 1:
            listed = " and ".join(self.lists)
            raise self._refused(f"several lists of rows: {listed}", "name one with settings.rows")
        yield from self._list()

    def _holds_objects(self) -> bool:
        """Whether the list at the current position begins with an object."""
        while (match := _SPACE.match(self.text, self.at + 1)) is None or match.end() >= len(self.text):
            if not self._more():
                return False
        return self.text[match.end()] == "{"

    def _list(self) -> Iterator[str]:
        self.at += 1
        if self._peek() == "]":
            self.at += 1
            return
        yield self._element()
        while self._separated("]"):
            yield self._element()

    def _element(self) -> str:
        self._peek()
        end = self._element_end()
        text = self.text[self.at : end]
        self.at = end
        return text

    def _separated(self, closing: str) -> bool:
        """Pass a comma (True) or the closing bracket (False)."""
        mark = self._peek()
        if mark not in (",", closing) or not mark:
            raise self._refused("the list or object is not closed" if not mark else f"unexpected {mark!r}")
        self.at += 1
        return mark == ","

    def _name(self) -> str:
        self._peek()
        while (match := _STRING.match(self.text, self.at)) is None:
            if not self._more():
                raise self._refused("a key is expected")
        self.at = match.end()
        try:
            return str(parse_value(match.group()))
        except JsonFault as fault:
            raise self._refused(str(fault)) from None

    def _element_end(self) -> int:
        """Where the value at the current position ends; brackets and strings are paired, nothing else is judged."""
        depth, position = 0, self.at
        if self.text[self.at : self.at + 1] not in ("{", "[", '"'):
            return self._scalar_end()
        while True:
            match = _TOKEN.search(self.text, position)
            is_cut = match is None or match.group() == '"'
            if match is None or is_cut:
                # An open string is looked at again from its beginning once more of the file is there.
                position = (match.start() if match is not None else len(self.text)) - self.at
                if not self._more():
                    raise self._refused("the document breaks off inside an element")
                position += self.at
                continue
            position = match.end()
            depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(match.group(), 0)
            if depth <= 0:
                return position

    def _scalar_end(self) -> int:
        while (match := _SCALAR_END.search(self.text, self.at)) is None:
            if not self._more():
                raise self._refused("the list or object is not closed")
        return match.start()

    def _peek(self) -> str:
        """The next character that is no space, which becomes the current position; "" at the end."""
        while True:
            match = _SPACE.match(self.text, self.at)
            self.at = match.end() if match is not None else self.at
            if self.at < len(self.text):
                return self.text[self.at]
            if not self._more():
                return ""

    def _more(self) -> bool:
        if len(self.text) - self.at > ELEMENT_CHARACTERS:
            raise self._refused(f"an element longer than {ELEMENT_CHARACTERS >> 20} MiB")
        block = self.opened.read(max(_READ_CHARACTERS, len(self.text) - self.at))
        self.text = self.text[self.at :] + block
        self.at = 0
        return bool(block)

    def _refused(self, reason: str, hint: str = "the file is cut short or is no JSON table") -> InputError:
        return InputError(reason, hint=hint, place=Place(self.file))
