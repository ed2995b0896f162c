"""`tieout parse` on real files, good and bad: the documented JSON, the terminal, and exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.testing import Result

from tieout.service.preview import RECORD_KEYS

Call = Callable[..., Result]

REAL = Path(__file__).parents[4] / "shared" / "data"
DECIMAL = {"type": ["string", "null"], "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}
TEXT = {"type": ["string", "null"]}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["files"],
    "additionalProperties": False,
    "properties": {
        "files": {
            "type": "array",
            "items": {
                "type": "object",
                "oneOf": [{"required": ["error"]}, {"required": ["records", "totals", "statements", "quarantined"]}],
                "properties": {
                    "file": {"type": "string"},
                    "format": {"type": "string"},
                    "records": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": list(RECORD_KEYS),
                            "additionalProperties": False,
                            "properties": {
                                **dict.fromkeys(RECORD_KEYS, TEXT),
                                **dict.fromkeys(("amount", "fee", "net"), DECIMAL),
                                "line": {"type": "integer", "minimum": 1},
                                "date": {"type": ["string", "null"], "pattern": r"^\d{4}-\d\d-\d\d$"},
                                "time": {"type": ["string", "null"], "pattern": r"^\d{4}-\d\d-\d\dT[\d:.]+Z$"},
                                "attributes": {"type": ["object", "null"]},
                            },
                        },
                    },
                    "totals": {
                        "type": "object",
                        "additionalProperties": {
                            "type": "object",
                            "required": ["rows", "amount"],
                            "properties": {"rows": {"type": "integer"}, "amount": DECIMAL},
                        },
                    },
                    "statements": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["statement_id", "account", "currency", "opening", "closing", "sum", "ties"],
                            "properties": {"ties": {"type": ["boolean", "null"]}, "lines": {"type": "integer"}},
                        },
                    },
                    "quarantined": {
                        "type": "array",
                        "items": {"type": "object", "required": ["line", "field", "reason", "text"]},
                    },
                    "inferred": {"type": "object", "additionalProperties": {"type": "string"}},
                },
            },
        }
    },
}  # fmt: skip


def parsed(result: Result) -> list[dict[str, Any]]:
    """The files of the document, which must have the documented shape and be true to itself."""
    document = json.loads(result.stdout)
    Draft202012Validator(SCHEMA).validate(document)
    for file in document["files"]:
        if "error" in file:
            continue
        assert file["rows"]["read"] == file["rows"]["records"] + file["rows"]["quarantined"]
        assert len(file["quarantined"]) == file["rows"]["quarantined"]
        assert [record["line"] for record in file["records"]] == sorted(record["line"] for record in file["records"])
        for one in file["statements"]:
            if one["ties"] is not None:
                gap = Decimal(one["closing"]) - Decimal(one["opening"]) - Decimal(one["sum"])
                assert (gap == 0) is one["ties"]
                assert Decimal(one["gap"]) == gap
        if file["rows"]["records"] == len(file["records"]):
            sums: dict[str, Decimal] = {}
            for record in file["records"]:
                if record["currency"]:
                    amount = Decimal(record["amount"] or 0)
                    sums[record["currency"]] = sums.get(record["currency"], Decimal(0)) + amount
            assert {currency: Decimal(total["amount"]) for currency, total in file["totals"].items()} == sums
    files = document["files"]
    assert isinstance(files, list)
    return files


def test_records_of_every_format_have_one_shape(call: Call, fresh: Path) -> None:
    names = [fresh / name for name in ("stripe-1.jsonl", "bank.xml", "ledger.csv")]
    stripe, bank, ledger = parsed(call("parse", "--json", *names))
    assert [file["format"] for file in (stripe, bank, ledger)] == ["stripe", "camt", "csv"]
    assert stripe["records"][0]["amount"] == "10.00"
    assert stripe["records"][3]["invoice_ref"] == "in_1"
    assert [record["amount"] for record in bank["records"]] == ["10.00", "-2.50"]
    assert bank["statements"][0]["ties"] is True
    assert bank["totals"] == {"EUR": {"rows": 2, "amount": "7.50"}}
    (bad,) = ledger["quarantined"]
    assert (bad["line"], bad["field"], bad["text"]) == (5, "amount", "twelve")
    assert [file["file"] for file in (stripe, bank, ledger)] == [str(name) for name in names]


def test_a_limit_changes_records_only(call: Call, fresh: Path) -> None:
    (whole,) = parsed(call("parse", "--json", fresh / "stripe-1.jsonl"))
    (some,) = parsed(call("parse", "--json", "--limit", 2, fresh / "stripe-1.jsonl"))
    (none,) = parsed(call("parse", "--json", "--limit", 0, fresh / "stripe-1.jsonl"))
    assert some["records"] == whole["records"][:2]
    assert none["records"] == []
    assert {**some, "records": 0} == {**whole, "records": 0} == {**none, "records": 0}


def test_a_refused_file_does_not_hide_the_others(call: Call, fresh: Path) -> None:
    broken, empty, strange = fresh / "broken.xml", fresh / "empty.csv", fresh / "strange.bin"
    broken.write_text((fresh / "bank.xml").read_text()[:900])
    empty.write_bytes(b"")
    strange.write_bytes(bytes(range(256)) * 40)
    result = call("parse", "--json", broken, empty, strange, fresh / "bank.xml")
    assert result.exit_code == 3
    files = parsed(result)
    assert [set(file) for file in files[:3]] == [{"file", "error"}] * 3
    assert files[3]["rows"]["records"] == 2
    assert result.stderr.count("error: ") == 3
    shown = call("parse", broken, fresh / "bank.xml")
    assert shown.exit_code == 3
    assert "S-1" in shown.stdout
    assert "broken.xml" in shown.stderr


def test_wrong_calls(call: Call, fresh: Path) -> None:
    for words in (["nowhere.csv"], [fresh], [fresh / "bank.xml", "--format", "nonsense"]):
        result = call("parse", *words)
        assert result.exit_code == 2
        assert "hint:" in result.stderr
        assert call("parse", *words, "--json").exit_code == 2


def test_what_a_file_does_not_say_can_be_declared(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id,when,sum\na,2026-09-01 10:00:00,5.00\nb,2026-09-02 11:00:00,7.50\n")
    (bare,) = parsed(call("parse", "--json", path))
    assert bare["rows"] == {"read": 2, "records": 0, "quarantined": 2}
    (told,) = parsed(call("parse", "--json", "--currency", "EUR", "--kind", "invoice", "--zone", "Europe/Berlin", path))
    assert [record["kind"] for record in told["records"]] == ["invoice", "invoice"]
    assert told["totals"]["EUR"] == {"rows": 2, "amount": "12.50"}
    assert told["records"][0]["time"] in (None, "2026-09-01T08:00:00Z")


def test_the_terminal_shows_what_matters(call: Call, fresh: Path, statement: Callable[[str], str]) -> None:
    (fresh / "off.xml").write_text(statement("110.00"))
    out = call("parse", fresh / "bank.xml", fresh / "off.xml", fresh / "ledger.csv", "--limit", 1).stdout
    assert "✓" in out
    assert "✗ 2.50" in out
    assert "… and 1 more" in out
    assert "total  7.50 EUR in 2 records" in out
    assert "Quarantined: 1 row" in out
    assert "twelve" in out
    assert "delimiter: comma" in out


def test_text_from_files_cannot_command_the_terminal(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id,date,amount,currency,description\na,2026-09-01,5.00,EUR,\x1b[2J\x1b]0;owned\x07[bold]x\u202e\n")
    result = call("parse", path)
    assert "\x1b" not in result.output
    assert "\u202e" not in result.output
    assert "[bold]x" in result.stdout
    assert parsed(call("parse", "--json", path))[0]["records"][0]["description"] is not None


def test_many_lines_keep_their_order(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(
        "id,date,amount,currency\n" + "".join(f"r{row},2026-09-01,{row}.00,EUR\n" for row in range(120_000))
    )
    (file,) = json.loads(call("parse", "--json", path).stdout)["files"]
    assert [record["native_id"] for record in file["records"]] == [f"r{row}" for row in range(120_000)]


@pytest.mark.skipif(not REAL.is_dir(), reason="the folder of real samples is not beside the checkout")
@pytest.mark.parametrize("folder", ["camt-bankstatementparser", "csv2ofx", "stripe-djstripe", "psp-webhooks-pay"])
def test_real_files_parse_or_say_why(call: Call, folder: str) -> None:
    paths = sorted(path for path in (REAL / folder).rglob("*") if path.suffix in (".xml", ".csv", ".json"))
    assert paths
    result = call("parse", "--json", "--limit", 50, *paths)
    assert result.exit_code in (0, 3)
    assert len(parsed(result)) == len(paths)
