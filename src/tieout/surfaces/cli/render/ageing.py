"""Open items by age as a picture of bars, one scale for each currency."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from tieout.model.money import decimal_text
from tieout.service.listing import AGE_BUCKETS, AgeRow
from tieout.surfaces.cli.output import table
from tieout.surfaces.cli.render.figures import money

BAR_WIDTH = 24
_STYLES = dict(zip(AGE_BUCKETS, ("green", "green", "yellow", "yellow", "red", "dim"), strict=True))
_EIGHTHS = " ▏▎▍▌▋▊▉"


def age_document(row: AgeRow) -> dict[str, object]:
    """One bucket as JSON: amounts as decimal text."""
    return {
        "side": row.side,
        "currency": row.currency,
        "bucket": row.bucket,
        "items": row.items,
        "open": decimal_text(row.open_minor, row.currency),
        "absolute": decimal_text(row.absolute_minor, row.currency),
    }


def ages_view(rows: Sequence[AgeRow]) -> RenderableType:
    """Buckets that hold something, by currency: items, what they leave open on both sides together, and a bar."""
    made = table("", "age", ">items", ">open", "")
    sums: dict[str, dict[str, tuple[int, int]]] = {}
    for row in rows:
        buckets = sums.setdefault(row.currency, {})
        items, amount = buckets.get(row.bucket, (0, 0))
        buckets[row.bucket] = (items + row.items, amount + row.absolute_minor)
    for currency, buckets in sorted(sums.items()):
        longest = max(amount for _, amount in buckets.values())
        first = currency
        for bucket in AGE_BUCKETS:
            if bucket not in buckets:
                continue
            items, amount = buckets[bucket]
            bar = Text(bar_text(amount, longest), style=_STYLES[bucket])
            made.add_row(first, bucket, f"{items:,}", money(amount, currency), bar)
            first = ""
    return made


def bar_text(amount: int, longest: int) -> str:
    """A bar in eighths of a character, at least one eighth where there is anything. Integers only."""
    if longest <= 0 or amount <= 0:
        return ""
    eighths = max(1, amount * BAR_WIDTH * 8 // longest)
    full, rest = divmod(eighths, 8)
    return "█" * full + _EIGHTHS[rest].strip()
