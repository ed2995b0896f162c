"""Figures and words as people read them: grouped digits, counted nouns, short instants."""

from __future__ import annotations

from tieout.model.money import EXPONENTS, decimal_text


def grouped(decimal: str) -> str:
    """Plain decimal text with its whole digits grouped by commas: "-1234.50" gives "-1,234.50"."""
    sign = "-" if decimal.startswith("-") else ""
    whole, point, part = decimal.removeprefix("-").partition(".")
    return f"{sign}{int(whole):,}{point}{part}" if whole.isascii() and whole.isdigit() else decimal


def money(amount_minor: int, currency: str) -> str:
    """Minor units as grouped text in major units, without the currency."""
    return grouped(decimal_text(amount_minor, currency)) if currency in EXPONENTS else str(amount_minor)


def counted(count: int, noun: str) -> str:
    """A number and its noun: "1 finding", "2 findings", "2 batches", "2 entries"."""
    if count == 1:
        return f"1 {noun}"
    if noun.endswith(("ch", "s", "x")):
        return f"{count:,} {noun}es"
    return f"{count:,} {noun[:-1]}ies" if noun.endswith("ry") else f"{count:,} {noun}s"


def instant(stored: str | None) -> str:
    """A stored instant to the second, for people; "" where there is none."""
    return "" if stored is None else stored[:19].replace("T", " ")


def short_hash(digest: str | None) -> str:
    """The beginning of a hash, enough to tell one from another by eye."""
    return "" if digest is None else digest[:12]
