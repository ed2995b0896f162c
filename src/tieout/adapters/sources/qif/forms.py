"""How one QIF file writes its dates and amounts, which it does not say: found out over all of its records.

What is only assumed is stated as such. A date that contradicts the order found is handed on unchanged, so that its
row is quarantined with the text.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from tieout.adapters.sources.drafting import AMOUNT_CHARACTERS

DAY_FIRST_CURRENCIES = ("AUD", "EUR", "GBP", "INR", "NZD", "ZAR")
"""Currencies whose users write the day first; the standard itself writes the month first."""

PIVOT_YEAR = 70
"""Years of two digits from here on are of the 1900s; after an apostrophe they are of the 2000s always."""

_DATE = re.compile(r"([0-9]{1,2}) ?([/.-]) ?([0-9]{1,2}) ?([/.'-]) ?([0-9]{4}|[0-9]{1,2})")
_YEAR_FIRST = re.compile(r"([0-9]{4})([/.-]?)([0-9]{1,2})\2([0-9]{1,2})")
_SIGNED = re.compile(r"([+-]?)\s*([0-9][0-9., '\u00a0\u202f]*|[.,][0-9]+)")
_GROUP_MARKS = " '\u00a0\u202f"
_CHANGES = 5
"""Distinct dates from which their order in the file says something."""


class _Sorted:
    """Whether keys came in ascending or descending order."""

    def __init__(self) -> None:
        self._last: tuple[int, int, int] | None = None
        self._ascends = self._descends = True
        self.changes = 0

    def add(self, key: tuple[int, int, int]) -> None:
        if self._last is not None and key != self._last:
            self.changes += 1
            self._ascends &= key > self._last
            self._descends &= key < self._last
        self._last = key

    @property
    def is_sorted(self) -> bool:
        return self._ascends or self._descends


class Survey:
    """Gathers what a file's dates and amounts give away; its memory does not follow the file."""

    def __init__(self) -> None:
        self._dates = self._first_over = self._second_over = 0
        self._sorted = {"dmy": _Sorted(), "mdy": _Sorted()}
        self._has_dots = False
        self._sure: Counter[str] = Counter()
        self._unclear: Counter[str] = Counter()

    def add_date(self, text: str) -> None:
        """Take a date as it is written."""
        match = _DATE.fullmatch(text)
        if match is None:
            return
        first, second = int(match[1]), int(match[3])
        self._dates += 1
        self._first_over += first > 12
        self._second_over += second > 12
        self._has_dots |= match[2] == "."
        year = _year(match[5], match[4])
        self._sorted["dmy"].add((year, second, first))
        self._sorted["mdy"].add((year, first, second))

    def add_amount(self, text: str) -> None:
        """Take an amount as it is written."""
        match = _SIGNED.fullmatch(text) if len(text) <= AMOUNT_CHARACTERS else None
        if match is None:
            return
        number = match[2]
        point, comma = number.rfind("."), number.rfind(",")
        if point >= 0 and comma >= 0:
            self._sure["." if point > comma else ","] += 1
        elif point >= 0 or comma >= 0:
            self._add_single("." if point >= 0 else ",", number)

    def _add_single(self, mark: str, number: str) -> None:
        """A number with one kind of mark: it groups where it repeats, and may do so before three digits."""
        whole, _, part = number.partition(mark)
        if number.count(mark) > 1:
            self._sure["," if mark == "." else "."] += 1
        elif len(part) == 3 and 1 <= len(whole) <= 3 and whole != "0":
            self._unclear[mark] += 1
        else:
            self._sure[mark] += 1

    def forms(self, order: str | None, decimal: str | None, currency: str | None) -> Forms:
        """The forms found, or as declared; `currency` tells on which side of the Atlantic a doubtful file is."""
        date_order, date_evidence = self._order(order, currency)
        mark, decimal_evidence = self._decimal(decimal)
        return Forms(date_order, date_evidence, mark, decimal_evidence)

    def _order(self, declared: str | None, currency: str | None) -> tuple[str, str]:
        if declared is not None:
            return declared, f"{declared} as declared"
        if not self._dates:
            return "mdy", "no date leaves its order open"
        if self._first_over or self._second_over:
            order = "dmy" if self._first_over >= self._second_over else "mdy"
            wrong = min(self._first_over, self._second_over)
            count = max(self._first_over, self._second_over)
            if wrong:
                return order, f"{order}, although {wrong} of {self._dates} dates contradict it"
            return order, f"{order}: {count} of {self._dates} dates allow no other order"
        likely = [order for order, found in self._sorted.items() if found.is_sorted]
        if len(likely) == 1 and self._sorted[likely[0]].changes >= _CHANGES:
            return likely[0], f"{likely[0]}: ambiguous, but only so the records are in order of time"
        order = "dmy" if self._has_dots or currency in DAY_FIRST_CURRENCIES else "mdy"
        return order, f"{order} assumed: ambiguous (no day above 12); declare settings.date_order"

    def _decimal(self, declared: str | None) -> tuple[str, str]:
        if declared is not None:
            return declared, f"decimal {_word(declared)} as declared"
        if self._sure:
            mark, count = max(self._sure.items(), key=lambda item: (item[1], item[0]))
            against = self._sure.total() - count
            text = f", although {against} of {self._sure.total()} amounts contradict it" if against else ""
            return mark, f"decimal {_word(mark)}{text}"
        if self._unclear:
            text = "decimal point assumed: three digits after the only mark could be decimals or thousands"
            return ".", f"{text}; declare settings.decimal"
        return ".", "whole numbers only"


