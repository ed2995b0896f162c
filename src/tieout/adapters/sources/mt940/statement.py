"""One MT940 statement (or page, or MT942 report): its account, balances and sum, and its entries as draft lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from tieout.adapters.sources.camt.entry import attributes_text
from tieout.adapters.sources.camt.fields import EXACT, plain_text
from tieout.adapters.sources.mt940.fields import (
    EXCERPT_CHARACTERS,
    Balance,
    StatementLine,
    account_currency,
    account_of,
    day_of_field,
    is_holdable,
    read_balance,
    read_statement_line,
    read_total,
    statement_name,
)
from tieout.adapters.sources.mt940.information import (
    DESCRIPTION_CHARACTERS,
    details_attributes,
    provided,
    read_information,
)
from tieout.model.record import Rejection, Statement

Columns = dict[str, str | None]

FIELD_CHARACTERS = 100_000
"""Length up to which a field's text is held; SWIFT allows 390 characters. What is left out is counted."""

BOOKED = "book"
EXPECTED = "pdng"
"""Statuses as camt.052 and camt.053 name them, so that a rule over bank lines need not know their format."""


@dataclass(slots=True)
class HeldText:
    """The physical lines of one field, as long as they may be held."""

    lines: list[str] = field(default_factory=list)
    characters: int = 0
    left_out: int = 0

    def add(self, line: str, left_out: int = 0) -> None:
        """Take one more line; `left_out` characters of it have not been read."""
        room = max(0, FIELD_CHARACTERS - self.characters)
        self.left_out += left_out + max(0, len(line) - room)
        if room:
            self.lines.append(line[:room])
            self.characters += len(line) + 1

    @property
    def last(self) -> str:
        """The line taken last; empty when there is none."""
        return self.lines[-1] if self.lines else ""


@dataclass(slots=True)
class Entry:
    """One `:61:` field with the information that follows it. `line` counts from 1 in the file."""

    line: int
    own: HeldText = field(default_factory=HeldText)
    information: HeldText | None = None
    is_national: bool = False


@dataclass(frozen=True, slots=True)
class EntryDraft:
    """A draft bank line without its currency, which the statement may name only later."""

    line: int
    columns: Columns
    amount: Decimal
    is_expected: bool


def read_entry(entry: Entry, account: str | None) -> EntryDraft | Rejection:
    """The draft of an entry that is complete, or why it cannot be read."""
    found = read_statement_line(entry.own.lines)
    if isinstance(found, str):
        text = " ".join(entry.own.lines[:2])[:EXCERPT_CHARACTERS]
        return Rejection(entry.line, ":61:", found, text)
    line, taken = found
    information = read_information(entry.information.lines if entry.information else (), national=entry.is_national)
    details = " ".join(" ".join(entry.own.lines[taken:]).split())
    attributes: dict[str, object] = {**details_attributes(details), **information.attributes, **_attributes(line)}
    if details and details != information.description:
        attributes["supplementary_details"] = details
    left_out = entry.own.left_out + (entry.information.left_out if entry.information else 0)
    if left_out:
        attributes["characters_left_out"] = left_out
    columns: Columns = {
        "kind": "bank_line",
        "date": line.booking_date.isoformat(),
        "amount": plain_text(line.amount),
        "status": EXPECTED if line.is_expected else BOOKED,
        "category": line.type_code,
        "account": account,
        "reference": _reference(line, information.attributes),
        "counterparty": information.counterparty,
        "description": information.description or details[:DESCRIPTION_CHARACTERS] or None,
        "attributes": attributes_text(attributes),
    }
    return EntryDraft(entry.line, columns, line.amount, line.is_expected)


def _attributes(line: StatementLine) -> dict[str, object]:
    """What the `:61:` field says besides amount, date and type."""
    found: dict[str, object] = {
        "value_date": line.value_date.isoformat(),
        "value_date_written": line.value_written,
        "transaction_type": line.type_code,
        "funds_code": line.funds_code,
        "account_owner_ref": provided(line.owner_reference),
        "account_servicer_ref": provided(line.servicer_reference),
    }
    if line.is_reversal:
        found["reversal"] = True
    return {name: value for name, value in found.items() if value}


