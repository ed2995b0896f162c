"""What each Stripe object says, as a draft: one function for each kind that Tieout knows, raw for all others.

| Stripe type | kind | amount (company's view) | date | reference | links besides the object's own id |
| --- | --- | --- | --- | --- | --- |
| charge | charge | +amount; fee, net if expanded in its currency | created | | invoice, payment_intent, customer |
| refund | refund | -amount | created | | payment = charge, customer |
| dispute | dispute | -amount | created | | payment = charge |
| payout | payout | +amount (to the bank) | arrival_date | trace_id.value | payout = own id |
| balance_transaction | same | amount, fee, net as Stripe signs them | created | source | payout, invoice, customer |
| invoice | invoice | +total | finalized_at, else created | number | charge or payment_intent, customer, subscription |
| credit_note | credit_note | -total | created | number | invoice, customer |
| payment_intent | payment_intent | +amount | created | | payment = own id, invoice, customer |
| customer | customer | none (balance in attributes) | created | | customer = own id |
| subscription | subscription | none | created | | subscription = own id, customer |
| event | event | none | created | data.object.id | customer |
| anything else | raw | none | none | | none |

- `category` is the type within the kind: a balance transaction's `type`, an invoice's `billing_reason`, an event's
  `type`, a dispute's, refund's or credit note's `reason`, a payout's `type`; for raw objects the Stripe type.
- An amount must be a whole number. Anything else is refused, not read: Stripe's own decimal texts count in the
  smallest unit, those of tools that store its objects often in the largest.
- A link is an id; where Stripe expanded it to an object, that object's id. An invoice or customer that the object
  does not name is taken from its metadata: `invoice_id`; `workspace_id`, `customer` or `customer_id`.
- `attributes` keeps the metadata and the fields of EXTRAS; money in them is decimal text in major units, or, where
  no currency is known, the integer under a name that ends in `_minor`.
- The version is told from the object's own instants and state, see `lifecycle`.
- An event also yields the object it carries, where that has a type and an id, as a draft whose version counts the
  event's instant: an event stream alone keeps the current state. Where the event says that this very object was
  deleted (`customer.deleted`), and where an object says so itself, its status is `deleted`.
- An object of a known type without an id (an upcoming invoice) is a preview, not yet a record: it is kept raw, as
  is every type that is not known. Raw objects keep all their content but their secrets, and without an id are
  named by its digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Final

from tieout.adapters.sources.stripe.fields import Context, Extras, Fault, StripeObject, UnreadableFieldError
from tieout.adapters.sources.stripe.framing import Json, canonical, without_secrets
from tieout.adapters.sources.stripe.lifecycle import version_of
from tieout.model.record import RAW_KIND

Columns = dict[str, str | None]

ID_PREFIXES: Final = {
    "po": "payout", "txn": "balance_transaction", "ch": "charge", "py": "charge", "in": "invoice", "re": "refund",
    "pyr": "refund", "dp": "dispute", "du": "dispute", "cus": "customer", "sub": "subscription",
    "pi": "payment_intent", "cn": "credit_note", "evt": "event",
}  # fmt: skip
"""Prefix of an id to the type of its object."""

EXTRAS: Final = {
    "balance_transaction": Extras(
        plain=("balance_type", "exchange_rate", "reporting_category"), instants=("available_on",)
    ),
    "charge": Extras(
        plain=("calculated_statement_descriptor", "captured", "disputed", "failure_code", "failure_message",
               "livemode", "paid", "receipt_email", "receipt_number", "refunded", "statement_descriptor",
               "transfer_group"),
        ids=("application_fee", "balance_transaction", "dispute", "failure_balance_transaction", "payment_method",
             "transfer"),
        money=("amount_captured", "amount_refunded", "application_fee_amount"),
    ),
    "credit_note": Extras(
        plain=("livemode", "memo", "type"), ids=("customer_balance_transaction", "refund"),
        money=("amount", "discount_amount", "out_of_band_amount", "subtotal"), instants=("effective_at", "voided_at"),
    ),
    "customer": Extras(
        plain=("delinquent", "email", "invoice_prefix", "livemode", "phone", "tax_exempt"),
        ids=("default_source",), money=("balance",),
    ),
    "dispute": Extras(
        plain=("is_charge_refundable", "livemode"), ids=("balance_transaction", "payment_intent"),
    ),
    "event": Extras(plain=("account", "api_version", "livemode")),
    "invoice": Extras(
        plain=("attempt_count", "collection_method", "customer_email", "customer_name", "livemode", "paid"),
        ids=("payment_intent",),
        money=("amount_due", "amount_paid", "amount_remaining", "ending_balance", "starting_balance", "subtotal",
               "tax"),
        instants=("due_date", "period_end", "period_start"),
    ),
    "payment_intent": Extras(
        plain=("cancellation_reason", "livemode", "receipt_email", "statement_descriptor"),
        ids=("latest_charge", "payment_method"), money=("amount_capturable", "amount_received"),
        instants=("canceled_at",),
    ),
    "payout": Extras(
        plain=("automatic", "failure_code", "failure_message", "livemode", "method", "reconciliation_status",
               "source_type", "statement_descriptor", "trace_id"),
        ids=("balance_transaction", "destination", "failure_balance_transaction", "original_payout", "reversed_by"),
    ),
    "refund": Extras(
        plain=("failure_reason", "receipt_number"),
        ids=("balance_transaction", "failure_balance_transaction", "payment_intent", "transfer_reversal"),
    ),
    "subscription": Extras(
        plain=("cancel_at_period_end", "collection_method", "livemode", "quantity"),
        ids=("latest_invoice", "default_payment_method"),
        instants=("cancel_at", "canceled_at", "current_period_end", "current_period_start", "ended_at", "start_date",
                  "trial_end", "trial_start"),
    ),
}  # fmt: skip
"""Kind to what its attributes keep besides the metadata; a field that is null or empty is left out."""


def type_of(value: Json, hint: str | None) -> str:
    """The Stripe type: as the object says, as its group is named, as its id begins; "unknown" otherwise."""
    own = value.get("object")
    if isinstance(own, str) and own:
        return own
    if hint in READERS:
        return hint or ""
    identifier = value.get("id")
    prefix = identifier.partition("_")[0] if isinstance(identifier, str) and "_" in identifier else ""
    return ID_PREFIXES.get(prefix) or hint or "unknown"


def drafts_of(value: Json, hint: str | None, context: Context) -> Iterator[Columns | Fault]:
    """The draft of one object, or why there is none; for an event, that of the object it carries as well."""
    kind = type_of(value, hint)
    yield _draft(value, kind, context, deleted=value.get("deleted") is True)
    if kind != "event":
        return
    event = StripeObject(value, context)
    carried = event.at("data.object")
    if not isinstance(carried, dict):
        return
    carried_type, carried_id = carried.get("object"), carried.get("id")
    if isinstance(carried_type, str) and isinstance(carried_id, str) and carried_type and carried_id:
        deleted = carried.get("deleted") is True or event.text("type") == f"{carried_type}.deleted"
        yield _draft(carried, carried_type, context, told_at=event.at("created"), deleted=deleted)


def _draft(
    value: Json, stripe_type: str, context: Context, *, deleted: bool, told_at: object = None
) -> Columns | Fault:
    """One object as a draft of its kind, or raw."""
    item = StripeObject(value, context)
    try:
        native_id = item.text("id")
        reader = READERS.get(stripe_type) if native_id else None
        if reader is None:
            columns = _raw(item, stripe_type)
        else:
            columns = {"kind": stripe_type, "native_id": native_id, **_shared(item), **reader(item)}
    except UnreadableFieldError as error:
        return error.fault
    except ValueError as error:
        return Fault("object", str(error))
    columns["version"] = version_of(stripe_type, item, told_at=told_at) if reader or told_at is not None else None
    if deleted:
        columns["status"] = "deleted"
    return columns


def _raw(item: StripeObject, stripe_type: str) -> Columns:
    """An object whose type Tieout does not know, or that has no identity: all its content, nothing derived."""
    content = canonical(without_secrets(item.value))
    digest = hashlib.sha256(content.encode()).hexdigest()
    native_id = item.text("id") or f"sha256:{digest}"
    return {"kind": RAW_KIND, "native_id": native_id, "category": stripe_type, "attributes": content}


def _shared(item: StripeObject) -> Columns:
    """What nearly every kind says in the same words."""
    status = item.text("status")
    return {
        "date": item.day("created"),
        "time": item.instant("created"),
        "currency": item.currency,
        "description": item.text("description"),
        "status": status.lower() if status else None,
        "customer_ref": item.customer,
    }


def _balance_transaction(item: StripeObject) -> Columns:
    source = "source.metadata"
    names = ("workspace_id", "customer", "customer_id")
    return {
        "amount": item.money("amount"),
        "fee": item.money("fee"),
        "net": item.money("net"),
        "category": item.text("type"),
        "reference": item.id_of("source"),
        "payout_ref": item.id_of("payout"),
        "invoice_ref": item.invoice or item.id_of("source.invoice", f"{source}.invoice_id"),
        "payment_ref": item.id_of("source.payment_intent"),
        "customer_ref": item.customer or item.id_of("source.customer", *(f"{source}.{name}" for name in names)),
        "attributes": item.attributes(EXTRAS["balance_transaction"], {"fee_details": _fee_details(item)}),
    }


def _fee_details(item: StripeObject) -> list[Json]:
    """What a balance transaction's fee is made of: Stripe's fee, tax on it, an application's fee."""
    details = []
    for value in item.listed("fee_details"):
        if isinstance(value, dict):
            entry = StripeObject(value, Context(item.currency))
            found: Json = {
                "type": entry.text("type"),
                "amount": entry.money("amount"),
                "description": entry.text("description"),
            }
            details.append({name: part for name, part in found.items() if part is not None})
    return details


