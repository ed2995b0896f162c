"""How Stripe files are framed and how strict their JSON must be: what is one object's fault stays its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from tieout.adapters.sources import drafting
from tieout.adapters.sources.stripe import framing as stripe_json
from tieout.adapters.sources.stripe import source as stripe
from tieout.model.errors import InputError
from tieout.model.reading import Reading, SourceOptions

CARD = "4242424242424242"
"""The card number of Stripe's own test mode."""

Row = dict[str, object]
Writer = Callable[..., Path]


def read(path: Path) -> tuple[list[Row], Reading]:
    """Every draft of a file as a row, and the reading."""
    reading = stripe.SOURCE.read(path, SourceOptions())
    assert isinstance(reading.drafts, Iterator)
    rows: list[Row] = []
    for chunk in reading.drafts:
        rows += [dict(zip(chunk, values, strict=True)) for values in zip(*chunk.values(), strict=True)]
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


class TestFraming:
    """The shapes a file of Stripe objects comes in."""

    charge: ClassVar = {"id": "ch_1", "object": "charge", "amount": 100, "currency": "eur"}

    @pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
    @pytest.mark.parametrize("shape", ["single", "array", "list", "resources", "groups", "group list", "event data"])
    def test_documents(self, write: Writer, shape: str, bom: bytes) -> None:
        page = {"object": "list", "data": [self.charge], "has_more": False, "url": "/v1/charges"}
        content: object = {
            "single": self.charge, "array": [self.charge], "list": page,
            "resources": {"resources": {"x": self.charge}}, "groups": {"charges": [self.charge]},
            "group list": {"charges": page}, "event data": {"object": self.charge},
        }[shape]  # fmt: skip
        for text in (json.dumps(content), json.dumps(content, indent=2)):
            rows, _ = read(write(bom + text.encode()))
            assert [(row["line"], row["kind"], row["amount"]) for row in rows] == [(1, "charge", "1.00")]

    def test_pages_in_an_array_and_one_page_a_line(self, write: Writer) -> None:
        pages = [{"object": "list", "data": [self.charge, self.charge], "has_more": more} for more in (True, False)]
        rows, _ = read(write(pages))
        assert [row["line"] for row in rows] == [1, 2, 3, 4]
        rows, reading = read(write("\n".join(map(json.dumps, pages))))
        assert [row["line"] for row in rows] == [1, 1, 2, 2]
        assert "more objects follow" in reading.inferred["has_more"]

    def test_type_from_group_or_id(self, write: Writer) -> None:
        groups = {
            "invoices": [{"id": "x1"}],
            "payments": [{"id": "pi_1"}],
            "widgets": [{"id": "w1"}],
            "refunds": [{"id": "pyr_1"}],
        }
        rows, _ = read(write(groups))
        assert [(row["kind"], row.get("category")) for row in rows] == [
            ("invoice", None),
            ("payment_intent", None),
            ("raw", "widget"),
            ("refund", None),
        ]
        identifiers = (
            "po_1",
            "txn_1",
            "ch_1",
            "py_1",
            "in_1",
            "re_1",
            "pyr_1",
            "dp_1",
            "du_1",
            "cus_1",
            "sub_1",
            "cn_1",
            "x",
        )
        rows, _ = read(write([{"id": identifier} for identifier in identifiers]))
        assert [row["kind"] for row in rows] == [
            "payout", "balance_transaction", "charge", "charge", "invoice", "refund", "refund", "dispute", "dispute",
            "customer", "subscription", "credit_note", "raw",
        ]  # fmt: skip

    def test_names_that_hold_no_objects_are_mentioned(self, write: Writer) -> None:
        _, reading = read(write({"source": "by hand", "charges": [self.charge], "notes": ["a"]}))
        assert reading.inferred["not read"] == "names that hold no objects: notes, source"

    def test_what_is_no_object_is_rejected(self, write: Writer) -> None:
        rows, reading = read(write([self.charge, 5, "x", None, [1]]))
        assert len(rows) == 1
        assert [(one.line, one.reason) for one in reading.rejections] == [
            (n, "not a JSON object") for n in (2, 3, 4, 5)
        ]

    def test_object_of_no_known_shape_is_raw(self, write: Writer) -> None:
        for content in ({}, {"a": 1, "tags": []}, {"balance": {"amount": 5}}):
            rows, _ = read(write(content))
            assert [(row["kind"], row["category"]) for row in rows] == [("raw", "unknown")]

    @pytest.mark.parametrize("text", ["", " ", "[", '{"id": "ch_1"', "not json", "[1] [2]"])
    def test_what_is_not_json_is_refused(self, write: Writer, text: str) -> None:
        with pytest.raises(InputError, match="not JSON"):
            read(write(text))

    def test_refusal_names_the_line(self, write: Writer) -> None:
        with pytest.raises(InputError) as caught:
            read(write('[\n{"id": "ch_1"},\n{oops}\n]'))
        assert caught.value.place.line == 3

    def test_document_over_the_bound_is_refused(self, write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stripe_json, "DOCUMENT_BYTES", 10)
        with pytest.raises(InputError, match="JSON document") as caught:
            read(write([self.charge]))
        assert "JSON lines" in caught.value.hint
        rows, _ = read(write(json.dumps(self.charge) + "\n" + json.dumps(self.charge)))
        assert len(rows) == 2

    def test_overlong_line_is_rejected_and_the_next_read(self, write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stripe_json, "LINE_BYTES", 100)
        long = json.dumps({**self.charge, "description": "x" * 350})
        rows, reading = read(write(long + "\n" + json.dumps(self.charge), "export.jsonl"))
        assert [row["line"] for row in rows] == [2]
        assert [one.line for one in reading.rejections] == [1]

    def test_chunks_are_bounded(self, write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(drafting, "CHUNK_ROWS", 2)
        chunks = stripe.SOURCE.read(write([self.charge] * 5), SourceOptions()).drafts
        assert isinstance(chunks, Iterator)
        assert [len(chunk["line"]) for chunk in chunks] == [2, 2, 1]


class TestStrictness:
    """A faulty object is rejected by itself, in lines and in documents; a faulty envelope is refused."""

    good = '{"id": "ch_1", "object": "charge", "amount": 100, "currency": "eur"}'

    @pytest.mark.parametrize(
        ("fault", "reason"),
        [
            ('"amount": 1, "amount": 2', "a key stands twice"),
            ('"metadata": {"a": {"b": 1, "b": 1}}', "a key stands twice"),
            ('"amount": NaN', "NaN is not JSON"),
            ('"metadata": {"a": [-Infinity]}', "-Infinity is not JSON"),
            (r'"description": "a\u0000b"', "NUL"),
            (r'"description": "\ud800"', "lone surrogate"),
            (r'"\uDFFF": 1', "lone surrogate"),
        ],
    )
    def test_faults_of_one_object(self, write: Writer, fault: str, reason: str) -> None:
        bad = f'{{"id": "ch_2", "object": "charge", {fault}}}'
        for path in (
            write("\n".join((self.good, bad, self.good)), "a.jsonl"),
            write(f"[{self.good}, {bad}, {self.good}]"),
        ):
            rows, reading = read(path)
            assert [row["line"] for row in rows] == [1, 3]
            (rejection,) = reading.rejections
            assert rejection.line == 2
            assert reason in rejection.reason

    @pytest.mark.parametrize(
        "bad", [b'{"id": "ch_\xff"}', b'{"id": "a\x00b"}', b"{", b"nonsense", b'{"a": 01}', b"[" * 100_000]
    )
    def test_faulty_line(self, write: Writer, bad: bytes) -> None:
        rows, reading = read(write(b"\n".join((self.good.encode(), bad, self.good.encode()))))
        assert [row["line"] for row in rows] == [1, 3]
        assert [(one.line, one.field) for one in reading.rejections] == [(2, "line")]

    def test_faulty_first_line(self, write: Writer) -> None:
        rows, reading = read(write(f'{{"id": oops}}\n{self.good}\n'))
        assert ([row["line"] for row in rows], [one.line for one in reading.rejections]) == ([2], [1])

    @pytest.mark.parametrize(
        "content",
        [
            b'{"charges": [{"id": "ch_1"}], "charges": [{"id": "ch_2"}]}',
            b'{"object": "list", "data": [{"id": "ch_1"}], "data": []}',
            b'{"resources": {"a": {"id": "ch_1"}, "a": {"id": "ch_2"}}}',
            b'{"total": NaN, "charges": [{"id": "ch_1"}]}',
            b'[{"id": "ch_\xff"}]',
            '[{"id": "ch_1"}]'.encode("utf-16"),
            b"[" * 100_000,
        ],
    )
    def test_faulty_document_is_refused(self, write: Writer, content: bytes) -> None:
        with pytest.raises(InputError):
            read(write(content))

    def test_surrogate_pair_and_real_text_are_fine(self, write: Writer) -> None:
        rows, _ = read(write('{"id": "ch_1", "description": "\\ud83d\\ude00 Grüße"}'))
        assert rows[0]["description"] == "\U0001f600 Grüße"

    def test_numbers_are_kept_as_written(self, write: Writer) -> None:
        numbers = '{"a":0.1000000000000000055511151231257827,"b":1e400,"c":123456789012345678901234567890,"id":"x"}'
        rows, _ = read(write(numbers))
        assert rows[0]["attributes"] == numbers

    def test_digest_does_not_depend_on_key_order(self, write: Writer) -> None:
        first, _ = read(write('{"a": {"c": 1, "b": 2}, "d": 3}'))
        second, _ = read(write('{"d": 3, "a": {"b": 2, "c": 1}}'))
        assert first[0]["native_id"] == second[0]["native_id"]


class TestCardNumbers:
    """Card numbers are never stored, nor repeated in a rejection."""

    @pytest.mark.parametrize(
        "number", [CARD, "4242 4242 4242 4242", int(CARD), "378282246310005", "6304-0000-0000-0000-00"]
    )
    @pytest.mark.parametrize("shape", ["top", "nested", "metadata", "event"])
    def test_refused(self, write: Writer, shape: str, number: object) -> None:
        card = {"id": "card_1", "object": "card", "number": number}
        content: object = {
            "top": card,
            "nested": {"id": "pm_1", "object": "payment_method", "card": card},
            "metadata": {"id": "cus_1", "object": "customer", "metadata": {"number": number}},
            "event": {"id": "evt_1", "object": "event", "data": {"object": card}},
        }[shape]
        rows, reading = read(write(content))
        assert rows == []
        (rejection,) = reading.rejections
        assert rejection.reason == "card number refused"
        assert rejection.field.endswith("number")
        assert rejection.text == ""

    @pytest.mark.parametrize("number", ["4242", "4242424242424241", "INV-4242424242424242", "1" * 20, None, True, 1.5])
    def test_other_numbers_are_fine(self, write: Writer, number: object) -> None:
        rows, _ = read(write({"id": "card_1", "object": "card", "number": number}))
        assert len(rows) == 1

    def test_number_of_an_invoice_is_its_own(self, write: Writer) -> None:
        invoice = {"id": "in_1", "object": "invoice", "number": CARD}
        event = {"id": "evt_1", "object": "event", "data": {"object": invoice}}
        rows, reading = read(write([invoice, event]))
        assert [row["kind"] for row in rows] == ["invoice", "event", "invoice"]
        assert reading.rejections == []

    def test_excerpt_of_a_broken_line_hides_it(self, write: Writer) -> None:
        _, reading = read(write(f'{{"id": "a"}}\n{{"number": "{CARD}", oops\n', "a.jsonl"))
        assert "4242" not in reading.rejections[0].text
        assert "oops" in reading.rejections[0].text


@pytest.mark.parametrize(
    ("head", "score"),
    [
        ('{"id": "ch_1", "object": "charge"}', 95),
        ('\ufeff\n[{"object": "balance", "livemode": true}]', 85),
        ('{"object": "list", "data": [], "url": "/v1/charges"}', 85),
        ('{"payouts": [{"id": "po_A"}]}', 75),
        ('[{"id": "ch_1PgafuB7WZ01zgkWXYmPNZs8"}]', 60),
        ('[{"id": "sub_01h8z"}, {"id": "po_4711"}]', 30),
        ('[{"id": 5, "object": "thing"}]', 5),
        ("[1, 2]", 5),
        ("id,object\nch_1,charge", 0),
        ("<Document>", 0),
        ("", 0),
    ],
)
def test_sniff(head: str, score: int) -> None:
    assert stripe.SOURCE.sniff(head.encode(), "any.json") == score
