"""Whatever is written in whatever dialect of MT940 is read back; whatever is broken neither crashes nor hangs."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tieout.adapters.sources.mt940.source import SOURCE
from tieout.model.errors import InputError
from tieout.model.money import EXPONENTS
from tieout.model.reading import Reading, SourceOptions

MOST_SECONDS = 10
Row = dict[str, object]


def read_bytes(data: bytes) -> tuple[list[Row], Reading]:
    """Drafts and reading of a file's content."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "statement.sta"
        path.write_bytes(data)
        reading = SOURCE.read(path, SourceOptions())
        assert isinstance(reading.drafts, Iterator)
        rows: list[Row] = []
        for chunk in reading.drafts:
            rows += [dict(zip(chunk, values, strict=True)) for values in zip(*chunk.values(), strict=True)]
    return rows, reading


@dataclass(frozen=True)
class Line:
    """One entry, before it is written."""

    value_date: date
    days_booked_later: int
    mark: str
    amount_minor: int
    reference: str
    counterparty: str
    text: str

    @property
    def signed_minor(self) -> int:
        return self.amount_minor if self.mark in ("C", "RD") else -self.amount_minor


@dataclass(frozen=True)
class Written:
    """A random file and what must be read from it: (date, amount in minor units, reference, counterparty, text)."""

    data: bytes
    currency: str
    ends: list[tuple[int, int]]
    expected: list[tuple[str, int, str, str | None, str]]


_WORDS = st.lists(st.text("abcXYZ0189äöüÄÖÜß.,'", min_size=1, max_size=12), min_size=1, max_size=12).map(" ".join)
_REFERENCES = st.text("ABCXYZ0123456789", min_size=1, max_size=30).map(lambda text: f"R{text}")


def lines_of(most_minor: int) -> st.SearchStrategy[Line]:
    """Random entries."""
    return st.builds(
        Line,
        value_date=st.dates(date(1981, 1, 1), date(2078, 12, 31)),
        days_booked_later=st.integers(-150, 150),
        mark=st.sampled_from(["C", "D", "RC", "RD"]),
        amount_minor=st.integers(0, most_minor),
        reference=_REFERENCES,
        counterparty=_WORDS.map(lambda text: text[:54].strip()),
        text=_WORDS,
    )


def amount_text(minor: int, currency: str, short: bool) -> str:
    """A SWIFT amount, with or without the zeros that say nothing."""
    digits = EXPONENTS[currency]
    whole, part = divmod(minor, 10**digits)
    decimals = f"{part:0{digits}d}" if digits else ""
    if short:
        decimals = decimals.rstrip("0")
        return f"{whole or ''},{decimals}" if decimals else f"{whole},"
    return f"{whole:012d},{decimals}"


def wrapped(text: str, width: int) -> list[str]:
    """A text cut at a width, regardless of words."""
    return [text[start : start + width] for start in range(0, len(text), width)]


def structured(line: Line) -> list[str]:
    """German subfields of 27 characters, in lines of 65."""
    purposes = [*wrapped(f"EREF+{line.reference}", 27), *wrapped(f"SVWZ+{line.text}", 27)]
    names = wrapped(line.counterparty, 27)
    numbers = (*range(20, 30), *range(60, 64))
    fields = "".join(f"?{number}{part}" for number, part in zip(numbers, purposes, strict=False))
    fields += "".join(f"?{number}{part}" for number, part in zip((32, 33), names, strict=False))
    return wrapped(f"166?00CREDIT{fields}", 65)


def slashes(line: Line) -> list[str]:
    """Codes between slashes, in lines of 65."""
    return wrapped(f"/TRTP/SEPA/NAME/{line.counterparty}/EREF/{line.reference}/REMI/{line.text}", 65)


def plain(line: Line) -> list[str]:
    """Free text in lines of 65; the reference stands in the entry itself."""
    return wrapped(line.text, 65)


DIALECTS: dict[str, Callable[[Line], list[str]]] = {"structured": structured, "slashes": slashes, "plain": plain}


def entry_text(line: Line, dialect: str, currency: str, short: bool, funds: str) -> list[str]:
    """The `:61:` and `:86:` fields of an entry as physical lines."""
    booked = line.value_date + timedelta(days=line.days_booked_later)
    entry = f"{booked:%m%d}" if line.days_booked_later else ("    " if short else "")
    reference = line.reference[:16] if dialect == "plain" else "NONREF"
    amount = amount_text(line.amount_minor, currency, short)
    head = f":61:{line.value_date:%y%m%d}{entry}{line.mark}{funds}{amount}NTRF{reference}//BANK1"
    information = DIALECTS[dialect](line)
    return [head, f":86:{information[0]}", *information[1:]]


def balance_text(tag: str, minor: int, currency: str, short: bool) -> str:
    """A balance field."""
    return f":{tag}:{'D' if minor < 0 else 'C'}260302{currency}{amount_text(abs(minor), currency, short)}"


