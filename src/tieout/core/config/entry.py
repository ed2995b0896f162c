"""Checks inside single values: mapping entries, patterns, time zones, and secrets that must not be written out.

Each check yields faults with paths relative to what it was given; where that stands is check's to say.
A fault about a secret never repeats the text.
"""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo, available_timezones

from tieout.core.config.schema_source import MAX_PATTERN_CHARACTERS
from tieout.core.config.shape import Path, is_secret_key, nearest, quoted

MAX_REPEAT: Final = 1_000
"""RE2's limit for counted repetitions, nested ones multiplied."""

_MACHINE_ZONES = ("posix/", "right/", "localtime", "posixrules", "Factory")
_ENV_REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*")
_FILE_REFERENCE = re.compile(r"file:[^\x00-\x1f]+")
_SECRET_VALUE = re.compile(r"(sk|rk)_(live|test)_|whsec_|-----BEGIN |://[^/@\s:]*:[^/@\s]+@")
_BEYOND_RE2 = re.compile(r"\(\?(?!P<[A-Za-z_]|:|[imsU]+[):])|[*+?}]\+")
_REPEAT = re.compile(r"\{(?P<least>[0-9]{1,9})(,(?P<most>[0-9]{0,9}))?\}|.", re.DOTALL)

_NEEDS_SOURCE = ("pattern", "map", "format", "decimal", "negate", "minor")
_REFERENCE_HINT = "use env:NAME or file:PATH, and keep the secret itself out of this file"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, where below the value that was checked, and the likely fix."""

    path: Path
    message: str
    hint: str = ""


def mapping_faults(mapping: Mapping[str, Any]) -> Iterator[Fault]:
    """Faults of a source's mapping entries: where a value comes from must be said once and completely."""
    for column, entry in mapping.items():
        if isinstance(entry, Mapping):
            yield from _entry_faults((column,), entry)


def _entry_faults(path: Path, entry: Mapping[str, Any]) -> Iterator[Fault]:
    origins = [key for key in ("from", "value", "credit") if key in entry]
    if "debit" in entry and "credit" not in entry:
        origins.append("debit")
    if not origins and "sign_from" not in entry:
        yield Fault(path, "the entry does not say where the value comes from", "add `from: column`")
    elif len(origins) > 1:
        yield Fault((*path, origins[1]), f"`{origins[0]}` and `{origins[1]}` exclude each other", "keep one")
    for one, other in (("credit", "debit"), ("debit", "credit")):
        if one in entry and other not in entry:
            yield Fault((*path, one), f"`{one}` needs `{other}` beside it", "or use `from` for a single column")
    for one, other in (("sign_from", "negative"), ("negative", "sign_from")):
        if one in entry and other not in entry:
            hint = "`sign_from` names a column, `negative` its values that mean money out"
            yield Fault((*path, one), f"`{one}` needs `{other}` beside it", hint)
    if "sign_from" in entry and "from" not in entry:
        yield Fault((*path, "sign_from"), "`sign_from` needs `from` beside it", "name the amount's column")
    for key in _NEEDS_SOURCE:
        if key in entry and "value" in entry and "from" not in entry:
            yield Fault((*path, key), f"`{key}` has no effect on a constant", f"remove `{key}`")
    if isinstance(entry.get("pattern"), str):
        yield from _pattern_faults((*path, "pattern"), entry["pattern"])


def _pattern_faults(path: Path, pattern: str) -> Iterator[Fault]:
    """Faults of a regular expression that RE2 must accept and that must have a group to take."""
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        return
    beyond = _beyond_re2(pattern)
    if beyond:
        yield Fault(path, f"the pattern uses {beyond}, which RE2 does not have", "write it without")
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        yield Fault(path, f"not a regular expression: {error}", "quote it in single quotes, escape with \\")
        return
    if not compiled.groups:
        hint = "put parentheses around the part to take, such as (INV-[0-9]+)"
        yield Fault(path, "the pattern has no group", hint)


