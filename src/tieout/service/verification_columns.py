"""Checks of the columns: parts and raw files, record versions, matches, allocations, open items, replays.

Each is one function `(evidence, subject) -> breaches`; `verification` lists them. What is asked of the engine stands
in core/verifying as plans.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

from sqlalchemy import select

from tieout.adapters.raw import raw_path, sha256_of
from tieout.adapters.store.tables import batch_totals, batches, findings, parts, runs
from tieout.core.config.parsing import rules_digest
from tieout.core.findings import fingerprint
from tieout.core.verifying import (
    SHOWN_ROWS,
    allocation_plan,
    closings_query,
    conservation_plan,
    figures_plan,
    identity_plan,
    is_exact,
    liveness_plan,
    record_plan,
    rows_query,
    schema_query,
    state_text,
    weighed_plan,
)
from tieout.core.versions import state_plan
from tieout.model.audit import Breach
from tieout.model.finding import Kind, State
from tieout.model.money import MAX_MINOR
from tieout.model.plan import Row
from tieout.service.datasets import batch_refs, paths_of, record_parts
from tieout.service.evidence import Evidence, Found, firm_parts
from tieout.service.run_records import load_manifest, load_proof, load_rules, recompute

_KEPT = ("accepted", "superseding", "stale")
_ACCEPTED = "accepted"


def _whole(value: object) -> int:
    """A count or a sum as the engine hands it over, as an integer."""
    return int(Decimal(str(value)))


def _more(rows: Sequence[Row], invariant: int, subject: str) -> Found:
    """Says how many rows a bounded measure left out."""
    total = _whole(rows[0][-1]) if rows else 0
    if total > SHOWN_ROWS:
        yield Breach(invariant, subject, f"{total - SHOWN_ROWS} more rows like these")


def _needed_parts(evidence: Evidence) -> set[str]:
    """Parts that must be whole: the visible ones, and whatever a closed run stands on."""
    mine = parts.c.workspace == evidence.workspace
    needed = set(evidence.connection.scalars(select(parts.c.part).where(mine, parts.c.state == "visible")))
    closed = select(runs.c.manifest).where(runs.c.workspace == evidence.workspace, runs.c.state == "closed")
    for text in evidence.connection.scalars(closed):
        needed |= {part for wanted in json.loads(text)["parts"].values() for part in wanted}
    return needed


def part_files(evidence: Evidence, subject: str) -> Found:
    """Every part that is visible, or that a closed run stands on, has the bytes and rows it was published with."""
    needed = _needed_parts(evidence)
    columns = (parts.c.part, parts.c.path, parts.c.sha256, parts.c.bytes, parts.c.rows)
    sound: dict[str, tuple[str, int]] = {}
    for row in evidence.rows(select(*columns).where(parts.c.workspace == evidence.workspace).order_by(parts.c.part)):
        if row.part not in needed:
            continue
        wrong = _wrong_bytes(evidence, row.part, row.path, row.sha256, row.bytes)
        if wrong is not None:
            yield Breach(8, f"part/{row.part}", wrong)
        elif row.path is not None:
            sound[str(evidence.unit.parts_directory / row.path)] = (row.part, row.rows)
        else:
            sound[str(evidence.files(parts.c.part == row.part)[0])] = (row.part, row.rows)
    if not sound:
        return
    held = {str(name): _whole(rows) for name, rows in evidence.engine.fetch(rows_query(sorted(sound)))}
    for file, (part, rows) in sorted(sound.items()):
        if held.get(file) != rows:
            yield Breach(8, f"part/{part}", f"it holds {held.get(file)} rows, the catalogue says {rows}")


def _wrong_bytes(evidence: Evidence, part: str, path: str | None, sha256: str, size: int) -> str | None:
    """What is wrong with one part's bytes, file or segment; None when nothing is."""
    if path is None:
        where = (parts.c.workspace == evidence.workspace, parts.c.part == part)
        content = evidence.connection.scalar(select(parts.c.segment).where(*where)) or b""
        if (len(content), hashlib.sha256(content).hexdigest()) == (size, sha256):
            return None
        return "its segment does not have the bytes it was published with"
    file = evidence.unit.parts_directory / path
    if not file.is_file():
        return "its file is missing"
    if file.stat().st_size != size or sha256_of(file) != sha256:
        return "its file does not have the bytes it was published with"
    return None


