"""Faults planted in invoices and card charges, before the money settles: so payouts and bank still tie.

Each planter takes invoices that are otherwise plain, alters them, and records the truth. What lives elsewhere:
faults of payouts, bank and ledger (faults_settled).
"""

from __future__ import annotations

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

from tieout.simulate import layout
from tieout.simulate.book import Book, Charge, Dispute, Invoice
from tieout.simulate.postings import LEDGER_ZONE
from tieout.simulate.trade import LAST_BILLING_DAYS, new_charge, new_refund
from tieout.simulate.victims import Victims
from tieout.simulate.world import INVOICES_TO_CHARGES, INVOICES_TO_LEDGER

INVOICES = ("stripe", layout.stripe_file("invoices"))
CHARGES = ("stripe", layout.stripe_file("charges"))
NO_INVOICE = ("MISSING_INVOICE", INVOICES_TO_CHARGES)
NO_CHARGE = ("MISSING_RECORD", INVOICES_TO_CHARGES)
WRONG_AMOUNT = ("AMOUNT_MISMATCH", INVOICES_TO_CHARGES)


def plant_card_faults(book: Book, victims: Victims) -> None:
    """Everything that goes wrong between an invoice and its charge. Look-alikes first: they need pairs."""
    for planter, times in (
        (_look_alikes, 2),
        (_charge_without_invoice, 3),
        (_unmapped_customer, 2),
        (_charged_twice, 3),
        (_invoiced_twice, 2),
        (_off_by_a_cent, 3),
        (_exchange_residual, 2),
        (_other_currency, 1),
        (_late_charge, 2),
        (_end_of_month, 2),
        (_refund_without_invoice, 1),
        (_refund_after_the_fact, 1),
        (_dispute, 2),
    ):
        for _ in range(times):
            planter(book, victims)
    _backlog(book, victims)


def _money(invoice: Invoice) -> tuple[int, str]:
    return invoice.amount, invoice.currency


def _look_alikes(book: Book, victims: Victims) -> None:
    """F7: two customers, one amount, one day; one charge names an invoice that does not exist."""
    pair = victims.take_pair()
    if pair is None:
        return
    (kept, kept_charge), (lost, lost_charge) = pair
    lost.created = kept.created + 240
    lost_charge.created = kept_charge.created + 240
    lost_charge.invoice = _transposed(lost.id)
    book.open_case()
    what = f"a charge of the same amount on the same day names an invoice that does not exist: {lost_charge.invoice}"
    correct = "give the charge its own customer's invoice; the look-alike's charge is not its payment"
    book.record("F7", what, INVOICES, (lost.id, kept_charge.id), _money(lost), NO_CHARGE, correct)
    book.record("F7", what, CHARGES, (lost_charge.id, kept.id), _money(lost), NO_INVOICE, correct)
    same = "invoice and charge name each other: the look-alike must take neither"
    silent = (None, INVOICES_TO_CHARGES)
    book.record("F7", same, CHARGES, (kept.id, kept_charge.id), _money(kept), silent, "none", expect="silent")


def _transposed(text: str) -> str:
    """The text with the last two unlike neighbours swapped, as a typing error does; its last letter doubled if none."""
    for position in range(len(text) - 1, 0, -1):
        if text[position] != text[position - 1]:
            return text[: position - 1] + text[position] + text[position - 1] + text[position + 1 :]
    return text + text[-1]


def _charge_without_invoice(book: Book, victims: Victims) -> None:
    """F1: the charge's metadata lost the invoice id."""
    for invoice, charge in victims.take():
        charge.invoice = None
        book.open_case()
        what = "the charge carries no invoice id"
        action = "link the charge to the invoice; require metadata.invoice_id upstream"
        book.record("F1", what, INVOICES, (invoice.id, charge.id), _money(invoice), NO_CHARGE, action)
        book.record("F1", what, CHARGES, (charge.id, invoice.id), _money(invoice), NO_INVOICE, action)


