"""`verify` on healthy workspaces: whatever the deliveries, runs, slices and withdrawals, nothing is breached."""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from tieout.adapters.store.tables import batches
from tieout.core.config.parsing import parse_configuration
from tieout.model.audit import Actor, Breach
from tieout.model.configuration import Configuration
from tieout.service.intake import ingest
from tieout.service.runs import run_reconciliation
from tieout.service.unit import Unit
from tieout.service.verification import verify
from tieout.service.withdrawal import supersede
from tieout.service.workspace import initialise, open_workspace

ME = Actor("ada", "cli")
START = datetime(2026, 10, 1, 9, 0, tzinfo=UTC)

CONFIGURATION = """
workspace: acme
engine: {threads: 1}
sources:
  billing:
    {format: csv, kind: invoice, mapping: {native_id: id, version: version, date: date, amount: amount,
     currency: currency, reference: order}}
  psp:
    {format: csv, kind: payment, mapping: {native_id: id, version: version, date: date, amount: amount, fee: fee,
     currency: currency, invoice_ref: invoice, reference: order}}
reconciliations:
  paid:
    kind: match
    grace_days: 5
    group_over: 3
    sides:
      invoices: {source: billing, kind: invoice}
      payments: {source: psp, kind: payment}
    passes:
      - {name: one, type: exact, on: {invoices: native_id, payments: invoice_ref}, fee: payments}
      - {name: many, type: grouped, on: {invoices: native_id, payments: invoice_ref}, fee: payments}
      - {name: order, type: grouped, on: {invoices: reference, payments: reference}}
"""

INVOICE = ("id", "version", "date", "amount", "currency", "order")
PAYMENT = ("id", "version", "date", "amount", "fee", "currency", "invoice", "order")
INVOICES = (
    ("b1", 0, "2026-09-01", "10.00", "EUR", ""),
    ("b2", 0, "2026-09-02", "20.00", "EUR", ""),
    ("b5", 0, "2026-09-05", "not money", "EUR", ""),
)
LATER = (("b1", 1, "2026-09-01", "11.00", "EUR", ""), ("b7", 0, "2026-09-07", "70.00", "EUR", ""))


@dataclass
class World:
    """A workspace with its clock, and what tests do to it."""

    directory: Path
    now: datetime = START

    def open(self) -> Unit:
        return open_workspace(self.directory, "acme", lambda: self.now)

    def take_in(self, unit: Unit, source: str, rows: Sequence[Sequence[object]]) -> None:
        path = self.directory / f"{source}.csv"
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(INVOICE if source == "billing" else PAYMENT)
            writer.writerows(rows)
        ingest(unit, configuration(), source, path, ME)


def configuration() -> Configuration:
    return parse_configuration(CONFIGURATION)


def breaches_of(world: World) -> tuple[Breach, ...]:
    unit = world.open()
    try:
        return verify(unit, configuration()).breaches
    finally:
        unit.close()


def test_a_workspace_without_anything_is_whole(tmp_path: Path) -> None:
    world = World(tmp_path)
    initialise(tmp_path, "acme", lambda: world.now)
    assert breaches_of(world) == ()


def test_another_workspace_in_the_same_directory_changes_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    initialise(tmp_path, "acme", lambda: world.now)
    initialise(tmp_path, "other", lambda: world.now)
    other = open_workspace(world.directory, "other", lambda: world.now)
    world.take_in(other, "billing", INVOICES)
    run_reconciliation(other, configuration(), "paid", ME)
    assert verify(other, configuration()).breaches == ()
    other.close()
    assert breaches_of(world) == ()


def test_state_does_not_depend_on_how_deliveries_were_cut(tmp_path: Path) -> None:
    texts = []
    deliveries: list[list[Sequence[Sequence[object]]]] = [
        [INVOICES, LATER],
        [(*LATER, *INVOICES)],
        [LATER, INVOICES, INVOICES],
    ]
    for number, cuts in enumerate(deliveries):
        world = World(tmp_path / str(number))
        initialise(world.directory, "acme", lambda world=world: world.now)  # type: ignore[misc]
        unit = world.open()
        for rows in cuts:
            world.take_in(unit, "billing", rows)
        texts.append(verify(unit, configuration()).state["billing"])
        unit.close()
    assert len(set(texts)) == 1


@pytest.mark.parametrize("seed", range(4))
def test_random_worlds_are_whole(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    world = World(tmp_path)
    initialise(tmp_path, "acme", lambda: world.now)
    unit = world.open()
    for _ in range(7):
        world.now += timedelta(days=chance.randrange(4))
        _something_happens(world, unit, chance)
    report = verify(unit, configuration(), replay_runs=2)
    unit.close()
    assert report.breaches == ()


def _something_happens(world: World, unit: Unit, chance: random.Random) -> None:
    """A delivery, a run, a slice or a withdrawal."""
    what = chance.random()
    if what < 0.5:
        source = chance.choice(["billing", "psp"])
        ids = chance.sample(range(8), chance.randrange(1, 6))
        world.take_in(unit, source, [_random_row(source, number, chance) for number in ids])
    elif what < 0.9:
        run_reconciliation(unit, configuration(), "paid", ME, slice_only=what < 0.6)
    else:
        with unit.read() as connection:
            accepted = list(connection.scalars(select(batches.c.batch).where(batches.c.state == "accepted")))
        if accepted:
            supersede(unit, configuration(), chance.choice(accepted), ME, "a mistake")


def _random_row(source: str, number: int, chance: random.Random) -> tuple[object, ...]:
    amount, currency = chance.choice(["10", "20", "30", "-10", "no"]), chance.choice(["EUR", "EUR", "JPY"])
    row = (f"{source}{number}", chance.randrange(3), f"2026-09-{chance.randrange(10, 31)}", amount)
    order = chance.choice(["", "o1", "o2"])
    if source == "billing":
        return (*row, currency, order)
    return (*row, chance.choice(["", "1"]), currency, chance.choice(["", f"billing{chance.randrange(8)}"]), order)
