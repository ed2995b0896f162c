"""A second, plain opinion on a simulated month: it reads the files by itself and compares sums in integers.

Nothing of Tieout's readers or matching is used here, so that world and product cannot be wrong together. It reads
only what the simulator wrote: files from elsewhere belong to the adapters.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tieout.simulate.world import World

NAMESPACE = {"c": "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"}
Sums = dict[str, int]


@dataclass
class Key:
    """Both sides under one key: amounts per currency and the ids that took part."""

    sides: tuple[Sums, Sums] = field(default_factory=lambda: (defaultdict(int), defaultdict(int)))
    ids: tuple[list[str], list[str]] = field(default_factory=lambda: ([], []))

    @property
    def ties(self) -> bool:
        """Whether both sides have the same sum in every currency."""
        first, second = ({code: total for code, total in side.items() if total} for side in self.sides)
        return first == second


def minor(text: str, currency: str) -> int:
    """Minor units of a decimal text; yen have none."""
    scaled = Decimal(text) * (1 if currency == "JPY" else 100)
    assert scaled == int(scaled), text
    return int(scaled)


def objects(world: World, deliveries: Iterable[int]) -> dict[str, list[dict[str, Any]]]:
    """Stripe objects by type."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for file in world.files:
        if file.source == "stripe" and file.delivery in deliveries:
            for line in file.path.read_text().splitlines():
                value = json.loads(line)
                found[value["object"]].append(value)
    return found


def rows(path: Path) -> list[dict[str, str]]:
    """A CSV file's rows by column."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@dataclass
class BankStatement:
    """A statement as the file has it: balances and lines (amount, reference, code) in minor units."""

    id: str
    account: str
    currency: str
    day: str
    opening: int
    closing: int
    lines: list[tuple[int, str, str, str]]


def statements(world: World, deliveries: Iterable[int]) -> list[BankStatement]:
    """Every bank statement."""
    found = []
    for file in world.files:
        if file.source == "bank" and file.delivery in deliveries:
            # The simulator's own file: nothing from outside is parsed here.
            root = ElementTree.parse(file.path).getroot()  # noqa: S314
            found += [_statement(element) for element in root.iterfind(".//c:Stmt", NAMESPACE)]
    return sorted(found, key=lambda statement: (statement.account, statement.day))


def _text(element: ElementTree.Element, path: str) -> str:
    return element.findtext("/".join(f"c:{name}" for name in path.split("/")), "", NAMESPACE)


def _signed(element: ElementTree.Element) -> int:
    amount = element.find("c:Amt", NAMESPACE)
    assert amount is not None
    sign = {"CRDT": 1, "DBIT": -1}[_text(element, "CdtDbtInd")]
    return sign * minor(amount.text or "", amount.attrib["Ccy"])


def _statement(element: ElementTree.Element) -> BankStatement:
    opening, closing = (_signed(balance) for balance in element.iterfind("c:Bal", NAMESPACE))
    lines = [
        (
            _signed(entry),
            _reference(entry),
            _text(entry, "AcctSvcrRef"),
            _text(entry, "BkTxCd/Domn/Fmly/SubFmlyCd"),
        )
        for entry in element.iterfind("c:Ntry", NAMESPACE)
    ]
    return BankStatement(
        _text(element, "Id"),
        _text(element, "Acct/Id/Othr/Id"),
        _text(element, "Acct/Ccy"),
        _text(element, "FrToDt/FrDtTm")[:10],
        opening,
        closing,
        lines,
    )


def _reference(entry: ElementTree.Element) -> str:
    given = _text(entry, "NtryDtls/TxDtls/Refs/EndToEndId")
    structured = _text(entry, "NtryDtls/TxDtls/RmtInf/Strd/CdtrRefInf/Ref")
    return structured if given == "NOTPROVIDED" else given


def reconciled(world: World, deliveries: tuple[int, ...]) -> dict[str, dict[str, Key]]:
    """Both sides of every reconciliation by key; records without a key stand under their own id."""
    stripe = objects(world, deliveries)
    books: dict[str, dict[str, Key]] = defaultdict(lambda: defaultdict(Key))

    def put(name: str, side: int, key: str | None, native_id: str, amount: int, currency: str) -> None:
        entry = books[name][key or f"alone:{native_id}"]
        entry.sides[side][currency.upper()] += amount
        entry.ids[side].append(native_id)

    for invoice in stripe["invoice"]:
        if invoice["status"] in ("paid", "open"):
            money = (invoice["id"], invoice["total"], invoice["currency"])
            manual = invoice["billing_reason"] == "manual"
            name = "invoices-to-transfers" if manual else "invoices-to-charges"
            put(name, 0, invoice["number"] if manual else invoice["id"], *money)
            put("invoices-to-ledger", 0, invoice["number"], *money)
    for note in stripe["credit_note"]:
        put("invoices-to-charges", 0, note["invoice"], note["id"], -note["total"], note["currency"])
    for kind, sign in (("charge", 1), ("refund", -1)):
        for item in stripe[kind]:
            if item["status"] == "succeeded":
                invoice_id = item["metadata"].get("invoice_id")
                put("invoices-to-charges", 1, invoice_id, item["id"], sign * item["amount"], item["currency"])
    for item in stripe["balance_transaction"]:
        if item["type"] != "payout" and item["status"] == "available":
            put("payout-detail", 0, item["payout"], item["id"], item["net"], item["currency"])
    for item in stripe["payout"]:
        put("payout-detail", 1, item["id"], item["id"], item["amount"], item["currency"])
        put("payouts-to-bank", 0, item["id"], item["id"], item["amount"], item["currency"])
    for statement in statements(world, deliveries):
        for amount, reference, own, code in statement.lines:
            if code in ("DMCT", "ESCT") and amount > 0:
                name = "payouts-to-bank" if code == "DMCT" else "invoices-to-transfers"
                put(name, 1, reference, own, amount, statement.currency)
    for entry in ledger(world, deliveries):
        if entry["account"] == "1200":
            amount = minor(entry["amount"], entry["currency"])
            put("invoices-to-ledger", 1, entry["reference"], entry["entry_id"], amount, entry["currency"])
    return books


def ledger(world: World, deliveries: Iterable[int]) -> list[dict[str, str]]:
    """The ledger's current legs: the greatest revision of each id; renamed files are refused."""
    current: dict[tuple[str, str], dict[str, str]] = {}
    seen: set[bytes] = set()
    for file in world.files:
        content = file.path.read_bytes()
        if file.source != "ledger" or file.delivery not in deliveries or content in seen:
            continue
        seen.add(content)
        for entry in rows(file.path):
            key = (entry["entry_id"], entry["memo"])
            if "amount" in entry and int(entry["revision"]) >= int(current.get(key, {"revision": "0"})["revision"]):
                current[key] = entry
    return list(current.values())
