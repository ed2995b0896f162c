"""Where each file of a simulated month lies, relative to its directory, and the source it belongs to."""

from __future__ import annotations

from tieout.simulate.book import Book

KEY_MAP = "key_map.csv"
TRUTH = "truth.jsonl"
CONFIGURATION = "tieout.yaml"
ACCOUNTS = "crm/accounts.csv"
ACCOUNTS_RENAMED = "late/crm-accounts-renamed.csv"
ENTITLEMENTS = "product/entitlements.csv"
LEDGER = "ledger/entries.csv"
LEDGER_AGAIN = "late/ledger-entries-again.csv"
LEDGER_RENAMED = "late/ledger-entries-renamed.csv"
LEDGER_AMENDED = "late/ledger-entries-amended.csv"
BACKLOG = "late/stripe-charges-backlog.jsonl"


def stripe_file(kind: str) -> str:
    """The file of one kind of Stripe objects, in the plural: stripe/invoices.jsonl."""
    return f"stripe/{kind}.jsonl"


def stripe_late(book: Book) -> str:
    """Stripe objects of the first days after the month."""
    return f"late/stripe-{book.next_month}.jsonl"


def bank_file(book: Book, currency: str) -> str:
    """One account's statements of the month."""
    return f"bank/{currency.lower()}-{book.month}.xml"


def bank_late(book: Book, currency: str) -> str:
    """One account's statements of the first days after the month."""
    return f"late/bank-{currency.lower()}-{book.next_month}.xml"


def bank_gap(book: Book, currency: str, day: int) -> str:
    """The statement of a day that its bank failed to deliver in time."""
    return f"late/bank-{currency.lower()}-{book.date_of(day).isoformat()}.xml"
