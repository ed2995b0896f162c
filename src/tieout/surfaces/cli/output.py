"""What goes out: results on stdout (tables, or one JSON document), progress and remarks on stderr.

Text from users' files is cleaned before a terminal sees it, and never read as markup.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import orjson
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tieout.surfaces.cli.failures import clean, say

_BREAKS = re.compile(r"\s*[\t\n\r\v\f\x85\u2028\u2029]\s*")

_OPTIONS = orjson.OPT_NON_STR_KEYS
"""Words such as codes and severities are keys, too; orjson asks to be told."""

PIPED_WIDTH = 100
"""Columns where nobody's terminal tells its own."""


def console() -> Console:
    """The console of results: stdout, as wide as the terminal."""
    return _console(sys.stdout)


def _console(stream: Any) -> Console:
    found = Console(file=stream, markup=False, emoji=False, highlight=False, soft_wrap=False)
    if not found.is_terminal and "COLUMNS" not in os.environ:
        found.width = PIPED_WIDTH
    return found


def text(value: object, style: str = "") -> Text:
    """A value from outside as one line of text for a terminal."""
    return Text(clean(_BREAKS.sub(" ", str(value))), style=style)


def table(*columns: str, title: str | None = None) -> Table:
    """A plain table. Long words are folded, never cut.

    A name that begins with `>` is a column set to the right, one with `!` a column that is kept on one line.
    """
    made = Table(box=SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", header_style="bold",
                 pad_edge=False, show_edge=False, expand=False)  # fmt: skip
    for name in columns:
        justify: Literal["left", "right"] = "right" if name.startswith(">") else "left"
        made.add_column(name.lstrip(">!"), justify=justify, overflow="fold", no_wrap=name.startswith("!"))
    return made


def write_json(document: Mapping[str, object]) -> None:
    """The one JSON document of a command, on stdout."""
    sys.stdout.write(orjson.dumps(document, option=_OPTIONS | orjson.OPT_INDENT_2, default=_plain).decode() + "\n")
    sys.stdout.flush()


def encode(value: object) -> str:
    """One value as JSON on one line."""
    return orjson.dumps(value, option=_OPTIONS, default=_plain).decode()


def _plain(value: object) -> object:
    """What orjson does not know by itself; text with broken characters is told as text without them."""
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    return clean(str(value))


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Say on stderr what is being done: one moving line on a terminal, plain lines elsewhere."""
    errors = _console(sys.stderr)
    if not errors.is_terminal:
        yield lambda words: say(words)
        return
    with errors.status("") as status:
        yield lambda words: status.update(text(words))


def remark(words: str) -> None:
    """A remark on stderr that belongs to no result."""
    say(words)
