"""Strict JSON and its framing: from a file to the Stripe objects in it, each with its place.

Strict means: no NaN or Infinity, no key twice in one object, UTF-8 without NUL or lone surrogates, and numbers
exactly as written. What an object means is `objects`' business.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import orjson

from tieout.model.errors import InputError, Place
from tieout.model.record import Rejection

DOCUMENT_BYTES: Final = 256 * 1024 * 1024
"""Largest JSON document (one object, list or array) that is loaded whole; JSON lines may be of any size."""

LINE_BYTES: Final = 64 * 1024 * 1024
"""Longest line of a JSON lines file."""

DOCUMENT_NUMBER_TYPES: Final = frozenset({"invoice", "credit_note", "quote"})
"""Types whose own `number` is that of a document, never of a card."""

Json = dict[str, object]

_CARD_FIELDS = frozenset({"number", "card_number", "pan"})
_SECRETS = frozenset({"client_secret", "secret", "payment_method_secret", "associated_secret"})
_CARD_NUMBER = re.compile(r"[0-9](?:[ -]?[0-9]){12,18}")
_SMALL_INTEGER_CHARACTERS = 18
_ESCAPED = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")


class NumberText(str):
    """A JSON number that is no small integer, as written: no float ever stands for it."""

    __slots__ = ()


class _NotANumber(str):
    """NaN or an infinity, which are not JSON."""

    __slots__ = ()


class _TwiceKeyed(Json):
    """An object in which a key stands twice."""


@dataclass(frozen=True, slots=True)
class Found:
    """One JSON object. `line` is its line (JSON lines) or its ordinal in the document; `hint` the name of the group
    it stood in, as a type ("payouts" gives "payout")."""

    line: int
    value: Json
    hint: str | None = None


class StrictDecoder:
    """Decodes JSON and notes whether anything in it needs the closer look of `fault_in`."""

    def __init__(self) -> None:
        self.suspicious = False
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._object,
            parse_constant=self._constant,
            parse_float=NumberText,
            parse_int=_integer,
        )

    def decode(self, text: str) -> object:
        """The value of a JSON text. Raises ValueError (with a position, if it is a JSONDecodeError)."""
        self.suspicious = _ESCAPED.search(text) is not None
        try:
            return self._decoder.decode(text)
        except RecursionError:
            raise ValueError("nested too deeply") from None

    def _object(self, pairs: list[tuple[str, object]]) -> Json:
        value = dict(pairs)
        if len(value) != len(pairs):
            self.suspicious = True
            return _TwiceKeyed(value)
        if not _CARD_FIELDS.isdisjoint(value):
            self.suspicious = True
        return value

    def _constant(self, text: str) -> _NotANumber:
        self.suspicious = True
        return _NotANumber(text)


def _integer(text: str) -> int | NumberText:
    return int(text) if len(text) <= _SMALL_INTEGER_CHARACTERS else NumberText(text)


def without_secrets(value: object) -> object:
    """The same JSON with secrets (client secrets, signing secrets, ephemeral keys) blotted out, at any depth."""
    if isinstance(value, dict):
        return {
            name: "[secret]" if name in _SECRETS and isinstance(inner, str) else without_secrets(inner)
            for name, inner in value.items()
        }
    return [without_secrets(inner) for inner in value] if isinstance(value, list) else value


def canonical(value: object) -> str:
    """Canonical JSON: keys sorted, no white space, numbers as written. Raises ValueError when nested too deeply."""
    options = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_SUBCLASS
    try:
        return orjson.dumps(value, default=_number_fragment, option=options).decode()
    except TypeError as error:
        raise ValueError(f"cannot be kept: {error}") from None


def _number_fragment(value: object) -> orjson.Fragment:
    if isinstance(value, NumberText):
        return orjson.Fragment(str(value))
    raise TypeError(f"{type(value).__name__} is not JSON")


def fault_in(value: Json) -> tuple[str, str] | None:
    """(field path, reason) of the first thing in a decoded object that must not be stored; None when there is none.

    The reason never repeats a card number.
    """
    stack: list[tuple[str, object]] = [("", value)]
    while stack:
        path, item = stack.pop()
        if isinstance(item, dict):
            if isinstance(item, _TwiceKeyed):
                return path or "object", "a key stands twice in one object"
            own_number = str(item.get("object")) in DOCUMENT_NUMBER_TYPES
            for key, inner in item.items():
                inner_path = f"{path}.{key}" if path else key
                if key in _CARD_FIELDS and not (own_number and key == "number") and is_card_number(inner):
                    return inner_path, "card number refused"
                if not _is_clean(key):
                    return path or "object", "a key with NUL or a lone surrogate"
                stack.append((inner_path, inner))
        elif isinstance(item, list):
            stack.extend((f"{path}[{index}]", inner) for index, inner in enumerate(item))
        elif isinstance(item, _NotANumber):
            return path, f"{item} is not JSON"
        elif isinstance(item, str) and not _is_clean(item):
            return path, "text with NUL or a lone surrogate"
    return None


def _is_clean(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def is_card_number(value: object) -> bool:
    """Whether a value is 13 to 19 digits (spaces and hyphens aside) with a valid check digit (ISO/IEC 7812, Luhn)."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return False
    text = str(value).strip()
    return _CARD_NUMBER.fullmatch(text) is not None and _luhn([int(digit) for digit in text if digit.isdigit()])


