"""`simulate_month`: one month of a made-up software company, as its systems would deliver it."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from random import Random

from tieout.model.errors import Place, UsageError
from tieout.simulate import layout
from tieout.simulate.bank_statement import statement_files
from tieout.simulate.book import Book
from tieout.simulate.faults_bank import plant_bank_faults, plant_transfer_faults
from tieout.simulate.faults_cards import plant_card_faults
from tieout.simulate.faults_ledger import ledger_victims, plant_delivery_faults, plant_ledger_faults
from tieout.simulate.month_configuration import month_configuration
from tieout.simulate.postings import number_invoices, post_ledger
from tieout.simulate.settlement import (
    bank_own_business,
    bank_payouts,
    bank_transfers,
    pay_out,
    record_movements,
)
from tieout.simulate.stripe_objects import object_files
from tieout.simulate.tables import (
    ACCOUNT_COLUMNS,
    LEDGER_COLUMNS,
    accounts_text,
    entitlements_text,
    key_map_text,
    ledger_text,
    renamed,
)
from tieout.simulate.trade import trade_month
from tieout.simulate.victims import Victims
from tieout.simulate.world import World, WorldFile

DEFAULT_START = date(2026, 9, 1)
MOST_CUSTOMERS = 100_000


def simulate_month(
    directory: Path, seed: int, customers: int = 200, faults: bool = True, start: date = DEFAULT_START
) -> World:
    """Write one month of a company with `customers` customers into `directory`, and say what was planted.

    `start` is the first day; the month ends on the day before the same day of the next month. Without faults
    every file agrees with every other to the cent. Equal arguments give byte-identical files, whatever
    PYTHONHASHSEED, TZ or locale. With few customers some faults find no victim and are left out. Raises UsageError
    for a start after the 28th or a number of customers out of bounds.
    """
    if not 1 <= customers <= MOST_CUSTOMERS:
        raise UsageError(f"cannot simulate {customers} customers", hint=f"between 1 and {MOST_CUSTOMERS}")
    # Repeatable, not secret: a text seeds by SHA-512, whatever PYTHONHASHSEED says.
    book = Book(Random(f"tieout:{seed}"), seed, start, _days(start))  # noqa: S311
    _live(book, customers, faults)
    contents = _contents(book, faults)
    _refuse_strangers(directory, contents)
    for path, content in contents.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode())
    return World(
        directory=directory,
        seed=seed,
        start=start,
        end=book.end,
        files=tuple(_world_file(directory, path) for path in contents if _source_of(path)),
        truths=tuple(book.truths),
        configuration=directory / layout.CONFIGURATION,
        key_map=directory / layout.KEY_MAP,
        truth_file=directory / layout.TRUTH,
    )


def _days(start: date) -> int:
    """Days until the same day of the next month."""
    if start.day > 28:
        raise UsageError(f"a month cannot start on the {start.day}th", hint="start on the 1st to the 28th")
    year, month = (start.year + 1, 1) if start.month == 12 else (start.year, start.month + 1)
    return (date(year, month, start.day) - start).days


def _refuse_strangers(directory: Path, contents: dict[str, str]) -> None:
    """Refuse a directory where another world lies: its files would be reconciled with this one's."""
    for folder in sorted({path.partition("/")[0] for path in contents if "/" in path}):
        for found in sorted((directory / folder).glob("*")):
            if f"{folder}/{found.name}" not in contents:
                raise UsageError(
                    f"{found} belongs to another world",
                    hint="choose an empty directory, or remove the old world",
                    place=Place(str(directory)),
                )


def _live(book: Book, customers: int, faults: bool) -> None:
    """The month's events in the order in which each needs the ones before."""
    trade_month(book, customers)
    victims = Victims(book)
    drawn = []
    if faults:
        drawn = ledger_victims(victims)
        plant_card_faults(book, victims)
    number_invoices(book)
    if faults:
        plant_transfer_faults(book, victims)
    record_movements(book)
    pay_out(book)
    bank_payouts(book)
    bank_transfers(book)
    bank_own_business(book)
    post_ledger(book)
    if faults:
        plant_bank_faults(book)
        plant_ledger_faults(book, drawn)
        plant_delivery_faults(book)
    book.bank_lines.sort(key=lambda line: (line.day, line.reference))


def _contents(book: Book, faults: bool) -> dict[str, str]:
    """Relative path to text of every file, in the order of delivery."""
    stripe = {path: _json_lines(objects) for path, objects in object_files(book).items()}
    bank = statement_files(book)
    in_time = {path: text for path, text in (stripe | bank).items() if not path.startswith("late/")}
    late = {path: text for path, text in (stripe | bank).items() if path.startswith("late/")}
    ledger = ledger_text(book.ledger)
    contents = {
        layout.CONFIGURATION: month_configuration(),
        layout.KEY_MAP: key_map_text(book),
        layout.TRUTH: _json_lines([truth.as_json() for truth in book.truths]),
        layout.ACCOUNTS: accounts_text(book),
        layout.ENTITLEMENTS: entitlements_text(book),
        **in_time,
        layout.LEDGER: ledger,
        **late,
    }
    if faults:
        contents[layout.LEDGER_AMENDED] = ledger_text(book.amended)
        contents[layout.LEDGER_AGAIN] = ledger
        contents[layout.LEDGER_RENAMED] = ledger_text(book.amended, renamed(LEDGER_COLUMNS, "amount", "value"))
        contents[layout.ACCOUNTS_RENAMED] = accounts_text(book, renamed(ACCOUNT_COLUMNS, "account_id", "account_key"))
    return contents


def _json_lines(rows: list[dict[str, object]]) -> str:
    return "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)


def _source_of(path: str) -> str | None:
    """The source a file is delivered to: its folder, or for late files the word before the first hyphen."""
    folder, _, name = path.rpartition("/")
    return (name.split("-")[0] if folder == "late" else folder) or None


def _world_file(directory: Path, path: str) -> WorldFile:
    return WorldFile(directory / path, _source_of(path) or "", 2 if path.startswith("late/") else 1)
