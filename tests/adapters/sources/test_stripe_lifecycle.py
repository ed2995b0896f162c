"""Versions of Stripe objects: the later state of an object has the greater version, whatever order it arrives in."""

from __future__ import annotations

import pytest

from tieout.adapters.sources.stripe.fields import Context, StripeObject
from tieout.adapters.sources.stripe.framing import without_secrets
from tieout.adapters.sources.stripe.lifecycle import version_of

PATHS = {
    "invoice": [
        {"created": 100, "status": "draft"},
        {"created": 100, "status": "open", "status_transitions": {"finalized_at": 160}},
        {"created": 100, "status": "paid", "status_transitions": {"finalized_at": 160, "paid_at": 400}},
    ],
    "charge": [
        {"created": 100, "status": "pending", "amount": 1000},
        {"created": 100, "status": "succeeded", "amount": 1000, "amount_refunded": 0},
        {"created": 100, "status": "succeeded", "amount": 1000, "amount_refunded": 300},
        {"created": 100, "status": "succeeded", "amount": 1000, "amount_refunded": 1000},
    ],
    "payout": [{"created": 100, "status": status} for status in ("pending", "in_transit", "paid", "failed")],
    "dispute": [{"created": 100, "status": status} for status in ("needs_response", "under_review", "won")],
    "subscription": [
        {"created": 100},
        {"created": 100, "current_period_start": 900},
        {"created": 100, "ended_at": 950},
    ],
}


@pytest.mark.parametrize("kind", sorted(PATHS))
def test_later_states_have_greater_versions(kind: str) -> None:
    versions = [int(version_of(kind, StripeObject(state, Context())) or 0) for state in PATHS[kind]]
    assert versions == sorted(set(versions))


@pytest.mark.parametrize("created", [None, "soon", True, -5, 10**15])
def test_an_object_without_a_readable_instant_has_no_version(created: object) -> None:
    assert version_of("charge", StripeObject({"created": created}, Context())) is None


def test_secrets_are_blotted_out_at_any_depth() -> None:
    value = {"id": "we_1", "secret": "whsec_x", "list": [{"client_secret": "pi_secret", "secret": None}]}
    assert without_secrets(value) == {
        "id": "we_1",
        "secret": "[secret]",
        "list": [{"client_secret": "[secret]", "secret": None}],
    }
