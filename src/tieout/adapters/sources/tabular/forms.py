"""How a column writes its dates and amounts, concluded from a sample of its cells.

A form says what to expect; turning texts into canonical ones is SQL (expressions). A conclusion is drawn over
the whole sample, never cell by cell, and an ambiguous one says so in `note`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise

GROUP_MARKS = " '’\u00a0\u202f"
"""Marks that group thousands whatever the decimal mark is: space, apostrophes, no-break spaces."""

CURRENCY_SYMBOLS = {
    "€": ("EUR",),
    "£": ("GBP", "GIP", "FKP", "SHP", "EGP", "LBP", "SYP", "SDG", "SSP"),
    "¥": ("JPY", "CNY"),
    "₹": ("INR",),
    "$": (
        "USD", "CAD", "AUD", "NZD", "SGD", "HKD", "MXN", "BRL", "CLP", "COP", "ARS", "UYU", "DOP", "TWD", "BSD", "BBD",
        "BZD", "BMD", "BND", "FJD", "GYD", "JMD", "KYD", "LRD", "NAD", "SBD", "SRD", "TTD", "XCD", "XCG", "CVE", "NIO",
        "BOB", "PAB", "TOP", "MOP", "WST",
    ),
}  # fmt: skip
"""Marks beside amounts and the currencies they may stand for."""

_DATE = re.compile(
    r"(?P<a>[0-9]{1,4})(?P<s>[-./])(?P<b>[0-9]{1,2})(?P=s)(?P<c>[0-9]{4}|[0-9]{1,2})"
    r"|(?P<compact>[0-9]{8})"
    r"|(?P<day>[0-9]{1,2})(?P<s1>[-. /]|\. )(?P<month>[A-Za-z]{3,9})(?P<s2>\.?[- ,/]+)(?P<year>[0-9]{4}|[0-9]{2})"
    r"|(?P<us_month>[A-Za-z]{3,9})(?P<us1>\.? )(?P<us_day>[0-9]{1,2})(?P<us2>,? +)(?P<us_year>[0-9]{4})"
    r"|(?P<japanese>[0-9]{4}年[0-9]{1,2}月[0-9]{1,2}日)"
)
_CLOCK = re.compile(
    r"(?P<gap>T| ?, ?| +)?(?P<hour>[0-9]{1,2}):[0-9]{2}(?P<second>:[0-9]{2}(?P<fraction>\.[0-9]{1,6})?)?"
    r"(?P<half> ?[AaPp]\.?[Mm]\.?)?"
)
_OFFSET = re.compile(r" ?(?:Z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?)")
_CANONICAL_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CANONICAL_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_AMOUNT = re.compile(
    r"\(?\s*[-+−]?\s*(?P<before>[$€£¥₹]|[A-Z]{3})?\s*[-+−]?\s*"
    r"(?P<number>[0-9][0-9.,'’ \u00a0\u202f]*|[.,][0-9]+)"
    r"\s*(?P<after>[$€£¥₹]|[A-Z]{3})?\s*(?:[-−]|[CcDd][Rr])?\s*\)?"
)


@dataclass(frozen=True, slots=True)
class Hints:
    """What the rest of the file says about its origin, for cells that do not say it themselves."""

    delimiter: str = ","
    languages: frozenset[str] = frozenset()
    currency: str | None = None
    date_order: str | None = None

    @property
    def is_continental(self) -> bool:
        """Decimal comma and day before month are likely."""
        return bool(self.languages - {"en", "ja"}) or (self.delimiter == ";" and "ja" not in self.languages)


@dataclass(frozen=True, slots=True)
class DateForm:
    """strptime formats of the local part of a column's dates, commonest first; `times` those with a clock.

    `is_day`: every cell of the sample is YYYY-MM-DD already; `is_instant`: every one is a canonical instant.
    """

    formats: tuple[str, ...]
    times: tuple[str, ...] = ()
    has_offset: bool = False
    is_day: bool = False
    is_instant: bool = False
    has_clock: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class AmountForm:
    """Decimal mark ("." or ","; None where the sample has none) and what may stand beside the number."""

    decimal: str | None = "."
    symbols: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    is_plain: bool = True
    signs: frozenset[str] = field(default_factory=frozenset)
    note: str = ""


def date_form(cells: Sequence[str], hints: Hints) -> DateForm | None:
    """The form of a column of dates, or None when most of its cells are none."""
    parsed = [parts for cell in cells if (parts := _split_date(cell)) is not None]
    if not cells or len(parsed) * 2 <= len(cells):
        return None
    order, why = _order([parts[0] for parts in parsed], hints)
    formats: Counter[str] = Counter()
    times: Counter[str] = Counter()
    has_clock = False
    for day, clock, _ in parsed:
        form = _day_format(day, order)
        if form is None:
            continue
        if clock is None:
            formats[form] += 1
            continue
        times[form + _clock_format(clock)] += 1
        has_clock = has_clock or not _is_midnight(clock)
    if not formats and not times:
        return None
    return DateForm(
        formats=_short_years_first(formats + times),
        times=_short_years_first(times),
        has_offset=any(offset for _, _, offset in parsed),
        is_day=all(_CANONICAL_DAY.fullmatch(cell.strip()) for cell in cells),
        is_instant=all(_CANONICAL_INSTANT.fullmatch(cell.strip()) for cell in cells),
        has_clock=has_clock,
        note=why,
    )


def clock_format(cells: Iterable[str]) -> tuple[str, ...]:
    """strptime formats of a column that holds only times of day; empty when it holds something else."""
    found: Counter[str] = Counter()
    for cell in cells:
        match = _CLOCK.fullmatch(cell.strip())
        if match is None:
            return ()
        found[_clock_format(match).lstrip()] += 1
    return tuple(name for name, _ in found.most_common(4))


def amount_form(cells: Sequence[str], hints: Hints) -> AmountForm | None:
    """The form of a column of amounts, or None when most of its cells are none."""
    matches = [match for cell in cells if (match := _AMOUNT.fullmatch(cell.strip())) is not None]
    if not cells or len(matches) * 2 <= len(cells):
        return None
    marks = {mark for match in matches for mark in (match["before"], match["after"]) if mark}
    symbols = tuple(sorted(mark for mark in marks if not mark.isalpha()))
    codes = tuple(sorted(mark for mark in marks if mark.isalpha()))
    decimal, why = _decimal([match["number"].strip() for match in matches], hints)
    plain = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
    return AmountForm(
        decimal=decimal,
        symbols=symbols,
        codes=codes,
        is_plain=all(plain.fullmatch(cell) for cell in cells),
        signs=frozenset("-" if re.search(r"[-−(]|dr$", match.group(), re.I) else "+" for match in matches),
        note=why,
    )


def _short_years_first(formats: Counter[str]) -> tuple[str, ...]:
    """The commonest formats; %y before %Y, as strptime takes "26" for the year 26 but never "2026" for %y."""
    common = [name for name, _ in formats.most_common(8)]
    return tuple(sorted(common, key=lambda name: "%y" not in name))


def _split_date(cell: str) -> tuple[re.Match[str], re.Match[str] | None, bool] | None:
    text = cell.strip()
    day = _DATE.match(text)
    if day is None or not _is_possible(day):
        return None
    if day.end() == len(text):
        return day, None, False
    clock = _CLOCK.match(text, day.end())
    if clock is None or clock["gap"] is None:
        return None
    rest = text[clock.end() :]
    return (day, clock, bool(rest)) if not rest or _OFFSET.fullmatch(rest) else None


def _is_possible(day: re.Match[str]) -> bool:
    """Whether some reading of the numbers is a date; keeps amounts and account numbers out."""
    if day["compact"]:
        text = day["compact"]
        return _is_date(int(text[:4]), int(text[4:6]), int(text[6:])) and 1900 <= int(text[:4]) <= 2100
    if name := day["month"] or day["us_month"]:
        return name[:3].lower() in _MONTHS
    if day["japanese"]:
        return True
    a, b, c = int(day["a"]), int(day["b"]), int(day["c"])
    if len(day["a"]) > 2:
        return len(day["a"]) == 4 and _is_date(a, b, c)
    return len(day["c"]) in (2, 4) and (_is_date(2000, a, b) or _is_date(2000, b, a) or _is_date(2000, b, c))


def _is_date(year: int, month: int, day: int) -> bool:
    try:
        date(max(year, 1), month, day)
    except ValueError:
        return False
    return True


def _order(days: Sequence[re.Match[str]], hints: Hints) -> tuple[str, str]:
    """dmy, mdy or ymd for the numeric dates of a column, and why in plain words."""
    numeric = [day for day in days if day["a"] and len(day["a"]) <= 2]
    if not numeric:
        return "ymd", ""
    if hints.date_order in ("dmy", "mdy", "ymd"):
        return hints.date_order, f"{hints.date_order} as declared"
    pairs = [(int(day["a"]), int(day["b"]), int(day["c"])) for day in numeric]
    first, second = sum(a > 12 for a, _, _ in pairs), sum(b > 12 for _, b, _ in pairs)
    if first and second:
        order, wrong = ("dmy", second) if first >= second else ("mdy", first)
        return order, f"{order}, although {wrong} of {len(pairs)} sampled dates contradict it"
    if first or second:
        order = "dmy" if first else "mdy"
        return order, f"{order}: {first or second} of {len(pairs)} sampled dates allow no other order"
    sorted_as = [order for order in ("dmy", "mdy") if _is_sorted(pairs, order)]
    if len(sorted_as) == 1 and len(set(pairs)) >= 5:
        return sorted_as[0], f"{sorted_as[0]}: ambiguous, but only so the rows are in order of time"
    mark = numeric[0]["s"]
    if mark in ".-" or hints.is_continental:
        return "dmy", "dmy assumed: ambiguous (no day above 12); declare settings.date_order"
    order = "dmy" if hints.currency in ("GBP", "EUR", "AUD", "NZD", "INR", "ZAR") else "mdy"
    return order, f"{order} assumed: ambiguous (no day above 12); declare settings.date_order"


def _is_sorted(days: Sequence[tuple[int, int, int]], order: str) -> bool:
    keys = [(c, b, a) if order == "dmy" else (c, a, b) for a, b, c in days]
    steps = list(pairwise(keys))
    return all(one <= two for one, two in steps) or all(one >= two for one, two in steps)


def _day_format(day: re.Match[str], order: str) -> str | None:
    if day["compact"]:
        return "%Y%m%d"
    if day["japanese"]:
        return "%Y年%m月%d日"
    if day["month"]:
        name = "%b" if len(day["month"]) == 3 else "%B"
        return f"%d{day['s1']}{name}{day['s2']}{'%Y' if len(day['year']) == 4 else '%y'}"
    if day["us_month"]:
        name = "%b" if len(day["us_month"]) == 3 else "%B"
        return f"{name}{day['us1']}%d{day['us2']}%Y"
    mark = day["s"]
    if len(day["a"]) == 4:
        return f"%Y{mark}%m{mark}%d"
    if order == "ymd":
        return f"%y{mark}%m{mark}%d" if len(day["c"]) <= 2 else None
    year = "%Y" if len(day["c"]) == 4 else "%y"
    return f"%d{mark}%m{mark}{year}" if order == "dmy" else f"%m{mark}%d{mark}{year}"


def _clock_format(clock: re.Match[str]) -> str:
    gap = clock["gap"] or ""
    second = ":%S" if clock["second"] else ""
    fraction = ".%f" if clock["fraction"] else ""
    if clock["half"]:
        return f"{gap}%I:%M{second}{fraction}{' ' if clock['half'].startswith(' ') else ''}%p"
    return f"{gap}%H:%M{second}{fraction}"


def _is_midnight(clock: re.Match[str]) -> bool:
    digits = re.sub(r"[^0-9]", "", clock.group())
    return not clock["half"] and not digits.strip("0")


def _decimal(numbers: Sequence[str], hints: Hints) -> tuple[str | None, str]:
    """The decimal mark of a column and why, from the numbers that leave no choice."""
    votes: Counter[str] = Counter()
    unclear: Counter[str] = Counter()
    for number in numbers:
        mark, is_sure = _mark_of(number)
        if mark:
            (votes if is_sure else unclear)[mark] += 1
    if votes:
        mark, count = votes.most_common(1)[0]
        against = votes.total() - count
        return mark, f"{against} of {len(numbers)} sampled amounts contradict it" if against else ""
    likely = "," if hints.is_continental else "."
    if unclear:
        return likely, "assumed: three digits after the only mark could be decimals or thousands"
    return None, "the sample has whole numbers only"


def _mark_of(number: str) -> tuple[str, bool]:
    """The decimal mark that one number shows ("" for none), and whether it could be nothing else."""
    point, comma = number.rfind("."), number.rfind(",")
    if point >= 0 and comma >= 0:
        return ("." if point > comma else ","), True
    mark = "." if point >= 0 else ","
    if mark not in number:
        return "", False
    if number.count(mark) > 1:
        return ("," if mark == "." else "."), False
    whole, part = number.split(mark)
    is_group = len(part) == 3 and 1 <= len(whole) <= 3 and whole != "0"
    return mark, not is_group
