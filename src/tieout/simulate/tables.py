"""The CSV files of a simulated month: accounts, entitlements, ledger, key map. Plain commas, LF, UTF-8."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from tieout.model.money import decimal_text
from tieout.simulate.book import Book, LedgerEntry

ACCOUNT_COLUMNS = ("account_id", "name", "email", "stripe_customer_id", "status", "tier", "country")
ENTITLEMENT_COLUMNS = ("entitlement_id", "customer", "plan", "seats", "status")
LEDGER_COLUMNS = (
    "entry_id", "revision", "date", "booked_at", "account", "amount", "currency", "reference", "memo",
)  # fmt: skip
KEY_MAP_COLUMNS = ("customer_id", "source", "native_id")


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A CSV document with a header line; lines end in LF on every system."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def renamed(columns: Sequence[str], old: str, new: str) -> tuple[str, ...]:
    """The header with one column renamed, as an upstream change does without notice."""
    return tuple(new if column == old else column for column in columns)


def accounts_text(book: Book, columns: Sequence[str] = ACCOUNT_COLUMNS) -> str:
    """The CRM's accounts."""
    rows = (
        (
            customer.account,
            customer.name,
            customer.email,
            customer.stripe,
            status,
            customer.tier,
            customer.country,
        )
        for customer in book.customers
        for status in ("customer" if customer.status == "active" else "churned",)
    )
    return csv_text(columns, rows)


def entitlements_text(book: Book) -> str:
    """What the product lets each customer do."""
    rows = ((item.id, item.customer, item.plan, item.seats, item.status) for item in book.entitlements)
    return csv_text(ENTITLEMENT_COLUMNS, rows)


def ledger_text(entries: Iterable[LedgerEntry], columns: Sequence[str] = LEDGER_COLUMNS) -> str:
    """Ledger legs: amounts signed, debits positive; `booked_at` local to the company, without an offset."""
    rows = (
        (
            entry.id,
            entry.revision,
            entry.booked_at.date().isoformat(),
            entry.booked_at.isoformat(sep=" ", timespec="seconds"),
            entry.account,
            decimal_text(entry.amount, entry.currency),
            entry.currency,
            entry.reference,
            entry.memo,
        )
        for entry in entries
    )
    return csv_text(columns, rows)


def key_map_text(book: Book) -> str:
    """The one identity behind native ids: the CRM's account is the canonical customer."""
    rows = []
    for customer in book.customers:
        rows.append((customer.account, "crm", customer.account))
        if customer.mapped:
            rows.append((customer.account, "stripe", customer.stripe))
        rows.append((customer.account, "product", customer.product))
    return csv_text(KEY_MAP_COLUMNS, rows)
