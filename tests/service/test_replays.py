"""`replay`: a closed run gives the same result again, whatever happened to the workspace since."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tieout.core.config.parsing import parse_configuration, rules_digest
from tieout.core.replaying import reconciliation_from
from tieout.model.audit import Actor
from tieout.model.errors import IncompleteError, UsageError
from tieout.service.intake import ingest
from tieout.service.replays import ReplayReport, replay
from tieout.service.runs import run_reconciliation
from tieout.service.unit import Unit
from tieout.service.withdrawal import supersede
from tieout.service.workspace import initialise, open_workspace

ME = Actor("ada", "cli")
TEXT = """
workspace: acme
engine: {threads: 1}
sources:
  stripe: {format: stripe}
reconciliations:
  inv:
    kind: match
    group_over: 7
    severity: {high: 5, critical: 50}
    sides:
      invoices: {source: stripe, kind: invoice}
      charges: {source: stripe, kind: [charge, refund], where: {status: [succeeded]}, where_not: {category: [test]}}
    passes:
      - {name: e, type: exact, on: {invoices: native_id, charges: invoice_ref}, unique: [charges]}
      - {name: g, type: grouped, on: {invoices: native_id, charges: invoice_ref}}
    disputes: stripe
"""
CONFIGURATION = parse_configuration(TEXT)


def clock() -> datetime:
    return datetime(2026, 10, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two closed runs of `inv`: the second reopens what the first had matched."""
    directory = tmp_path_factory.mktemp("closed")
    initialise(directory, "acme", clock)
    unit = open_workspace(directory, "acme", clock)
    deliver(unit, [_invoice(1, 1000), _invoice(2, 2000), _charge(1, 1, 1000), _charge(2, 2, 1500)])
    run_reconciliation(unit, CONFIGURATION, "inv", ME)
    deliver(unit, [_charge(3, 2, 500), _charge(4, 1, 1000)])
    run_reconciliation(unit, CONFIGURATION, "inv", ME, slice_only=True)
    run_reconciliation(unit, CONFIGURATION, "inv", ME)
    unit.close()
    return directory


@pytest.fixture
def unit(closed: Path, tmp_path: Path) -> Iterator[Unit]:
    """A copy of the closed runs, for one test to go on with."""
    shutil.copytree(closed, tmp_path / "copy")
    unit = open_workspace(tmp_path / "copy", "acme", clock)
    yield unit
    unit.close()


def deliver(unit: Unit, objects: list[dict[str, object]]) -> None:
    path = unit.directory / "delivery.jsonl"
    path.write_text("\n".join(json.dumps(one) for one in objects))
    ingest(unit, CONFIGURATION, "stripe", path, ME)


def _invoice(number: int, total: int) -> dict[str, object]:
    return {"object": "invoice", "id": f"in_{number}", "total": total, "currency": "eur", "created": 1_790_000_000,
            "status": "paid"}  # fmt: skip


def _charge(number: int, invoice: int, amount: int) -> dict[str, object]:
    return {"object": "charge", "id": f"ch_{number}", "amount": amount, "currency": "eur", "created": 1_790_000_100,
            "status": "succeeded", "invoice": f"in_{invoice}"}  # fmt: skip


def test_every_closed_run_replays_equal(unit: Unit) -> None:
    reports = [replay(unit, CONFIGURATION, run) for run in (1, 2)]
    assert [(one.run, one.reconciliation, one.equal) for one in reports] == [(1, "inv", True), (2, "inv", True)]
    assert reports[0].stored_hash != reports[1].stored_hash


def test_what_happened_since_does_not_matter(unit: Unit) -> None:
    before = [replay(unit, CONFIGURATION, run) for run in (1, 2)]
    supersede(unit, CONFIGURATION, 1, ME, "the wrong month")
    run_reconciliation(unit, CONFIGURATION, "inv", ME)
    otherwise = parse_configuration("workspace: acme\nsources:\n  stripe: {format: stripe}\n")
    assert [replay(unit, otherwise, run) for run in (1, 2)] == before
    assert replay(unit, otherwise, 3).equal


def test_another_result_is_told(unit: Unit) -> None:
    with unit.engine.connect().execution_options(transaction="write") as connection, connection.begin():
        connection.exec_driver_sql("UPDATE proofs SET closing = closing + 1 WHERE run = 1 AND side = 'charges'")
    report = replay(unit, CONFIGURATION, 2)
    assert report == ReplayReport(2, "inv", report.stored_hash, report.recomputed_hash, False)
    assert report.stored_hash != report.recomputed_hash


def test_there_must_be_such_a_closed_run(unit: Unit) -> None:
    deliver(unit, [_charge(9, 9, 100)])
    run_reconciliation(unit, CONFIGURATION, "inv", ME, slice_only=True)
    for run in (3, 4):
        with pytest.raises(UsageError, match=f"no closed run {run}"):
            replay(unit, CONFIGURATION, run)


def test_an_input_that_is_gone_is_an_error_and_no_other_result(unit: Unit) -> None:
    with unit.engine.connect().execution_options(transaction="write") as connection, connection.begin():
        connection.exec_driver_sql("DELETE FROM parts WHERE dataset = 'records' AND batch = 1")
    with pytest.raises(IncompleteError, match=r"part \w+/\w+\.parquet, which run 1 read, is not in the catalogue"):
        replay(unit, CONFIGURATION, 1)


def test_rules_come_back_from_json_as_they_were() -> None:
    rules = CONFIGURATION.reconciliations["inv"]
    again = reconciliation_from(json.loads(json.dumps(dataclasses.asdict(rules), sort_keys=True)))
    assert again == rules
    assert rules_digest(again) == rules_digest(rules)


@pytest.mark.parametrize("change", [{"novelty": 1}, {"sides": [{"name": "x"}]}, {"passes": 3}])
def test_rules_of_another_shape_are_refused(change: dict[str, object]) -> None:
    data = dataclasses.asdict(CONFIGURATION.reconciliations["inv"]) | change
    with pytest.raises(IncompleteError, match="stored rules are not of the shape"):
        reconciliation_from(data)
