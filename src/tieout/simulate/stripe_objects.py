"""The month's Stripe objects, shaped as the API returns them: minor units, epoch seconds, currencies lower case.

Balance transactions carry one key more than the API's: `payout`, the payout under which they were listed, as
exports of `/v1/balance_transactions?payout=…` add it. Without it no payout can be explained.
"""

from __future__ import annotations

from collections.abc import Iterable

from tieout.simulate import layout
from tieout.simulate.book import (
    Book,
    Charge,
    CreditNote,
    Customer,
    Dispute,
    Invoice,
    Movement,
    Payout,
    Refund,
)

Json = dict[str, object]
INTERVALS = {"month": ("month", 1), "year": ("year", 1), "quarter": ("month", 3)}
CARD_BRANDS = ("visa", "mastercard", "amex")


def object_files(book: Book) -> dict[str, list[Json]]:
    """Relative path to objects of every Stripe file, late ones included; only files that hold something."""
    files: dict[str, list[Json]] = {}

    def add(kind: str, late_file: str | None, content: Json) -> None:
        files.setdefault(late_file or layout.stripe_file(kind), []).append(content)

    for customer in book.customers:
        add("customers", None, _customer(customer))
        add("subscriptions", None, _subscription(book, customer))
    for invoice in book.invoices:
        add("invoices", invoice.late_file, _invoice(book, invoice))
    for charge in sorted(book.charges, key=lambda charge: (charge.created, charge.id)):
        add("charges", charge.late_file, _charge(charge))
    for refund in sorted(book.refunds, key=lambda refund: (refund.created, refund.id)):
        add("refunds", None, _refund(refund))
    for dispute in book.disputes:
        add("disputes", None, _dispute(book, dispute))
    for note in book.credit_notes:
        add("credit_notes", None, _credit_note(note))
    for movement in sorted(book.movements, key=lambda movement: (movement.created, movement.id)):
        add("balance_transactions", movement.late_file, _balance_transaction(book, movement))
    for payout in sorted(book.payouts, key=lambda payout: (payout.created, payout.id)):
        add("payouts", payout.late_file, _payout(book, payout))
    backlog = files.get(layout.BACKLOG, [])
    book.random.shuffle(backlog)
    return files


def _customer(customer: Customer) -> Json:
    return {
        "id": customer.stripe,
        "object": "customer",
        "address": {"country": customer.country},
        "balance": 0,
        "created": customer.created,
        "currency": customer.currency.lower(),
        "delinquent": False,
        "email": customer.email,
        "livemode": True,
        "metadata": {"account_id": customer.account},
        "name": customer.name,
    }


def _subscription(book: Book, customer: Customer) -> Json:
    interval, count = INTERVALS[customer.interval]
    currency = customer.currency.lower()
    price: Json = {
        "id": f"price_{customer.plan.lower().replace(' ', '_')}_{currency}",
        "object": "price",
        "currency": currency,
        "nickname": customer.plan,
        "recurring": {"interval": interval, "interval_count": count},
        "type": "recurring",
        "unit_amount": customer.price_minor,
    }
    item: Json = {
        "id": f"si_{customer.subscription[4:18]}",
        "object": "subscription_item",
        "price": price,
        "quantity": 1,
        "subscription": customer.subscription,
    }
    return {
        "id": customer.subscription,
        "object": "subscription",
        "collection_method": "send_invoice" if customer.interval == "quarter" else "charge_automatically",
        "created": customer.created,
        "currency": currency,
        "customer": customer.stripe,
        "ended_at": None if customer.status == "active" else book.epoch(-3),
        "items": _list([item]),
        "livemode": True,
        "metadata": {"seats": str(customer.seats)},
        "start_date": customer.created,
        "status": customer.status,
    }


def _list(data: Iterable[Json]) -> Json:
    return {"object": "list", "data": list(data), "has_more": False}


def _invoice(book: Book, invoice: Invoice) -> Json:
    paid = invoice.status == "paid"
    manual = invoice.reason == "manual"
    return {
        "id": invoice.id,
        "object": "invoice",
        "amount_due": invoice.amount,
        "amount_paid": invoice.amount if paid else 0,
        "amount_remaining": invoice.amount if invoice.status == "open" else 0,
        "billing_reason": invoice.reason,
        "collection_method": "send_invoice" if manual else "charge_automatically",
        "created": invoice.created,
        "currency": invoice.currency.lower(),
        "customer": invoice.customer.stripe,
        "customer_email": invoice.customer.email,
        "customer_name": invoice.customer.name,
        "due_date": invoice.created + 30 * 86_400 if manual else None,
        "lines": _list(_invoice_lines(invoice)),
        "livemode": True,
        "metadata": {"account_id": invoice.customer.account},
        "number": invoice.number,
        "period_end": invoice.created,
        "period_start": invoice.created - 30 * 86_400,
        "status": invoice.status,
        "status_transitions": {
            "finalized_at": invoice.created,
            "paid_at": invoice.created + 60 if paid else None,
            "voided_at": invoice.created + 600 if invoice.status == "void" else None,
        },
        "subscription": invoice.customer.subscription,
        "subtotal": invoice.amount,
        "total": invoice.amount,
    }


