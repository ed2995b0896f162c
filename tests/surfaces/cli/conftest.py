"""A small company in files, and the real command line over it, at a clock that stands still."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tieout.surfaces.cli.invocation import Invocation
from tieout.surfaces.cli.main import app

NOON = datetime(2026, 10, 5, 12, 0, tzinfo=UTC)
CREATED = 1_790_000_000  # 2026-09-21T14:13:20Z

CONFIGURATION = """\
workspace: acme
sources:
  stripe: {format: stripe, files: ["stripe-*.jsonl"]}
  bank: {format: camt, files: ["bank.xml"]}
  ledger:
    kind: ledger_entry
    files: ["ledger.csv"]
    mapping: {native_id: id, date: day, amount: amount, currency: currency, reference: number}
    contract: {required: [native_id, amount]}
reconciliations:
  invoices-to-charges:
    kind: match
    sides:
      invoices: {source: stripe, kind: invoice}
      charges: {source: stripe, kind: [charge, refund], where: {status: [succeeded]}}
    on: {invoices: native_id, charges: invoice_ref}
    threshold: 2
  invoices-to-ledger:
    kind: match
    sides:
      invoices: {source: stripe, kind: invoice}
      postings: {source: ledger}
    on: {invoices: reference, postings: reference}
"""

LEDGER = """\
id,day,amount,currency,number
1,2026-09-21,10.00,EUR,N1
2,2026-09-21,20.00,EUR,N2
3,2026-09-21,30.00,EUR,N3
x,2026-09-21,twelve,EUR,N9
"""

BANK = """\
<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02">
 <BkToCstmrStmt><GrpHdr><MsgId>M1</MsgId><CreDtTm>2026-09-30T08:00:00Z</CreDtTm></GrpHdr>
 <Stmt><Id>S-1</Id><CreDtTm>2026-09-30T08:00:00Z</CreDtTm>
  <Acct><Id><IBAN>DE02120300000000202051</IBAN></Id><Ccy>EUR</Ccy></Acct>
  <Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">100.00</Amt><CdtDbtInd>CRDT</CdtDbtInd>
   <Dt><Dt>2026-09-29</Dt></Dt></Bal>
  <Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">{closing}</Amt><CdtDbtInd>CRDT</CdtDbtInd>
   <Dt><Dt>2026-09-30</Dt></Dt></Bal>
  <Ntry><NtryRef>1</NtryRef><Amt Ccy="EUR">10.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts>
   <BookgDt><Dt>2026-09-30</Dt></BookgDt></Ntry>
  <Ntry><NtryRef>2</NtryRef><Amt Ccy="EUR">2.50</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts>BOOK</Sts>
   <BookgDt><Dt>2026-09-30</Dt></BookgDt></Ntry>
 </Stmt></BkToCstmrStmt>
</Document>
"""

Call = Callable[..., Result]


def invoice(number: int, total: int, **more: object) -> dict[str, object]:
    """A paid Stripe invoice in cents of EUR."""
    return {"object": "invoice", "id": f"in_{number}", "number": f"N{number}", "total": total, "currency": "eur",
            "created": CREATED, "status": "paid", **more}  # fmt: skip


def charge(number: int, paid: int, amount: int, **more: object) -> dict[str, object]:
    """A succeeded Stripe charge for an invoice, in cents of EUR."""
    return {"object": "charge", "id": f"ch_{number}", "invoice": f"in_{paid}", "amount": amount, "currency": "eur",
            "created": CREATED + 100, "status": "succeeded", **more}  # fmt: skip


def json_lines(objects: list[dict[str, object]]) -> str:
    """Stripe objects, one a line."""
    return "".join(json.dumps(one) + "\n" for one in objects)


def write_company(directory: Path) -> None:
    """The company's files and configuration: one invoice agrees, one is short by a cent-sized difference, one open."""
    objects = [invoice(1, 1000), invoice(2, 2000), invoice(3, 3000), charge(1, 1, 1000), charge(2, 2, 1990)]
    (directory / "tieout.yaml").write_text(CONFIGURATION, encoding="utf-8")
    (directory / "stripe-1.jsonl").write_text(json_lines(objects), encoding="utf-8")
    (directory / "bank.xml").write_text(BANK.format(closing="107.50"), encoding="utf-8")
    (directory / "ledger.csv").write_text(LEDGER, encoding="utf-8")


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Call:
    """Call the command line; `cwd` is the current directory for the call, `columns` the terminal's width."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("TIEOUT_DEBUG", raising=False)

    def run(*words: object, cwd: Path | None = None, columns: int = 100, now: datetime = NOON) -> Result:
        with monkeypatch.context() as patched:
            patched.setenv("COLUMNS", str(columns))
            if cwd is not None:
                patched.chdir(cwd)
            return CliRunner().invoke(app, [str(word) for word in words], obj=Invocation(clock=lambda: now))

    return run


@pytest.fixture(scope="session")
def reconciled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which everything was taken in and run once. Not to be changed: see `company`."""
    directory = tmp_path_factory.mktemp("company")
    write_company(directory)
    for words in (["init", str(directory)], ["-C", str(directory), "ingest"], ["-C", str(directory), "run"]):
        result = CliRunner().invoke(app, words, obj=Invocation(clock=lambda: NOON))
        assert result.exit_code in (0, 1), result.output
    return directory


@pytest.fixture
def company(reconciled: Path, tmp_path: Path) -> Path:
    """A copy of the reconciled workspace that a test may change."""
    directory = tmp_path / "company"
    shutil.copytree(reconciled, directory)
    return directory


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """The company's files and configuration, in which nothing was done yet."""
    directory = tmp_path / "fresh"
    directory.mkdir()
    write_company(directory)
    return directory


@pytest.fixture
def late_charge() -> str:
    """A delivery that settles invoice 3, as Stripe writes it."""
    return json_lines([charge(3, 3, 3000)])


@pytest.fixture
def statement() -> Callable[[str], str]:
    """A camt.053 statement of two lines, 100.00 + 10.00 - 2.50, with the closing balance that is asked for."""
    return lambda closing: BANK.format(closing=closing)