def _charge(item: StripeObject) -> Columns:
    columns, settlement = _settlement(item)
    return {
        "amount": item.money("amount"),
        **columns,
        "counterparty": item.text("billing_details.name"),
        "category": item.text("payment_method_details.type"),
        "invoice_ref": item.invoice,
        "payment_ref": item.id_of("payment_intent"),
        "attributes": item.attributes(EXTRAS["charge"], {"email": item.text("billing_details.email"), **settlement}),
    }


def _settlement(item: StripeObject) -> tuple[Columns, dict[str, object]]:
    """Fee and net of a charge whose balance transaction was expanded.

    They are money of the settlement currency: columns where that is the charge's own, attributes otherwise.
    """
    value = item.at("balance_transaction")
    if not isinstance(value, dict) or "fee" not in value:
        return {}, {}
    settled = StripeObject(value, Context())
    fee, net = settled.money("fee"), settled.money("net")
    if settled.currency == item.currency:
        return {"fee": fee, "net": net}, {}
    names = {"amount": settled.money("amount"), "fee": fee, "net": net, "currency": settled.currency}
    return {}, {f"settlement_{name}": text for name, text in names.items()}


def _credit_note(item: StripeObject) -> Columns:
    return {
        "amount": item.money("total" if item.at("total") is not None else "amount", sign=-1),
        "category": item.text("reason"),
        "reference": item.text("number"),
        "invoice_ref": item.invoice,
        "attributes": item.attributes(EXTRAS["credit_note"], {}),
    }


