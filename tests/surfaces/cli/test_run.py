"""`tieout run`, `plan`, `findings`, `proof`, `status` and what looks back, through the real command line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

Call = Callable[..., Result]

CHARGES, LEDGER = "invoices-to-charges", "invoices-to-ledger"


def ran(result: Result) -> dict[str, dict[str, Any]]:
    """The reconciliations of a run's document by name; no proof may leave anything unexplained."""
    found = json.loads(result.stdout)
    assert found["exit_code"] == result.exit_code
    for one in found["reconciliations"]:
        assert one["unexplained"] is False
        assert {line["unexplained"] for line in one["proof"]} <= {"0.00", "0"}
    return {one["reconciliation"]: one for one in found["reconciliations"]}


def test_a_first_run_finds_what_disagrees(call: Call, fresh: Path) -> None:
    call("init", fresh)
    call("-C", fresh, "ingest")
    result = call("-C", fresh, "run", "--json")
    assert result.exit_code == 0, "two findings are within the threshold of two"
    found = ran(result)
    charges = found[CHARGES]
    assert (charges["status"], charges["run"], charges["as_of"]) == ("closed", 1, "2026-10-05")
    assert charges["findings"]["open"] == 2
    assert charges["findings"]["threshold"] == 2
    assert charges["open_items_by_code"] == {"AMOUNT_MISMATCH": 1, "MISSING_RECORD": 1}
    assert [(age["bucket"], age["items"], age["open"]) for age in charges["ages"]] == [("8-30 days", 2, "30.10")]
    assert found[LEDGER]["findings"]["open"] == 0
    assert "reconciling" in result.stderr


def test_the_terminal_says_it_as_a_controller_reads_it(call: Call, company: Path) -> None:
    result = call("-C", company, "run")
    out = result.stdout
    assert "invoices say 20.00 EUR (in_2, 2026-09-21), charges say 19.90 EUR (ch_2)" in out
    assert "invoices say 30.00 EUR (in_3, 2026-09-21), charges say nothing" in out
    assert "unexplained" in out
    assert "− matched" in out
    assert "8-30 days" in out
    assert "█" in out
    assert "2 open, 2 allowed" in out
    assert f"next: tieout -C {company} findings" in out


def test_an_unchanged_run_writes_nothing(call: Call, company: Path) -> None:
    before = call("-C", company, "runs", "--json").stdout
    found = ran(call("-C", company, "run", "--json"))
    assert {one["status"] for one in found.values()} == {"unchanged"}
    assert call("-C", company, "runs", "--json").stdout == before


