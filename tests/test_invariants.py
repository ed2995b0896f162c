"""What must always hold, asked of small worlds in a real workspace: SQLite, Parquet, the whole service.

Worlds are drawn as a few days of deliveries (new, amended and repeated records of two sources); each is run as it
comes and then looked at in full, and run again in other orders, files, slices, threads and environments.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from tieout.adapters.store.tables import parts
from tieout.core.findings import fingerprint
from tieout.core.matching.columns import (
    ALLOCATION_COLUMNS,
    CLOSED_ITEM_COLUMNS,
    OPEN_ITEM_COLUMNS,
    PAIR_COLUMNS,
    REVOKED_COLUMNS,
)
from tieout.model.audit import Actor
from tieout.model.reading import DraftQuery
from tieout.service.datasets import paths_of, run_parts
from tieout.service.staging import engine_for
from tieout.service.verification import verify
from tieout.service.withdrawal import supersede

RECORD = st.fixed_dictionaries(
    {
        "source": st.sampled_from(["billing", "psp"]),
        "number": st.integers(1, 5),
        "ref": st.sampled_from(["k1", "k2", "k3", None]),
        "amount": st.sampled_from(["1.00", "2.00", "3.00", "5.00", "-2.00", "0.00"]),
        "currency": st.sampled_from(["EUR", "EUR", "EUR", "USD"]),
        "date": st.sampled_from(["2026-03-01", "2026-03-02", "2026-03-09"]),
    }
)
DAY = st.lists(RECORD, min_size=1, max_size=7)
DAYS = st.lists(DAY, min_size=1, max_size=3)
FEW = settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
"""An example costs a second: few by default, and none spent on making a failing one smaller."""


def _deliveries(days: Sequence[Sequence[Any]]) -> list[dict[str, list[Any]]]:
    """Days as records by source; a record told again on a later day is a newer version, within a day the last wins."""
    told = []
    for version, day in enumerate(days, start=1):
        rows: dict[tuple[str, str], Any] = {}
        for one in day:
            prefix = "in" if one["source"] == "billing" else "py"
            record = {name: one[name] for name in ("ref", "amount", "currency", "date")}
            record |= {"id": f"{prefix}_{one['number']}", "version": str(version)}
            rows[(one["source"], record["id"])] = record
        by_source: dict[str, list[Any]] = defaultdict(list)
        for (source, _), record in rows.items():
            by_source[source].append(record)
        told.append(dict(by_source))
    return told


DATASETS = {
    "open_items": OPEN_ITEM_COLUMNS,
    "closed_items": CLOSED_ITEM_COLUMNS,
    "pairs": PAIR_COLUMNS,
    "allocations": ALLOCATION_COLUMNS,
    "revoked": REVOKED_COLUMNS,
}


COLUMNS = {
    "open_items": (OPEN_ITEM_COLUMNS, "side native_id id_hash run code currency amount_minor open_minor kind source"),
    "closed_items": (CLOSED_ITEM_COLUMNS, "side id_hash opened_run"),
    "pairs": (PAIR_COLUMNS, "run left_id_hash right_id_hash currency left_side left_native_id left_minor right_side"
              " right_native_id right_minor fee_minor"),
    "allocations": (ALLOCATION_COLUMNS, "run match_id currency side native_id allocated_minor residual"),
    "revoked": (REVOKED_COLUMNS, "matched_run match_id"),
}  # fmt: skip


def _dataset(company: Any, run: int) -> dict[str, list[tuple[Any, ...]]]:
    """All rows that closed runs wrote, by dataset."""
    with company.unit.read() as connection:
        names = {dataset: run_parts(connection, "acme", "inv", dataset, run) for dataset in COLUMNS}
        paths = paths_of(company.unit, connection, names)
    found: dict[str, list[tuple[Any, ...]]] = {}
    with engine_for(company.configuration.engine, None) as engine:
        for dataset, (columns, wanted) in COLUMNS.items():
            chosen = tuple((name, dict(columns)[name]) for name in wanted.split())
            found[dataset] = engine.rows(paths[dataset], chosen) if paths[dataset] else []
    return found


def _current(days: Sequence[dict[str, list[Any]]]) -> dict[tuple[str, str], tuple[str, int]]:
    """The records that count at the end: (side, id) to (currency, minor units), zero amounts left out."""
    current: dict[tuple[str, str], tuple[str, int]] = {}
    for day in days:
        for source, records in day.items():
            side = "invoices" if source == "billing" else "payments"
            for record in records:
                minor = int(record["amount"].replace(".", ""))
                current[(side, record["id"])] = (record["currency"], minor)
    return {key: value for key, value in current.items() if value[1]}


def _check_world(company: Any, report: Any, days: Sequence[dict[str, list[Any]]]) -> None:
    """Conservation, no over-allocation, every record matched or open exactly once with one code and one finding."""
    data = _dataset(company, report.run)
    revoked, closed = set(data["revoked"]), set(data["closed_items"])
    used: dict[tuple[str, str, str], int] = defaultdict(int)
    sides: dict[tuple[int, int], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for run, one, two, unit, left, name, minor, right, other, other_minor, fee in data["pairs"]:
        if (run, one ^ two) not in revoked:
            assert minor == other_minor + (fee or 0)
            used[(left, name, unit)] += minor
            used[(right, other, unit)] += other_minor
    for run, match, unit, side, name, minor, residual in data["allocations"]:
        if (run, match) not in revoked:
            sides[(run, match)][side] += minor
            if residual is None:
                used[(side, name, unit)] += minor
    assert all(len(set(sums.values())) == 1 and len(sums) == 2 for sums in sides.values())
    live = [row for row in data["open_items"] if (row[0], row[2], row[3]) not in closed]
    seen = {(row[0], row[1]): row for row in live}
    assert len(seen) == len(live), "an item is open twice"
    current = _current(days)
    assert set(seen) <= set(current)
    for (side, name), (unit, minor) in current.items():
        taken = used.pop((side, name, unit), 0)
        rest = seen[(side, name)][7] if (side, name) in seen else 0
        assert taken + rest == minor, f"{name}: {taken} used and {rest} open of {minor}"
        assert taken == 0 or (0 < taken <= minor) or (minor <= taken < 0)
    assert not {key: minor for key, minor in used.items() if minor}, "a record that no longer counts is still used"
    found = dict(company.findings("fingerprint", "state"))
    prints = {fingerprint("inv", row[4], row[0], row[9], row[8], row[1], 0) for row in live}
    assert {print_ for print_, state in found.items() if state != "resolved"} == prints


@FEW
@given(DAYS)
def test_every_world_holds_every_invariant(make_company: Any, days: list[list[Any]]) -> None:
    """Day after day: money conserved, nothing used twice, every record matched or open once, verify finds nothing."""
    told = _deliveries(days)
    company = make_company()
    for number, day in enumerate(told, start=1):
        for source, records in day.items():
            company.ingest(source, records)
        report = company.run()
        _check_world(company, report, told[:number])
    breaches = verify(company.unit, company.configuration).breaches
    assert breaches == ()


@FEW
@given(DAYS, st.randoms(use_true_random=False))
def test_result_depends_on_nothing_else(
    make_company: Any, company_configuration: str, days: list[list[Any]], random: Any
) -> None:
    """Order of records and files, splitting into files, slices at any moment, threads: the same result hash."""
    told = _deliveries(days)
    hashes = []
    plain = make_company(text=company_configuration + "engine: {threads: 1}\n")
    for day in told:
        for source, records in sorted(day.items()):
            plain.ingest(source, records)
        hashes.append(plain.run().result_hash)
    other = make_company(text=company_configuration + "engine: {threads: 2}\n")
    for day, expected in zip(told, hashes, strict=True):
        piles: list[tuple[str, list[Any]]] = []
        for source, records in day.items():
            shuffled = list(records)
            random.shuffle(shuffled)
            cut = random.randint(0, len(shuffled))
            piles += [(source, pile) for pile in (shuffled[:cut], shuffled[cut:]) if pile]
        random.shuffle(piles)
        for source, pile in piles:
            other.ingest(source, pile)
            if random.random() < 0.4:
                other.run(slice_only=True)
        assert other.run().result_hash == expected


_CHILD = """
import json, sys
from datetime import UTC, datetime
from pathlib import Path
from tieout.core.config.parsing import parse_configuration
from tieout.model.audit import Actor
from tieout.service.intake import ingest
from tieout.service.runs import run_reconciliation
from tieout.service.workspace import initialise, open_workspace

