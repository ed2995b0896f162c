"""One field of MT940 at a time: `:61:` with its dates, mark and amount, and `:86:` in every dialect."""

from __future__ import annotations

from datetime import date

import pytest

from tieout.adapters.sources.mt940.fields import StatementLine, amount_of, read_statement_line
from tieout.adapters.sources.mt940.information import DESCRIPTION_CHARACTERS, read_information


def line_of(text: str) -> StatementLine:
    """A `:61:` field that must be readable in one line."""
    found = read_statement_line([text])
    assert not isinstance(found, str), found
    return found[0]


@pytest.mark.parametrize(
    ("mark", "amount"),
    [("C", "5.00"), ("D", "-5.00"), ("RC", "-5.00"), ("RD", "5.00"), ("EC", "5.00"), ("ED", "-5.00"), ("CR", "5.00"),
     ("DR", "-5.00"), ("RCR", "-5.00"), ("RDD", "5.00"), ("DD", "-5.00"), ("CD", "5.00"), ("rc", "-5.00")],
)  # fmt: skip
def test_mark_and_funds_code(mark: str, amount: str) -> None:
    line = line_of(f"260302{mark}5,00NTRFNONREF")
    assert format(line.amount, "f") == amount
    assert line.funds_code == (mark[1:] if mark in ("CR", "DR", "DD", "CD") else mark[2:]).upper()


@pytest.mark.parametrize(
    ("text", "value", "booked"),
    [
        ("2601021231", "2026-01-02", "2025-12-31"),
        ("2512310102", "2025-12-31", "2026-01-02"),
        ("2603020301", "2026-03-02", "2026-03-01"),
        ("260302    ", "2026-03-02", "2026-03-02"),
        ("260302", "2026-03-02", "2026-03-02"),
        ("2603020000", "2026-03-02", "2026-03-02"),
        ("2403010229", "2024-03-01", "2024-02-29"),
        ("1602300301", "2016-02-29", "2016-03-01"),
        ("2602290301", "2026-02-28", "2026-03-01"),
        ("8001020102", "1980-01-02", "1980-01-02"),
        ("7901020102", "2079-01-02", "2079-01-02"),
    ],
)
def test_dates(text: str, value: str, booked: str) -> None:
    line = line_of(f"{text}C1,NTRF")
    assert (line.value_date, line.booking_date) == (date.fromisoformat(value), date.fromisoformat(booked))


@pytest.mark.parametrize(
    ("written", "read_as"),
    [("12,", "12"), (",5", "0.5"), ("12,50", "12.50"), ("000001,62", "1.62"), ("0,00", "0.00"), ("7", "7"),
     ("1,,2", None), (",", None), ("", None), ("1.5", None), ("-1,", None), ("１", None), ("1" * 41, None)],
)  # fmt: skip
def test_amount(written: str, read_as: str | None) -> None:
    amount = amount_of(written)
    assert (None if amount is None else format(amount, "f")) == read_as


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "value date"),
        ("26030C5,NTRF", "value date"),
        ("2613020302C5,NTRF", "no day of the calendar"),
        ("2604310302C5,NTRF", "no day of the calendar"),
        ("2603021302C5,NTRF", "entry date"),
        ("2603020902C5,NTRF", None),
        ("2603020229C5,NTRF", "entry date"),
        ("2603020302X5,NTRF", "debit or credit mark"),
        ("2603020302R5,NTRF", "debit or credit mark"),
        ("2603020302C-5,NTRF", "decimal comma"),
        ("2603020302C1.234,56NTRF", "transaction type"),
        ("2603020302C1,2,3NTRF", "decimal comma"),
        ("2603020302C" + "9" * 50 + "NTRF", "decimal comma"),
        ("2603020302C5,", "transaction type"),
        ("2603020302C5,NT", "transaction type"),
    ],
)
def test_malformed_statement_line(text: str, reason: str | None) -> None:
    found = read_statement_line([text])
    if reason is None:
        assert not isinstance(found, str)
    else:
        assert isinstance(found, str)
        assert reason in found


class TestInformation:
    """What `:86:` says, by its physical lines."""

    def test_subfields_broken_anywhere(self) -> None:
        text = "177?00ONLINE?20SVWZ+Invoice 2026-1 of Janua?21ry?32EXAMPLE?33LTD"
        for width in range(1, len(text)):
            found = read_information([text[start : start + width] for start in range(0, len(text), width)])
            if width > 5:
                assert (found.description, found.counterparty) == ("Invoice 2026-1 of January", "EXAMPLE LTD")

    def test_a_reference_ends_with_its_run_of_full_subfields(self) -> None:
        found = read_information(["159?20EREF+TFNR 40005 00005?21Reason not stated"])
        assert found.attributes["end_to_end_id"] == "TFNR 40005 00005"
        assert found.description == "Reason not stated"

    @pytest.mark.parametrize("separator", ["?", "~", "<", ">", "^", "|"])
    def test_separators(self, separator: str) -> None:
        text = "166?00CREDIT?20EREF+A-1?21SVWZ+What for?32WHO".replace("?", separator)
        found = read_information([text])
        assert (found.description, found.counterparty) == ("What for", "WHO")
        assert (found.attributes["gvc_code"], found.attributes["end_to_end_id"]) == ("166", "A-1")

    @pytest.mark.parametrize(
        "text", ["123,45 EUR paid", "166 plain", "/ABC/DEF/ghi", "Why?20 Euro", "Rate 1/2/3", "#20 order", "911-12"]
    )
    def test_free_text_stays_whole(self, text: str) -> None:
        found = read_information([text])
        assert (found.description, found.attributes) == (text, {})

    def test_full_lines_of_free_text_go_on(self) -> None:
        assert read_information(["x" * 65, "y", "z"]).description == "x" * 65 + "y z"

    @pytest.mark.parametrize("placeholder", ["NONREF", "NOTPROVIDED", "Not Provided", "", "-"])
    def test_placeholders(self, placeholder: str) -> None:
        assert "end_to_end_id" not in read_information([f"166?20EREF+{placeholder}?21SVWZ+x"]).attributes
        assert "end_to_end_id" not in read_information([f"/EREF/{placeholder}/REMI/x"]).attributes

    def test_codes_with_plus_in_free_text(self) -> None:
        found = read_information(["EREF+A-1 KREF+B-2 SVWZ+Invoice 7"])
        assert found.attributes == {"end_to_end_id": "A-1", "customer_reference": "B-2"}
        assert found.description == "Invoice 7"

    def test_long_text_is_cut_and_kept(self) -> None:
        found = read_information(["word " * 1_000])
        assert found.description == ("word " * 1_000)[:DESCRIPTION_CHARACTERS]
        assert found.attributes == {"information": ("word " * 1_000).strip()}

    def test_ordering_party(self) -> None:
        found = read_information(["/ORDP//NAME/Example/BENM//NAME/Ours/REMI/USTD//Order 9/ISDT/20260302"])
        assert (found.counterparty, found.description) == ("Example", "Order 9")
        assert found.attributes == {"isdt": "20260302"}
