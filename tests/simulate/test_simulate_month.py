"""The simulated month: the clean one ties everywhere, the faulty one differs exactly where it says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from tieout.core.config.parsing import parse_configuration
from tieout.model.errors import UsageError
from tieout.simulate.month import simulate_month
from tieout.simulate.plain_books import BankStatement, ledger, minor, objects, reconciled, rows, statements
from tieout.simulate.world import Truth, World

SEEDS = (1, 7, 2026)
KEYED_CODES = {
    "MISSING_RECORD", "UNEXPECTED_RECORD", "MISSING_INVOICE", "AMOUNT_MISMATCH", "CURRENCY_MISMATCH",
    "DUPLICATE_RECORD", "UNAPPLIED_REFUND",
}  # fmt: skip


@pytest.fixture(scope="module", params=SEEDS)
def clean(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    return simulate_month(tmp_path_factory.mktemp("clean"), request.param, faults=False)


@pytest.fixture(scope="module", params=SEEDS)
def faulty(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    return simulate_month(tmp_path_factory.mktemp("faulty"), request.param)


def test_clean_month_ties_in_every_reconciliation(clean: World) -> None:
    books = reconciled(clean, (1,))
    assert set(books) == set(parse_configuration(clean.configuration.read_text()).reconciliations)
    broken = {name: [key for key, entry in keys.items() if not entry.ties] for name, keys in books.items()}
    assert broken == {name: [] for name in books}
    assert min(len(keys) for keys in books.values()) >= 5


def test_clean_month_plants_nothing(clean: World) -> None:
    assert clean.truths == ()
    assert clean.truth_file.read_text() == ""
    assert not objects(clean, (1,))["dispute"]
    assert {file.delivery for file in clean.files} == {1}


def test_clean_month_has_partial_payments_refunds_and_failed_attempts(clean: World) -> None:
    stripe = objects(clean, (1,))
    paid = Counter(item["metadata"].get("invoice_id") for item in stripe["charge"] if item["paid"])
    assert max(paid.values()) == 2
    assert len(stripe["refund"]) > len(stripe["credit_note"]) > 0
    assert {item["status"] for item in stripe["charge"]} == {"succeeded", "failed"}
    assert {item["status"] for item in stripe["invoice"]} == {"paid", "void"}
    assert {item["currency"] for item in stripe["invoice"]} == {"usd", "eur", "gbp", "jpy"}


def test_every_payout_nets_to_zero_with_its_transactions(clean: World, faulty: World) -> None:
    for world in (clean, faulty):
        stripe = objects(world, (1, 2))
        left: Counter[str] = Counter()
        for item in stripe["balance_transaction"]:
            assert item["net"] == item["amount"] - item["fee"]
            assert item["fee"] == sum(detail["amount"] for detail in item["fee_details"])
            if item["payout"]:
                left[item["payout"]] += item["net"]
        planted = {native_id for truth in world.truths for native_id in truth.native_ids}
        assert {payout for payout, total in left.items() if total} <= planted
        assert {item["id"] for item in stripe["payout"]} == set(left)
        assert all(item["amount"] > 0 for item in stripe["payout"])


def test_the_fee_is_a_percentage_and_a_fixed_part(clean: World) -> None:
    for item in objects(clean, (1,))["balance_transaction"]:
        if item["type"] == "charge" and item["currency"] == "usd":
            assert item["fee"] == (item["amount"] * 29 + 500) // 1000 + 30


def test_statements_tie_and_carry_on(clean: World) -> None:
    found = statements(clean, (1,))
    days = (clean.end - clean.start).days + 1
    assert len(found) == 4 * days
    for statement in found:
        assert statement.opening + sum(line[0] for line in statement.lines) == statement.closing
    for before, after in pairwise(found):
        if before.account == after.account:
            assert before.closing == after.opening


def test_a_gap_and_a_dropped_line_show_in_balances_and_the_gap_heals(faulty: World) -> None:
    gaps = [truth for truth in faulty.truths if truth.code == "BALANCE_GAP"]
    assert [truth.resolved_by for truth in gaps] == [2, None]
    early, late = statements(faulty, (1,)), statements(faulty, (1, 2))
    untied = [item.id for item in early if item.opening + sum(line[0] for line in item.lines) != item.closing]
    assert untied == [gaps[1].native_ids[0]]

    def breaks(found: list[BankStatement]) -> list[str]:
        couples = pairwise(found)
        return [b.id for a, b in couples if a.account == b.account and a.closing != b.opening]

    assert breaks(early) == [gaps[0].native_ids[0]]
    assert breaks(late) == []


def test_the_ledger_balances_per_currency(faulty: World, clean: World) -> None:
    for world, deliveries in ((clean, (1,)), (faulty, (1, 2))):
        total: Counter[str] = Counter()
        for entry in ledger(world, deliveries):
            if "(corrected)" not in entry["memo"]:
                total[entry["currency"]] += minor(entry["amount"], entry["currency"])
        assert set(total.values()) == {0}


@pytest.mark.parametrize("deliveries", [(1,), (1, 2)])
def test_the_faulty_month_differs_exactly_where_the_truth_says(faulty: World, deliveries: tuple[int, ...]) -> None:
    expected = [truth for truth in faulty.truths if truth.code in KEYED_CODES and _shows(truth, deliveries[-1])]
    expected = [truth for truth in expected if truth.fault != "D1"]
    for name, keys in reconciled(faulty, deliveries).items():
        own = [truth for truth in expected if truth.reconciliation == name]
        broken = {key: {*entry.ids[0], *entry.ids[1]} for key, entry in keys.items() if not entry.ties}
        for key, ids in broken.items():
            assert any(truth.native_ids[0] in ids for truth in own), f"{name}: {key} was not planted"
        for truth in own:
            assert any(truth.native_ids[0] in ids for ids in broken.values()), f"{truth} does not show"


def _shows(truth: Truth, delivery: int) -> bool:
    gone = truth.resolved_by is not None and truth.resolved_by <= delivery
    return truth.expect == "finding" and truth.delivery <= delivery and not gone


def test_silent_traps_tie(faulty: World) -> None:
    silent = [truth for truth in faulty.truths if truth.expect == "silent"]
    assert {truth.fault for truth in silent} == {"F7", "F10"}
    books = reconciled(faulty, (1,))
    for truth in silent:
        keys = books[truth.reconciliation or ""].values()
        own = [entry for entry in keys if truth.native_ids[0] in (*entry.ids[0], *entry.ids[1])]
        assert len(own) == 1
        assert own[0].ties


def test_every_failure_mode_is_planted_and_its_ids_stand_in_the_files(faulty: World) -> None:
    assert {truth.fault for truth in faulty.truths} == {*(f"F{number}" for number in range(1, 11)), "D1"}
    texts = [file.path.read_text() for file in faulty.files]
    for truth in faulty.truths:
        assert truth.native_ids or truth.expect in ("refused", "ignored")
        for native_id in truth.native_ids:
            assert any(native_id in text for text in texts), truth
        assert (faulty.directory / truth.file).is_file(), truth


def test_truth_file_says_what_the_world_says(faulty: World) -> None:
    lines = [json.loads(line) for line in faulty.truth_file.read_text().splitlines()]
    assert lines == [truth.as_json() for truth in faulty.truths]
    assert sorted({truth.case for truth in faulty.truths}) == list(range(1, faulty.truths[-1].case + 1))


def test_look_alikes_have_equal_amount_and_day(faulty: World) -> None:
    stripe = objects(faulty, (1,))
    invoices = {item["id"]: item for item in stripe["invoice"]}
    charges = {item["id"]: item for item in stripe["charge"]}
    traps = [t for t in faulty.truths if t.fault == "F7" and t.code == "MISSING_INVOICE" and t.system == "stripe"]
    assert len(traps) == 2
    for truth in traps:
        charge, kept = charges[truth.native_ids[0]], invoices[truth.native_ids[1]]
        assert (charge["amount"], charge["currency"]) == (kept["total"], kept["currency"])
        assert charge["customer"] != kept["customer"]
        assert charge["metadata"]["invoice_id"] not in invoices


def test_end_of_month_falls_into_the_next_month_in_utc(faulty: World) -> None:
    ids = {truth.native_ids[0] for truth in faulty.truths if truth.fault == "F10"}
    created = {item["id"]: item["created"] for item in objects(faulty, (1,))["invoice"]}
    numbers = {item["id"]: item["number"] for item in objects(faulty, (1,))["invoice"]}
    posted = {entry["reference"]: entry["date"] for entry in ledger(faulty, (1,)) if entry["account"] == "1200"}
    for invoice in ids:
        assert datetime.fromtimestamp(created[invoice], UTC).date() == date(2026, 10, 1)
        assert posted[numbers[invoice]] == "2026-09-30"


def test_renamed_columns_are_what_contracts_require(faulty: World) -> None:
    configuration = parse_configuration(faulty.configuration.read_text())
    for truth in faulty.truths:
        if truth.expect == "refused":
            source = configuration.sources[truth.system]
            header = set(rows(faulty.directory / truth.file)[0])
            needed = {source.options.mapping[column] for column in source.contract.required}
            assert len(needed - header) == 1


def test_key_map_knows_every_customer_but_the_planted_ones(faulty: World) -> None:
    unknown = {truth.native_ids[0] for truth in faulty.truths if truth.code == "UNRESOLVED_CUSTOMER"}
    mapped = {(row["source"], row["native_id"]) for row in rows(faulty.key_map)}
    customers = {item["id"] for item in objects(faulty, (1,))["customer"]}
    assert {native_id for native_id in customers if ("stripe", native_id) not in mapped} == unknown
    assert len(unknown) == 2


def test_late_files_come_last_and_none_is_empty(faulty: World) -> None:
    deliveries = [file.delivery for file in faulty.files]
    assert deliveries == sorted(deliveries)
    assert all(file.path.stat().st_size for file in faulty.files)
    assert {file.source for file in faulty.files} == {"stripe", "bank", "crm", "product", "ledger"}
    written = {path for path in faulty.directory.rglob("*") if path.is_file()}
    beside = {faulty.configuration, faulty.key_map, faulty.truth_file}
    assert written == {file.path for file in faulty.files} | beside


def test_equal_seeds_give_equal_bytes_whatever_the_environment(tmp_path: Path) -> None:
    program = (
        "import hashlib, sys\nfrom pathlib import Path\nfrom tieout.simulate.month import simulate_month\n"
        "world = simulate_month(Path(sys.argv[1]), 11, customers=80)\n"
        "for path in sorted(p for p in world.directory.rglob('*') if p.is_file()):\n"
        "    print(path.relative_to(world.directory), hashlib.sha256(path.read_bytes()).hexdigest())\n"
    )
    outputs = []
    for number, (hash_seed, zone, locale) in enumerate((("0", "UTC", "C"), ("4242", "Asia/Tokyo", "C.UTF-8"))):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "TZ": zone, "LC_ALL": locale}
        command = [sys.executable, "-c", program, str(tmp_path / str(number))]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        outputs.append(done.stdout)
    assert outputs[0] == outputs[1]
    assert outputs[0].count("\n") > 20


def test_another_seed_gives_another_world(tmp_path: Path) -> None:
    first = simulate_month(tmp_path / "a", 1, customers=20)
    second = simulate_month(tmp_path / "b", 2, customers=20)
    assert first.key_map.read_bytes() != second.key_map.read_bytes()


@pytest.mark.parametrize(
    ("customers", "start"), [(1, date(2026, 9, 1)), (12, date(2027, 2, 1)), (60, date(2026, 12, 15))]
)
def test_small_worlds_and_other_months(tmp_path: Path, customers: int, start: date) -> None:
    clean = simulate_month(tmp_path / "clean", 3, customers=customers, faults=False, start=start)
    assert all(entry.ties for keys in reconciled(clean, (1,)).values() for entry in keys.values())
    faulty = simulate_month(tmp_path / "faulty", 3, customers=customers, start=start)
    test_the_faulty_month_differs_exactly_where_the_truth_says(faulty, (1,))
    test_the_faulty_month_differs_exactly_where_the_truth_says(faulty, (1, 2))


def test_impossible_worlds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="0 customers"):
        simulate_month(tmp_path, 1, customers=0)
    with pytest.raises(UsageError, match="31th"):
        simulate_month(tmp_path, 1, start=date(2026, 8, 31))
    simulate_month(tmp_path, 1)
    with pytest.raises(UsageError, match="another world"):
        simulate_month(tmp_path, 1, faults=False)
