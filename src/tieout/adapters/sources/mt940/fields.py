"""The fields of a SWIFT MT940 or MT942 message and how each is read: tags, statement lines, balances, dates.

Formats are those of SWIFT's Standards MT, category 9 (`:61:` is `6!n[4!n]2a[1!a]15d1!a3!c16x[//16x][34x]`, a
balance `1!a6!n3!a15d`), read as leniently as amounts and dates stay certain. What the free text of `:86:` means
lives in `information`.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from tieout.model.errors import InputError
from tieout.model.money import EXPONENTS, parse_decimal

AMOUNT_CHARACTERS = 40
EXCERPT_CHARACTERS = 80

MARKS = {"C": 1, "D": -1, "RC": -1, "RD": 1, "EC": 1, "ED": -1}
"""Debit or credit mark to the sign of its amount: the reversal of a credit (RC) takes money away, that of a debit
(RD) brings it back. EC and ED are MT942's expected entries, which are not booked yet."""

TAG = re.compile(r":(13D?|20|21|25P?|28C?|34F|60[FM]?|61|62[FM]?|64|65|86|90[CD]|NS):", re.IGNORECASE | re.ASCII)
"""The start of a field. Other tags belong to other messages: a line that begins with one, such as the rest of a
wrapped time of day (`:26:37`), is text."""

WRAPPED_CHARACTERS = 50
FARTHEST_DAYS = 200
"""Most days between value date and entry date; farther ones have no year that could be meant."""