def raw_files(evidence: Evidence, subject: str) -> Found:
    """Every file that was taken in still lies there byte for byte."""
    query = select(batches.c.raw_sha256, batches.c.batch, batches.c.file_name).where(
        batches.c.workspace == evidence.workspace, batches.c.state != "refused"
    )
    of_digest: dict[str, list[str]] = defaultdict(list)
    for row in evidence.rows(query.order_by(batches.c.batch)):
        of_digest[row.raw_sha256].append(f"batch/{row.batch}")
    for digest, names in of_digest.items():
        path = raw_path(evidence.unit.raw_directory, digest)
        if not path.is_file():
            wrong = "is missing"
        elif sha256_of(path) != digest:
            wrong = "does not have the bytes that arrived"
        else:
            continue
        for name in names:
            yield Breach(8, name, f"its raw file {digest[:12]} {wrong}")


def record_sums(evidence: Evidence, subject: str) -> Found:
    """Per batch and currency: record parts hold the rows, amounts and digests that the batch accepted."""
    files = evidence.files(parts.c.dataset == "records", parts.c.state == "visible")
    measured = evidence.engine.run(record_plan(), {"records": files}, {}).measured
    found = {
        (_whole(batch), str(unit)): (_whole(rows), _whole(total)) for batch, unit, rows, total in measured["totals"]
    }
    digests = {_whole(batch): (str(_whole(first)), str(_whole(second))) for batch, first, second in measured["digests"]}
    told: dict[tuple[int, str], tuple[int, int]] = {}
    query = (
        select(batch_totals)
        .join(batches, (batches.c.workspace == batch_totals.c.workspace) & (batches.c.batch == batch_totals.c.batch))
        .where(batch_totals.c.workspace == evidence.workspace, batches.c.state == _ACCEPTED)
        .where(batch_totals.c.outcome.in_(_KEPT))
    )
    for row in evidence.rows(query):
        rows, amount = told.get((row.batch, row.currency), (0, 0))
        told[row.batch, row.currency] = (rows + row.rows, amount + int(row.amount))
    for batch, currency in sorted({*found, *told}):
        held, wanted = found.get((batch, currency), (0, 0)), told.get((batch, currency), (0, 0))
        if held != wanted:
            shown = f"its parts hold {held[0]} rows, {held[1]} minor units in {currency or 'no currency'}"
            yield Breach(1, f"batch/{batch}", f"{shown}; it accepted {wanted[0]} rows, {wanted[1]}")
    for row in evidence.rows(
        select(batches).where(batches.c.workspace == evidence.workspace).order_by(batches.c.batch)
    ):
        if row.state == _ACCEPTED and digests.get(row.batch, ("0", "0")) != (row.digest_a, row.digest_b):
            yield Breach(1, f"batch/{row.batch}", "its parts do not hold the records that it accepted")


def amounts_in_range(evidence: Evidence, subject: str) -> Found:
    """No amount, fee or net of a record exceeds 10^15 minor units."""
    files = evidence.files(parts.c.dataset == "records", parts.c.state == "visible")
    large = evidence.engine.run(record_plan(), {"records": files}, {}).measured["large"]
    for batch, line, kind, native_id, _ in large:
        message = f"line {line}: {kind} {native_id} carries more than {MAX_MINOR} minor units"
        yield Breach(16, f"batch/{batch}", message)
    yield from _more(large, 16, "records")


def exact_columns(evidence: Evidence, subject: str) -> Found:
    """No column of any visible part is floating, and minor units are 64-bit integers."""
    of_file: dict[str, str] = {}
    query = select(parts.c.part).where(parts.c.workspace == evidence.workspace, parts.c.state == "visible")
    for part in sorted(evidence.connection.scalars(query)):
        of_file[str(evidence.files(parts.c.part == part)[0])] = part
    if not of_file:
        return
    for file, column, kind in evidence.engine.fetch(schema_query(sorted(of_file))):
        if not is_exact(str(column), str(kind)):
            yield Breach(16, f"part/{of_file[str(file)]}", f"column {column} is {kind}: money must be exact")


def versions(evidence: Evidence, subject: str) -> Found:
    """One source: an identity and occurrence has one current version, and no content is kept twice."""
    measured = evidence.engine.run(identity_plan(), _records_of(evidence, subject), {}).measured
    for name, what in (("current", "several current versions"), ("twice", "one version kept more than once")):
        for kind, native_id, occurrence, _ in measured[name]:
            yield Breach(7, f"{subject}/{kind}/{native_id}/{occurrence}", what)
        yield from _more(measured[name], 7, subject)


