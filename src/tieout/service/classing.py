"""Where a staged file stands among what its source said before, and the rows that record it. Ground for `intake`
and `withdrawal`, which read a delivery for the first time and again."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from sqlalchemy import Connection, insert, select

from tieout.adapters.engine.duckdb import DuckEngine
from tieout.adapters.parts import part_paths
from tieout.adapters.store.tables import (
    batch_duplicates,
    batch_totals,
    batches,
    configurations,
    parts,
    statements,
)
from tieout.core.versions import classify_plan, overlap_plan
from tieout.model.dataset import DraftPart
from tieout.model.money import EXPONENTS, decimal_text, total_minor
from tieout.model.record import Statement
from tieout.service.staging import ReadingOptions, Staged, write_quarantine
from tieout.service.unit import Change, Unit

OUTCOMES = ("accepted", "duplicate", "superseding", "stale", "quarantined")

Totals = dict[str, dict[str, tuple[int, int]]]
"""Outcome to currency ("" where none) to (rows, minor units)."""


@dataclass(frozen=True, slots=True)
class Classified:
    """A staged file sorted: the parts to publish, counts and totals per outcome, and whose rows were repeated.

    `undated` counts rows that differ from what is known although nothing tells which of the two is later.
    """

    drafts: tuple[DraftPart, ...]
    counts: Mapping[str, int]
    totals: Totals
    duplicates_of: Mapping[int, int]
    digests: tuple[int, int]
    quarantine_paths: tuple[Path, ...] = ()
    read_totals: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    undated: int = 0


def classify(engine: DuckEngine, staged: Staged, prior: Sequence[Path], batch: int, directory: Path) -> Classified:
    """Sort a staged file's rows against the source's earlier parts, and write the parts to keep.

    A clean file of new identities is the part itself: nothing is copied.
    """
    drafts: list[DraftPart] = []
    totals: Totals = {}
    duplicates: dict[int, int] = {}
    digests = staged.digests
    undated = 0
    good = staged.rows - staged.faulty
    if staged.faulty == 0 and staged.identities == good and not _overlaps(engine, staged, prior):
        totals["accepted"] = {total.currency: (total.rows, total.amount_minor) for total in staged.totals}
        if good:
            drafts.append(DraftPart("records", staged.path, good, batch))
    else:
        outputs = {name: directory / f"{name}.parquet" for name in ("records", "contested")}
        results = engine.run(classify_plan(), {"staged": [staged.path], "prior": prior}, outputs)
        for outcome, currency, rows, amount in results.measured["outcomes"]:
            sums = totals.setdefault(str(outcome), {})
            sums[str(currency or "")] = (int(str(rows)), int(Decimal(str(amount))))
        duplicates = {int(str(of)): int(str(rows)) for of, rows in results.measured["duplicates"]}
        undated = int(str(results.measured["undated"][0][0]))
        first, second = (int(Decimal(str(value))) for value in results.measured["digests"][0])
        digests = (first, second)
        drafts += [DraftPart(name, outputs[name], rows, batch) for name, rows in results.written.items() if rows]
    quarantine: tuple[Path, ...] = ()
    if staged.quarantined:
        path, rows = write_quarantine(engine, staged, batch, directory)
        drafts.append(DraftPart("quarantine", path, rows, batch))
        quarantine = (path,)
        totals["quarantined"] = _quarantined_totals(staged)
    counts = {outcome: sum(rows for rows, _ in totals.get(outcome, {}).values()) for outcome in OUTCOMES}
    return Classified(
        drafts=tuple(drafts),
        counts={"read": staged.read, **counts},
        totals=totals,
        duplicates_of=duplicates,
        digests=digests,
        quarantine_paths=quarantine,
        read_totals=_read_totals(staged),
        undated=undated,
    )


def _overlaps(engine: DuckEngine, staged: Staged, prior: Sequence[Path]) -> bool:
    if not prior:
        return False
    measured = engine.run(overlap_plan(), {"staged": [staged.path], "prior": prior}, {}).measured
    return int(str(measured["overlap"][0][0])) > 0


def _quarantined_totals(staged: Staged) -> dict[str, tuple[int, int]]:
    totals = {total.currency: (total.rows, total.amount_minor) for total in staged.faulty_totals}
    rows, amount = totals.get("", (0, 0))
    if staged.rejections:
        totals[""] = (rows + len(staged.rejections), amount)
    return totals


def _read_totals(staged: Staged) -> dict[str, tuple[int, int]]:
    """What was read, by currency: measured on the staged file, apart from the outcomes that must add up to it."""
    totals: dict[str, tuple[int, int]] = {"": (len(staged.rejections), 0)} if staged.rejections else {}
    for total in (*staged.totals, *staged.faulty_totals):
        rows, amount = totals.get(total.currency, (0, 0))
        totals[total.currency] = (rows + total.rows, amount + total.amount_minor)
    return totals


def prior_paths(unit: Unit, connection: Connection, source: str, *, without: Collection[int] = ()) -> list[Path]:
    """The record parts that a source's accepted batches consist of, some batches left out."""
    accepted = select(batches.c.batch).where(
        batches.c.workspace == unit.workspace,
        batches.c.source == source,
        batches.c.state == "accepted",
        batches.c.batch.not_in(sorted(without)),
    )
    where = (parts.c.dataset == "records", parts.c.state == "visible", parts.c.batch.in_(accepted))
    return part_paths(connection, unit.workspace, unit.parts_directory, unit.cache_directory, *where)


