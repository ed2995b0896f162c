"""One BAI2 account: its balances and control totals, and its transaction details as draft bank lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tieout.adapters.sources.bai2.fields import (
    CLOSING_LEDGER,
    NON_MONETARY,
    OPENING_LEDGER,
    availability,
    is_type,
    major_text,
    minor_units,
    sign_of,
)
from tieout.adapters.sources.bai2.records import Record
from tieout.adapters.sources.drafting import Columns, attributes_text, is_damaged, shown
from tieout.model.money import MAX_MINOR
from tieout.model.record import Rejection, Statement


@dataclass(frozen=True, slots=True)
class GroupContext:
    """What a group says of all its accounts. `refusal` is why its details must not be taken, where that is so."""

    day: str
    currency: str
    sequence: str | None
    refusal: str | None = None


@dataclass(slots=True)
class Detail:
    """What became of one transaction detail: a draft, a rejection, or neither when it holds no money."""

    columns: Columns | None = None
    rejection: Rejection | None = None


class AccountReader:
    """Collects one account while its file streams by: first its 03 record, then the details."""

    def __init__(self, record: Record, group: GroupContext):
        fields = iter(record.fields)
        self.account = next(fields, "")
        self.currency = (next(fields, "") or group.currency).upper()
        self.lines = 0
        self.rejections: list[Rejection] = []
        # The control total so far: all amounts of summaries and details, as they are signed in the file.
        self.total_minor = 0
        self._line = record.line
        self._group = group
        self._balances: dict[str, int] = {}
        self._sum_minor = 0
        self._summaries(fields)

    def _summaries(self, fields: Iterator[str]) -> None:
        """The balances and summaries of the 03 record: type, amount, item count, funds type and what that needs."""
        for type_code in fields:
            amount_text, _, funds_type = (next(fields, "") for _ in range(3))
            amount = minor_units(amount_text)
            is_read = availability(funds_type.upper(), fields) is not None
            if not type_code and not amount_text and is_read:
                continue
            if not is_type(type_code) or (amount is None and amount_text) or not is_read:
                reason = f"account {shown(self.account)}: a balance or summary cannot be read; those behind it are lost"
                text = shown(f"{type_code},{amount_text},{funds_type}")
                self.rejections.append(Rejection(self._line, "03", reason, text))
                return
            if amount is not None:
                self.total_minor += amount
                self._balances.setdefault(type_code, amount)

    def detail(self, record: Record) -> Detail:
        """The draft of a 16 record. Its sign is its type code's; an amount with a sign of its own is rejected."""
        fields = _Fields(record.parts)
        type_code, amount_text, funds_type = fields.take(), fields.take(), fields.take().upper()
        amount = minor_units(amount_text)
        self.total_minor += amount or 0
        self.lines += type_code != NON_MONETARY
        refusal = self._refusal(type_code, amount_text)
        extra = availability(funds_type, fields)
        if refusal is None and extra is None:
            refusal = ("funds_type", "not a funds type, so that the fields behind it cannot be told apart")
        if refusal is None and any(is_damaged(part) for part in record.parts):
            refusal = ("16", "bytes that are not text in the file's encoding")
        if refusal is not None:
            return Detail(rejection=Rejection(record.line, *refusal, shown(",".join(record.parts))))
        if type_code == NON_MONETARY:
            return Detail()
        signed = None if amount is None else amount * (sign_of(type_code) or 0)
        if signed is not None and abs(signed) <= MAX_MINOR:
            self._sum_minor += signed
        return Detail(self._columns(type_code, signed, fields, extra or {}))

    def _refusal(self, type_code: str, amount_text: str) -> tuple[str, str] | None:
        """The field and the reason why a detail cannot be a bank line; None when it can, or holds no money."""
        if self._group.refusal is not None:
            return "02", self._group.refusal
        if not is_type(type_code):
            return "type_code", "not a type code of three digits"
        if type_code == NON_MONETARY:
            return None
        if sign_of(type_code) is None:
            return "type_code", "a type that is neither credit nor debit: the direction of its amount is not known"
        if major_text(0, self.currency) is None:
            return "currency", f"{shown(self.currency)} is no ISO 4217 currency: the decimals are not known"
        if amount_text.startswith(("+", "-")):
            return "amount", "a detail's amount has no sign of its own; with a type code the direction is ambiguous"
        if amount_text and minor_units(amount_text) is None:
            return "amount", "not a whole number of minor units"
        return None

    def _columns(self, type_code: str, amount: int | None, fields: _Fields, extra: dict[str, object]) -> Columns:
        bank_reference, customer_reference = fields.take(), fields.take()
        found = dict(extra)
        if bank_reference:
            found["bank_reference"] = bank_reference
        if customer_reference:
            found["customer_reference"] = customer_reference
        return {
            "kind": "bank_line",
            "date": self._group.day or None,
            "amount": None if amount is None else major_text(amount, self.currency),
            "currency": self.currency,
            "description": fields.text() or None,
            "category": type_code,
            "reference": _identifying(customer_reference) or _identifying(bank_reference),
            "account": self.account or None,
            "attributes": attributes_text(found),
        }

    def statement(self) -> Statement:
        """The account's report of the day as a statement: opening and closing ledger, and the sum of its details."""
        account = shown(self.account, 200)
        day = self._group.day if len(self._group.day) == 10 else None
        currency = shown(self.currency)

        def balance(type_code: str) -> str | None:
            amount = self._balances.get(type_code)
            return None if amount is None or abs(amount) > MAX_MINOR else major_text(amount, currency)

        return Statement(
            statement_id=f"{account}/{shown(self._group.day)}",
            account=account,
            currency=currency,
            opening=balance(OPENING_LEDGER),
            closing=balance(CLOSING_LEDGER),
            sum=major_text(self._sum_minor, currency) or "0",
            lines=self.lines,
            sequence=self._group.sequence,
            from_date=day,
            to_date=day,
        )


def _identifying(text: str) -> str | None:
    """A reference that identifies something; None for blanks and zeros only."""
    return text if text.strip("0") else None


class _Fields(Iterator[str]):
    """The fields of a detail one after the other, then all that is left as its text.

    A continuation begins a new field until the text has begun; from there on it is text, commas and all.
    """

    def __init__(self, parts: list[str]):
        self._parts = iter(parts)
        self._rest: str | None = next(self._parts, None)

    def __next__(self) -> str:
        if self._rest is None:
            self._rest = next(self._parts)
        text, comma, rest = self._rest.partition(",")
        self._rest = rest if comma else None
        return text.strip()

    def take(self) -> str:
        """The next field, blank where the record has no more."""
        return next(self, "")

    def text(self) -> str:
        """What is left, continuations joined by a blank."""
        parts = [] if self._rest is None else [self._rest]
        parts.extend(self._parts)
        return " ".join(text for part in parts if (text := part.strip()))