def _beyond_re2(pattern: str) -> str:
    """What a pattern uses beyond RE2 (github.com/google/re2/wiki/Syntax), in words; empty when nothing.

    Escaped pairs and character classes are blanked first, for inside them the signs mean themselves.
    """
    if re.search(r"(?<!\\)(\\\\)*\\([1-9]|[gkZ])", pattern):
        return "a back reference or \\Z"
    bare = re.sub(r"\[\^?\]?[^\]]*\]", "x", re.sub(r"\\.", "x", pattern, flags=re.DOTALL))
    found = _BEYOND_RE2.search(bare)
    if found:
        return repr(bare[found.start() : found.start() + 3])
    return f"a repetition over {MAX_REPEAT}" if _most_repeated(bare) > MAX_REPEAT else ""


def _most_repeated(bare: str) -> int:
    """The largest counted repetition, where one inside another multiplies; escapes and classes are blanked."""
    levels, last = [1], 1
    for token in _REPEAT.finditer(bare):
        if token[0] == "(":
            levels.append(1)
            last = 1
        elif token[0] == ")" and len(levels) > 1:
            last = levels.pop()
        elif token["least"]:
            last *= max(int(count) for count in (token["least"], token["most"]) if count)
        else:
            last = 1
        levels[-1] = max(levels[-1], last)
    return max(levels)


def zone_fault(zone: object) -> Iterator[Fault]:
    """A fault when a zone is not one of the IANA data base, or is one that differs from machine to machine."""
    if not isinstance(zone, str):
        return
    if not zone.startswith(_MACHINE_ZONES):
        try:
            ZoneInfo(zone)
        except (LookupError, ValueError, OSError):
            pass
        else:
            return
    yield Fault(("zone",), f"no time zone {quoted(zone)}", _zone_hint(zone))


def _zone_hint(zone: str) -> str:
    """The zone that was probably meant, found by its whole name or by its city alone."""
    names = sorted(name for name in available_timezones() if "/" in name and not name.startswith(_MACHINE_ZONES))
    if "/" in zone:
        hint = nearest(zone, names)
    else:
        cities = {name.rpartition("/")[2].lower(): name for name in names if not name.startswith("Etc/")}
        close = difflib.get_close_matches(zone.lower()[:100], cities, n=1, cutoff=0.75)
        hint = f"did you mean {cities[close[0]]}?" if close else ""
    return hint if hint.startswith("did") else "use a name of the IANA data base, such as Europe/Berlin"


def url_faults(url: object) -> Iterator[Fault]:
    """Faults of `database_url`: a reference stays one; a URL must be of a known kind and without a password."""
    path = ("database_url",)
    if not isinstance(url, str) or _is_reference(url):
        return
    if url.startswith(("env:", "file:")):
        yield Fault(path, "not a reference", "write env:NAME or file:PATH")
        return
    try:
        parts = urlsplit(url)
        has_password = parts.password is not None or "@" in parts.path
    except ValueError:
        yield Fault(path, "not a URL", "write env:NAME, file:PATH or sqlite:///path")
        return
    if has_password or any(is_secret_key(key) for key, _ in parse_qsl(parts.query, keep_blank_values=True)):
        yield Fault(path, "a password is written out here", _REFERENCE_HINT)
    elif parts.scheme not in ("sqlite", "postgresql"):
        yield Fault(path, "not a URL of a database that Tieout works with", "write sqlite:///path or env:NAME")


def secret_faults(settings: Mapping[str, Any], path: Path = ()) -> Iterator[Fault]:
    """Faults where a source's settings hold a secret itself rather than a reference to it."""
    for key, value in settings.items():
        yield from _value_faults((*path, key), value, is_secret_key(key))


def _value_faults(path: Path, value: object, secret: bool) -> Iterator[Fault]:
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from _value_faults((*path, key), below, secret or is_secret_key(key))
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _value_faults((*path, index), item, secret)
    elif isinstance(value, str):
        if not _is_reference(value) and (secret or _SECRET_VALUE.search(value)):
            yield Fault(path, "a secret is written out here", _REFERENCE_HINT)
    elif isinstance(value, int) and not isinstance(value, bool) and secret:
        yield Fault(path, "a secret is written out here", _REFERENCE_HINT)


def _is_reference(text: str) -> bool:
    return bool(_ENV_REFERENCE.fullmatch(text) or _FILE_REFERENCE.fullmatch(text))
