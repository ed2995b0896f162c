"""A small company in a real workspace: SQLite, Parquet and files, with a clock that tests set."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from tieout.adapters.store.tables import METADATA, findings
from tieout.core.config.parsing import parse_configuration
from tieout.core.versions import state_plan
from tieout.model.audit import Actor
from tieout.model.configuration import Configuration
from tieout.service.datasets import batch_refs, paths_of, record_parts
from tieout.service.intake import IngestReport, ingest
from tieout.service.runs import RunReport, run_reconciliation
from tieout.service.staging import engine_for
from tieout.service.unit import Unit
from tieout.service.workspace import initialise, open_workspace

ADA = Actor("ada", "cli")
COLUMNS = ("id", "version", "ref", "amount", "currency", "date", "text", "status", "kind")
CONFIGURATION = """
workspace: acme
sources:
  billing: {format: json, kind: invoice, mapping: &columns {native_id: id, version: version, reference: ref,
            amount: amount, currency: currency, date: date, description: text, status: status}}
  psp: {format: json, kind: payment, mapping: *columns}
reconciliations:
  inv:
    kind: match
    sides:
      invoices: {source: billing}
      payments: {source: psp}
    passes:
      - {name: exact, type: exact, on: {invoices: reference, payments: reference}}
      - {name: grouped, type: grouped, on: {invoices: reference, payments: reference}}
    grace_days: 3
"""

Record = Mapping[str, Any]


@dataclass
class Company:
    """One workspace. Records are rows of COLUMNS, delivered as JSON lines."""

    directory: Path
    text: str = CONFIGURATION
    now: datetime = datetime(2026, 3, 10, 12, tzinfo=UTC)
    files: int = 0
    unit: Unit = field(init=False)
    configuration: Configuration = field(init=False)

    def __post_init__(self) -> None:
        self.configuration = parse_configuration(self.text, "tieout.yaml")
        initialise(self.directory / "data", "acme", self.clock)
        self.unit = open_workspace(self.directory / "data", "acme", self.clock)

    def clock(self) -> datetime:
        """The time that tests set."""
        return self.now

    def configure(self, text: str) -> None:
        """Another configuration from now on."""
        self.configuration = parse_configuration(text, "tieout.yaml")

    def set_day(self, day: str) -> None:
        """Noon of a day."""
        self.now = datetime.combine(date.fromisoformat(day), self.now.timetz())

    def file(self, records: Sequence[Record], name: str | None = None) -> Path:
        """A delivery of records."""
        self.files += 1
        path = self.directory / (name or f"delivery-{self.files}.jsonl")
        lines = [json.dumps({**dict.fromkeys(COLUMNS), **record}) for record in records]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def ingest(self, source: str, records: Sequence[Record] | Path, **options: Any) -> IngestReport:
        """Take in records or a file; every count must add up."""
        path = records if isinstance(records, Path) else self.file(records)
        report = ingest(self.unit, self.configuration, source, path, ADA, **options)
        counts = dict(report.counts)
        assert counts.pop("read") == sum(counts.values())
        return report

    def run(self, name: str = "inv", **options: Any) -> RunReport:
        """Run a reconciliation; its proof must leave nothing unexplained."""
        report = run_reconciliation(self.unit, self.configuration, name, ADA, **options)
        assert all(line.unexplained_minor == 0 for line in report.proof)
        return report

    def findings(self, *columns: str) -> list[Any]:
        """All findings in order of their numbers, with some columns."""
        chosen = [findings.c[name] for name in columns or ("rule", "anchor_id", "state")]
        with self.unit.read() as connection:
            return [tuple(row) for row in connection.execute(select(*chosen).order_by(findings.c.finding))]

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table."""
        with self.unit.read() as connection:
            return {
                name: sorted(tuple(row) for row in connection.execute(select(*table.c)))
                for name, table in METADATA.tables.items()
            }

    def query(self, statement: Any) -> list[Any]:
        """Rows of a query."""
        with self.unit.read() as connection:
            return list(connection.execute(statement))

    def state(self, source: str) -> tuple[object, ...]:
        """The order-free fingerprint of what a source currently says."""
        with self.unit.read() as connection:
            numbers = [ref.batch for ref in batch_refs(connection, "acme", [source])]
            names = {
                name: record_parts(connection, "acme", source, numbers, dataset=name)
                for name in ("records", "contested")
            }
            paths = paths_of(self.unit, connection, names)
        with engine_for(self.configuration.engine, None) as engine:
            return engine.run(state_plan(), paths, {}).measured["state"][0]


MakeCompany = Callable[..., Company]


@pytest.fixture
def make_company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeCompany]:
    """Makes companies, each in a directory of its own."""
    made: list[Company] = []

    def make(**options: Any) -> Company:
        directory = options.pop("directory", None) or tmp_path_factory.mktemp("company")
        made.append(Company(directory, **options))
        return made[-1]

    yield make
    for company in made:
        company.unit.close()


@pytest.fixture
def company(make_company: MakeCompany) -> Company:
    """One company."""
    return make_company()


@pytest.fixture(scope="session")
def company_configuration() -> str:
    """The companies' configuration, to vary."""
    return CONFIGURATION


def invoice(number: int, amount: str, **more: Any) -> Record:
    """An invoice `in_<number>` under the key `k<number>`."""
    record = {"id": f"in_{number}", "ref": f"k{number}", "amount": amount, "currency": "EUR", "date": "2026-03-01"}
    return record | more


def payment(number: int, amount: str, **more: Any) -> Record:
    """A payment `py_<number>` under the key `k<number>`."""
    return invoice(number, amount, id=f"py_{number}") | more


@pytest.fixture(scope="session")
def records() -> Any:
    """Factories of records: `invoice` and `payment`."""

    class Records:
        invoice = staticmethod(invoice)
        payment = staticmethod(payment)

    return Records