def state_of(evidence: Evidence, source: str) -> str:
    """The state of one source as text: equal states, equal text, however the deliveries were cut."""
    return state_text(evidence.engine.run(state_plan(), _records_of(evidence, source), {}).measured["state"][0])


def _records_of(evidence: Evidence, source: str) -> dict[str, list[Path]]:
    """The inputs `records` and `contested` of one source's accepted batches."""
    accepted = [ref.batch for ref in batch_refs(evidence.connection, evidence.workspace, [source])]
    names = {
        dataset: record_parts(
            evidence.connection, evidence.workspace, source, accepted, dataset=dataset, withdrawn=dataset == "contested"
        )
        for dataset in ("records", "contested")
    }
    return paths_of(evidence.unit, evidence.connection, names)


def _worked(evidence: Evidence, reconciliation: str, *datasets: str) -> dict[str, list[Path]]:
    return {dataset: evidence.run_files(reconciliation, dataset) for dataset in datasets}


def match_sums(evidence: Evidence, subject: str) -> Found:
    """In every match and currency the sides' allocations are equal, a typed residual counted in."""
    inputs = _worked(evidence, subject, "pairs", "allocations")
    measured = evidence.engine.run(conservation_plan(), inputs, {}).measured
    for run, match, currency, left, right, fee, _ in measured["unequal_pairs"]:
        name = f"match/{_whole(match):016x} of run/{run}"
        yield Breach(2, name, f"{left} is not {right} + {fee} in minor units of {currency}")
    for run, match, currency, sides, least, greatest, _ in measured["unequal_allocations"]:
        name = f"match/{_whole(match):016x} of run/{run}"
        yield Breach(2, name, f"{sides} sides add up to {least} … {greatest} minor units of {currency}")
    for rows in measured.values():
        yield from _more(rows, 2, subject)


def proof_figures(evidence: Evidence, subject: str) -> Found:
    """Per closed run: what its proof says it matched and left open is what the parts hold."""
    closing = select(parts.c.run).where(parts.c.workspace == evidence.workspace, *firm_parts(subject, "closed_items"))
    closing_runs = list(evidence.connection.scalars(closing.order_by(parts.c.recorded_at, parts.c.part)))
    files = [str(path) for path in evidence.run_files(subject, "closed_items")]
    inputs = _worked(evidence, subject, "open_items", "pairs", "allocations")
    queries = {"closings": closings_query(files, [run or 0 for run in closing_runs])}
    measured = evidence.engine.run(figures_plan(), inputs, {}, queries).measured["figures"]
    figures = {
        (_whole(run), str(side), str(unit), str(name)): (_whole(total), _whole(rows))
        for run, side, unit, name, rows, total in measured
    }
    lines = {(side, unit) for _, side, unit, _ in figures}
    standing: dict[tuple[int | None, str, str], tuple[int, int]] = {}
    for run in evidence.closed_runs(subject):
        proof = load_proof(evidence.connection, evidence.workspace, run.run)
        for side, unit in sorted({*lines, *proof}):
            opened, closed, matched = (figures.get((run.run, side, unit, name), (0, 0))
                                       for name in ("opened", "closed", "matched"))  # fmt: skip
            before = standing.get((run.opening_run, side, unit), (0, 0))
            left = (before[0] + opened[0] - closed[0], before[1] + opened[1] - closed[1])
            standing[run.run, side, unit] = left
            line = proof.get((side, unit))
            told = (line.closing_minor, line.closing_count) if line else (0, 0)
            used = (line.matched_minor, line.matched_count) if line else (0, 0)
            name = f"run/{run.run} {side} {unit}"
            if told != left:
                yield Breach(2, name, f"its proof closes with {_shown(told)}, its open items are {_shown(left)}")
            if used != matched:
                yield Breach(2, name, f"its proof matches {_shown(used)}, its matches use {_shown(matched)}")


def _shown(figure: tuple[int, int]) -> str:
    return f"{figure[0]} minor units in {figure[1]} records"


_UNFIT = {
    "unknown": "it is matched or open, but no current record of the side",
    "over": "more of it is allocated than it amounts to, or with the other sign",
    "twice": "it is fully used and sits in a second active match",
    "uneven": "allocated and open do not add up to its amount",
}