def test_findings_over_the_threshold_end_with_1(call: Call, company: Path) -> None:
    configuration = company / "tieout.yaml"
    configuration.write_text(configuration.read_text().replace("threshold: 2", "threshold: 1"))
    result = call("-C", company, "run", CHARGES, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["over_threshold"] == [CHARGES]
    assert call("-C", company, "run", LEDGER).exit_code == 0
    assert call("-C", company, "plan", CHARGES).exit_code == 0
    assert "2 open, 1 allowed" in call("-C", company, "run").stdout


def test_findings_of_a_source_are_over_its_threshold(
    call: Call, company: Path, statement: Callable[[str], str]
) -> None:
    (company / "off.xml").write_text(statement("110.00").replace("S-1", "S-2").replace("09-30", "09-29"))
    assert call("-C", company, "ingest", "bank", company / "off.xml").exit_code == 0
    result = call("-C", company, "run", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["over_threshold"] == ["source:bank"]
    listed = json.loads(call("-C", company, "findings", "-r", "source:bank", "--json").stdout)
    assert {row["code"] for row in listed["findings"]} == {"BALANCE_GAP"}
    assert "expected" in listed["findings"][0]["sentence"]
    assert call("-C", company, "run", CHARGES).exit_code == 0, "a run by name checks no source"


def test_a_late_delivery_closes_its_finding(call: Call, company: Path, late_charge: str) -> None:
    (company / "late.jsonl").write_text(late_charge)
    call("-C", company, "ingest", "stripe", company / "late.jsonl")
    planned = ran(call("-C", company, "plan", CHARGES, "--json"))[CHARGES]
    assert planned["status"] == "dry-run"
    assert planned["open_items"] == 1
    assert planned["ages"] == []
    assert "dry run, nothing written" in call("-C", company, "plan").stdout
    sliced = ran(call("-C", company, "run", CHARGES, "--slice", "--json"))[CHARGES]
    assert sliced["status"] == "slice"
    assert "run 3 is open" in " ".join(call("-C", company, "status", columns=120).stdout.split())
    closed = ran(call("-C", company, "run", CHARGES, "--json"))[CHARGES]
    assert closed["status"] == "closed"
    assert planned["result_hash"] == sliced["result_hash"] == closed["result_hash"]
    assert closed["findings"]["open"] == 1
    listed = json.loads(call("-C", company, "findings", "--state", "resolved", "--json").stdout)
    assert [row["record"] for row in listed["findings"]] == ["in_3"]
    later = ran(call("-C", company, "run", CHARGES, "--as-of", "2027-03-01", "--json"))[CHARGES]
    assert [age["bucket"] for age in later["ages"]] == ["over 90 days"]


def test_wrong_calls(call: Call, company: Path) -> None:
    for words in (["run", "nonsense"], ["run", CHARGES, "nonsense"], ["run", "--as-of", "yesterday"], ["plan", "x"]):
        result = call("-C", company, *words)
        assert result.exit_code == 2
        assert "hint:" in result.stderr
        assert result.stdout == ""
    assert len(json.loads(call("-C", company, "runs", "--json").stdout)["runs"]) == 2


def test_findings_are_listed_and_told(call: Call, reconciled: Path) -> None:
    whole = json.loads(call("-C", reconciled, "findings", "--json").stdout)
    assert whole["total"] == len(whole["findings"]) == 2
    one = next(row for row in whole["findings"] if row["code"] == "AMOUNT_MISMATCH")
    assert one["sentence"] == "invoices say 20.00 EUR (in_2, 2026-09-21), charges say 19.90 EUR (ch_2)"
    assert (one["expected"], one["actual"], one["at_risk"], one["currency"]) == ("20.00", "19.90", "0.10", "EUR")
    some = json.loads(call("-C", reconciled, "findings", "--json", "--limit", 1).stdout)
    assert (len(some["findings"]), some["total"]) == (1, 2)
    for words, count in (
        (["--code", "amount_mismatch"], 1),
        (["--severity", "critical"], 0),
        (["-r", CHARGES], 2),
        (["-r", LEDGER], 0),
        (["--state", "resolved"], 0),
        (["--state", "all"], 2),
        (["--severity", "warning", "--severity", "high"], 2),
    ):
        assert json.loads(call("-C", reconciled, "findings", "--json", *words).stdout)["total"] == count, words
    shown = call("-C", reconciled, "findings").stdout
    assert "2 findings" in shown
    assert "charges say 19.90 EUR (ch_2)" in shown
    assert "no findings" in call("-C", reconciled, "findings", "-r", LEDGER).stdout


def test_one_finding(call: Call, reconciled: Path) -> None:
    number = json.loads(call("-C", reconciled, "findings", "--json").stdout)["findings"][0]["finding"]
    told = json.loads(call("-C", reconciled, "findings", "show", number, "--json").stdout)
    assert told["finding"]["finding"] == number
    assert [event["action"] for event in told["history"]] == ["detected"]
    shown = call("-C", reconciled, "findings", "show", number).stdout
    assert f"Finding {number}" in shown
    assert "History" in shown
    assert "at risk" in shown


@pytest.mark.parametrize("words", [["show", "999"], ["--state", "nonsense"], ["--severity", "bad"], ["--code", "NOPE"]])
def test_findings_that_cannot_be_asked_for(call: Call, reconciled: Path, words: list[str]) -> None:
    result = call("-C", reconciled, "findings", *words)
    assert result.exit_code == 2
    assert "hint:" in result.stderr


def test_findings_inside_grace_wait(call: Call, fresh: Path) -> None:
    configuration = fresh / "tieout.yaml"
    configuration.write_text(configuration.read_text().replace("threshold: 2", "grace_days: 20"))
    call("init", fresh)
    call("-C", fresh, "ingest")
    assert call("-C", fresh, "run").exit_code == 0
    assert "2 more are pending" in call("-C", fresh, "findings").stdout
    assert json.loads(call("-C", fresh, "findings", "--state", "pending", "--json").stdout)["total"] == 2
    assert "opens 2026-10-11" in call("-C", fresh, "findings", "--state", "pending").stdout
    november = datetime(2026, 11, 1, tzinfo=UTC)
    assert call("-C", fresh, "run", now=november).exit_code == 1
    assert json.loads(call("-C", fresh, "findings", "--json").stdout)["total"] == 2


def test_a_group_counts_as_its_members(call: Call, fresh: Path) -> None:
    configuration = fresh / "tieout.yaml"
    configuration.write_text(configuration.read_text().replace("threshold: 2", "threshold: 4\n    group_over: 3"))
    rows = [{"object": "invoice", "id": f"in_x{row}", "total": 100 + row, "currency": "eur", "created": 1_790_000_000,
             "status": "paid"} for row in range(6)]  # fmt: skip
    (fresh / "stripe-2.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    call("init", fresh)
    call("-C", fresh, "ingest")
    result = call("-C", fresh, "run", CHARGES, "--json")
    assert result.exit_code == 1
    assert ran(result)[CHARGES]["findings"]["open"] == 8
    shown = call("-C", fresh, "findings", "-r", CHARGES).stdout
    assert "group of 7" in shown
    assert "invoices: 7 records, 36.15 EUR" in shown


def test_proofs(call: Call, reconciled: Path) -> None:
    whole = json.loads(call("-C", reconciled, "proof", "--json").stdout)["proofs"]
    assert [proof["reconciliation"] for proof in whole] == [CHARGES, LEDGER]
    lines = {line["side"]: line for line in whole[0]["lines"]}
    assert (lines["invoices"]["new"], lines["invoices"]["closing"], lines["invoices"]["matched"]) == (
        "60.00",
        "30.10",
        "29.90",
    )
    assert lines["charges"]["closing_count"] == 0
    assert json.loads(call("-C", reconciled, "proof", "1", "--json").stdout)["proofs"] == whole[:1]
    assert json.loads(call("-C", reconciled, "proof", LEDGER, "--json").stdout)["proofs"] == whole[1:]
    for words in (["99"], ["nonsense"], ["9" * 400]):
        assert call("-C", reconciled, "proof", *words).exit_code == 2
    for columns in (120, 60, 30):
        shown = call("-C", reconciled, "proof", columns=columns).stdout
        assert "unexplained" in shown
        assert "29.90" in shown


def test_before_the_first_run(call: Call, fresh: Path) -> None:
    call("init", fresh)
    assert "nothing has been closed yet" in call("-C", fresh, "proof").stdout
    assert json.loads(call("-C", fresh, "proof", "--json").stdout) == {"proofs": []}
    assert call("-C", fresh, "proof", CHARGES).exit_code == 2
    assert "no findings" in call("-C", fresh, "findings").stdout
    assert "no runs" in call("-C", fresh, "runs").stdout
    assert call("-C", fresh, "replay", 1).exit_code == 2
    found = json.loads(call("-C", fresh, "status", "--json").stdout)
    assert [one["run"] for one in found["reconciliations"]] == [None, None]


def test_status(call: Call, company: Path, late_charge: str) -> None:
    found = json.loads(call("-C", company, "status", "--json").stdout)
    assert {one["source"]: one["records"] for one in found["sources"]} == {"stripe": 5, "bank": 2, "ledger": 3}
    assert [one["waiting"] for one in found["reconciliations"]] == [0, 0]
    (company / "late.jsonl").write_text(late_charge)
    call("-C", company, "ingest", "stripe", company / "late.jsonl")
    configuration = company / "tieout.yaml"
    configuration.write_text(configuration.read_text().replace("threshold: 2", "threshold: 3"))
    after = json.loads(call("-C", company, "status", "--json").stdout)["reconciliations"]
    assert [(one["waiting"], one["rules_changed"]) for one in after] == [(1, True), (1, False)]
    assert "next: tieout" in call("-C", company, "status").stdout


def test_runs_replay_and_verify(call: Call, reconciled: Path) -> None:
    rows = json.loads(call("-C", reconciled, "runs", "--json").stdout)["runs"]
    assert [(row["run"], row["reconciliation"], row["state"]) for row in rows] == [
        (2, LEDGER, "closed"),
        (1, CHARGES, "closed"),
    ]
    assert len(json.loads(call("-C", reconciled, "runs", "-r", LEDGER, "--json").stdout)["runs"]) == 1
    again = json.loads(call("-C", reconciled, "replay", 1, "--json").stdout)
    assert again["equal"] is True
    assert again["stored_hash"] == rows[1]["result_hash"]
    assert "equal" in call("-C", reconciled, "replay", 2).stdout
    assert call("-C", reconciled, "replay", 99).exit_code == 2
    verified = call("-C", reconciled, "verify", "--json")
    assert verified.exit_code == 0
    assert json.loads(verified.stdout)["breaches"] == []
    assert "everything holds" in call("-C", reconciled, "verify").stdout


def test_a_breach_is_named_and_ends_with_3(call: Call, company: Path) -> None:
    raw = max((company / ".tieout" / "raw").rglob("*"), key=lambda path: (path.is_file(), str(path)))
    raw.chmod(0o644)
    raw.write_bytes(raw.read_bytes() + b" ")
    result = call("-C", company, "verify", "--json")
    assert result.exit_code == 3
    (breach,) = json.loads(result.stdout)["breaches"]
    assert breach["message"]
    shown = call("-C", company, "verify")
    assert shown.exit_code == 3
    assert breach["subject"] in shown.stdout
    assert "1 breach" in shown.stdout


def test_exports(call: Call, company: Path) -> None:
    target = company / "matches.csv"
    result = call("-C", company, "export", "matches", "--output", target, "-r", CHARGES, "--json")
    assert result.exit_code == 0
    with target.open(newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) - 1 == json.loads(result.stdout)["rows"] > 0
    for what in ("open-items", "findings", "proof", "quarantine"):
        path = company / f"{what}.jsonl"
        assert call("-C", company, "export", what, "-o", path).exit_code == 0
        assert [json.loads(line) for line in path.read_text().splitlines()]
    assert call("-C", company, "export", "proof", "-o", company / "p.parquet", "--run", 1).exit_code == 0
    for words in (
        ["nonsense", "-o", company / "x.csv"],
        ["proof", "-o", company / "x.txt"],
        ["proof", "-o", company / "x.csv", "--format", "xml"],
        ["proof", "-o", company / "nowhere" / "x.csv"],
        ["proof", "-o", company / "x.csv", "--run", 99],
    ):
        failed = call("-C", company, "export", *words)
        assert failed.exit_code == 2, words
        assert "hint:" in failed.stderr