def _luhn(digits: list[int]) -> bool:
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def excerpt(text: str) -> str:
    """The start of a text for a rejection, with anything that could be a card number blotted out."""
    start = text.strip()[:160]
    return _CARD_NUMBER.sub(lambda match: "…" if is_card_number(match.group()) else match.group(), start)[:80]


def is_json_lines(path: Path) -> bool:
    """Whether a file holds one JSON object a line: by its name, or because its first line is an object of its own
    and something follows."""
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        return True
    with path.open("rb") as file:
        first = b""
        while not first:
            raw = file.readline(LINE_BYTES)
            if not raw:
                return False
            first = raw.removeprefix(b"\xef\xbb\xbf").strip()
        following = file.read(4_096).lstrip()
    if not (first.startswith(b"{") and first.endswith(b"}") and following):
        return False
    if following.startswith(b"{"):
        return True
    try:
        StrictDecoder().decode(first.decode())
    except ValueError:
        return False
    return True


def find_objects(path: Path, notes: dict[str, str]) -> Iterator[Found | Rejection]:
    """Every object of a file in order, or why it is none. Remarks about the file as a whole go into `notes`.

    Raises InputError when a document (not JSON lines) cannot be framed: see `read_document`.
    """
    if is_json_lines(path):
        notes["framing"] = "JSON lines"
        yield from _objects_in_lines(path, notes)
        return
    notes["framing"] = "one JSON document"
    value, suspicious = read_document(path)
    try:
        yield from _objects_in(value, None, suspicious, notes)
    except ValueError as error:
        hint = "check the export: one of the two values would be lost"
        raise InputError(f"not JSON: {error}", hint=hint, place=Place(str(path))) from None


def _objects_in_lines(path: Path, notes: dict[str, str]) -> Iterator[Found | Rejection]:
    """The objects of each line that is not blank; a Rejection for a line that is not strict JSON."""
    decoder = StrictDecoder()
    with path.open("rb") as file:
        for line, raw in enumerate(_raw_lines(file), start=1):
            if raw is None:
                yield Rejection(line, "line", f"longer than {LINE_BYTES // 1024**2} MB")
                continue
            content = raw.removeprefix(b"\xef\xbb\xbf") if line == 1 else raw
            if not content.strip():
                continue
            try:
                value = decoder.decode(content.decode())
                yield from _objects_in(value, line, decoder.suspicious, notes)
            except ValueError as error:
                yield Rejection(line, "line", _reason(error), excerpt(content.decode(errors="replace")))


def _objects_in(
    value: object, line: int | None, suspicious: bool, notes: dict[str, str]
) -> Iterator[Found | Rejection]:
    """Take one JSON value apart. Raises ValueError, before anything is yielded, when its envelope is faulty."""
    left_out = ungrouped_names(value)
    if left_out:
        notes["not read"] = "names that hold no objects: " + ", ".join(left_out)
    if isinstance(value, dict) and value.get("object") == "list" and value.get("has_more") is True:
        notes["has_more"] = "a list in this file says that more objects follow it: fetch the other pages as well"
    for ordinal, (item, hint) in enumerate(unwrap(value), start=1):
        place = ordinal if line is None else line
        fault = fault_in(item) if suspicious and isinstance(item, dict) else None
        if not isinstance(item, dict):
            yield Rejection(place, "object", "not a JSON object", excerpt(str(item)))
        elif fault:
            yield Rejection(place, *fault)
        else:
            yield Found(place, item, hint)


def _raw_lines(file: BinaryIO) -> Iterator[bytes | None]:
    """The lines of a file; None for one that is longer than LINE_BYTES."""
    while line := file.readline(LINE_BYTES):
        if len(line) == LINE_BYTES and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = file.readline(LINE_BYTES)
            yield None
        else:
            yield line


