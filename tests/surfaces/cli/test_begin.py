"""`tieout init`, `check`, `simulate` and `demo`: from nothing to a reconciled workspace."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from tieout.core.config.parsing import parse_configuration
from tieout.surfaces.cli.commands.demo import MARKER, prepare

Call = Callable[..., Result]

INVOICES = (
    "invoice_number;issued;total;currency;customer\nINV-1;13.09.2026;1.234,50;EUR;C1\nINV-2;14.09.2026;99,00;EUR;C2\n"
)
PAYMENTS = "id,paid_at,amount,currency,invoice\np_1,2026-09-15,1234.50,EUR,INV-1\np_2,2026-09-16,98.00,EUR,INV-2\n"


def test_from_two_samples_to_findings(call: Call, tmp_path: Path) -> None:
    (tmp_path / "invoices-2026.csv").write_text(INVOICES)
    (tmp_path / "payments.csv").write_text(PAYMENTS)
    result = call("init", "--workspace", "acme", "--from", "invoices-2026.csv", "--from", "payments.csv", cwd=tmp_path)
    assert result.exit_code == 0, result.output
    configuration = parse_configuration((tmp_path / "tieout.yaml").read_text())
    assert configuration.workspace == "acme"
    assert configuration.sources["invoices"].options.mapping["native_id"] == "invoice_number"
    assert list(configuration.reconciliations) == ["invoices-to-payments"]
    assert call("check", cwd=tmp_path).exit_code == 0
    assert call("ingest", cwd=tmp_path).exit_code == 0
    found = call("run", cwd=tmp_path)
    assert found.exit_code == 1
    assert "invoices say 99.00 EUR (INV-2, 2026-09-14), payments say 98.00 EUR (p_2)" in found.stdout


def test_without_samples_an_example_is_written(call: Call, tmp_path: Path) -> None:
    target = tmp_path / "New Books 2026!"
    assert call("init", target).exit_code == 0
    assert parse_configuration((target / "tieout.yaml").read_text()).workspace == "new-books-2026"
    written = (target / "tieout.yaml").read_text()
    again = call("init", target, "--workspace", "other")
    assert again.exit_code == 0
    assert "stays as it is" in again.stderr
    assert (target / "tieout.yaml").read_text() == written
    assert call("-C", target, "status").exit_code == 0


def test_samples_of_formats_that_know_themselves(call: Call, fresh: Path, tmp_path: Path) -> None:
    target = tmp_path / "books"
    samples = [word for name in ("stripe-1.jsonl", "bank.xml") for word in ("--from", fresh / name)]
    assert call("init", target, *samples).exit_code == 0
    configuration = parse_configuration((target / "tieout.yaml").read_text())
    assert {name: source.format for name, source in configuration.sources.items()} == {
        "stripe": "stripe",
        "bank": "camt",
    }
    assert call("-C", target, "ingest").exit_code == 0


def test_init_that_cannot_be_done(call: Call, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "file").write_text("x")
    for words in (
        ["--from", "nowhere.csv"],
        ["--from", "empty.csv"],
        ["--workspace", "Not A Name"],
        ["file"],
    ):
        result = call("init", *words, cwd=tmp_path)
        assert result.exit_code == 2, words
        assert "hint:" in result.stderr
        assert not (tmp_path / "tieout.yaml").exists()
    call("init", cwd=tmp_path)
    (tmp_path / "rows.csv").write_text(PAYMENTS)
    assert "is there already" in call("init", "--from", "rows.csv", cwd=tmp_path).stderr


def test_check_tells_what_is_declared(call: Call, fresh: Path) -> None:
    found = json.loads(call("-C", fresh, "check", "--json").stdout)
    assert found["sources"] == ["stripe", "bank", "ledger"]
    assert found["problems"] == []
    assert "in order" in call("-C", fresh, "check").stdout
    assert not (fresh / ".tieout").exists()


def test_simulate_month_and_benchmark(call: Call, tmp_path: Path) -> None:
    month = json.loads(call("simulate", "month", tmp_path / "m", "--customers", 20, "--clean", "--json").stdout)
    assert month["truths"] == 0
    assert all(Path(one["file"]).is_file() for one in month["files"])
    bench = json.loads(call("simulate", "benchmark", tmp_path / "b", "--rows", 600, "--csv", "--json").stdout)
    assert bench["invoices"] == 600
    assert (tmp_path / "b" / "invoices.csv").is_file()
    assert "next: tieout init" in call("simulate", "month", tmp_path / "m2", "--customers", 5).stdout
    (tmp_path / "file").write_text("x")
    for words in (
        ["month", tmp_path / "m3", "--customers", 0],
        ["month", tmp_path / "m3", "--start", "2026-09-30"],
        ["month", tmp_path / "file"],
        ["benchmark", tmp_path / "b2", "--rows", 1],
        ["benchmark", tmp_path / "file", "--rows", 600],
    ):
        assert call("simulate", *words).exit_code == 2, words


def test_a_simulated_clean_month_is_clean(call: Call, tmp_path: Path) -> None:
    call("simulate", "month", tmp_path, "--customers", 20, "--clean")
    assert call("init", tmp_path).exit_code == 0
    assert call("-C", tmp_path, "ingest").exit_code == 0
    result = call("-C", tmp_path, "run", "--as-of", "2026-09-30")
    assert result.exit_code == 0, result.stdout
    assert "clean" in result.stdout


def test_the_demo(call: Call, tmp_path: Path) -> None:
    target = tmp_path / "demo"
    result = call("demo", "--dir", target, "--customers", 30)
    assert result.exit_code == 0, result.output
    out = result.stdout
    assert "refused, as it should be" in out
    assert "MISSING_RECORD" in out
    assert "unexplained" in out
    assert f"next: tieout -C {target} status" in out
    assert call("-C", target, "verify").exit_code == 0
    assert (target / MARKER).is_file()
    prepare(target)
    assert not target.exists(), "an earlier demo makes room"


@pytest.mark.parametrize("strange", ["directory", "file", "link"])
def test_the_demo_spares_what_is_no_demo(call: Call, tmp_path: Path, strange: str) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "precious.txt").write_text("keep me")
    target = kept
    if strange == "file":
        target = kept / "precious.txt"
    elif strange == "link":
        (kept / MARKER).write_text("")
        target = tmp_path / "link"
        target.symlink_to(kept)
    result = call("demo", "--dir", target)
    assert result.exit_code == 2
    assert "--dir" in result.stderr
    assert (kept / "precious.txt").read_text() == "keep me"
