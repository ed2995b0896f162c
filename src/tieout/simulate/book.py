"""The simulated company's books while they are being written: plain mutable rows, and the ids they get.

Amounts are minor units, instants epoch seconds (UTC), days offsets from the first day of the month. `late_file`
names the late file that carries a row; None means: it came in time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random

from tieout.model.money import decimal_text
from tieout.simulate.world import Expectation, Truth

DAY_SECONDS = 86_400
CURRENCIES = ("USD", "EUR", "GBP", "JPY")
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@dataclass(slots=True)
class Customer:
    """A company that buys: its ids in the CRM, at Stripe and in the product, and what it subscribed to."""

    account: str
    stripe: str
    product: str
    subscription: str
    name: str
    email: str
    country: str
    currency: str
    tier: str
    plan: str
    interval: str
    price_minor: int
    seats: int
    created: int
    status: str = "active"
    mapped: bool = True


@dataclass(slots=True)
class Invoice:
    """An invoice as Stripe holds it. `manual` ones are paid by bank transfer, the others by card."""

    id: str
    customer: Customer
    amount: int
    currency: str
    created: int
    reason: str
    status: str = "paid"
    number: str = ""
    prorated: int = 0
    late_file: str | None = None


@dataclass(slots=True)
class Charge:
    """A card charge; `invoice` is the id that its metadata claims, None where it was dropped.

    `late_money` names the late file that carries its balance transaction and payout; the charge itself may be late
    alone. A `pending` one is paid out after everything here has ended.
    """

    id: str
    customer: Customer
    invoice: str | None
    amount: int
    currency: str
    created: int
    status: str = "succeeded"
    refunded: int = 0
    disputed: bool = False
    pending: bool = False
    transaction: str = ""
    late_file: str | None = None
    late_money: str | None = None


@dataclass(slots=True)
class Refund:
    """Money given back on a charge; `invoice` as its metadata claims."""

    id: str
    charge: Charge
    invoice: str | None
    amount: int
    created: int
    reason: str
    transaction: str = ""


@dataclass(slots=True)
class Dispute:
    """A chargeback: the bank took the charge's money back, and a fee."""

    id: str
    charge: Charge
    amount: int
    created: int
    reason: str
    transaction: str = ""


@dataclass(slots=True)
class CreditNote:
    """A credit on an invoice that was paid already; a refund of the same amount goes with it."""

    id: str
    number: str
    invoice: Invoice
    amount: int
    created: int


@dataclass(slots=True)
class Movement:
    """A balance transaction: net = amount - fee; `payout` is the payout that paid it out."""

    id: str
    type: str
    source: str
    amount: int
    fee: int
    currency: str
    created: int
    payout: str | None = None
    available: int | None = None
    late_file: str | None = None

    @property
    def net(self) -> int:
        """What the movement changes the balance by."""
        return self.amount - self.fee


@dataclass(slots=True)
class Payout:
    """A transfer of the balance to the bank account; `arrival_day` is the day offset it is due there."""

    id: str
    amount: int
    currency: str
    created: int
    arrival_day: int
    transaction: str
    late_file: str | None = None


@dataclass(slots=True)
class BankLine:
    """A booked line of a bank statement; `about` is what it pays, as its sender wrote it."""

    currency: str
    day: int
    amount: int
    reference: str
    end_to_end: str | None
    text: str
    counterparty: str
    code: str
    about: str | None = None
    creditor_reference: str | None = None
    on_statement: bool = True


@dataclass(slots=True)
class LedgerEntry:
    """One leg in the ledger: debits positive. `booked_at` is local time in the company's zone."""

    id: str
    booked_at: datetime
    account: str
    amount: int
    currency: str
    reference: str
    memo: str
    revision: int = 1


@dataclass(slots=True)
class Entitlement:
    """What the product lets a customer do."""

    id: str
    customer: str
    plan: str
    seats: int
    status: str


@dataclass(slots=True)
class Book:
    """Everything of one month, and what was planted in it."""

    random: Random
    seed: int
    start: date
    days: int
    customers: list[Customer] = field(default_factory=list)
    invoices: list[Invoice] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    disputes: list[Dispute] = field(default_factory=list)
    credit_notes: list[CreditNote] = field(default_factory=list)
    movements: list[Movement] = field(default_factory=list)
    payouts: list[Payout] = field(default_factory=list)
    bank_lines: list[BankLine] = field(default_factory=list)
    ledger: list[LedgerEntry] = field(default_factory=list)
    amended: list[LedgerEntry] = field(default_factory=list)
    entitlements: list[Entitlement] = field(default_factory=list)
    missing_statements: list[tuple[str, int]] = field(default_factory=list)
    backlog_day: int | None = None
    truths: list[Truth] = field(default_factory=list)
    case: int = 0

    def new_id(self, prefix: str, length: int) -> str:
        """A random id in the processor's alphabet. 62^14 of them: a collision will not be seen."""
        return prefix + "".join(self.random.choices(_LETTERS, k=length))

    def epoch(self, day: int, second: int = 0) -> int:
        """Epoch seconds of a second of a day offset, UTC."""
        first = datetime(self.start.year, self.start.month, self.start.day, tzinfo=UTC)
        return int(first.timestamp()) + day * DAY_SECONDS + second

    def day_of(self, epoch: int) -> int:
        """The day offset (UTC) in which an instant falls."""
        return (epoch - self.epoch(0)) // DAY_SECONDS

    def date_of(self, day: int) -> date:
        """The date of a day offset."""
        return self.start + timedelta(days=day)

    @property
    def end(self) -> date:
        """The last day of the month."""
        return self.date_of(self.days - 1)

    @property
    def month(self) -> str:
        """The month as file names carry it: 2026-09."""
        return f"{self.start:%Y-%m}"

    @property
    def next_month(self) -> str:
        """The month after it."""
        return f"{self.date_of(self.days):%Y-%m}"

    def open_case(self) -> None:
        """Begin the next planted fault; truths recorded from here on belong to it."""
        self.case += 1

    def record(
        self,
        fault: str,
        what: str,
        place: tuple[str, str],
        native_ids: tuple[str, ...],
        money: tuple[int, str] | None,
        finding: tuple[str | None, str | None],
        action: str,
        *,
        expect: Expectation = "finding",
        delivery: int = 1,
        resolved_by: int | None = None,
    ) -> None:
        """Write one truth of the open case; `place` is (system, file), `finding` (code, reconciliation)."""
        amount = None if money is None else decimal_text(*money)
        currency = None if money is None else money[1]
        truth = Truth(
            fault, self.case, what, *place, native_ids, amount, currency, expect, *finding, action,
            delivery, resolved_by,
        )  # fmt: skip
        self.truths.append(truth)