def _unmapped_customer(book: Book, victims: Victims) -> None:
    """F1: the processor's customer stands in no key map; its money agrees all the same."""
    for invoice, charge in victims.take():
        customer = invoice.customer
        customer.mapped = False
        book.open_case()
        what = "the key map does not know this customer id"
        place = ("stripe", layout.stripe_file("customers"))
        ids = (customer.stripe, invoice.id, charge.id)
        book.record("F1", what, place, ids, _money(invoice), ("UNRESOLVED_CUSTOMER", "source:stripe"), "map the id")


def _charged_twice(book: Book, victims: Victims) -> None:
    """F2: a retry without idempotency key charged the card again."""
    for invoice, charge in victims.take():
        second = new_charge(book, invoice, invoice.amount, charge.created - invoice.created + 180)
        book.open_case()
        what = "the invoice was charged twice"
        code = ("DUPLICATE_RECORD", INVOICES_TO_CHARGES)
        ids = (second.id, charge.id, invoice.id)
        book.record("F2", what, CHARGES, ids, _money(invoice), code, "refund the second charge")


def _invoiced_twice(book: Book, victims: Victims) -> None:
    """F2: a retry issued the same invoice again under another number; nobody pays it."""
    for invoice, _ in victims.take():
        second = Invoice(
            id=book.new_id("in_1", 23),
            customer=invoice.customer,
            amount=invoice.amount,
            currency=invoice.currency,
            created=invoice.created + 30,
            reason=invoice.reason,
            status="open",
            prorated=invoice.prorated,
        )
        book.invoices.append(second)
        book.open_case()
        what = "the same period was invoiced twice; the second invoice has no payment"
        ids = (second.id, invoice.id)
        book.record("F2", what, INVOICES, ids, _money(invoice), NO_CHARGE, "void the second invoice")


def _off_by_a_cent(book: Book, victims: Victims) -> None:
    """F3: per-seat rounding made the charge a cent or two more or less."""
    for invoice, charge in victims.take():
        difference = book.random.choice((-2, -1, 1, 2))
        charge.amount += difference
        _record_residual(book, invoice, charge, "rounding per seat: the charge is off by a minor unit or two")


