"""The texts of one camt element by their paths, and how its amounts, days and instants are read.

An element is walked once: asking it for each of forty paths costs ten times as much.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

AMOUNT_CHARACTERS = 40

EXACT = Context(prec=120)
"""Adds amounts of up to AMOUNT_CHARACTERS without ever rounding."""

DEPTH = 24
"""Levels below an element that are looked at; ISO 20022 nests half as deep, a hostile document thousands."""

SIGNS = {"CRDT": 1, "DBIT": -1}
"""Credit debit indicator to the sign of its amount."""

_AMOUNT = re.compile(r"\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)")
_DAY = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(T.*|Z|[+-][0-9]{2}:[0-9]{2})?")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(?P<offset>Z|[+-][0-9]{2}:[0-9]{2})?"
)


class Fields:
    """The texts inside an element. Paths are of local names ("BookgDt/Dt"); "Amt@Ccy" is an amount's currency."""

    __slots__ = ("_texts",)

    def __init__(self, element: Element):
        self._texts: dict[str, list[str]] = {}
        self._gather(element, "", DEPTH)

    def _gather(self, element: Element, prefix: str, depth: int) -> None:
        for child in element:
            path = prefix + local_name(child)
            text = child.text
            if text and (text := text.strip()):
                self._texts.setdefault(path, []).append(text)
            currency = child.get("Ccy")
            if currency:
                self._texts.setdefault(f"{path}@Ccy", []).append(currency)
            if depth and len(child):
                self._gather(child, f"{path}/", depth - 1)

    def first(self, *paths: str) -> str | None:
        """The first text of the first of these paths that has any, without surrounding white space."""
        for path in paths:
            texts = self._texts.get(path)
            if texts:
                return texts[0]
        return None

    def all(self, path: str) -> list[str]:
        """Every text at a path, in order."""
        return self._texts.get(path, [])

    def has_any(self, path: str) -> bool:
        """Whether anything is said inside a path."""
        return any(name.startswith(f"{path}/") for name in self._texts)


def local_name(element: Element) -> str:
    """An element's name without its namespace."""
    tag: str = element.tag
    return tag.rpartition("}")[2]


def signed_amount(text: str | None, direction: str | None) -> Decimal | None:
    """The amount with its direction's sign; None when either cannot be read or the amount is negative.

    The indicator states the direction of the entry itself, so that the reversal of a credit is a DBIT: a reversal
    flag never turns the sign again.
    """
    sign = SIGNS.get(direction or "")
    if text is None or sign is None or len(text) > AMOUNT_CHARACTERS or not _AMOUNT.fullmatch(text):
        return None
    amount = Decimal(text)
    return amount if sign > 0 or not amount else amount.copy_negate()


def plain_text(amount: Decimal) -> str:
    """Decimal text without an exponent."""
    return format(amount, "f")


def day_of(text: str | None) -> str | None:
    """The date part of an ISO date (with or without a zone) or date-time; any other text unchanged."""
    match = _DAY.fullmatch(text) if text else None
    return match.group(1) if match else text


def instant_of(text: str | None) -> str | None:
    """An ISO date-time with an offset as UTC; None for one without; a text that is no instant unchanged."""
    match = _INSTANT.fullmatch(text) if text else None
    if text is None or match is None:
        return text
    if not match["offset"]:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    except (ValueError, OverflowError):
        return text
