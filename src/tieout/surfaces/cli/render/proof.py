"""The proof of a run: per side and currency, what it opened with, what moved, and that it comes to the closing."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from tieout.model.run import ProofLine
from tieout.surfaces.cli.failures import clean
from tieout.surfaces.cli.output import table, text
from tieout.surfaces.cli.render.figures import money

MOVEMENTS = (
    ("opening", "opening", ""),
    ("new", "new", "+"),
    ("amended", "amended", "±"),
    ("reopened", "reopened", "+"),
    ("withdrawn", "withdrawn", "−"),
    ("matched", "matched", "−"),
    ("written_off", "written off", "−"),
    ("closing", "closing", "="),
)
"""Figure of a ProofLine, its heading, and the sign with which it enters the sum."""

_ALWAYS = ("opening", "new", "matched", "closing")


def proof_document(line: ProofLine) -> dict[str, object]:
    """One line of a proof as JSON: amounts as decimal text, counts as numbers."""
    counts = {name: getattr(line, name) for name in ("opening_count", "new_count", "matched_count", "closing_count")}
    return {**line.as_text(), **counts}


def proof_view(console: Console, lines: Sequence[ProofLine]) -> RenderableType:
    """A proof as a table, or line by line where the terminal is too narrow for one."""
    if not lines:
        return Text("nothing on either side yet", style="dim")
    shown = [move for move in MOVEMENTS if move[0] in _ALWAYS or any(_minor(line, move[0]) for line in lines)]
    made = table("side", "", *(f">{sign} {heading}".replace("> ", ">") for _, heading, sign in shown), ">unexplained")
    for line in lines:
        figures = [Text(money(_minor(line, name), line.currency)) for name, _, _ in shown]
        made.add_row(text(line.side), line.currency, *figures, _unexplained(line))
    if _fits(console, made):
        return made
    by_side = [_side_view(side, lines, shown) for side in dict.fromkeys(line.side for line in lines)]
    if all(_fits(console, view) for view in by_side):
        return Group(*by_side)
    return Text("\n").join(_sentence(line, shown) for line in lines)


def _side_view(side: str, lines: Sequence[ProofLine], shown: Sequence[tuple[str, str, str]]) -> Table:
    """One side upright: a row for each movement, a column for each currency."""
    own = [line for line in lines if line.side == side]
    made = table(clean(side), *(f">{line.currency}" for line in own))
    for name, heading, sign in shown:
        made.add_row(f"{sign or ' '} {heading}", *(money(_minor(line, name), line.currency) for line in own))
    made.add_row(Text("  unexplained", style="dim"), *(_unexplained(line) for line in own))
    return made


def _fits(console: Console, made: RenderableType) -> bool:
    return Measurement.get(console, console.options.update(max_width=1_000), made).maximum <= console.width


def _minor(line: ProofLine, name: str) -> int:
    return int(getattr(line, f"{name}_minor"))


def _unexplained(line: ProofLine) -> Text:
    if line.unexplained_minor == 0:
        return Text("0", style="bold green")
    return Text(money(line.unexplained_minor, line.currency), style="bold red")


def _sentence(line: ProofLine, shown: Sequence[tuple[str, str, str]]) -> Text:
    words = Text()
    words.append_text(text(line.side, "bold"))
    words.append(f" {line.currency}:")
    for name, heading, sign in shown:
        words.append(f" {sign} " if sign else " ")
        words.append(f"{heading} ", style="dim")
        words.append(money(_minor(line, name), line.currency))
    words.append("; unexplained ", style="dim")
    words.append_text(_unexplained(line))
    return words