def keep_options(change: Change, options: ReadingOptions) -> None:
    """Keep how a batch was read, by digest."""
    known = select(configurations.c.digest).where(
        configurations.c.workspace == change.workspace, configurations.c.digest == options.digest
    )
    if change.connection.scalar(known) is None:
        values = {"workspace": change.workspace, "digest": options.digest, "text": options.as_json()}
        values |= {"recorded_at": change.at, "actor": change.actor.name}
        change.connection.execute(insert(configurations), values)


def write_batch(change: Change, header: Mapping[str, object], staged: Staged, classified: Classified) -> None:
    """The rows that record a batch: counts, totals, whose rows it repeats, and its statements."""
    workspace, batch = change.workspace, header["batch"]
    values = {
        **header,
        **classified.counts,
        "workspace": workspace,
        "received_at": change.at,
        "actor": change.actor.name,
        "digest_a": str(classified.digests[0]),
        "digest_b": str(classified.digests[1]),
        "inferred": json.dumps(dict(staged.inferred), sort_keys=True),
    }
    change.connection.execute(insert(batches), values)
    write_counts(change, str(header["source"]), int(str(batch)), staged, classified)


def write_counts(change: Change, source: str, batch: int, staged: Staged, classified: Classified) -> None:
    """Totals, repeated batches and statements of one reading of a batch."""
    key = {"workspace": change.workspace, "batch": batch}
    totals = [
        {**key, "outcome": outcome, "currency": currency, "rows": rows, "amount": str(amount)}
        for outcome, sums in ({"read": classified.read_totals} | classified.totals).items()
        for currency, (rows, amount) in sums.items()
    ]
    if totals:
        change.connection.execute(insert(batch_totals), totals)
    repeated = [{**key, "of_batch": of, "rows": rows} for of, rows in classified.duplicates_of.items()]
    if repeated:
        change.connection.execute(insert(batch_duplicates), repeated)
    rows = [
        {**key, "source": source, "ordinal": ordinal, **_statement_values(statement)}
        for ordinal, statement in enumerate(staged.statements)
        if statement.currency in EXPONENTS
    ]
    if rows:
        change.connection.execute(insert(statements), rows)


def _statement_values(statement: Statement) -> dict[str, object]:
    """A statement's row: amounts in minor units of its currency."""

    def minor(text: str | None) -> int | None:
        return None if text is None else total_minor(text, statement.currency)

    gap = None if statement.gap is None else minor(f"{statement.gap:f}")
    return {
        "statement_id": statement.statement_id,
        "account": statement.account,
        "currency": statement.currency,
        "sequence": statement.sequence,
        "from_date": statement.from_date,
        "to_date": statement.to_date,
        "opening_minor": minor(statement.opening),
        "closing_minor": minor(statement.closing),
        "sum_minor": minor(statement.sum) or 0,
        "lines": statement.lines,
        "gap_minor": gap,
    }


def totals_text(totals: Mapping[str, Mapping[str, tuple[int, int]]]) -> dict[str, dict[str, dict[str, object]]]:
    """Totals for people and JSON: rows, and the amount as decimal text in major units."""
    return {
        outcome: {
            currency: {"rows": rows, "amount": decimal_text(amount, currency) if currency in EXPONENTS else None}
            for currency, (rows, amount) in sorted(sums.items())
        }
        for outcome, sums in sorted(totals.items())
    }
