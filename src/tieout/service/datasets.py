"""Which parts a run reads: record parts per source and batch, and what earlier runs of a reconciliation wrote.

Ground for runs, replays, exports and verification. A run's inputs are named and kept with it, so that it can be
recomputed from the same parts whatever happened since.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from sqlalchemy import Connection, func, select

from tieout.adapters import parts as part_store
from tieout.adapters.store.tables import batches, key_map, key_map_versions, parts
from tieout.model.run import BatchRef
from tieout.service.unit import Unit

PartNames = dict[str, list[str]]
"""Input name of a plan to the names of the parts behind it."""

EARLIER = {
    "open_items": "open_items",
    "closed_items": "closed_items",
    "pairs_before": "pairs",
    "allocations_before": "allocations",
    "revoked_before": "revoked",
}
"""Inputs of a match plan that earlier runs wrote, and their datasets."""


def batch_refs(connection: Connection, workspace: str, sources: Collection[str]) -> tuple[BatchRef, ...]:
    """The accepted batches of some sources as a manifest names them, in order; those that kept no row say nothing."""
    query = (
        select(batches)
        .where(
            batches.c.workspace == workspace,
            batches.c.state == "accepted",
            batches.c.source.in_(sorted(sources)),
            batches.c.accepted + batches.c.superseding + batches.c.stale > 0,
        )
        .order_by(batches.c.batch)
    )
    return tuple(
        BatchRef(row.batch, row.source, row.accepted + row.superseding + row.stale, f"{row.digest_a}:{row.digest_b}")
        for row in connection.execute(query)
    )


def deliveries_of(connection: Connection, workspace: str, source: str) -> tuple[object, ...]:
    """What differs whenever a source's batches were added to, read again or withdrawn: to be compared, not read."""
    query = select(
        func.count(), func.max(batches.c.batch), func.sum(batches.c.reading), func.max(batches.c.withdrawn_at)
    ).where(batches.c.workspace == workspace, batches.c.source == source)
    return tuple(connection.execute(query).one())


def key_map_version(connection: Connection, workspace: str) -> int:
    """The version of the key map; 0 before the first."""
    versions = select(func.max(key_map_versions.c.version)).where(key_map_versions.c.workspace == workspace)
    return connection.scalar(versions) or 0


def changed_batches(now: Sequence[BatchRef], before: Sequence[BatchRef]) -> tuple[int, ...]:
    """Batches that were accepted, withdrawn or read anew between two manifests."""
    return tuple(sorted({ref.batch for ref in set(now) ^ set(before)}))


def record_parts(
    connection: Connection, workspace: str, source: str, numbers: Collection[int], *, dataset: str = "records",
    withdrawn: bool = False,
) -> list[str]:  # fmt: skip
    """Names of a source's parts that belong to some batches; withdrawn parts too when asked."""
    states = ("visible", "withdrawn") if withdrawn else ("visible",)
    query = (
        select(parts.c.part, parts.c.batch)
        .join(batches, (batches.c.workspace == parts.c.workspace) & (batches.c.batch == parts.c.batch))
        .where(
            parts.c.workspace == workspace,
            parts.c.dataset == dataset,
            parts.c.state.in_(states),
            batches.c.source == source,
        )
        .order_by(parts.c.batch, parts.c.part)
    )
    chosen = set(numbers)
    return [row.part for row in connection.execute(query) if row.batch in chosen]


def run_parts(connection: Connection, workspace: str, reconciliation: str, dataset: str, upto_run: int) -> list[str]:
    """Names of the parts that closed runs of a reconciliation wrote, up to one of them."""
    query = (
        select(parts.c.part)
        .where(
            parts.c.workspace == workspace,
            parts.c.dataset == dataset,
            parts.c.reconciliation == reconciliation,
            parts.c.run <= upto_run,
            parts.c.slice.is_(None),
            parts.c.state == "visible",
        )
        .order_by(parts.c.run, parts.c.part)
    )
    return list(connection.scalars(query))


def paths_of(unit: Unit, connection: Connection, names: Mapping[str, Iterable[str]]) -> dict[str, list[Path]]:
    """The files behind named parts. Raises IncompleteError when one is gone or damaged."""
    found: dict[str, list[Path]] = {}
    for name, wanted in names.items():
        where = parts.c.part.in_(list(wanted))
        found[name] = part_store.part_paths(
            connection, unit.workspace, unit.parts_directory, unit.cache_directory, where
        )
    return found


def known_customers(connection: Connection, workspace: str, source: str) -> list[str]:
    """Native customer ids of a source that the current key map knows."""
    query = select(key_map.c.native_id).where(
        key_map.c.workspace == workspace, key_map.c.source == source, key_map.c.valid_to_version.is_(None)
    )
    return list(connection.scalars(query))
