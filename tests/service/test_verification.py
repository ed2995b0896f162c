"""`verify` on damaged workspaces: every check speaks up on one that was damaged for it, and nothing raises.

Healthy workspaces of many kinds: test_verification_worlds.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from sqlalchemy import select

from tieout.adapters.store.tables import batches, parts, runs
from tieout.core.config.parsing import parse_configuration
from tieout.model.audit import Actor, Breach
from tieout.model.configuration import Configuration
from tieout.service import verification
from tieout.service.intake import ingest
from tieout.service.runs import run_reconciliation
from tieout.service.unit import Unit
from tieout.service.verification import CHECKS, verify
from tieout.service.workspace import initialise, open_workspace

ME = Actor("ada", "cli")
START = datetime(2026, 10, 1, 9, 0, tzinfo=UTC)
DOCUMENT = Path(__file__).parents[2] / "docs" / "verify.md"

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
    ("b3", 0, "2026-09-03", "30", "JPY", ""),
    ("b4", 0, "2026-09-04", "40.00", "EUR", ""),
    ("b5", 0, "2026-09-05", "not money", "EUR", ""),
    ("b6", 0, "2026-09-30", "60.00", "EUR", ""),
)
PAYMENTS = (
    ("p1", 0, "2026-09-01", "10.00", "", "EUR", "b1", ""),
    ("p2a", 0, "2026-09-02", "12.00", "", "EUR", "b2", ""),
    ("p2b", 0, "2026-09-03", "8.00", "", "EUR", "b2", ""),
    ("p3", 0, "2026-09-04", "29", "1", "JPY", "b3", ""),
    ("p4", 0, "2026-09-05", "39.00", "", "EUR", "b4", ""),
    *((f"x{number}", 0, "2026-09-06", f"{number}.00", "", "EUR", "", "") for number in range(1, 6)),
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


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two closed runs: pairs, a fee, a group, partial amounts, a group finding, a quarantined row, an amendment."""
    world = World(tmp_path_factory.mktemp("healthy"))
    initialise(world.directory, "acme", lambda: world.now)
    unit = world.open()
    world.take_in(unit, "billing", INVOICES)
    world.take_in(unit, "psp", PAYMENTS)
    run_reconciliation(unit, configuration(), "paid", ME)
    world.now += timedelta(days=1)
    world.take_in(unit, "billing", LATER)
    run_reconciliation(unit, configuration(), "paid", ME)
    unit.close()
    return world


@pytest.fixture
def world(healthy: World, tmp_path: Path) -> World:
    """A copy of the healthy workspace, to be damaged."""
    shutil.copytree(healthy.directory, tmp_path / "copy")
    return World(tmp_path / "copy", healthy.now)


def breaches_of(world: World, replay_runs: int = 0) -> tuple[Breach, ...]:
    unit = world.open()
    try:
        return verify(unit, configuration(), replay_runs=replay_runs).breaches
    finally:
        unit.close()