def _invoice_lines(invoice: Invoice) -> list[Json]:
    plan = {"description": invoice.customer.plan, "amount": invoice.amount - invoice.prorated}
    lines = [plan]
    if invoice.prorated:
        lines.append({"description": "Added seats, prorated", "amount": invoice.prorated})
    return [
        {
            "id": f"il_{invoice.id[3:20]}{position}",
            "object": "line_item",
            **line,
            "currency": invoice.currency.lower(),
            "proration": position > 0,
        }
        for position, line in enumerate(lines)
    ]


def _charge(charge: Charge) -> Json:
    succeeded = charge.status == "succeeded"
    return {
        "id": charge.id,
        "object": "charge",
        "amount": charge.amount,
        "amount_captured": charge.amount if succeeded else 0,
        "amount_refunded": charge.refunded,
        "balance_transaction": charge.transaction or None,
        "billing_details": {"email": charge.customer.email, "name": charge.customer.name},
        "captured": succeeded,
        "created": charge.created,
        "currency": charge.currency.lower(),
        "customer": charge.customer.stripe,
        "description": "Subscription update" if charge.invoice else None,
        "disputed": charge.disputed,
        "failure_code": None if succeeded else "card_declined",
        "invoice": charge.invoice,
        "livemode": True,
        "metadata": {"invoice_id": charge.invoice} if charge.invoice else {},
        "paid": succeeded,
        "payment_method_details": {
            "card": {"brand": CARD_BRANDS[charge.created % 3], "last4": f"{charge.created % 10_000:04d}"},
            "type": "card",
        },
        "refunded": charge.refunded == charge.amount,
        "status": charge.status,
    }


def _refund(refund: Refund) -> Json:
    return {
        "id": refund.id,
        "object": "refund",
        "amount": refund.amount,
        "balance_transaction": refund.transaction,
        "charge": refund.charge.id,
        "created": refund.created,
        "currency": refund.charge.currency.lower(),
        "metadata": {"invoice_id": refund.invoice} if refund.invoice else {},
        "reason": refund.reason,
        "status": "succeeded",
    }


def _dispute(book: Book, dispute: Dispute) -> Json:
    return {
        "id": dispute.id,
        "object": "dispute",
        "amount": dispute.amount,
        "balance_transactions": [
            _balance_transaction(book, movement) for movement in book.movements if movement.id == dispute.transaction
        ],
        "charge": dispute.charge.id,
        "created": dispute.created,
        "currency": dispute.charge.currency.lower(),
        "evidence_details": {
            "due_by": dispute.created + 7 * 86_400,
            "has_evidence": False,
            "submission_count": 0,
        },
        "is_charge_refundable": False,
        "livemode": True,
        "metadata": {"invoice_id": dispute.charge.invoice} if dispute.charge.invoice else {},
        "reason": dispute.reason,
        "status": "needs_response",
    }


def _credit_note(note: CreditNote) -> Json:
    return {
        "id": note.id,
        "object": "credit_note",
        "amount": note.amount,
        "created": note.created,
        "currency": note.invoice.currency.lower(),
        "customer": note.invoice.customer.stripe,
        "invoice": note.invoice.id,
        "livemode": True,
        "memo": "Goodwill, refunded to the card",
        "metadata": {},
        "number": note.number,
        "reason": "order_change",
        "status": "issued",
        "subtotal": note.amount,
        "total": note.amount,
        "type": "post_payment",
    }


def _balance_transaction(book: Book, movement: Movement) -> Json:
    available = book.day_of(movement.created) + 2 if movement.available is None else movement.available
    fee_detail: Json = {
        "amount": movement.fee,
        "application": None,
        "currency": movement.currency.lower(),
        "description": "Dispute fee" if movement.type == "adjustment" else "Stripe processing fees",
        "type": "stripe_fee",
    }
    return {
        "id": movement.id,
        "object": "balance_transaction",
        "amount": movement.amount,
        "available_on": book.epoch(available),
        "created": movement.created,
        "currency": movement.currency.lower(),
        "description": DESCRIPTIONS[movement.type],
        "exchange_rate": None,
        "fee": movement.fee,
        "fee_details": [fee_detail] if movement.fee else [],
        "net": movement.net,
        "payout": movement.payout,
        "reporting_category": "dispute" if movement.type == "adjustment" else movement.type,
        "source": movement.source,
        "status": "pending" if movement.available is None else "available",
        "type": movement.type,
    }


DESCRIPTIONS = {
    "charge": "Subscription payment",
    "refund": "Refund",
    "adjustment": "Chargeback withdrawal",
    "payout": "STRIPE PAYOUT",
}


def _payout(book: Book, payout: Payout) -> Json:
    return {
        "id": payout.id,
        "object": "payout",
        "amount": payout.amount,
        "arrival_date": book.epoch(payout.arrival_day),
        "automatic": True,
        "balance_transaction": payout.transaction,
        "created": payout.created,
        "currency": payout.currency.lower(),
        "description": "STRIPE PAYOUT",
        "failure_code": None,
        "livemode": True,
        "metadata": {},
        "method": "standard",
        "reconciliation_status": "completed",
        "source_type": "card",
        "status": "paid",
        "type": "bank_account",
    }
