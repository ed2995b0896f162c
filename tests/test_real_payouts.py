"""Payouts of other projects' data, where they lie beside the checkout: what nets, what reaches the bank, what must
never be accepted silently."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from tieout.adapters.store.tables import findings
from tieout.core.config.parsing import parse_configuration
from tieout.model.audit import Actor
from tieout.service.checks import check_source
from tieout.service.intake import ingest
from tieout.service.runs import RunReport, run_reconciliation
from tieout.service.unit import Unit
from tieout.service.workspace import initialise, open_workspace

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
ACTOR = Actor("tester", "cli")
NOW = datetime(2026, 11, 1, tzinfo=UTC)

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="no data of other projects beside the checkout")

SCENARIOS = """
workspace: payouts
sources:
  stripe: {format: stripe}
  bank: {format: camt}
reconciliations:
  netting:
    kind: match
    sides:
      detail: {source: stripe, kind: balance_transaction, where_not: {category: payout}, amount: net}
      total: {source: stripe, kind: balance_transaction, where: {category: payout}, amount: net, sign: -1}
    on: {detail: payout_ref, total: payout_ref}
  payouts-to-bank:
    kind: match
    sides:
      payouts: {source: stripe, kind: payout, where: {status: paid}}
      bank: {source: bank, kind: bank_line}
    on: {payouts: native_id, bank: reference}
"""

FIVETRAN = """
workspace: fivetran
sources:
  transactions:
    format: csv
    kind: balance_transaction
    mapping:
      native_id: id
      date: {from: created, format: "%Y-%m-%d %H:%M:%S"}
      amount: {from: amount, minor: true}
      fee: {from: fee, minor: true}
      net: {from: net, minor: true}
      currency: currency
      category: type
      payout_ref: payout_id
  payouts:
    format: csv
    kind: payout
    mapping:
      native_id: id
      date: {from: arrival_date, format: "%Y-%m-%d %H:%M:%S"}
      amount: {from: amount, minor: true}
      currency: currency
      status: status
reconciliations:
  payout-detail:
    kind: match
    sides:
      detail: {source: transactions, kind: balance_transaction, where_not: {category: payout}, amount: net}
      payouts: {source: payouts, kind: payout}
    on: {detail: payout_ref, payouts: native_id}
"""


@pytest.fixture
def opened(
    tmp_path: Path,
) -> Iterator[Callable[[str], tuple[Unit, Callable[[str, Path], None], Callable[[str], RunReport]]]]:
    units: list[Unit] = []

    def opener(text: str) -> tuple[Unit, Callable[[str, Path], None], Callable[[str], RunReport]]:
        configuration = parse_configuration(text, "tieout.yaml")
        initialise(tmp_path / "data", configuration.workspace, lambda: NOW)
        unit = open_workspace(tmp_path / "data", configuration.workspace, lambda: NOW)
        units.append(unit)

        def take(source: str, path: Path) -> None:
            report = ingest(unit, configuration, source, path, ACTOR)
            assert report.counts["read"] == report.counts["accepted"], report.quarantined

        def run(name: str) -> RunReport:
            if name.startswith("source:"):
                check_source(unit, configuration, name.partition(":")[2], ACTOR)
                name = next(iter(configuration.reconciliations))
            return run_reconciliation(unit, configuration, name, ACTOR)

        return unit, take, run

    yield opener
    for unit in units:
        unit.close()


def stripe_objects(path: Path) -> list[dict[str, object]]:
    """The scenario's facts as Stripe objects: type and currency said, as the API says them."""
    facts = json.loads(path.read_text())
    currencies = {payout["id"]: payout["currency"] for payout in facts["payouts"]}
    payouts = [{"object": "payout", **payout} for payout in facts["payouts"]]
    transactions = [
        {"object": "balance_transaction", "currency": currencies[row["payout"]], **row}
        for row in facts["balance_transactions"]
    ]
    return payouts + transactions


@needs_data
@pytest.mark.parametrize("as_objects", [True, False], ids=["as API objects", "as the file stands"])
def test_every_payout_nets_to_zero_and_one_reaches_the_bank(opened, tmp_path: Path, as_objects: bool) -> None:  # type: ignore[no-untyped-def]
    path = DATA / "stripe-payout-scenarios" / "payouts.json"
    if as_objects:
        objects = tmp_path / "objects.jsonl"
        objects.write_text("\n".join(json.dumps(row) for row in stripe_objects(path)))
        path = objects
    unit, take, run = opened(SCENARIOS)
    take("stripe", path)
    netting = run("netting")
    assert netting.open_items == 0
    assert netting.matched_records == 7
    to_bank = run("payouts-to-bank")
    assert to_bank.codes == {"MISSING_RECORD": 1}
    (line,) = to_bank.proof
    assert (line.side, line.as_text()["closing"], line.currency) == ("payouts", "491.08", "EUR")
    run("source:stripe")
    with unit.read() as connection:
        rules = connection.execute(
            select(findings.c.rule, findings.c.anchor_id).where(findings.c.rule == "DUPLICATE_ID")
        )
        assert [tuple(row) for row in rules] == [("DUPLICATE_ID", "txn_A1")]


@needs_data
def test_broken_payout_links_are_never_accepted_silently(opened) -> None:  # type: ignore[no-untyped-def]
    unit, take, run = opened(FIVETRAN)
    take("transactions", DATA / "fivetran-stripe" / "balance_transaction_data.csv")
    take("payouts", DATA / "fivetran-stripe" / "payout_data.csv")
    report = run("payout-detail")
    assert {line.unexplained_minor for line in report.proof} == {0}
    with unit.read() as connection:
        query = select(findings.c.rule, findings.c.anchor_id, findings.c.at_risk_minor)
        live = {row.anchor_id: row for row in connection.execute(query.where(findings.c.state == "open"))}
    payouts = {
        line.split(",")[0] for line in (DATA / "fivetran-stripe" / "payout_data.csv").read_text().splitlines()[1:]
    }
    assert payouts - set(live) == {"po_0IFUKBig6peNXzgDZQM7WPAo"}, "one payout ties; each other one has a finding"
    half_known = live["po_0II1gGig6peNXzgD4BxKEJJJ"]
    assert (half_known.rule, half_known.at_risk_minor) == ("AMOUNT_MISMATCH", 2_849_353 - 114_086)
