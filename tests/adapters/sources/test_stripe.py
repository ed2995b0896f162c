"""Stripe's objects: what each kind says, minor units, and that none is ever lost. Framing has its own file."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieout.adapters.sources.stripe import objects as stripe_objects
from tieout.adapters.sources.stripe import source as stripe
from tieout.adapters.sources.stripe.currency import THREE_DECIMAL, ZERO_DECIMAL, major_text, stripe_exponent
from tieout.model.errors import InputError
from tieout.model.money import EXPONENTS, MAX_MINOR, parse_decimal
from tieout.model.reading import Reading, SourceOptions
from tieout.model.record import DRAFT_COLUMNS, MONEY_KINDS

FIXTURES = Path(__file__).parent / "fixtures" / "stripe"
REAL = Path(__file__).parents[4] / "shared" / "data"
needs_real_data = pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data is not here")

Row = dict[str, object]
Writer = Callable[..., Path]


def read(path: Path, currency: str | None = None) -> tuple[list[Row], Reading]:
    """Every draft of a file as a row of what it has, and the reading."""
    reading = stripe.SOURCE.read(path, SourceOptions(currency=currency))
    rows: list[Row] = []
    assert isinstance(reading.drafts, Iterator)
    for chunk in reading.drafts:
        assert set(chunk) <= {"line", *DRAFT_COLUMNS}
        assert len({len(values) for values in chunk.values()}) == 1
        names = list(chunk)
        rows += [
            {name: value for name, value in zip(names, values, strict=True) if value is not None}
            for values in zip(*chunk.values(), strict=True)
        ]
    assert all(row.get("native_id") for row in rows)
    assert not reading.derived_ids
    return rows, reading


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Writes text, bytes or a value as JSON, and gives the path."""

    def _write(content: object, name: str = "export.json") -> Path:
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return _write


def attributes(row: Row) -> dict[str, object]:
    """A row's attributes, which must be canonical JSON."""
    text = row["attributes"]
    assert isinstance(text, str)
    value = json.loads(text)
    assert isinstance(value, dict)
    assert list(value) == sorted(value)
    assert ": " not in text
    return value


def without(row: Row, *names: str) -> Row:
    """A row without some of its columns."""
    return {name: value for name, value in row.items() if name not in names}


