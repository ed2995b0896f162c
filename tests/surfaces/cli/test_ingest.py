"""`tieout ingest`, `batches` and `supersede` through the real command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.testing import Result

Call = Callable[..., Result]

OUTCOMES = ("accepted", "duplicate", "superseding", "stale", "quarantined")


def files(result: Result) -> list[dict[str, Any]]:
    """The files of the document; what was read is the sum of its outcomes, by count."""
    found = json.loads(result.stdout)["files"]
    assert isinstance(found, list)
    for one in found:
        if one["state"] != "refused":
            assert one["read"] == sum(one[outcome] for outcome in OUTCOMES)
            assert one["read"] == sum(sums["rows"] for total in one["totals"].values() for sums in total.values())
    return found


def test_declared_files_of_every_source(call: Call, fresh: Path) -> None:
    assert call("init", fresh).exit_code == 0
    result = call("ingest", "--json", cwd=fresh)
    assert result.exit_code == 0
    stripe, bank, ledger = files(result)
    assert [one["file"] for one in (stripe, bank, ledger)] == ["stripe-1.jsonl", "bank.xml", "ledger.csv"]
    assert (stripe["batch"], stripe["accepted"], stripe["totals"]["accepted"]["EUR"]["amount"]) == (1, 5, "89.90")
    assert bank["statements"][0]["ties"] is True
    (bad,) = ledger["quarantined_rows"]
    assert (bad["line"], bad["field"]) == (5, "amount")
    again = files(call("ingest", "stripe", "--json", cwd=fresh))
    assert [(one["duplicate"], one["duplicates_of"]) for one in again] == [(5, {"1": 5})]
    shown = call("ingest", cwd=fresh).stdout
    assert "5 duplicate (of batch 1" in shown
    assert "next: tieout run" in shown


def test_a_dry_run_keeps_nothing(call: Call, fresh: Path) -> None:
    call("init", fresh)
    dry = files(call("-C", fresh, "ingest", "--dry-run", "--json"))
    assert [one["batch"] for one in dry] == [None] * 3
    assert [one["state"] for one in dry] == ["dry-run"] * 3
    assert json.loads(call("-C", fresh, "batches", "--json").stdout) == {"batches": []}
    wet = files(call("-C", fresh, "ingest", "--json"))
    same = ("read", *OUTCOMES, "totals", "statements", "quarantined_rows", "inferred")
    assert [[one[key] for key in same] for one in dry] == [[one[key] for key in same] for one in wet]


def test_refused_files_are_recorded_and_the_others_taken_in(call: Call, fresh: Path) -> None:
    call("init", fresh)
    (fresh / "renamed.csv").write_text((fresh / "ledger.csv").read_text().replace("amount", "value"))
    (fresh / "cut.xml").write_text((fresh / "bank.xml").read_text()[:900])
    result = call("ingest", "ledger", "renamed.csv", "ledger.csv", "--json", cwd=fresh)
    assert result.exit_code == 3
    refused, accepted = files(result)
    assert (refused["state"], refused["batch"], accepted["accepted"]) == ("refused", None, 3)
    assert "amount" in refused["error"]["message"]
    assert "renamed.csv" in result.stderr
    cut = call("ingest", "bank", "cut.xml", cwd=fresh)
    assert cut.exit_code == 3
    assert "cut.xml  refused" in cut.stdout
    assert "next:" not in cut.stdout
    listed = json.loads(call("batches", "--state", "refused", "--json", cwd=fresh).stdout)["batches"]
    assert {row["file"] for row in listed} == {"renamed.csv", "cut.xml"}
    assert all(row["reason"] for row in listed)


def test_wrong_calls(call: Call, fresh: Path) -> None:
    call("init", fresh)
    for words, says in (
        (["nonsense", "ledger.csv"], "sources in tieout.yaml: stripe, bank, ledger"),
        (["ledger", "nowhere.csv"], "there is no file nowhere.csv"),
        (["ledger", "."], "is not a file"),
        (["ledger", "ledger.csv", "--format", "nonsense"], "unknown format"),
    ):
        result = call("ingest", *words, cwd=fresh)
        assert says in result.output, words
        assert result.exit_code in (2, 3)
    assert json.loads(call("batches", "--json", cwd=fresh).stdout)["batches"] == []


def test_patterns_that_match_nothing_are_told(call: Call, fresh: Path) -> None:
    call("init", fresh)
    (fresh / "bank.xml").unlink()
    result = call("ingest", cwd=fresh)
    assert result.exit_code == 0
    assert "source bank: no file matches bank.xml" in result.stderr
    (fresh / "ledger.csv").unlink()
    assert call("ingest", "ledger", cwd=fresh).exit_code == 2


def test_batches_are_listed(call: Call, reconciled: Path) -> None:
    rows = json.loads(call("-C", reconciled, "batches", "--json").stdout)["batches"]
    assert [row["batch"] for row in rows] == [3, 2, 1]
    assert [row["source"] for row in rows] == ["ledger", "bank", "stripe"]
    assert len(json.loads(call("-C", reconciled, "batches", "--json", "--limit", 1).stdout)["batches"]) == 1
    only = json.loads(call("-C", reconciled, "batches", "--json", "--source", "bank").stdout)["batches"]
    assert [row["file"] for row in only] == ["bank.xml"]
    shown = call("-C", reconciled, "batches").stdout
    assert "3 accepted, 1 quarantined" in shown
    assert "no batches" in call("-C", reconciled, "batches", "--source", "nonsense").stdout


def test_a_batch_is_superseded(call: Call, company: Path) -> None:
    result = call("-C", company, "supersede", 3, "--reason", "wrong month", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["rows"] >= 3
    (row,) = json.loads(call("-C", company, "batches", "--state", "withdrawn", "--json").stdout)["batches"]
    assert (row["batch"], row["reason"]) == (3, "wrong month")
    assert "1 batch waiting" in " ".join(call("-C", company, "status", columns=120).stdout.split())
    call("-C", company, "run")
    (proof,) = json.loads(call("-C", company, "proof", "invoices-to-ledger", "--json").stdout)["proofs"]
    postings = next(line for line in proof["lines"] if line["side"] == "postings")
    assert (postings["withdrawn"], postings["closing"], postings["unexplained"]) == ("60.00", "0.00", "0.00")
    assert call("-C", company, "supersede", 3, "--reason", "again").exit_code == 2
    assert call("-C", company, "supersede", 99, "--reason", "none").exit_code == 2
    assert call("-C", company, "supersede", 1, "--reason", " ").exit_code == 2


def test_when_a_delivery_was_observed_settles_which_content_is_later(call: Call, fresh: Path) -> None:
    call("init", fresh)
    ledger = fresh / "ledger.csv"
    header = "id,day,amount,currency,number\n"
    ledger.write_text(f"{header}1,2026-09-21,10.00,EUR,N1\n")
    call("-C", fresh, "ingest", "ledger", "--observed-at", "2026-10-02")
    outcomes = []
    for amount, day in (("11.00", "2026-10-01"), ("12.00", "2026-10-03T00:00+02:00")):
        ledger.write_text(f"{header}1,2026-09-21,{amount},EUR,N1\n")
        (one,) = files(call("-C", fresh, "ingest", "ledger", "--observed-at", day, "--json"))
        outcomes.append((one["stale"], one["superseding"], one["undated"]))
    assert outcomes == [(1, 0, 0), (0, 1, 0)]
    ledger.write_text(f"{header}2,2026-09-21,10.00,EUR,N1\n")
    call("-C", fresh, "ingest", "ledger")
    ledger.write_text(f"{header}2,2026-09-21,10.50,EUR,N1\n")
    assert "nothing says which is later" in call("-C", fresh, "ingest", "ledger").stdout
    wrong = call("-C", fresh, "ingest", "ledger", "--observed-at", "yesterday")
    assert wrong.exit_code == 2
    assert "2026-10-05" in wrong.stderr
