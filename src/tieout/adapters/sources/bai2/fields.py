"""What BAI2 fields mean: type codes and their direction, availability of funds, amounts in minor units, dates.

Source: BAI, Cash Management Balance Reporting Specifications, version 2 (type codes in its appendix A).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from tieout.model.money import EXPONENTS, decimal_text

DEFAULT_CURRENCY = "USD"
"""What a group is in that names no currency, by the standard."""

OPENING_LEDGER = "010"
CLOSING_LEDGER = "015"
NON_MONETARY = "890"
"""A detail that carries text only."""

PIVOT_YEAR = 80
"""Years from here on are of the 1900s: the format is of 1987."""

_AMOUNT = re.compile(r"[+-]?[0-9]{1,40}")
_TYPE = re.compile(r"[0-9]{3}")
_DAY = re.compile(r"[0-9]{6}")
_CREDITS = ((100, 399), (720, 759), (920, 959))
_DEBITS = ((400, 699), (760, 799), (960, 999))
"""Ranges of type codes. Of the loan codes 720 to 728 are payments and 760 is a disbursement; 920 to 999 are the
bank's own. Codes outside are balances or say no direction."""

_FUNDS = {"": 0, "0": 0, "1": 0, "2": 0, "Z": 0, "S": 3, "V": 2}
"""Funds type to the number of fields that follow it; `D` is followed by a count and that many pairs."""


def is_type(text: str) -> bool:
    """Whether a text is a type code."""
    return _TYPE.fullmatch(text) is not None


def sign_of(type_code: str) -> int | None:
    """1 for a credit, -1 for a debit, None for a type that has no direction."""
    number = int(type_code)
    for sign, ranges in ((1, _CREDITS), (-1, _DEBITS)):
        if any(first <= number <= last for first, last in ranges):
            return sign
    return None


def minor_units(text: str) -> int | None:
    """An amount as written, in minor units; None when it is no whole number."""
    return int(text) if _AMOUNT.fullmatch(text) else None


def major_text(amount_minor: int, currency: str) -> str | None:
    """Decimal text in major units; None for a code that is no currency, whose decimals are not known."""
    return decimal_text(amount_minor, currency) if currency in EXPONENTS else None


def day_of(text: str) -> str:
    """`YYMMDD` as YYYY-MM-DD; any other text unchanged."""
    if not _DAY.fullmatch(text):
        return text
    year = int(text[:2])
    try:
        return date((1900 if year >= PIVOT_YEAR else 2000) + year, int(text[2:4]), int(text[4:])).isoformat()
    except ValueError:
        return text


def availability(funds_type: str, fields: Iterator[str]) -> dict[str, object] | None:
    """What follows a funds type, taken from `fields`, as attributes; None when it cannot be read.

    V: value date and time. S: amounts available at once, after one and after more days. D: pairs of days and amount.
    Amounts stay in minor units, as they are written.
    """
    if funds_type == "D":
        return _distributed(fields)
    count = _FUNDS.get(funds_type)
    if count is None:
        return None
    texts = [next(fields, "") for _ in range(count)]
    found: dict[str, object] = {}
    if funds_type == "V":
        found = {"value_date": day_of(texts[0]), "value_time": texts[1]}
    elif funds_type == "S":
        names = ("immediate_minor", "one_day_minor", "later_minor")
        found = {"availability": {name: text for name, text in zip(names, texts, strict=True) if text}}
    elif funds_type in ("0", "1", "2"):
        found = {"availability_days": funds_type}
    return {name: value for name, value in found.items() if value}


def _distributed(fields: Iterator[str]) -> dict[str, object] | None:
    count = next(fields, "")
    if not re.fullmatch(r"[0-9]{1,3}", count):
        return None
    pairs = [(next(fields, ""), next(fields, "")) for _ in range(int(count))]
    return {"availability": [{"days": days, "amount_minor": amount} for days, amount in pairs]} if pairs else {}
