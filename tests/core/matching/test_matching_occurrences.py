"""One native id with several contents at once (a conflict inside one file), over several runs."""

from __future__ import annotations

from typing import Any

import pytest

SIDES = [{"name": "invoices", "kinds": ["invoice"]}, {"name": "payments", "kinds": ["payment"]}]
PASSES = [{"type": "exact"}, {"type": "grouped"}]


def _invoice(key: str, amount: str, version: str = "1") -> dict[str, str | None]:
    return {"kind": "invoice", "native_id": "in_1", "reference": key, "amount": amount, "currency": "EUR",
            "date": "2026-03-01", "version": version}  # fmt: skip


def _payment(name: str, key: str, amount: str) -> dict[str, str | None]:
    return {"kind": "payment", "native_id": name, "reference": key, "amount": amount, "currency": "EUR",
            "date": "2026-03-01"}  # fmt: skip


CONFLICT = [_invoice("A", "10.00"), _invoice("B", "7.00")]
PAYMENTS = [_payment("py_1", "A", "10.00"), _payment("py_2", "B", "7.00")]


def _open(outcome: Any) -> list[tuple[str, int]]:
    assert all(line.unexplained_minor == 0 for line in outcome.proof)
    return sorted((item["native_id"], item["open_minor"]) for item in outcome.open)


@pytest.fixture
def world(make_world: Any, matching: Any) -> Any:
    """Invoices and payments."""
    return make_world(matching.configure(SIDES, PASSES))


def test_conflict_from_the_start(world: Any) -> None:
    """Both contents are items of their own, and each finds its payment."""
    world.deliver("invoices", CONFLICT)
    world.deliver("payments", PAYMENTS)
    assert _open(world.close()) == []
    assert len(world.matches()) == 2


def test_conflict_settled_by_a_newer_version(world: Any) -> None:
    """A newer version takes the place of both: the other's payment has no invoice any more."""
    world.deliver("invoices", CONFLICT)
    world.deliver("payments", PAYMENTS)
    world.close()
    world.deliver("invoices", [_invoice("A", "10.00", "2")])
    assert _open(world.close()) == [("py_2", 700)]
    assert [match.shown()["used"] for match in world.matches().values()] == [{"in_1": "10.00", "py_1": "10.00"}]


@pytest.mark.parametrize("first", [0, 1])
def test_conflict_that_comes_later(world: Any, first: int) -> None:
    """One content was matched already when a file brings both: it is counted once, the other is new."""
    world.deliver("invoices", [CONFLICT[first]])
    world.deliver("payments", PAYMENTS)
    world.close()
    world.deliver("invoices", CONFLICT)
    assert _open(world.close()) == []
    assert len(world.matches()) == 2


@pytest.mark.parametrize("second", [0, 1])
def test_conflict_withdrawn(world: Any, second: int) -> None:
    """When the conflicting file is withdrawn, what another file says remains, once."""
    world.deliver("invoices", CONFLICT, "b")
    world.deliver("payments", PAYMENTS)
    world.close()
    world.withdraw("invoices", "b")
    world.deliver("invoices", [CONFLICT[second]])
    assert _open(world.close()) == [(("py_2", 700), ("py_1", 1000))[second]]