def _customer(item: StripeObject) -> Columns:
    more = {"country": item.text("address.country")}
    return {
        "counterparty": item.text("name"),
        "customer_ref": item.text("id"),
        "attributes": item.attributes(EXTRAS["customer"], more),
    }


def _dispute(item: StripeObject) -> Columns:
    listed = item.at("balance_transactions")
    moved = (
        [entry.get("id") if isinstance(entry, dict) else entry for entry in listed] if isinstance(listed, list) else []
    )
    more = {"evidence_due_by": item.instant("evidence_details.due_by"), "balance_transactions": moved}
    return {
        "amount": item.money("amount", sign=-1),
        "category": item.text("reason"),
        "payment_ref": item.id_of("charge"),
        "attributes": item.attributes(EXTRAS["dispute"], more),
    }


def _event(item: StripeObject) -> Columns:
    more = {
        "object_type": item.text("data.object.object"),
        "previous_attributes": item.at("data.previous_attributes"),
        "request": item.id_of("request"),
    }
    return {
        "currency": None,
        "category": item.text("type"),
        "reference": item.text("data.object.id"),
        "customer_ref": item.id_of("data.object.customer"),
        "attributes": item.attributes(EXTRAS["event"], more),
    }


def _invoice(item: StripeObject) -> Columns:
    """Since API version 2025-03-31 an invoice names its payments in a list and its subscription in `parent`."""
    listed = item.at("payments.data")
    payments = (
        [StripeObject(entry, Context()) for entry in listed if isinstance(entry, dict)]
        if isinstance(listed, list)
        else []
    )
    paid_by = {entry.id_of("payment.charge", "payment.payment_intent") for entry in payments} - {None}
    return {
        "amount": item.money("total"),
        "date": item.day("status_transitions.finalized_at", "created"),
        "counterparty": item.text("customer_name"),
        "category": item.text("billing_reason"),
        "reference": item.text("number"),
        "invoice_ref": item.text("id"),
        "payment_ref": item.id_of("charge", "payment_intent") or (paid_by.pop() if len(paid_by) == 1 else None),
        "subscription_ref": item.id_of("subscription", "parent.subscription_details.subscription"),
        "attributes": item.attributes(EXTRAS["invoice"], {}),
    }


