"""Errors at the edge: what a person reads on stderr, what a program reads on stdout, and the exit code.

0 clean · 1 findings over threshold · 2 usage or configuration · 3 incomplete. No traceback reaches a user.
"""

from __future__ import annotations

import json
import os
import re
import sys
import traceback
from pathlib import Path

from tieout.model.errors import ConfigError, Place, Problem, TieoutError

CLEAN = 0
FINDINGS = 1
USAGE = 2
INCOMPLETE = 3
INTERRUPTED = 130

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def clean(text: str) -> str:
    """Text from files as a terminal may show it: without control, direction and broken characters."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def error_document(error: TieoutError) -> dict[str, object]:
    """An error as JSON: code, message, hint, place, and for a configuration every problem in it."""
    document: dict[str, object] = {"code": error.code, "message": error.message, "hint": error.hint or None}
    document["place"] = _place_document(error.place)
    if isinstance(error, ConfigError):
        document["problems"] = [_problem_document(problem) for problem in error.problems]
    return document


def _problem_document(problem: Problem) -> dict[str, object]:
    return {"message": problem.message, "hint": problem.hint or None, "place": _place_document(problem.place)}


def _place_document(place: Place) -> dict[str, object] | None:
    found: dict[str, object] = {"file": place.file, "line": place.line, "field": place.field}
    return found if any(value is not None for value in found.values()) else None


def tell(error: TieoutError, *, as_json: bool) -> int:
    """Show an error to whoever called; returns the exit code."""
    if as_json:
        say_json({"error": error_document(error)})
    say(str(error), error=True)
    return error.exit_code


def tell_usage(message: str, usage: str, *, as_json: bool) -> int:
    """Show that the words of a call are wrong, with the line that says how they should be."""
    if as_json:
        say_json({"error": {"code": "usage", "message": message, "hint": None, "place": None}})
    say(message, error=True)
    if usage:
        say(usage)
    return USAGE


def tell_internal(error: BaseException, *, as_json: bool) -> int:
    """Show that Tieout itself failed: kind and place only, as a message could carry amounts or secrets."""
    message = f"internal error: {type(error).__name__} at {_origin(error)}; please report"
    if as_json:
        say_json({"error": {"code": "internal", "message": message, "hint": None, "place": None}})
    if os.environ.get("TIEOUT_DEBUG") == "1":
        say("".join(traceback.format_exception(error)).rstrip())
    say(message, error=True)
    return INCOMPLETE


def _origin(error: BaseException) -> str:
    """Module and line of the deepest frame that is ours."""
    found = "unknown:0"
    for frame, line in traceback.walk_tb(error.__traceback__):
        name = frame.f_globals.get("__name__", "")
        if str(name).startswith("tieout"):
            found = f"{name}:{line}"
    return found


def say(text: str, *, error: bool = False) -> None:
    """One message on stderr. A stderr that cannot show it is no reason to fail."""
    prefix = ""
    if error:
        coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        prefix = "\x1b[1;31merror:\x1b[0m " if coloured else "error: "
    try:
        sys.stderr.write(f"{prefix}{clean(text)}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return


def say_json(document: dict[str, object]) -> None:
    """A small document on stdout, without the library that writes the large ones."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def shown_path(path: Path) -> str:
    """A path as text that every output can hold, however its bytes are encoded."""
    return clean(os.fsencode(path).decode("utf-8", "replace"))


def nearby(path: Path) -> Path:
    """A path relative to the current directory where it lies below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
