"""The whole journey over simulated months: every planted fault is found with its code, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from tieout.adapters.store.tables import batches, findings
from tieout.core.config.parsing import parse_configuration
from tieout.model.audit import Actor
from tieout.model.configuration import Configuration
from tieout.model.errors import TieoutError
from tieout.service.checks import check_source
from tieout.service.customers import refresh_key_map
from tieout.service.intake import IngestReport, ingest
from tieout.service.runs import RunReport, run_reconciliation
from tieout.service.unit import Unit
from tieout.service.workspace import initialise, open_workspace
from tieout.simulate.month import simulate_month
from tieout.simulate.world import Truth, World

ACTOR = Actor("tester", "cli")
NOW = datetime(2026, 10, 9, 8, 0, tzinfo=UTC)


class Journey:
    """One world, ingested and reconciled delivery by delivery."""

    def __init__(self, directory: Path, seed: int, *, faults: bool):
        self.world: World = simulate_month(directory, seed, 150, faults)
        self.configuration: Configuration = parse_configuration(self.world.configuration.read_text(), "tieout.yaml")
        data = directory / ".tieout"
        initialise(data, self.configuration.workspace, lambda: NOW)
        self.unit: Unit = open_workspace(data, self.configuration.workspace, lambda: NOW)
        self.refused: list[str] = []
        refresh_key_map(self.unit, self.configuration, directory, ACTOR)

    def deliver(self, delivery: int) -> list[IngestReport]:
        reports = []
        for file in self.world.delivered(delivery):
            try:
                reports.append(ingest(self.unit, self.configuration, file.source, file.path, ACTOR))
            except TieoutError:
                self.refused.append(file.path.name)
        return reports

    def reconcile(self) -> list[RunReport]:
        for source in self.configuration.sources:
            check_source(self.unit, self.configuration, source, ACTOR)
        return [run_reconciliation(self.unit, self.configuration, name, ACTOR)
                for name in self.configuration.reconciliations]  # fmt: skip

    def live(self) -> list[dict[str, object]]:
        query = select(findings).where(findings.c.state.in_(("open", "pending")))
        with self.unit.read() as connection:
            return [dict(row._mapping) for row in connection.execute(query)]


@pytest.fixture
def journey(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journey]:
    seed, faults = request.param
    journey = Journey(tmp_path / "world", seed, faults=faults)
    yield journey
    journey.unit.close()


def expected(world: World, delivery: int) -> list[Truth]:
    """The truths that show after a delivery."""
    return [
        truth
        for truth in world.truths
        if truth.expect == "finding"
        and truth.delivery <= delivery
        and (truth.resolved_by is None or truth.resolved_by > delivery)
    ]


def tells(finding: dict[str, object], truth: Truth) -> bool:
    """Whether a finding is the one a truth asks for."""
    if finding["rule"] != truth.code:
        return False
    if truth.reconciliation is not None and finding["reconciliation"] != truth.reconciliation:
        return False
    told = f"{finding['anchor_id']} {finding['says']} {finding['evidence']}"
    return truth.native_ids[0] in told or any(native_id in told for native_id in truth.native_ids)


def check_against_truth(journey: Journey, delivery: int) -> None:
    live = journey.live()
    truths = expected(journey.world, delivery)
    missed = [truth for truth in truths if not any(tells(finding, truth) for finding in live)]
    false = [finding for finding in live if not any(tells(finding, truth) for truth in truths)]
    assert not missed
    assert [(f["reconciliation"], f["rule"], f["anchor_id"], f["evidence"]) for f in false] == []


@pytest.mark.parametrize("journey", [(1, True), (23, True)], indirect=True, ids=["seed 1", "seed 23"])
def test_every_planted_fault_is_found_and_nothing_else(journey: Journey) -> None:
    for delivery in (1, 2):
        for report in journey.deliver(delivery):
            counts = report.counts
            outcomes = ("accepted", "duplicate", "superseding", "stale", "quarantined")
            assert counts["read"] == sum(counts[outcome] for outcome in outcomes)
        for run in journey.reconcile():
            assert all(line.unexplained_minor == 0 for line in run.proof)
        check_against_truth(journey, delivery)
    wanted = {Path(truth.file).name for truth in journey.world.truths if truth.expect == "refused"}
    assert set(journey.refused) == wanted
    with journey.unit.read() as connection:
        states = connection.scalars(select(batches.c.state).where(batches.c.file_name.in_(journey.refused)))
        assert set(states) == {"refused"}


@pytest.mark.parametrize("journey", [(5, False)], indirect=True, ids=["clean"])
def test_the_clean_world_has_no_finding(journey: Journey) -> None:
    for delivery in (1, 2):
        journey.deliver(delivery)
        journey.reconcile()
    assert journey.live() == []
    assert journey.refused == []


@pytest.mark.parametrize("journey", [(3, True)], indirect=True, ids=["seed 3"])
def test_importing_everything_twice_changes_nothing(journey: Journey) -> None:
    journey.deliver(1)
    first = [run.result_hash for run in journey.reconcile()]
    for report in journey.deliver(1):
        assert report.counts["duplicate"] + report.counts["quarantined"] == report.counts["read"]
    again = journey.reconcile()
    assert [run.status for run in again] == ["unchanged"] * len(again)
    assert [run.result_hash for run in again] == first