class TestKinds:
    """Each kind's columns, from one file with one object of each."""

    rows, reading = read(FIXTURES / "objects.json")
    by_id: ClassVar = {str(row["native_id"]): row for row in rows}

    def test_lines_are_ordinals_and_nothing_is_rejected(self) -> None:
        assert [row["line"] for row in self.rows] == list(range(1, 16))
        assert self.reading.rejections == []
        assert self.reading.inferred == {"framing": "one JSON document"}

    def test_customer(self) -> None:
        row = self.by_id["cus_A"]
        assert without(row, "line", "attributes") == {
            "kind": "customer", "native_id": "cus_A", "date": "2026-01-01", "time": "2026-01-01T00:00:00Z",
            "counterparty": "Example Customer AG", "customer_ref": "cus_A", "version": "1767225600000000",
        }  # fmt: skip
        assert attributes(row) == {
            "balance_minor": "-500", "delinquent": False, "email": "billing@example.com", "livemode": True,
            "metadata": {"workspace_id": "ws_1"},
        }  # fmt: skip

    def test_subscription(self) -> None:
        row = self.by_id["sub_A"]
        assert (row["status"], row["customer_ref"], row["subscription_ref"]) == ("active", "cus_A", "sub_A")
        item = {"id": "si_A", "interval": "month", "price": "price_A", "product": "prod_A", "quantity": 2}
        assert attributes(row) == {"current_period_end": "2026-02-01T00:00:00Z", "items": [item]}

    def test_invoice(self) -> None:
        row = self.by_id["in_A"]
        assert without(row, "line", "attributes") == {
            "kind": "invoice", "native_id": "in_A", "date": "2026-01-02", "time": "2026-01-01T00:00:00Z",
            "amount": "500.00", "currency": "EUR", "counterparty": "Example Customer AG", "status": "paid",
            "category": "subscription_cycle", "reference": "INV-0001", "invoice_ref": "in_A", "payment_ref": "pi_A",
            "subscription_ref": "sub_A", "customer_ref": "cus_A", "version": "1767312000003003",
        }  # fmt: skip
        found = attributes(row)
        assert (found["amount_due"], found["amount_paid"], found["amount_remaining"]) == ("500.00", "500.00", "0.00")

    def test_invoice_of_a_newer_api_names_its_links_elsewhere(self) -> None:
        row = self.by_id["in_B"]
        assert (row["amount"], row["currency"]) == ("50000", "JPY")
        assert (row["payment_ref"], row["subscription_ref"], row["date"]) == ("pi_B", "sub_A", "2026-01-01")

    def test_payment_intent(self) -> None:
        row = self.by_id["pi_A"]
        assert (row["kind"], row["amount"], row["payment_ref"]) == ("payment_intent", "500.00", "pi_A")

    def test_charge_takes_fee_and_net_from_its_expanded_transaction(self) -> None:
        row = self.by_id["ch_A"]
        assert (row["amount"], row["fee"], row["net"]) == ("500.00", "8.92", "491.08")
        assert (row["invoice_ref"], row["payment_ref"], row["customer_ref"]) == ("in_A", "pi_A", "cus_A")
        assert row["counterparty"] == "Example Customer AG"
        assert attributes(row)["balance_transaction"] == "txn_A"
        assert attributes(row)["metadata"] == {"invoice_id": "in_A"}

    def test_fee_in_another_currency_is_no_fee_of_the_charge(self) -> None:
        row = self.by_id["py_B"]
        assert (row["kind"], row["amount"], row["currency"]) == ("charge", "10.00", "USD")
        assert "fee" not in row
        assert attributes(row)["settlement_fee"] == "0.30"
        assert attributes(row)["settlement_currency"] == "EUR"

    def test_money_that_leaves_is_negative(self) -> None:
        assert [self.by_id[name]["amount"] for name in ("re_A", "dp_A", "cn_A")] == ["-10.00", "-12.340", "-5.00"]
        assert [self.by_id[name].get("payment_ref") for name in ("re_A", "dp_A")] == ["ch_A", "ch_A"]
        assert (self.by_id["cn_A"]["invoice_ref"], self.by_id["cn_A"]["reference"]) == ("in_A", "INV-0001-CN-01")
        assert attributes(self.by_id["re_A"]) == {"payment_intent": "pi_A"}
        assert attributes(self.by_id["dp_A"])["balance_transactions"] == ["txn_D"]

    def test_balance_transaction(self) -> None:
        row = self.by_id["txn_A"]
        assert (row["amount"], row["fee"], row["net"], row["category"]) == ("500.00", "8.92", "491.08", "charge")
        assert (row["reference"], row["payout_ref"], row["payment_ref"]) == ("ch_A", "po_A", "pi_A")
        assert (row["invoice_ref"], row["customer_ref"]) == ("in_A", "cus_A")
        assert attributes(row)["fee_details"] == [
            {"amount": "7.25", "type": "stripe_fee"},
            {"amount": "1.67", "description": "VAT", "type": "tax"},
        ]
        assert '"exchange_rate":1.1050' in str(row["attributes"]), "a number is kept as it was written"

    def test_payout(self) -> None:
        row = self.by_id["po_A"]
        assert (row["amount"], row["date"], row["time"]) == ("491.08", "2026-01-06", "2026-01-05T00:00:00Z")
        assert (row["payout_ref"], row["reference"], row["category"]) == ("po_A", "TRACE-1", "bank_account")
        assert attributes(row)["statement_descriptor"] == "EXAMPLE"
        assert attributes(row)["destination"] == "ba_A"

    def test_unknown_type_is_kept_raw_and_whole(self) -> None:
        row = self.by_id["prod_A"]
        assert without(row, "line") == {
            "kind": "raw", "native_id": "prod_A", "category": "product",
            "attributes": '{"created":1767225600,"id":"prod_A","name":"Seat","object":"product"}',
        }  # fmt: skip

    def test_preview_without_id_is_raw_and_named_by_its_digest(self) -> None:
        row = self.rows[13]
        assert (row["kind"], row["category"]) == ("raw", "invoice")
        assert str(row["native_id"]).startswith("sha256:")
        assert len(str(row["native_id"])) == 7 + 64

    def test_deleted_object_keeps_its_kind(self) -> None:
        assert (self.by_id["ch_Z"]["kind"], self.by_id["ch_Z"]["status"]) == ("charge", "deleted")


def test_events_feed_current_state() -> None:
    rows, reading = read(FIXTURES / "events.jsonl")
    assert reading.inferred == {"framing": "JSON lines"}
    seen = [(row["line"], row["kind"], row["native_id"], row.get("status")) for row in rows]
    assert seen == [
        (1, "event", "evt_1", None),
        (1, "charge", "ch_A", "succeeded"),
        (3, "event", "evt_2", None),
        (3, "customer", "cus_A", "deleted"),
        (4, "event", "evt_3", None),
        (4, "subscription", "sub_A", "canceled"),
        (5, "event", "evt_4", None),
        (6, "event", "evt_5", None),
        (6, "raw", "prod_A", None),
    ]
    assert {row["version"] for row in rows if row["line"] == 1} == {"1767312100000000", "1767312100002002"}
    assert rows[1]["time"] == "2026-01-02T00:00:01Z"
    assert (rows[0]["category"], rows[0]["reference"]) == ("charge.updated", "ch_A")
    assert attributes(rows[0])["previous_attributes"] == {"status": "pending"}


