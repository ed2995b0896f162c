"""Which of two states of a Stripe object is the later one, told from the object itself.

Stripe's objects carry no "updated" time, but they do carry the instants of what happened to them, and most only
move forward through their states. The version of an object is its latest instant, in microseconds since 1970, plus
a step for how far it has come. Two states that differ in neither (a description was edited) cannot be told apart
here; an event, or the observation time the user gives, can.
"""

from __future__ import annotations

from typing import Final

from tieout.adapters.sources.stripe.fields import StripeObject

_INSTANTS: Final = {
    "invoice": (
        "created", "effective_at", "status_transitions.finalized_at", "status_transitions.marked_uncollectible_at",
        "status_transitions.paid_at", "status_transitions.voided_at",
    ),
    "subscription": ("created", "start_date", "current_period_start", "canceled_at", "ended_at"),
    "payment_intent": ("created", "canceled_at"),
    "credit_note": ("created", "effective_at", "voided_at"),
}  # fmt: skip
"""Kind to the fields that say when something happened to it; `created` alone for the others."""

_STEPS: Final = {
    "invoice": ("draft", "open", "uncollectible", "paid", "void"),
    "charge": ("pending", "failed", "succeeded"),
    "refund": ("pending", "requires_action", "succeeded", "failed", "canceled"),
    "dispute": ("warning_needs_response", "warning_under_review", "needs_response", "under_review", "warning_closed",
                "won", "lost"),
    "payout": ("pending", "in_transit", "paid", "failed", "canceled"),
    "balance_transaction": ("pending", "available"),
    "payment_intent": ("requires_payment_method", "requires_confirmation", "requires_action", "processing",
                       "requires_capture", "succeeded", "canceled"),
    "credit_note": ("issued", "void"),
}  # fmt: skip
"""Kind to its states in the order in which Stripe moves through them (API reference, "status" of each object)."""

_REFUND_STEPS = 1_000
"""Steps that the refunded share of a charge is told in: a refund moves a charge forward without any instant."""


def version_of(kind: str, item: StripeObject, *, told_at: object = None) -> str | None:
    """The object's version as whole microseconds, or None where it carries no instant.

    `told_at` is the instant (seconds since 1970) of the event that carried it, if one did.

    What is no whole number of seconds is left to the normaliser, which refuses it in `time`.
    """
    values = [told_at, *(item.at(path) for path in _INSTANTS.get(kind, ("created",)))]
    seconds = [value for value in values if isinstance(value, int) and not isinstance(value, bool) and value >= 0]
    if not seconds or max(seconds) > 10**11:
        return None
    steps = _STEPS.get(kind, ())
    status = item.text("status")
    step = steps.index(status) if status in steps else 0
    return str(max(seconds) * 1_000_000 + step * (_REFUND_STEPS + 1) + _refunded(item))


def _refunded(item: StripeObject) -> int:
    amount, refunded = item.at("amount"), item.at("amount_refunded")
    if not isinstance(amount, int) or not isinstance(refunded, int) or amount <= 0 or refunded <= 0:
        return 0
    return min(_REFUND_STEPS, refunded * _REFUND_STEPS // amount)