def _reference(line: StatementLine, information: dict[str, str]) -> str | None:
    """The payer's end-to-end or structured reference, else the owner's, else the bank's own.

    The bank's comes last but does come, as in camt: it keeps two equal lines of different deliveries apart.
    """
    coded = (information.get(name) for name in ("end_to_end_id", "creditor_reference", "customer_reference"))
    own = (provided(line.owner_reference), provided(line.servicer_reference))
    return next((reference for reference in (*coded, *own) if reference), None)


class StatementReader:
    """Collects one statement while its lines stream by: from its `:20:` to the next one.

    A page of a longer statement is a statement of its own, between intermediate balances (`:60M:`, `:62M:`).
    """

    def __init__(self, default_currency: str | None = None):
        self.is_closed = False
        self.unread_balances = 0
        self._default_currency = default_currency
        self._header: dict[str, str] = {}
        self._opening: Balance | None = None
        self._closing: Balance | None = None
        self._stated_currency: str | None = None
        self._reported: str | None = None
        self._sum = Decimal(0)
        self._lines = 0

    @property
    def account(self) -> str | None:
        """The account of its `:25:`; None when that has not been read."""
        return self._header.get("25")

    @property
    def currency(self) -> str | None:
        """The currency that a balance or floor limit has named so far."""
        balance = self._opening or self._closing
        return balance.currency if balance else self._stated_currency

    @property
    def assumed_currency(self) -> str | None:
        """The currency where no balance names one: of the account number, else the source's own."""
        return self.currency or account_currency(self.account or "") or self._default_currency

    def add_field(self, tag: str, text: str) -> None:
        """Take a field of the statement itself; the first of each kind counts, of closing balances the last."""
        if tag in ("20", "25", "28"):
            value = account_of(text) if tag == "25" else text.strip()
            if value:
                self._header.setdefault(tag, value)
        elif tag == "13":
            day = day_of_field(text)
            self._reported = day.isoformat() if day else None
        elif tag in ("34", "90"):
            total = read_total(text)
            if total and not self._stated_currency:
                self._stated_currency = total[0]
        else:
            self._add_balance(tag, text)

    def _add_balance(self, tag: str, text: str) -> None:
        """Take a balance; one that cannot be read counts as missing, and the statement as not provable."""
        balance = read_balance(text)
        if tag == "60":
            self._opening = self._opening or balance
        elif tag == "62":
            self._closing = balance
            self.is_closed = True
        elif balance is not None and not self._stated_currency:
            self._stated_currency = balance.currency
        if balance is None:
            self.unread_balances += 1

    def count_line(self, is_expected: bool = False) -> None:
        """Count an entry, readable or not; MT942's expected ones are not booked and do not count."""
        self._lines += not is_expected

    def add_amount(self, draft: EntryDraft, currency: str | None) -> None:
        """Add a booked entry to the sum, unless its amount is one that the currency cannot hold (and that will
        therefore be quarantined)."""
        if not draft.is_expected and is_holdable(draft.amount, currency):
            self._sum = EXACT.add(self._sum, draft.amount)

    def finish(self) -> Statement:
        """The statement, once its last line has been read."""
        currency = self.assumed_currency
        opening, closing = self._opening, self._closing
        if opening and closing and opening.currency != closing.currency:
            closing = None
        return Statement(
            statement_id=statement_name(self._header.get("20", ""), self._header.get("28")),
            account=self.account or "",
            currency=currency or "",
            opening=plain_text(opening.amount) if opening else None,
            closing=plain_text(closing.amount) if closing else None,
            sum=plain_text(self._sum),
            lines=self._lines,
            sequence=self._header.get("28"),
            from_date=self._from_date(),
            to_date=closing.day.isoformat() if closing and closing.day else self._reported,
        )

    def _from_date(self) -> str | None:
        """The first day of the statement.

        An opening balance is the closing balance before it and usually bears its date: the statement then begins
        on the day after. It begins on that very day when it also ends there.
        """
        opened = self._opening.day if self._opening else None
        closed = self._closing.day if self._closing else None
        if opened is None or closed is None or closed <= opened:
            return opened.isoformat() if opened else None
        return opened.fromordinal(opened.toordinal() + 1).isoformat()