def _exchange_residual(book: Book, victims: Victims) -> None:
    """F3: the amount was converted at the wrong day's rate."""
    for invoice, charge in victims.take():
        charge.amount += max(3, invoice.amount * book.random.randrange(3, 11) // 1_000)
        _record_residual(book, invoice, charge, "converted at another day's rate: a residual of under 1% remains")


def _record_residual(book: Book, invoice: Invoice, charge: Charge, what: str) -> None:
    book.open_case()
    residual = (abs(charge.amount - invoice.amount), invoice.currency)
    action = "post the residual as rounding or exchange difference"
    ids = (invoice.id, charge.id) if invoice.amount > charge.amount else (charge.id, invoice.id)
    book.record("F3", what, INVOICES, ids, residual, WRONG_AMOUNT, action)


def _other_currency(book: Book, victims: Victims) -> None:
    """F3: the right figure in the wrong currency."""
    for invoice, charge in victims.take(lambda invoice: invoice.currency in ("USD", "EUR")):
        charge.currency = {"USD": "EUR", "EUR": "USD"}[invoice.currency]
        book.open_case()
        what = f"charged in {charge.currency}, invoiced in {invoice.currency}"
        code = ("CURRENCY_MISMATCH", INVOICES_TO_CHARGES)
        action = "refund and charge in the invoice's currency"
        book.record("F3", what, INVOICES, (invoice.id, charge.id), _money(invoice), code, action)
        charged = (charge.amount, charge.currency)
        book.record("F3", what, CHARGES, (charge.id, invoice.id), charged, code, action)


def _late_charge(book: Book, victims: Victims) -> None:
    """F4: an invoice of the last day is paid in the next month; charge, payout and deposit come with delivery 2."""
    for invoice, charge in victims.take():
        invoice.created = book.epoch(book.days - 1, 60_000 + book.random.randrange(3_000))
        invoice.status = "open"
        charge.created = book.epoch(book.days, 36_000 + book.random.randrange(3_000))
        charge.late_file = charge.late_money = layout.stripe_late(book)
        book.open_case()
        what = "the invoice was paid after the month's end"
        place = ("stripe", charge.late_file)
        ids = (invoice.id, charge.id)
        book.record("F4", what, place, ids, _money(invoice), NO_CHARGE, "wait for the next delivery", resolved_by=2)


def _end_of_month(book: Book, victims: Victims) -> None:
    """F10: 23:30 on the last day where the company sits is the next month in UTC. Nothing disagrees."""
    moment = datetime.combine(book.end, time(23, 30), ZoneInfo(LEDGER_ZONE)).astimezone(UTC)
    for invoice, charge in victims.take():
        invoice.created = int(moment.timestamp()) + book.random.randrange(600)
        charge.created = invoice.created + 5
        charge.pending = True
        book.open_case()
        what = "booked at 23:30 local time on the last day, which is the next month in UTC"
        for code, ids in (
            ((None, INVOICES_TO_CHARGES), (invoice.id, charge.id)),
            ((None, INVOICES_TO_LEDGER), (invoice.id,)),
        ):
            book.record("F10", what, INVOICES, ids, _money(invoice), code, "none", expect="silent")


def _refund_without_invoice(book: Book, victims: Victims) -> None:
    """F1: refunded in the processor's dashboard; the refund names no invoice."""
    for invoice, charge in victims.take():
        refund = new_refund(book, charge, None, _part(invoice), 86_400, "requested_by_customer")
        _record_refund(book, invoice, (refund.id, charge.id, invoice.id), refund.amount, "F1", "names no invoice")


def _refund_after_the_fact(book: Book, victims: Victims) -> None:
    """F1: refunded although the invoice was owed and paid in full: nothing on our side says why."""
    for invoice, charge in victims.take():
        refund = new_refund(book, charge, invoice.id, _part(invoice), 86_400, "requested_by_customer")
        _record_refund(book, invoice, (refund.id, charge.id, invoice.id), refund.amount, "F1", "has no credit note")


def _part(invoice: Invoice) -> int:
    return max(1, invoice.amount // 4)


def _record_refund(book: Book, invoice: Invoice, ids: tuple[str, ...], amount: int, fault: str, why: str) -> None:
    book.open_case()
    place = ("stripe", layout.stripe_file("refunds"))
    code = ("UNAPPLIED_REFUND", INVOICES_TO_CHARGES)
    action = "issue a credit note for the refund, or correct it"
    book.record(fault, f"a refund {why}", place, ids, (amount, invoice.currency), code, action)


def _dispute(book: Book, victims: Victims) -> None:
    """D1: the cardholder disputed the charge; money and a fee were taken back."""
    early = book.days - LAST_BILLING_DAYS - 3
    for invoice, charge in victims.take(lambda invoice: book.day_of(invoice.created) < early):
        created = charge.created + 3 * 86_400
        dispute = Dispute(book.new_id("du_1", 23), charge, charge.amount, created, "product_not_received")
        charge.disputed = True
        book.disputes.append(dispute)
        book.open_case()
        place = ("stripe", layout.stripe_file("disputes"))
        code = ("UNAPPLIED_REFUND", INVOICES_TO_CHARGES)
        ids = (dispute.id, charge.id, invoice.id)
        what = "the cardholder disputes the charge"
        book.record("D1", what, place, ids, _money(invoice), code, "acknowledge within 24 hours; send evidence")


def _backlog(book: Book, victims: Victims) -> None:
    """F6: the queue of one day's charges stood still; they come out of order with delivery 2."""
    day = victims.busiest_day()
    for invoice, charge in victims.take_all(lambda invoice: book.day_of(invoice.created) == day):
        charge.late_file = layout.BACKLOG
        book.open_case()
        what = "the day's charges waited in a queue and came late and out of order"
        place = ("stripe", layout.BACKLOG)
        ids = (invoice.id, charge.id)
        book.record("F6", what, place, ids, _money(invoice), NO_CHARGE, "drain the queue", resolved_by=2)