def allocations_fit(evidence: Evidence, subject: str) -> Found:
    """Per record: 0 <= |active allocations| <= |amount|, what is left is open, and nothing is fully used twice."""
    of_rules = {}
    for run in evidence.closed_runs(subject):
        rules = load_rules(evidence.connection, evidence.workspace, run.run)
        of_rules[rules_digest(rules)] = (run.run, rules)
    weighed = []
    for number, (run, rules) in enumerate(of_rules.values()):
        _, names = load_manifest(evidence.connection, evidence.workspace, run)
        plan = weighed_plan(rules)
        inputs = paths_of(evidence.unit, evidence.connection, {name: names.get(name, []) for name in plan.inputs})
        path = evidence.scratch / f"weighed_{number}.parquet"
        evidence.engine.run(plan, inputs, {"weighed": path})
        weighed.append(path)
    inputs = _worked(evidence, subject, "pairs", "allocations", "revoked", "open_items", "closed_items")
    measured = evidence.engine.run(
        allocation_plan(complete=len(weighed) == 1), {**inputs, "weighed": weighed}, {}
    ).measured
    for side, source, kind, native_id, used, still, amount, shares, what, _ in measured["unfit"]:
        figures = f"{used} allocated in {shares} shares, {still} open, of {amount} minor units"
        yield Breach(3, f"{subject}/{side}/{source}/{kind}/{native_id}", f"{_UNFIT[str(what)]}: {figures}")
    for side, source, kind, native_id, amount, _ in measured.get("lost", []):
        message = f"its {amount} minor units are neither matched nor open"
        yield Breach(2, f"{subject}/{side}/{source}/{kind}/{native_id}", message)
    for rows in measured.values():
        yield from _more(rows, 3, subject)


def replays_agree(evidence: Evidence, subject: str) -> Found:
    """The latest closed runs give the same result hash when they are computed again."""
    latest = evidence.closed_runs(subject)[-evidence.replay_runs :] if evidence.replay_runs > 0 else []
    for run in latest:
        again = recompute(evidence.unit, evidence.connection, evidence.configuration, run.run)
        if again.recomputed_hash != again.stored_hash:
            message = f"it closed with result {again.stored_hash[:12]}, computed again it gives"
            yield Breach(6, f"run/{run.run}", f"{message} {again.recomputed_hash[:12]}")


def open_items_are_found(evidence: Evidence, subject: str) -> Found:
    """Every open item that is due has its one finding, its own or a group's; overdue ones do not wait in grace."""
    visible = (parts.c.reconciliation == subject, parts.c.state == "visible")
    inputs = {
        dataset: evidence.files(parts.c.dataset == dataset, *visible) for dataset in ("open_items", "closed_items")
    }
    today = evidence.unit.now().date()
    plan = replace(liveness_plan(), parameters={"today": today})
    measured = evidence.engine.run(plan, inputs, {}).measured
    accepted = set(evidence.connection.scalars(
        select(batches.c.batch).where(batches.c.workspace == evidence.workspace, batches.c.state == _ACCEPTED)
    ))  # fmt: skip
    columns = (findings.c.fingerprint, findings.c.finding, findings.c.kind, findings.c.state, findings.c.members)
    query = select(*columns).where(
        findings.c.workspace == evidence.workspace, findings.c.reconciliation == subject,
        findings.c.state != State.RESOLVED,
    )  # fmt: skip
    live = {row.fingerprint: row for row in evidence.rows(query)}
    closed = evidence.closed_runs(subject)
    as_of = closed[-1].as_of if closed else ""
    for code, side, source, kind, native_id, occurrence, batch, due in measured["singles"]:
        if _whole(batch) not in accepted:
            continue
        name = f"{subject}/{side}/{source}/{kind}/{native_id}/{occurrence}"
        finding = live.get(fingerprint(subject, str(code), side, source, kind, native_id, occurrence))
        if finding is None or finding.kind != Kind.SINGLE:
            yield Breach(17, name, f"it is open as {code}, due {due or 'at once'}, and no live finding stands for it")
        elif finding.state == State.PENDING and isinstance(due, date) and due.isoformat() <= as_of:
            yield Breach(17, name, f"finding/{finding.finding} still waits in grace, which passed on {due}")
    yield from _groups(subject, measured["crowds"], live)


def _groups(subject: str, crowds: Iterable[Row], live: Mapping[str, object]) -> Found:
    for code, side, rows in crowds:
        finding = live.get(fingerprint(subject, str(code), "group", side))
        members = getattr(finding, "members", None)
        if members != _whole(rows):
            said = "no live group finding stands" if finding is None else f"its group finding counts {members}"
            yield Breach(17, f"{subject}/{side}/{code}", f"{rows} open items are grouped, but {said} for them")