directory, text, days = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
clock = lambda: datetime(2026, 3, 10, 12, tzinfo=UTC)
initialise(directory, "acme", clock)
unit = open_workspace(directory, "acme", clock)
configuration = parse_configuration(text, "tieout.yaml")
for number, day in enumerate(days):
    for source in sorted(day):
        path = directory / f"{number}-{source}.jsonl"
        path.write_text("\\n".join(json.dumps(record) for record in day[source]), encoding="utf-8")
        ingest(unit, configuration, source, path, Actor("ada", "cli"))
    report = run_reconciliation(unit, configuration, "inv", Actor("ada", "cli"))
    print(report.result_hash, report.manifest_digest)
"""

ENVIRONMENTS = (
    {"PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "C"},
    {"PYTHONHASHSEED": "4242", "TZ": "Pacific/Kiritimati", "LC_ALL": "C.UTF-8"},
    {"PYTHONHASHSEED": "random", "TZ": "America/Adak", "LC_ALL": "tr_TR.UTF-8"},
)


def test_result_depends_on_no_environment(tmp_path: Path, company_configuration: str) -> None:
    """Hash seed, time zone and locale change neither result nor manifest."""
    names = ("version", "text", "status")
    records = [
        {
            "id": f"in_{n}",
            "ref": f"k{n % 7}",
            "amount": f"{n}.50",
            "currency": "EUR",
            "date": "2026-03-01",
            "version": "1",
        }
        for n in range(20)
    ]
    payments = [record | {"id": f"İpy_{n}", "amount": f"{n}.40"} for n, record in enumerate(records)]
    days = [
        {"billing": records, "psp": payments[:12]},
        {"psp": payments[12:], "billing": [records[0] | {"version": "2", "amount": "9.00"}]},
    ]
    days = [
        {source: [dict.fromkeys(names) | record for record in several] for source, several in day.items()}
        for day in days
    ]
    told = set()
    for number, environment in enumerate(ENVIRONMENTS):
        arguments = [sys.executable, "-c", _CHILD, str(tmp_path / str(number)), company_configuration, json.dumps(days)]
        child = subprocess.run(
            arguments, capture_output=True, text=True, check=False, env=os.environ | environment, encoding="utf-8"
        )
        assert child.returncode == 0, child.stderr
        told.add(child.stdout)
    (lines,) = told
    assert len(lines.splitlines()) == 2


@FEW
@given(DAYS, st.data())
def test_superseding_leaves_no_trace_in_the_result(
    make_company: Any, days: list[list[Any]], data: st.DataObject
) -> None:
    """A batch withdrawn after its run: the current state is as if it had never come, and the next run conserves."""
    told = _deliveries(days)
    company, without = make_company(), make_company()
    batches: list[tuple[int, int, str]] = []
    for number, day in enumerate(told):
        for source, records in sorted(day.items()):
            batches.append((number, company.ingest(source, records).batch, source))
        company.run()
    number, batch, source = data.draw(st.sampled_from(batches))
    supersede(company.unit, company.configuration, batch, Actor("ada", "cli"), "faulty")
    rest = [{name: records for name, records in day.items() if (place, name) != (number, source)}
            for place, day in enumerate(told)]  # fmt: skip
    for day in rest:
        for name, records in sorted(day.items()):
            without.ingest(name, records)
    for name in ("billing", "psp"):
        assert company.state(name) == without.state(name)
    report = company.run()
    _check_world(company, report, rest)
    assert verify(company.unit, company.configuration).breaches == ()


def test_parts_are_exact(company: Any, records: Any) -> None:
    """No column of any written part is floating or wider than its declared type."""
    company.ingest("billing", [records.invoice(1, "10.00"), records.invoice(2, "x")])
    company.ingest("psp", [records.payment(1, "9.00")])
    company.run()
    names = [row.part for row in company.query(select(parts.c.part))]
    with company.unit.read() as connection:
        paths = paths_of(company.unit, connection, {"all": names})["all"]
    with engine_for(company.configuration.engine, None) as engine:
        described = "DESCRIBE SELECT * FROM read_parquet($path)"
        kinds = {row[1] for path in paths for row in engine.fetch(DraftQuery(described, {"path": str(path)}))}
    assert len(paths) >= 4
    assert kinds <= {"VARCHAR", "INTEGER", "BIGINT", "DATE", "TIMESTAMP", "BOOLEAN"}


def test_larger_world(make_company: Any, company_configuration: str) -> None:
    """A few thousand records with every kind of disagreement: one result whatever the threads, all found by verify."""
    invoices = [{"id": f"in_{n}", "ref": f"k{n // 2 if n % 5 == 0 else n}", "amount": f"{n % 97}.{n % 100:02d}",
                 "currency": "EUR" if n % 11 else "USD", "date": "2026-03-01"} for n in range(3_000)]  # fmt: skip
    payments = [row | {"id": f"py_{n}", "amount": row["amount"] if n % 13 else "1.00"}
                for n, row in enumerate(invoices) if n % 17]  # fmt: skip
    told = set()
    for threads in (1, 2):
        company = make_company(text=company_configuration + f"engine: {{threads: {threads}}}\n")
        company.ingest("billing", invoices[::threads])
        company.ingest("psp", payments)
        company.ingest("billing", invoices)
        told.add(company.run().result_hash)
        assert verify(company.unit, company.configuration).breaches == ()
    assert len(told) == 1