@st.composite
def written_files(draw: st.DrawFn) -> Written:
    """Some statements, in one dialect, envelope, line end and encoding."""
    dialect = draw(st.sampled_from(sorted(DIALECTS)))
    currency = draw(st.sampled_from(["EUR", "JPY", "KWD"]))
    short, enveloped, lower = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    funds = draw(st.sampled_from(["", currency[2]]))
    balance = draw(st.integers(-(10**9), 10**9))
    lines: list[str] = draw(st.lists(st.sampled_from(["", "Export of today", "-", "20:"]), max_size=2))
    ends: list[tuple[int, int]] = []
    expected: list[tuple[str, int, str, str | None, str]] = []
    for page in range(1, draw(st.integers(1, 3)) + 1):
        entries = draw(st.lists(lines_of(10**9), max_size=4))
        closing = balance + sum(entry.signed_minor for entry in entries)
        lines += ["{1:F01X}{2:O940X}{4:"] * enveloped
        lines += [":20:STARTUMS", ":25:12345678/90", f":28C:7/{page}", balance_text("60F", balance, currency, short)]
        for entry in entries:
            lines += entry_text(entry, dialect, currency, short, funds)
            booked = (entry.value_date + timedelta(days=entry.days_booked_later)).isoformat()
            reference = entry.reference[:16] if dialect == "plain" else entry.reference
            party = None if dialect == "plain" else entry.counterparty
            expected.append((booked, entry.signed_minor, reference, party, entry.text))
        lines += [balance_text("62F", closing, currency, short), "-}{5:}" if enveloped else "-"]
        ends.append((balance, closing))
        balance = closing
    if lower:
        lines = [re.sub("^:[0-9NFMC]+:", lambda tag: tag[0].lower(), line) for line in lines]
    text = draw(st.sampled_from(["\n", "\r\n", "\r"])).join(lines)
    return Written(text.encode(draw(st.sampled_from(["utf-8", "cp1252", "utf-16"]))), currency, ends, expected)


def minor_of(text: object, currency: str) -> int:
    """Minor units of decimal text."""
    scaled = Decimal(str(text)).scaleb(EXPONENTS[currency])
    assert scaled == int(scaled)
    return int(scaled)


@given(written_files())
@settings(max_examples=200, deadline=None)
def test_what_is_written_is_read_back(written: Written) -> None:
    rows, reading = read_bytes(written.data)
    assert reading.rejections == []
    found = [
        (row["date"], minor_of(row["amount"], written.currency), row["reference"], row.get("counterparty"),
         row["description"])
        for row in rows
    ]  # fmt: skip
    assert found == written.expected
    ends = [
        (minor_of(one.opening, written.currency), minor_of(one.closing, written.currency)) for one in reading.statements
    ]
    assert ends == written.ends
    assert all(statement.ties for statement in reading.statements)


_PIECES = st.one_of(
    st.binary(max_size=8),
    st.sampled_from(
        [b":", b":61:", b":86:", b":20:", b":62F:", b":NS:", b"\n", b"\r", b"-\n", b"-}\n", b"{1:\n{4:", b"?20", b"//",
         b",", b"RC", b"9" * 50, b"\x00", b"\xff\xfe", b"\xc3", b"EREF+", b"/EREF/", b"    ", b"0230", b"USD"]
    ),
)  # fmt: skip


@given(written_files(), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 6), _PIECES), min_size=1, max_size=12))
@settings(max_examples=300, deadline=timedelta(seconds=MOST_SECONDS))
def test_damage_neither_crashes_nor_loses_a_line(written: Written, damage: list[tuple[float, int, bytes]]) -> None:
    data = written.data
    for place, removed, added in damage:
        start = int(place * len(data))
        data = data[:start] + added + data[start + removed :]
    try:
        rows, reading = read_bytes(data)
    except InputError:
        return
    booked = sum(row["status"] == "book" for row in rows)
    assert booked + len(reading.rejections) == sum(statement.lines for statement in reading.statements)
    for row in rows:
        assert re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", str(row["amount"]))
        date.fromisoformat(str(row["date"]))
        str(row).encode()
    for statement in reading.statements:
        assert statement.gap is None or isinstance(statement.gap, Decimal)


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=timedelta(seconds=MOST_SECONDS))
def test_any_bytes_after_a_field(data: bytes) -> None:
    _, reading = read_bytes(b":20:S\n" + data)
    assert reading.statements
    assert 0 <= SOURCE.sniff(data, "x") <= 100


@pytest.mark.parametrize(
    "piece",
    [b":61:\n", b":61:260302C", b":61:260302C1,NTRF\n", b":86:x\n", b"?20", b"/EREF/", b"EREF+ ", b" ", b"\n", b"-\n",
     b":\n", b"9", b",", b":NS:", b"{4:", b"-}\n", b"\xc3\n", b"\x00", b":20:\n", b":25:A\n", b"\r"],
)  # fmt: skip
@pytest.mark.parametrize(
    "start", [b":20:S\n", b":20:S\n:61:260302C1,NTRF\n:86:166?00", b":20:S\n:61:260302C1,NTRF\n:86:/EREF/"]
)
def test_time_follows_length(start: bytes, piece: bytes) -> None:
    began = time.monotonic()
    read_bytes(start + piece * (200_000 // len(piece)))
    assert time.monotonic() - began < MOST_SECONDS