def execute(world: World, *statements: str | tuple[str, tuple[object, ...]]) -> None:
    """What an intruder with the database file in hand does: no trigger, no reference and no CHECK in the way."""
    unit = world.open()
    connection = unit.engine.raw_connection()
    try:
        raw = connection.driver_connection
        assert raw is not None
        for pragma in ("foreign_keys=OFF", "ignore_check_constraints=ON", "query_only=OFF"):
            raw.execute(f"PRAGMA {pragma}")
        for (trigger,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            raw.execute(f'DROP TRIGGER "{trigger}"')
        for statement in statements:
            text, values = (statement, ()) if isinstance(statement, str) else statement
            assert raw.execute(text, values).rowcount != 0, text
        raw.commit()
    finally:
        connection.invalidate()
        connection.close()
        unit.close()


def part_of(world: World, dataset: str, run: int | None = None, batch: int | None = None) -> tuple[str, bytes]:
    """The first visible part of a dataset: its name and bytes."""
    unit = world.open()
    query = select(parts.c.part, parts.c.segment).where(parts.c.dataset == dataset, parts.c.state == "visible")
    for column, value in ((parts.c.run, run), (parts.c.batch, batch)):
        query = query if value is None else query.where(column == value)
    with unit.read() as connection:
        part, segment = connection.execute(query.order_by(parts.c.recorded_at, parts.c.part).limit(1)).one()
    unit.close()
    return part, segment


def rewrite(world: World, dataset: str, query: str, run: int | None = None, batch: int | None = None) -> None:
    """Write a part anew as a query over `part` says, and make the catalogue agree: a thorough intruder."""
    part, segment = part_of(world, dataset, run, batch)
    before, after = world.directory / "before.parquet", world.directory / "after.parquet"
    before.write_bytes(segment)
    with duckdb.connect() as connection:
        connection.execute(f"CREATE VIEW part AS SELECT * FROM read_parquet('{before}')")
        (rows,) = connection.execute(f"COPY ({query}) TO '{after}' (FORMAT parquet)").fetchall()[0]
    content = after.read_bytes()
    values = (content, hashlib.sha256(content).hexdigest(), len(content), rows, part)
    execute(world, ("UPDATE parts SET segment = ?, sha256 = ?, bytes = ?, rows = ? WHERE part = ?", values))


def spill(world: World, dataset: str) -> Path:
    """Turn a segment into a file of its own, as parts of a megabyte are."""
    part, segment = part_of(world, dataset)
    path = world.directory / "parts" / "acme" / part
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(segment)
    execute(world, ("UPDATE parts SET segment = NULL, path = part WHERE part = ?", (part,)))
    return path


def raw_file(world: World) -> Path:
    unit = world.open()
    with unit.read() as connection:
        digest = connection.scalar(select(batches.c.raw_sha256).where(batches.c.batch == 1))
    unit.close()
    return world.directory / "raw" / "acme" / str(digest)[:2] / str(digest)


def overwrite_raw(world: World) -> None:
    raw_file(world).write_bytes(b"other bytes")


def forge_manifest(world: World, change: Callable[[dict[str, dict[str, object]]], None]) -> None:
    """Change what run 2 kept of itself."""
    unit = world.open()
    with unit.read() as connection:
        kept = json.loads(str(connection.scalar(select(runs.c.manifest).where(runs.c.run == 2))))
    unit.close()
    change(kept)
    execute(world, ("UPDATE runs SET manifest = ? WHERE run = 2", (json.dumps(kept),)))


def sql(*statements: str) -> Callable[[World], None]:
    return lambda world: execute(world, *statements)


def part(dataset: str, query: str, run: int | None = None, batch: int | None = None) -> Callable[[World], None]:
    return lambda world: rewrite(world, dataset, query, run, batch)


def flip_a_bit(world: World) -> None:
    path = spill(world, "records")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def link_out(world: World) -> None:
    path = spill(world, "pairs")
    outside = world.directory / "elsewhere.parquet"
    shutil.move(path, outside)
    path.symlink_to(outside)


def lead_out(world: World) -> None:
    spill(world, "pairs")
    execute(world, "UPDATE parts SET path = '../acme/' || path WHERE path IS NOT NULL")


HISTORY = "UPDATE finding_history SET {} WHERE finding = 2 AND ordinal = 1"
DAMAGES: Mapping[str, tuple[Callable[[World], None], str, int, str, str]] = {
    # name: (damage, name of the check's function, invariant, subject, part of the message)
    "count": (sql("UPDATE batches SET read = 99 WHERE batch = 1"), "batch_counts", 1, "batch/1", "99 rows were read"),
    "total": (
        sql("UPDATE batch_totals SET amount = '1' WHERE batch = 1 AND outcome = 'accepted' AND currency = 'EUR'"),
        "batch_sums", 1, "batch/1", "in EUR 5 rows, 13000 minor units were read; the outcomes add up to 5 rows, 1",
    ),
    "total rows": (
        sql("DELETE FROM batch_totals WHERE batch = 3 AND outcome = 'superseding'"),
        "batch_sums", 1, "batch/3", "1 rows superseding, but its totals hold 0",
    ),
    "hidden part": (
        sql("UPDATE parts SET state = 'withdrawn' WHERE dataset = 'records' AND batch = 2"),
        "batch_parts", 1, "batch/2", "its visible records parts hold 0 rows, it should have 10",
    ),
    "hidden quarantine": (
        sql("UPDATE parts SET state = 'withdrawn' WHERE dataset = 'quarantine'"),
        "batch_parts", 1, "batch/1", "its visible quarantine parts hold 0 rows, it should have 1",
    ),
    "record amount": (
        part("records", "SELECT * REPLACE (amount_minor + 1 AS amount_minor) FROM part", batch=2),
        "record_sums", 1, "batch/2", "its parts hold 9 rows",
    ),
    "record content": (
        part("records", "SELECT * REPLACE (digest_a + 1 AS digest_a) FROM part", batch=2),
        "record_sums", 1, "batch/2", "its parts do not hold the records that it accepted",
    ),
    "pair": (
        part("pairs", "SELECT * REPLACE (left_minor + 1 AS left_minor) FROM part WHERE currency = 'JPY'"),
        "match_sums", 2, "match/", "31 is not 29 + 1 in minor units of JPY",
    ),
    "group": (
        part("allocations", "SELECT * FROM part WHERE native_id IS DISTINCT FROM 'p2b'"),
        "match_sums", 2, "match/", "2 sides add up to 1200 … 2000 minor units of EUR",
    ),
    "one-sided match": (
        part("allocations", "SELECT * FROM part WHERE side = 'payments'"),
        "match_sums", 2, "match/", "1 sides add up to",
    ),
    "proof": (
        sql("UPDATE proofs SET unexplained = '5' WHERE run = 2 AND side = 'invoices' AND currency = 'EUR'"),
        "proof_lines_hold", 2, "run/2 invoices EUR", "unexplained: stored 5, computed 0",
    ),
    "proof figure": (
        sql("UPDATE proofs SET new = '1' WHERE run = 2 AND side = 'invoices' AND currency = 'EUR'"),
        "proof_lines_hold", 2, "run/2 invoices EUR", "unexplained: stored 0, computed -6999",
    ),
    "proof chain": (
        sql("UPDATE proofs SET opening = opening + 1, closing = closing + 1 WHERE run = 2 AND side = 'payments'"),
        "proof_lines_hold", 2, "run/2 payments EUR", "before closed with",
    ),
    "proof line": (
        sql("DELETE FROM proofs WHERE run = 2 AND currency = 'JPY' AND side = 'invoices'"),
        "proof_lines_hold", 2, "run/2 invoices JPY", "this one has none",
    ),
    "run counts": (
        sql("UPDATE runs SET open_items = 77 WHERE run = 1"), "run_counts", 2, "run/1", "77 open records",
    ),
    "open item": (
        part("open_items", "SELECT * REPLACE (open_minor + 1 AS open_minor) FROM part", run=1),
        "proof_figures", 2, "run/1 invoices EUR", "its open items are",
    ),
    "lost match": (
        part("pairs", "SELECT * FROM part WHERE left_native_id <> 'b1'"),
        "proof_figures", 2, "run/1 invoices EUR", "its matches use",
    ),
    "doubled part": (
        sql(
            "INSERT INTO parts (workspace, part, dataset, reconciliation, run, rows, bytes, sha256, state,"
            " recorded_at, segment) SELECT workspace, part || '-again', dataset, reconciliation, run, rows, bytes,"
            " sha256, state, recorded_at, segment FROM parts WHERE dataset = 'allocations' AND run = 1"
        ),
        "allocations_fit", 3, "paid/invoices/billing/invoice/b2", "more of it is allocated than it amounts to",
    ),
    "wrong sign": (
        part("allocations", "SELECT * REPLACE (-allocated_minor AS allocated_minor) FROM part", run=1),
        "allocations_fit", 3, "paid/payments/psp/payment/p2a", "with the other sign: -1200 allocated",
    ),
    "second match": (
        part("allocations", "SELECT * FROM part UNION ALL SELECT * REPLACE (match_id + 1 AS match_id, "
             "0 AS allocated_minor) FROM part WHERE native_id = 'p2a'", run=1),
        "allocations_fit", 3, "paid/payments/psp/payment/p2a", "sits in a second active match: 1200 allocated in 2",
    ),
    "unknown record": (
        part("allocations", "SELECT * REPLACE (id_hash + 1 AS id_hash) FROM part", run=1),
        "allocations_fit", 3, "paid/payments/psp/payment/p2a", "no current record of the side",
    ),
    "uneven record": (
        part("open_items", "SELECT * REPLACE (open_minor - 1 AS open_minor) FROM part", run=1),
        "allocations_fit", 3, "paid/invoices/billing/invoice/b4", "do not add up to its amount",
    ),
    "lost record": (
        part("open_items", "SELECT * FROM part WHERE native_id <> 'b6'", run=1),
        "allocations_fit", 2, "paid/invoices/billing/invoice/b6", "neither matched nor open",
    ),
    "result": (
        sql("UPDATE runs SET result_hash = 'f' WHERE run = 2"),
        "replays_agree", 6, "run/2", "it closed with result f, computed again it gives",
    ),
    "contested": (
        sql("UPDATE parts SET state = 'withdrawn', batch = 1 WHERE dataset = 'contested'", "DELETE FROM parts "
            "WHERE dataset = 'contested'"),
        "versions", 7, "billing/invoice/b1/0", "several current versions",
    ),
    "version twice": (
        part("records", "SELECT * FROM part UNION ALL SELECT * FROM part WHERE native_id = 'p1'", batch=2),
        "versions", 7, "psp/payment/p1/0", "one version kept more than once",
    ),
    "segment": (
        sql("UPDATE parts SET segment = CAST(segment || x'00' AS BLOB) WHERE dataset = 'pairs'"),
        "part_files", 8, "part/", "its segment does not have the bytes",
    ),
    "deleted file": (lambda world: spill(world, "pairs").unlink(), "part_files", 8, "part/", "its file is missing"),
    "edited file": (flip_a_bit, "part_files", 8, "part/", "its file does not have the bytes"),
    "part rows": (
        sql("UPDATE parts SET rows = rows + 1 WHERE dataset = 'pairs'"), "part_files", 8, "part/", "the catalogue says",
    ),
    "deleted raw": (lambda world: raw_file(world).unlink(), "raw_files", 8, "batch/1", "is missing"),
    "edited raw": (overwrite_raw, "raw_files", 8, "batch/1", "does not have the bytes that arrived"),
    "manifest": (
        lambda world: forge_manifest(world, lambda kept: kept["manifest"].update(key_map_version=9)),
        "manifests_hold", 10, "run/2", "does not have the digest it was closed with",
    ),
    "rules": (
        lambda world: forge_manifest(world, lambda kept: kept["rules"].update(grace_days=9)),
        "manifests_hold", 10, "run/2", "the stored rules are not those that its manifest names",
    ),
    "manifest digest": (
        sql("UPDATE runs SET manifest_digest = 'f' WHERE run = 1"),
        "manifests_hold", 10, "run/1", "not those that the audit kept when it closed",
    ),
    "input part": (
        sql("DELETE FROM parts WHERE dataset = 'open_items' AND run = 1"),
        "manifests_hold", 10, "run/2", "which it read, is not in the catalogue",
    ),
    "head": (sql("UPDATE heads SET run = 1"), "manifests_hold", 10, "head/paid", "the last closed run is 2"),
    "audit row": (sql("UPDATE audit SET actor = 'eve' WHERE seq = 3"), "audit_chain", 11, "audit/3", "edited"),
    "audit gap": (sql("DELETE FROM audit WHERE seq = 3"), "audit_chain", 11, "audit/3", "gap"),
    "audit gone": (sql("DELETE FROM audit", "DELETE FROM seals"), "audit_chain", 11, "audit/1", "missing"),
    "finding state": (
        sql("UPDATE findings SET state = 'ignored' WHERE finding = 2"),
        "finding_states", 12, "finding/2", "it is ignored, but its history ends in",
    ),
    "no history": (
        sql("DELETE FROM finding_history WHERE finding = 2"), "finding_states", 12, "finding/2", "it has no history",
    ),
    "no reason": (sql(HISTORY.format("reason = ''")), "finding_states", 12, "finding/2", "step 1 does not say who"),
    "birth": (
        sql(HISTORY.format("to_state = 'resolved'")), "finding_transitions_are_legal", 12, "finding/2", "step 1 goes",
    ),
    "transition": (
        sql(
            "INSERT INTO finding_history SELECT workspace, finding, 8, at, actor, authentication, action, to_state,"
            " 'pending', reason, run, rule_version, details FROM finding_history WHERE finding = 2 AND ordinal = 1",
            "UPDATE finding_history SET from_state = 'acknowledged' WHERE ordinal = 8",
        ),
        "finding_transitions_are_legal", 12, "finding/2", "step 8 goes from acknowledged to pending after",
    ),
    "allowed transitions": (
        sql("INSERT INTO finding_transitions VALUES ('acknowledged', 'pending')"),
        "finding_transitions_are_legal", 12, "finding_transitions", "not those of the program",
    ),
    "path": (
        lead_out, "part_places", 15, "part/", "leads out of the workspace's directory",
    ),
    "link": (link_out, "part_places", 15, "part/", "leads out of the workspace's directory"),
    "reference": (
        sql("UPDATE batch_totals SET batch = 99 WHERE batch = 3"), "references", 15, "batch_totals/99/", "batches",
    ),
    "foreign run": (
        sql("UPDATE proofs SET workspace = 'other'", "UPDATE runs SET opening_run = 7 WHERE run = 2"),
        "references", 15, "runs/2", "its workspace, opening_run refers to no row of runs here",
    ),
    "float": (
        part("open_items", "SELECT * REPLACE (open_minor::DOUBLE AS open_minor) FROM part", run=1),
        "exact_columns", 16, "part/", "column open_minor is DOUBLE",
    ),
    "narrow": (
        part("open_items", "SELECT * REPLACE (open_minor::INTEGER AS open_minor) FROM part", run=1),
        "exact_columns", 16, "part/", "column open_minor is INT32",
    ),
    "large": (
        part("records", "SELECT * REPLACE (10000000000000000 AS amount_minor) FROM part", batch=3),
        "amounts_in_range", 16, "batch/3", "line 2: invoice b1 carries more than",
    ),
    "fraction": (
        sql("UPDATE proofs SET closing = '1.5' WHERE run = 1 AND side = 'payments' AND currency = 'EUR'"),
        "proof_figures_are_whole", 16, "run/1", "closing of proofs is '1.5', not a whole number",
    ),
    "finding gone": (
        sql("UPDATE findings SET fingerprint = 'other' WHERE anchor_id = 'b4'"),
        "open_items_are_found", 17, "paid/invoices/billing/invoice/b4/0", "no live finding stands for it",
    ),
    "finding resolved": (
        sql("UPDATE findings SET state = 'resolved' WHERE anchor_id = 'b4'"),
        "open_items_are_found", 17, "paid/invoices/billing/invoice/b4/0", "no live finding stands for it",
    ),
    "late": (
        sql("UPDATE runs SET as_of = '2026-10-20' WHERE run = 2"),
        "open_items_are_found", 17, "paid/invoices/billing/invoice/b6/0", "in grace, which passed on 2026-10-05",
    ),
    "members": (
        sql("UPDATE findings SET members = 4 WHERE kind = 'group'"),
        "open_items_are_found", 17, "paid/payments/MISSING_INVOICE", "its group finding counts 4",
    ),
    "group gone": (
        sql("DELETE FROM findings WHERE kind = 'group'"),
        "open_items_are_found", 17, "paid/payments/MISSING_INVOICE", "no live group finding stands",
    ),
}  # fmt: skip


def test_a_healthy_workspace_has_no_breach(healthy: World) -> None:
    unit = healthy.open()
    report = verify(unit, configuration(), replay_runs=9)
    unit.close()
    assert report.breaches == ()
    assert list(report.checked) == [1, 2, 3, 6, 7, 8, 10, 11, 12, 15, 16, 17]
    assert {source: text.split(":")[0] for source, text in report.state.items()} == {"billing": "6", "psp": "10"}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_named(world: World, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the very check that is there for it: the others are not asked."""
    damage, check, invariant, subject, message = DAMAGES[name]
    only = tuple(one for one in CHECKS if one.find.__name__ == check)
    monkeypatch.setattr(verification, "CHECKS", only)
    if name == "late":
        world.now += timedelta(days=20)
    damage(world)
    found = breaches_of(world, replay_runs=1)
    assert any(
        one.invariant == invariant and one.subject.startswith(subject) and message in one.message for one in found
    ), "\n".join(map(str, found))


def test_every_check_is_shown_to_fail() -> None:
    assert {check.find.__name__ for check in CHECKS} == {damage[1] for damage in DAMAGES.values()}


def test_a_check_that_cannot_run_is_a_breach(world: World) -> None:
    spill(world, "allocations").unlink()
    found = breaches_of(world, replay_runs=1)
    unable = {one.invariant for one in found if one.message.startswith("could not be checked: part ")}
    assert {2, 3, 6} <= unable


def test_many_rows_are_counted_where_they_are_not_named(world: World) -> None:
    many = "part, range(150) AS many(n) WHERE native_id = 'p2a'"
    rewrite(world, "allocations", f"SELECT part.* REPLACE (match_id + n AS match_id) FROM {many}", run=1)
    found = [one for one in breaches_of(world) if one.invariant == 2 and "more rows like these" in one.message]
    assert [(one.subject, one.message) for one in found] == [("paid", "50 more rows like these")]


def test_the_document_names_every_check() -> None:
    text = DOCUMENT.read_text()
    for check in CHECKS:
        assert f"| {check.invariant} | {check.says} |" in text