class TestAmounts:
    """Stripe's minor units."""

    @given(
        amount=st.integers(min_value=-MAX_MINOR // 10, max_value=MAX_MINOR // 10),
        currency=st.sampled_from(sorted(code for code, exponent in EXPONENTS.items() if exponent < 4)),
    )
    def test_round_trip(self, amount: int, currency: str) -> None:
        """What Stripe counts in its smallest unit is the same money in ISO's, or is refused, never rounded."""
        text = major_text(amount, currency)
        shift = EXPONENTS[currency] - stripe_exponent(currency)
        if shift >= 0:
            assert parse_decimal(text, currency) == amount * 10**shift
        elif amount % 10**-shift == 0:
            assert parse_decimal(text, currency) == amount // 10**-shift
        else:
            with pytest.raises(InputError, match="more decimals"):
                parse_decimal(text, currency)

    @pytest.mark.parametrize(
        ("amount", "currency", "text"),
        [
            (1050, "EUR", "10.50"), (-5, "USD", "-0.05"), (0, "EUR", "0.00"), (500, "JPY", "500"), (-1, "KRW", "-1"),
            (5120, "KWD", "5.120"), (500, "MGA", "500"), (500, "ISK", "5"), (500, "UGX", "5"), (550, "UGX", "5.5"),
            (4010, "ISK", "40.1"), (-1045, "HUF", "-10.45"), (1000, "TWD", "10.00"), (7, "XXZ", "0.07"),
        ],
    )  # fmt: skip
    def test_major_text(self, amount: int, currency: str, text: str) -> None:
        assert major_text(amount, currency) == text

    def test_lists_are_of_known_currencies(self) -> None:
        assert set(EXPONENTS) > ZERO_DECIMAL | THREE_DECIMAL
        assert {code for code in ZERO_DECIMAL if EXPONENTS[code] != 0} == {"MGA"}

    @pytest.mark.parametrize("written", ["10.5", "100.0", "1e3", '"1000"', '"10.00"', '"abc"', "true", "[]", "{}"])
    def test_amount_that_is_no_whole_number_is_rejected(self, write: Writer, written: str) -> None:
        rows, reading = read(write(f'[{{"id": "ch_1", "currency": "eur", "amount": {written}}}]'))
        assert rows == []
        assert (reading.rejections[0].line, reading.rejections[0].field) == (1, "amount")
        assert "unit" in reading.rejections[0].reason

    def test_amount_beyond_a_64_bit_integer_is_rejected(self, write: Writer) -> None:
        rows, reading = read(write(f'{{"id": "ch_1", "currency": "eur", "amount": {2**63}}}'))
        assert (rows, reading.rejections[0].text) == ([], str(2**63))

    def test_currency_of_the_payout_or_the_source(self, write: Writer) -> None:
        content = {
            "balance_transactions": [{"id": "txn_1", "payout": "po_1", "amount": 500}, {"id": "txn_2", "amount": 500}],
            "payouts": [{"id": "po_1", "currency": "jpy", "amount": 500}],
        }
        rows, _ = read(write(content))
        assert [(row.get("currency"), row["amount"]) for row in rows] == [("JPY", "500"), (None, "500"), ("JPY", "500")]
        rows, _ = read(write(content), currency="eur")
        assert [(row.get("currency"), row["amount"]) for row in rows] == [
            ("JPY", "500"),
            ("EUR", "5.00"),
            ("JPY", "500"),
        ]

    @pytest.mark.parametrize(
        ("created", "date"), [("10**18", "1" + "0" * 18), ('"soon"', "soon"), ("null", None), ("true", None)]
    )
    def test_impossible_time_is_passed_through(self, write: Writer, created: str, date: str | None) -> None:
        created = created.replace("10**18", "1" + "0" * 18)
        rows, _ = read(write(f'{{"id": "ch_1", "created": {created}}}'))
        assert (rows[0].get("date"), rows[0].get("time")) == (date, date)

    def test_balance_transaction_names_its_invoice_and_customer_in_metadata(self, write: Writer) -> None:
        for metadata in ({"invoice_id": "in_1", "workspace_id": "ws_1"}, {"invoice_id": "in_1", "customer": "ws_1"}):
            for content in ({"metadata": metadata}, {"source": {"id": "ch_1", "metadata": metadata}}):
                rows, _ = read(write({"id": "txn_1", "amount": 5, "currency": "eur", **content}))
                assert (rows[0]["invoice_ref"], rows[0]["customer_ref"]) == ("in_1", "ws_1")


@needs_real_data
class TestRealFiles:
    """Objects of other projects: every one is kept, read or refused with a reason."""

    def test_every_example_resource_is_kept(self) -> None:
        path = REAL / "stripe-openapi" / "fixtures3.json"
        assert stripe.SOURCE.sniff(path.read_bytes()[:65_536], path.name) == 95
        rows, reading = read(path)
        assert reading.rejections == []
        assert {row["line"] for row in rows} == set(range(1, 177))
        assert len(rows) == 176 + 1, "the event carries one more object"
        kinds = Counter(row["kind"] for row in rows)
        assert kinds.pop("raw") == 164
        assert set(kinds) == set(stripe_objects.READERS)
        incomplete = [row for row in rows if row["kind"] in MONEY_KINDS and not {"amount", "currency"} <= set(row)]
        assert [row["status"] for row in incomplete] == ["deleted"]
        json.dumps(rows, ensure_ascii=False).encode()

    def test_every_object_of_another_library_is_kept_or_refused(self) -> None:
        paths = sorted((REAL / "stripe-djstripe").glob("*.json"))
        assert len(paths) == 62
        counts: Counter[object] = Counter()
        refused: dict[str, tuple[str, str]] = {}
        for path in paths:
            assert stripe.SOURCE.sniff(path.read_bytes(), path.name) >= 85
            rows, reading = read(path)
            assert rows or reading.rejections
            counts.update(row["kind"] for row in rows)
            for one in reading.rejections:
                refused[path.stem] = (one.field, one.text)
        assert counts["raw"] == 41
        assert counts["event"] == 11
        assert {kind: counts[kind] for kind in ("charge", "dispute", "invoice", "subscription")} == {
            "charge": 1, "dispute": 3, "invoice": 2, "subscription": 4,
        }  # fmt: skip
        assert refused == {
            "dispute_ch_fakefakefakefake01": ("amount", "10.00"),
            "payout_custom_bank_account": ("amount", "10.00"),
            "payout_custom_card": ("amount", "10.00"),
        }, "that library writes these three in major units, as text"

    def test_payout_scenarios(self) -> None:
        path = REAL / "stripe-payout-scenarios" / "payouts.json"
        assert stripe.SOURCE.sniff(path.read_bytes(), path.name) == 75
        rows, reading = read(path)
        assert reading.rejections == []
        assert Counter(row["kind"] for row in rows) == {"payout": 3, "balance_transaction": 7}
        sums: Counter[object] = Counter()
        for row in rows:
            if row["kind"] == "balance_transaction":
                sums[row["payout_ref"]] += parse_decimal(str(row["net"]), str(row["currency"]))
        assert sums == {"po_A": 0, "po_B": 0, "po_C": 0}
        assert [row["amount"] for row in rows if row["native_id"] == "txn_A1"] == ["8.80", "5.10"]
        paid = [row for row in rows if row["kind"] == "payout" and row["status"] == "paid"]
        assert [(row["amount"], row["currency"]) for row in paid] == [("491.08", "EUR")]

    def test_webhook_payloads(self) -> None:
        for path in sorted((REAL / "psp-webhooks-pay" / "stripe").rglob("*.json")):
            rows, reading = read(path)
            assert rows, path.name
            assert reading.rejections == []


@pytest.mark.slow
def test_memory_does_not_follow_the_file(tmp_path: Path) -> None:
    """50 MB of JSON lines in a process of its own."""
    script = dedent("""
        import resource, sys
        from pathlib import Path
        from tieout.adapters.sources.stripe.source import SOURCE
        from tieout.model.reading import SourceOptions
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        reading = SOURCE.read(Path(sys.argv[1]), SourceOptions())
        rows = sum(len(chunk["line"]) for chunk in reading.drafts)
        print(rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
    """)
    path = tmp_path / "large.jsonl"
    with path.open("w") as file:
        for number in range(100_000):
            charge = {"id": f"ch_{number}", "object": "charge", "amount": number, "currency": "eur"}
            charge |= {"created": 1767312001, "description": "x" * 400}
            file.write(json.dumps(charge) + "\n")
    assert path.stat().st_size > 50_000_000
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    rows, grown_megabytes = map(int, done.stdout.split())
    assert rows == 100_000
    assert grown_megabytes < 150
