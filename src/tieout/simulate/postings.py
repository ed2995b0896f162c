"""The company's own ledger: balanced legs for each invoice, receipt and credit note, in the company's local time."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from tieout.simulate.book import Book, Invoice, LedgerEntry

LEDGER_ZONE = "America/New_York"
RECEIVABLE = "1200"
SETTLED = "1290"
CLEARING = "1010"
REVENUE = "4000"
CREDITS = "2050"
ALLOWANCES = "4090"


def number_invoices(book: Book) -> None:
    """Invoice numbers in the order of issue: INV-202609-0001."""
    book.invoices.sort(key=lambda invoice: (invoice.created, invoice.id))
    for position, invoice in enumerate(book.invoices, 1):
        invoice.number = f"INV-{book.start:%Y%m}-{position:04d}"


def post_ledger(book: Book) -> None:
    """Post every invoice that is owed and what was received and credited on it; every pair sums to zero."""
    owed = [invoice for invoice in book.invoices if invoice.status in ("paid", "open")]
    for invoice in owed:
        post(book, invoice.created + 60, (RECEIVABLE, REVENUE), invoice.amount, invoice, "Invoice")
        if invoice.status == "paid":
            post(book, invoice.created + 120, (CLEARING, SETTLED), invoice.amount, invoice, "Receipt")
    for note in book.credit_notes:
        post(book, note.created, (ALLOWANCES, CREDITS), note.amount, note.invoice, f"Credit note {note.number},")
    book.ledger.sort(key=lambda entry: entry.booked_at)
    for position, entry in enumerate(book.ledger, 1):
        entry.id = f"LE-{book.start:%y%m}-{position:05d}"


def post(
    book: Book, moment: int, accounts: tuple[str, str], amount: int, invoice: Invoice, memo: str
) -> tuple[LedgerEntry, LedgerEntry]:
    """A debit and a credit leg at an instant (epoch seconds), entered in the book; ids come at the end."""
    local = datetime.fromtimestamp(moment, UTC).astimezone(ZoneInfo(LEDGER_ZONE)).replace(tzinfo=None)
    text = f"{memo} {invoice.number}, {invoice.customer.name}"
    debit = LedgerEntry("", local, accounts[0], amount, invoice.currency, invoice.number, text)
    credit = LedgerEntry("", local, accounts[1], -amount, invoice.currency, invoice.number, text)
    book.ledger += [debit, credit]
    return debit, credit


def receivable_of(book: Book, invoice: Invoice) -> LedgerEntry:
    """The receivable leg of an invoice; raises ValueError when it was not posted."""
    for entry in book.ledger:
        if entry.account == RECEIVABLE and entry.reference == invoice.number:
            return entry
    raise ValueError(f"{invoice.number} was not posted")