@dataclass(frozen=True, slots=True)
class Forms:
    """A file's date order (dmy, mdy, ymd) and decimal mark, and for each why it is taken to be so."""

    date_order: str
    date_evidence: str
    decimal: str
    decimal_evidence: str

    def day_of(self, text: str | None) -> str | None:
        """The date as YYYY-MM-DD; a text that is none in this order unchanged."""
        if text is None:
            return None
        found = self._numbers(text)
        if found is None:
            return text
        try:
            return date(*found).isoformat()
        except ValueError:
            return text

    def _numbers(self, text: str) -> tuple[int, int, int] | None:
        """Year, month and day."""
        if match := _YEAR_FIRST.fullmatch(text):
            is_complete = match[2] or len(text) == 8
            return (int(match[1]), int(match[3]), int(match[4])) if is_complete else None
        match = _DATE.fullmatch(text)
        if match is None:
            return None
        first, second = int(match[1]), int(match[3])
        if self.date_order == "ymd":
            return (_year(match[1], ""), second, int(match[5])) if len(match[5]) <= 2 else None
        year = _year(match[5], match[4])
        return (year, second, first) if self.date_order == "dmy" else (year, first, second)

    def amount_of(self, text: str | None) -> Decimal | None:
        """The signed amount; None when it cannot be read with this decimal mark."""
        match = _SIGNED.fullmatch(text) if text and len(text) <= AMOUNT_CHARACTERS else None
        if match is None:
            return None
        whole, mark, part = match[2].strip(_GROUP_MARKS).partition(self.decimal)
        digits = self._ungrouped(whole)
        if digits is None or (mark and part and not (part.isascii() and part.isdigit())):
            return None
        return Decimal(f"{match[1]}{digits or '0'}.{part or '0'}" if part else f"{match[1]}{digits or '0'}")

    def _ungrouped(self, whole: str) -> str | None:
        """The digits before the decimal mark, without one kind of grouping mark; None where groups are irregular."""
        marks = {character for character in whole if not character.isdigit()}
        if not marks:
            return whole
        if len(marks) > 1 or self.decimal in marks:
            return None
        mark = re.escape(marks.pop())
        is_regular = re.fullmatch(rf"[0-9]{{1,3}}(?:{mark}[0-9]{{2,3}})*{mark}[0-9]{{3}}", whole)
        return re.sub(r"[^0-9]", "", whole) if is_regular else None


def _year(text: str, mark: str) -> int:
    """A year of two or four digits; an apostrophe before two digits means the 2000s."""
    year = int(text)
    if len(text) == 4:
        return year
    return 2000 + year if mark == "'" or year < PIVOT_YEAR else 1900 + year


def _word(mark: str) -> str:
    return "comma" if mark == "," else "point"