def _reason(error: ValueError) -> str:
    """Why a text is not strict JSON, in plain words."""
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 text at byte {error.start + 1}"
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON at character {error.pos + 1}: {error.msg}"
    return f"not JSON: {error}"


def read_document(path: Path) -> tuple[object, bool]:
    """The value of a whole JSON document, and whether its objects need the closer look of `fault_in`.

    Raises InputError when it is larger than DOCUMENT_BYTES or not JSON in UTF-8, naming the line.
    """
    size = path.stat().st_size
    if size > DOCUMENT_BYTES:
        raise InputError(
            f"a JSON document of {size // 1024**2} MB: up to {DOCUMENT_BYTES // 1024**2} MB are read whole",
            hint="write it as JSON lines, one object a line (for example: jq -c '.data[]'), which may be of any size",
            place=Place(str(path)),
        )
    content = path.read_bytes()
    decoder = StrictDecoder()
    try:
        value = decoder.decode(content.removeprefix(b"\xef\xbb\xbf").decode())
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            "the document is not UTF-8 text", hint="export it as UTF-8", place=Place(str(path), line)
        ) from None
    except json.JSONDecodeError as error:
        hint = "check that the file is complete; several objects belong in an array or one on each line"
        raise InputError(f"not JSON: {error.msg}", hint=hint, place=Place(str(path), error.lineno)) from None
    except ValueError as error:
        raise InputError(f"not JSON: {error}", hint="check the export", place=Place(str(path))) from None
    return value, decoder.suspicious


def unwrap(value: object) -> Iterator[tuple[object, str | None]]:
    """The objects in a JSON value, each with the name of its group as a type.

    Understands one object, an array, a list response, the data part of an event, `{"resources": {name: object}}`
    and objects whose values are lists of objects. What stands in a list but is no object is yielded all the same,
    to be rejected; an object of no known shape is one object. Raises ValueError for an envelope that is not
    strict JSON: which of two lists under one name was meant cannot be told.
    """
    if not isinstance(value, dict):
        yield from _members(value, None)
        return
    own = value.get("object")
    resources = value.get("resources")
    if own == "list" and isinstance(value.get("data"), list):
        _check_envelope(value)
        yield from _members(value["data"], None)
    elif isinstance(own, dict):
        _check_envelope(value)
        yield own, None
    elif isinstance(own, str) or isinstance(value.get("id"), str):
        yield value, None
    elif isinstance(resources, dict) and all(isinstance(item, dict) for item in resources.values()):
        _check_envelope(value)
        _check_envelope(resources)
        for name, item in resources.items():
            yield item, name
    elif is_grouped(value):
        _check_envelope(value)
        for name, group in value.items():
            if _is_group(group):
                yield from _members(group, singular(name))
    else:
        yield value, None


def _members(value: object, hint: str | None) -> Iterator[tuple[object, str | None]]:
    """Members of an array, list responses among them taken apart; anything else is its own only member."""
    if isinstance(value, dict) and value.get("object") == "list" and isinstance(value.get("data"), list):
        yield from _members(value["data"], hint)
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, dict) and item.get("object") == "list":
                yield from _members(item, hint)
            else:
                yield item, hint
    else:
        yield value, hint


def _check_envelope(value: Json) -> None:
    """Refuse what `fault_in` never sees, because it stands around the objects and not in one."""
    if isinstance(value, _TwiceKeyed):
        raise ValueError("a key stands twice in the object around the records")
    if any(isinstance(item, _NotANumber) for item in value.values()):
        raise ValueError("NaN or Infinity in the object around the records")


def is_grouped(value: Json) -> bool:
    """Whether an object without id and type is a set of named lists of objects."""
    groups = [item for item in value.values() if _is_group(item)]
    return bool(groups) and (any(groups) or len(groups) == len(value))


def ungrouped_names(value: object) -> list[str]:
    """Names in a set of groups that hold no objects: they describe the file and are not read."""
    if not isinstance(value, dict) or "object" in value or "id" in value or "resources" in value:
        return []
    return sorted(name for name, item in value.items() if not _is_group(item)) if is_grouped(value) else []


def _is_group(value: object) -> bool:
    if isinstance(value, dict):
        return value.get("object") == "list" and isinstance(value.get("data"), list)
    return isinstance(value, list) and (not value or any(isinstance(item, dict) for item in value))


def singular(name: str) -> str:
    """The type that a group's name tells: "balance_transactions" gives "balance_transaction"."""
    return name[:-1] if name.endswith("s") and not name.endswith("ss") else name