_FLAGS = re.IGNORECASE | re.ASCII
_AMOUNT = re.compile(r"[0-9]+,?[0-9]*|,[0-9]+")
_LINE = re.compile(
    r"(?P<value>[0-9]{6})(?P<entry>[0-9]{4})?[ ]*(?P<mark>[RE]?[CD])(?P<funds>[A-Z]?)"
    r"(?P<amount>[0-9,]+)(?P<type>[A-Z][A-Z0-9 ]{3})(?P<references>.*)",
    _FLAGS,
)
_LINE_PARTS = (
    (re.compile(r"[0-9]{6}"), "does not begin with a value date (YYMMDD)"),
    (re.compile(r"(?:[0-9]{4})?[ ]*[RE]?[CD]", _FLAGS), "no debit or credit mark (C, D, RC, RD) after the dates"),
    (re.compile(r"[A-Z]?[0-9,]*[0-9][0-9,]*", _FLAGS), "the amount is not a number with a decimal comma"),
    (re.compile(r"[A-Z][A-Z0-9 ]{3}", _FLAGS), "no transaction type (such as NTRF) after the amount"),
)
_BALANCE = re.compile(r"([CD])([0-9]{6})([A-Z]{3})([0-9,]+)", _FLAGS)
_CURRENCY = re.compile(r"[0-9]{0,5}([A-Z]{3})[CD]?([0-9,]+)", _FLAGS)
_ACCOUNT_CURRENCY = re.compile(r"(?:[0-9]|/)([A-Z]{3})$")
_SEQUENCE = re.compile(r"([0-9]{1,5})(?:/([0-9]{1,5}))?")
_HOUR = re.compile(r"(?<![0-9])[0-2][0-9]$")
_MINUTES = re.compile(r":[0-5][0-9]:[0-5][0-9](?![0-9])")


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One `:61:` field. `amount` is signed; `value_written` is what stood there where it is no calendar day."""

    value_date: date
    value_written: str | None
    booking_date: date
    mark: str
    funds_code: str
    amount: Decimal
    type_code: str
    owner_reference: str
    servicer_reference: str

    @property
    def is_reversal(self) -> bool:
        """Whether it takes back an earlier entry."""
        return self.mark.startswith("R")

    @property
    def is_expected(self) -> bool:
        """Whether it is announced but not booked (MT942)."""
        return self.mark.startswith("E")


@dataclass(frozen=True, slots=True)
class Balance:
    """A signed balance; `day` is None where its date cannot be read."""

    amount: Decimal
    currency: str
    day: date | None


def read_statement_line(lines: Sequence[str]) -> tuple[StatementLine, int] | str:
    """A `:61:` field and how many of its physical lines the entry itself takes, or why it cannot be read.

    It takes one line; a second one that follows holds supplementary details. Only where the first is no entry, as
    when a bank or a mail program broke it in two, the second is taken as its rest.
    """
    reason = ""
    for taken in range(1, min(len(lines), 2) + 1):
        text = "".join(lines[:taken]).strip()
        match = _LINE.match(text)
        if match is not None:
            found = _line_of(match)
            return found if isinstance(found, str) else (found, taken)
        reason = reason or _reason(text)
    return reason


def _line_of(match: re.Match[str]) -> StatementLine | str:
    """The entry of matched subfields, or what is wrong with one of them."""
    amount = amount_of(match["amount"])
    if amount is None:
        return _LINE_PARTS[2][1]
    value = _value_date(match["value"])
    if value is None:
        return "the value date is no day of the calendar"
    booked = _entry_date(match["entry"], value)
    if booked is None:
        return "the entry date is no day near the value date"
    mark = match["mark"].upper()
    owner, _, servicer = match["references"].partition("//")
    return StatementLine(
        value_date=value,
        value_written=None if _day(match["value"]) else match["value"],
        booking_date=booked,
        mark=mark,
        funds_code=match["funds"].upper(),
        amount=amount.copy_negate() if amount and MARKS[mark] < 0 else amount,
        type_code=match["type"].upper().strip(),
        owner_reference=owner.strip(),
        servicer_reference=servicer.strip(),
    )


def _reason(text: str) -> str:
    """Which subfield of a `:61:` field is missing or malformed."""
    position = 0
    for pattern, reason in _LINE_PARTS:
        match = pattern.match(text, position)
        if match is None:
            return reason
        position = match.end()
    return "the subfields are not in the order of a statement line"


def amount_of(text: str) -> Decimal | None:
    """A SWIFT amount: digits with a decimal comma (`12,`, `,5`, `12`); None when it is none. It has no sign."""
    if len(text) > AMOUNT_CHARACTERS or not _AMOUNT.fullmatch(text):
        return None
    return Decimal(text.replace(",", "."))


def is_holdable(amount: Decimal, currency: str | None) -> bool:
    """Whether a record of this currency can hold the amount; True for a currency that is not known."""
    if currency not in EXPONENTS:
        return True
    try:
        parse_decimal(format(amount, "f"), currency)
    except InputError:
        return False
    return True


def read_balance(text: str) -> Balance | None:
    """A `:60a:`, `:62a:`, `:64:` or `:65:` field; None for one without mark, currency or a readable amount."""
    match = _BALANCE.fullmatch(text.strip())
    amount = amount_of(match[4]) if match else None
    if match is None or amount is None or not is_holdable(amount, match[3].upper()):
        return None
    signed = amount.copy_negate() if amount and match[1].upper() == "D" else amount
    return Balance(signed, match[3].upper(), _day(match[2]))


def read_total(text: str) -> tuple[str, Decimal] | None:
    """Currency and amount of a floor limit (`:34F:`) or a total of entries (`:90C:`, `:90D:`)."""
    match = _CURRENCY.fullmatch(text.strip())
    amount = amount_of(match[2]) if match else None
    return None if match is None or amount is None else (match[1].upper(), amount)


def account_of(text: str) -> str:
    """An account as the bank writes it, without white space and in upper case."""
    return "".join(text.split()).upper()


def account_currency(account: str) -> str | None:
    """The currency that some banks append to the account number (`70011110/4005287001EUR`)."""
    match = _ACCOUNT_CURRENCY.search(account)
    return match[1] if match and match[1] in EXPONENTS else None


def statement_name(reference: str, sequence: str | None) -> str:
    """What tells a statement from its neighbours: number and page (in five digits, so that they sort), reference.

    Banks put the same reference (`STARTUMS`) on every statement, or the same number on every page.
    """
    match = _SEQUENCE.fullmatch(sequence) if sequence else None
    if match is not None:
        sequence = f"{match[1]:0>5}/{match[2] or '1':0>5}"
    return " ".join(part for part in (sequence, reference) if part)


def day_of_field(text: str) -> date | None:
    """The date that a field such as `:13D:` (YYMMDDhhmm±hhmm) begins with."""
    return _day(text.strip()[:6])


def is_wrapped_time(line: str, before: str) -> bool:
    """Whether a line that begins like a field (`:20:`) is the rest of a time of day that text was broken in."""
    return len(before) >= WRAPPED_CHARACTERS and bool(_HOUR.search(before)) and bool(_MINUTES.match(line))


def _day(text: str) -> date | None:
    """A six-digit date. SWIFT takes years from 80 for the last century."""
    if not re.fullmatch("[0-9]{6}", text):
        return None
    year, month, day = (int(text[start : start + 2]) for start in (0, 2, 4))
    return _calendar_day(year + (1900 if year >= 80 else 2000), month, day)


def _calendar_day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _value_date(text: str) -> date | None:
    """A value date. Banks that count 30 days a month value interest on 29 or 30 February: its last day is meant."""
    if text[2:] in ("0229", "0230"):
        year = int(text[:2]) + (1900 if text[:2] >= "80" else 2000)
        return date(year, 2, calendar.monthrange(year, 2)[1])
    return _day(text)


def _entry_date(text: str | None, value: date) -> date | None:
    """The entry date (MMDD) in the year that brings it nearest to the value date, which stands in for a blank one."""
    if text is None or text == "0000":
        return value
    month, day = int(text[:2]), int(text[2:])
    years = (_calendar_day(value.year + shift, month, day) for shift in (0, -1, 1))
    found = [one for one in years if one is not None and abs(one - value) <= timedelta(days=FARTHEST_DAYS)]
    return min(found, key=lambda one: abs(one - value), default=None)