def _payment_intent(item: StripeObject) -> Columns:
    return {
        "amount": item.money("amount"),
        "invoice_ref": item.invoice,
        "payment_ref": item.text("id"),
        "attributes": item.attributes(EXTRAS["payment_intent"], {}),
    }


def _payout(item: StripeObject) -> Columns:
    return {
        "amount": item.money("amount"),
        "date": item.day("arrival_date", "created"),
        "category": item.text("type"),
        "reference": item.text("trace_id.value"),
        "payout_ref": item.text("id"),
        "attributes": item.attributes(EXTRAS["payout"], {}),
    }


def _refund(item: StripeObject) -> Columns:
    return {
        "amount": item.money("amount", sign=-1),
        "category": item.text("reason"),
        "invoice_ref": item.invoice,
        "payment_ref": item.id_of("charge", "payment_intent"),
        "attributes": item.attributes(EXTRAS["refund"], {}),
    }


def _subscription(item: StripeObject) -> Columns:
    return {
        "subscription_ref": item.text("id"),
        "attributes": item.attributes(EXTRAS["subscription"], {"items": _subscription_items(item)}),
    }


def _subscription_items(item: StripeObject) -> list[Json]:
    """Price, quantity and unit price of each item (`plan` on old objects)."""
    items = []
    for value in item.listed("items.data"):
        if isinstance(value, dict):
            entry = StripeObject(value, Context())
            found: Json = {
                "id": entry.text("id"),
                "price": entry.id_of("price", "plan"),
                "product": entry.id_of("price.product", "plan.product"),
                "quantity": entry.at("quantity"),
                "interval": entry.text("price.recurring.interval", "plan.interval"),
                "current_period_end": entry.instant("current_period_end"),
            }
            items.append({name: part for name, part in found.items() if part is not None})
    return items


READERS: Final[dict[str, Callable[[StripeObject], Columns]]] = {
    "balance_transaction": _balance_transaction,
    "charge": _charge,
    "credit_note": _credit_note,
    "customer": _customer,
    "dispute": _dispute,
    "event": _event,
    "invoice": _invoice,
    "payment_intent": _payment_intent,
    "payout": _payout,
    "refund": _refund,
    "subscription": _subscription,
}
"""Stripe type, which is also the kind, to the function that reads it."""
