"""A per-row worker as many billing systems have one: SQLAlchemy's ORM on SQLite, one payment at a time.

It reads the sample's database (prepared beforehand by `load`), looks up the invoice that each payment names and
writes a match row. Friendly to the worker: keys are indexed, and it commits once in 1,000 payments.
"""

from __future__ import annotations

import csv
import json
import sqlite3
import sys
import time
from pathlib import Path

from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

CHUNK = 1_000


class Base(DeclarativeBase):
    """The tables of the worker."""


class Invoice(Base):
    """An invoice; the amount in hundredths of a major unit."""

    __tablename__ = "invoices"
    number: Mapped[str] = mapped_column(primary_key=True)
    amount_hundredths: Mapped[int]
    currency: Mapped[str]


class Payment(Base):
    """A payment, and the invoice that it names."""

    __tablename__ = "payments"
    id: Mapped[str] = mapped_column(primary_key=True)
    invoice: Mapped[str | None]
    amount_hundredths: Mapped[int]
    currency: Mapped[str]


class Match(Base):
    """What the worker found for a payment."""

    __tablename__ = "matches"
    payment: Mapped[str] = mapped_column(primary_key=True)
    invoice: Mapped[str | None]
    verdict: Mapped[str]


def load(world: Path, database: Path) -> None:
    """Bring a world into a database of the worker; not part of what is measured."""
    import duckdb

    engine = create_engine(f"sqlite:///{database}")
    Base.metadata.create_all(engine)
    engine.dispose()
    with sqlite3.connect(database) as target, duckdb.connect() as source:
        for table, key in (("invoices", "number"), ("payments", "id, invoice")):
            query = f"SELECT {key}, (amount * 100)::BIGINT, currency FROM read_parquet(?)"
            rows = source.execute(query, [str(world / f"{table}.parquet")]).fetchall()
            marks = ", ".join("?" * len(rows[0]))
            target.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
    target.close()


def export(database: Path, output: Path) -> None:
    """The matches as CSV with the columns invoice, payment, class, for scoring; not part of what is measured."""
    with sqlite3.connect(database) as source, output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("invoice", "payment", "class"))
        writer.writerows(source.execute("SELECT invoice, payment, verdict FROM matches"))
        found = "SELECT invoice FROM matches WHERE invoice IS NOT NULL"
        missing = f"SELECT number, NULL, 'missing' FROM invoices WHERE number NOT IN ({found})"
        writer.writerows(source.execute(missing))
    source.close()


def main(database: Path) -> None:
    """Match every payment, and print how long the work itself took (seconds of wall time and of CPU)."""
    engine = create_engine(f"sqlite:///{database}")
    wall, cpu = time.perf_counter(), time.process_time()
    with Session(engine, expire_on_commit=False) as session:
        ids = session.scalars(select(Payment.id)).all()
        for start in range(0, len(ids), CHUNK):
            for payment_id in ids[start : start + CHUNK]:
                _match(session, payment_id)
            session.commit()
            session.expunge_all()
    work = {"work_seconds": time.perf_counter() - wall, "work_cpu_seconds": time.process_time() - cpu}
    sys.stdout.write(json.dumps(work) + "\n")


def _match(session: Session, payment_id: str) -> None:
    payment = session.get_one(Payment, payment_id)
    invoice = session.get(Invoice, payment.invoice) if payment.invoice is not None else None
    if invoice is None:
        verdict = "unexpected"
    elif (invoice.amount_hundredths, invoice.currency) == (payment.amount_hundredths, payment.currency):
        verdict = "matched"
    else:
        verdict = "amount_mismatch"
    session.add(Match(payment=payment.id, invoice=None if invoice is None else invoice.number, verdict=verdict))
    session.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
