"""What the simulator hands back: the files of a made-up month in the order of their delivery, and the truth.

A *truth* is one thing that was planted and what a reconciliation must make of it. A planted fault that must show
as several findings has several truths with one `case`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Literal

Expectation = Literal["finding", "silent", "refused", "ignored"]
"""What must happen: a finding opens; nothing may be found (a trap for loose rules); the file is refused whole by
its contract; the file is recognised as already delivered."""

INVOICES_TO_CHARGES = "invoices-to-charges"
INVOICES_TO_TRANSFERS = "invoices-to-transfers"
INVOICES_TO_LEDGER = "invoices-to-ledger"
PAYOUT_DETAIL = "payout-detail"
PAYOUTS_TO_BANK = "payouts-to-bank"


@dataclass(frozen=True, slots=True)
class Truth:
    """One planted thing.

    `fault` is F1 to F10 (failure modes of invoice reconciliation) or D1 (a dispute); `case` numbers the planted
    faults from 1. `native_ids` are as the files spell them: the first is what the finding is about, the others
    are its witnesses. `amount` is the money at stake as plain decimal text in major units of `currency`; None where
    no money is. `code` and `reconciliation` are the expected finding's (None where none is expected, or where it
    belongs to no reconciliation). The finding first shows after `delivery` and is gone after `resolved_by`.
    """

    fault: str
    case: int
    what: str
    system: str
    file: str
    native_ids: tuple[str, ...]
    amount: str | None
    currency: str | None
    expect: Expectation
    code: str | None
    reconciliation: str | None
    action: str
    delivery: int = 1
    resolved_by: int | None = None

    def as_json(self) -> dict[str, object]:
        """The line of truth.jsonl: every field by name, tuples as lists."""
        return {**asdict(self), "native_ids": list(self.native_ids)}


@dataclass(frozen=True, slots=True)
class WorldFile:
    """One file to ingest: where it lies, the source it is delivered to, and with which delivery (1 or 2)."""

    path: Path
    source: str
    delivery: int


@dataclass(frozen=True, slots=True)
class World:
    """A simulated month: `files` in the order in which they are delivered, `truths` in the order of planting.

    `start` is the first day and `end` the last; delivery 2 carries what arrives in the days after.
    """

    directory: Path
    seed: int
    start: date
    end: date
    files: tuple[WorldFile, ...]
    truths: tuple[Truth, ...]
    configuration: Path
    key_map: Path
    truth_file: Path

    def delivered(self, delivery: int) -> tuple[WorldFile, ...]:
        """The files of one delivery, in order."""
        return tuple(file for file in self.files if file.delivery == delivery)


@dataclass(frozen=True, slots=True)
class BenchmarkWorld:
    """Two large sides in Parquet, their truth and configuration; counts are rows.

    `counts` gives the invoices of each class of truth.
    """

    directory: Path
    invoices: Path
    payments: Path
    truth: Path
    configuration: Path
    invoice_rows: int
    payment_rows: int
    counts: dict[str, int]
