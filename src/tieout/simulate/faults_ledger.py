"""Faults of the ledger, the entitlements and of whole deliveries."""

from __future__ import annotations

from dataclasses import replace

from tieout.simulate import layout
from tieout.simulate.book import Book, Invoice, LedgerEntry
from tieout.simulate.postings import REVENUE, receivable_of
from tieout.simulate.victims import Victims
from tieout.simulate.world import INVOICES_TO_LEDGER

INVOICES = ("stripe", layout.stripe_file("invoices"))
LEDGER = ("ledger", layout.LEDGER)
NOT_POSTED = ("MISSING_RECORD", INVOICES_TO_LEDGER)
WRONG_AMOUNT = ("AMOUNT_MISMATCH", INVOICES_TO_LEDGER)


def plant_ledger_faults(book: Book, invoices: list[Invoice]) -> None:
    """What goes wrong between invoice and ledger; `invoices` are drawn for it and otherwise untouched."""
    planters = (_no_reference, _no_reference, _posted_twice, _posted_twice, _rounded, _amended, _amended)
    for planter, invoice in zip(planters, invoices, strict=False):
        planter(book, invoice)
    _same_entry_id(book)
    _same_entitlement_id(book)


def ledger_victims(victims: Victims) -> list[Invoice]:
    """The invoices that `plant_ledger_faults` will take, drawn before the backlog empties the pool."""
    return [invoice for _ in range(7) for invoice, _ in victims.take()]


def _legs(book: Book, invoice: Invoice) -> tuple[LedgerEntry, LedgerEntry]:
    """The receivable and the revenue leg of an invoice."""
    revenue = next(leg for leg in book.ledger if (leg.account, leg.reference) == (REVENUE, invoice.number))
    return receivable_of(book, invoice), revenue


def _no_reference(book: Book, invoice: Invoice) -> None:
    """F1: the posting lost the invoice number."""
    for leg in (legs := _legs(book, invoice)):
        leg.reference = ""
        leg.memo = "Invoice, see attachment"
    book.open_case()
    what = "the posting names no invoice"
    money = (invoice.amount, invoice.currency)
    action = "add the invoice number to the posting"
    book.record("F1", what, INVOICES, (invoice.id, legs[0].id), money, NOT_POSTED, action)
    code = ("MISSING_INVOICE", INVOICES_TO_LEDGER)
    book.record("F1", what, LEDGER, (legs[0].id, invoice.id), money, code, action)


def _posted_twice(book: Book, invoice: Invoice) -> None:
    """F2: a retry posted both legs again."""
    legs = _legs(book, invoice)
    again = [replace(leg, id=_next_id(book, position)) for position, leg in enumerate(legs)]
    book.ledger += again
    book.open_case()
    code = ("DUPLICATE_RECORD", INVOICES_TO_LEDGER)
    ids = (again[0].id, legs[0].id, invoice.id)
    money = (invoice.amount, invoice.currency)
    what = "the invoice was posted twice"
    book.record("F2", what, LEDGER, ids, money, code, "reverse the second posting")


def _next_id(book: Book, ahead: int = 0) -> str:
    stem = f"LE-{book.start:%y%m}-"
    return f"{stem}{len(book.ledger) + 1 + ahead:05d}"


def _rounded(book: Book, invoice: Invoice) -> None:
    """F3: the posting is a minor unit less than the invoice."""
    debit, credit = _legs(book, invoice)
    debit.amount -= 1
    credit.amount += 1
    book.open_case()
    what = "the posting is a minor unit less than the invoice"
    money = (1, invoice.currency)
    book.record("F3", what, INVOICES, (invoice.id, debit.id), money, WRONG_AMOUNT, "post the residual as rounding")


def _amended(book: Book, invoice: Invoice) -> None:
    """F8: someone edited a posted amount afterwards; a new revision comes with delivery 2."""
    debit, credit = _legs(book, invoice)
    cut = max(1, invoice.amount // 5)
    edited = [
        replace(debit, amount=debit.amount - cut, revision=2),
        replace(credit, amount=credit.amount + cut, revision=2),
    ]
    book.amended += edited
    book.open_case()
    what = "a posted amount was edited after it had matched"
    action = "ask who edited it; restore the amount or post a reversal"
    place = ("ledger", layout.LEDGER_AMENDED)
    ids = (invoice.id, debit.id)
    money = (cut, invoice.currency)
    book.record("F8", what, place, ids, money, WRONG_AMOUNT, action, delivery=2)


def _same_entry_id(book: Book) -> None:
    """F2: one id, two contents, in one file; a revenue leg, so that no reconciliation is touched besides."""
    numbers = {invoice.number for invoice in book.invoices if invoice.id in _planted(book)}
    revenue = (entry for entry in book.ledger if entry.account == REVENUE and entry.reference)
    entry = next((entry for entry in revenue if entry.reference not in numbers), None)
    if entry is None:
        return
    book.ledger.append(replace(entry, memo=f"{entry.memo} (corrected)"))
    book.open_case()
    money = (abs(entry.amount), entry.currency)
    what = "the same entry id stands twice in one file, with different text"
    book.record("F2", what, LEDGER, (entry.id,), money, ("DUPLICATE_ID", "source:ledger"), "ask which of the two holds")


def _planted(book: Book) -> set[str]:
    """Native ids that a fault has touched so far."""
    return {native_id for truth in book.truths for native_id in truth.native_ids}


def _same_entitlement_id(book: Book) -> None:
    """F2: one entitlement id, two numbers of seats, in one file."""
    entitlement = book.entitlements[len(book.entitlements) // 2]
    book.entitlements.append(replace(entitlement, seats=entitlement.seats + 5))
    book.open_case()
    place = ("product", layout.ENTITLEMENTS)
    what = "the same entitlement id stands twice in one file, with different seats"
    ids = (entitlement.id,)
    book.record("F2", what, place, ids, None, ("DUPLICATE_ID", "source:product"), "ask which of the two holds")


def plant_delivery_faults(book: Book) -> None:
    """F2 and F5: a file that was delivered already, and two whose columns were renamed."""
    book.open_case()
    place = ("ledger", layout.LEDGER_AGAIN)
    what = "the same file is delivered again under another name"
    nothing = (None, None)
    book.record("F2", what, place, (), None, nothing, "none", expect="ignored", delivery=2)
    for system, file, column in (
        ("crm", layout.ACCOUNTS_RENAMED, "account_id became account_key"),
        ("ledger", layout.LEDGER_RENAMED, "amount became value"),
    ):
        book.open_case()
        what = f"a column was renamed without notice: {column}"
        action = "agree on the new column, then change mapping and contract"
        book.record("F5", what, (system, file), (), None, nothing, action, expect="refused", delivery=2)
