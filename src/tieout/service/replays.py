"""Replaying a closed run: the same manifest must give the same result hash (INVARIANTS 6). Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from tieout.model.configuration import Configuration
from tieout.service.run_records import recompute
from tieout.service.unit import Unit


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What computing a closed run again gave. Hashes are hex SHA-256; `equal` tells whether they agree."""

    run: int
    reconciliation: str
    stored_hash: str
    recomputed_hash: str
    equal: bool


def replay(unit: Unit, configuration: Configuration, run: int) -> ReplayReport:
    """Compute a closed run again from its stored manifest, parts and rules, and compare the hashes.

    Today's `tieout.yaml` and what arrived or was withdrawn since do not matter; of the configuration only the
    engine's bounds are used. Raises UsageError when there is no such closed run, IncompleteError when a part is
    gone.
    """
    with unit.read() as connection:
        again = recompute(unit, connection, configuration, run)
    return ReplayReport(
        run=run,
        reconciliation=again.reconciliation,
        stored_hash=again.stored_hash,
        recomputed_hash=again.recomputed_hash,
        equal=again.stored_hash == again.recomputed_hash,
    )
