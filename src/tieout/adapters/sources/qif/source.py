"""Quicken Interchange Format: the sections !Type:Bank, CCard, Cash, Oth A and Oth L as bank lines.

What lives here: sections, records and their fields. How dates and amounts are written is found out over the whole
file first (`forms`), as QIF says neither; nor does it say a currency, which must be declared.

Investment sections hold trades, not booked cash: they are counted in `inferred` and left out, as are lists
(categories, classes, memorised transactions). Settings: encoding, date_order (dmy, mdy, ymd), decimal ("," or "."),
account (of files that name none).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from tieout.adapters.sources.csv.encoding import Encoding, detect_encoding
from tieout.adapters.sources.drafting import (
    EXACT,
    Columns,
    Draft,
    attributes_text,
    chunks,
    declared_encoding,
    is_damaged,
    is_held,
    open_text,
    plain_text,
    shown,
)
from tieout.adapters.sources.qif.forms import Forms, Survey
from tieout.model.errors import InputError, Place
from tieout.model.reading import Reading, SourceOptions
from tieout.model.record import Rejection, Statement

SETTINGS = ("account", "date_order", "decimal", "encoding")
HELD_CHARACTERS = 32 * 1024 * 1024
"""Most characters of one record."""

RECORD_FIELDS = 100_000
"""Most fields of one record."""

SPLITS_CHARACTERS = 250_000
"""Length up to which a record's attributes list its splits; what is left out is counted there."""

_LINE_SECTIONS = frozenset(("bank", "ccard", "cash", "oth a", "oth l", "otha", "othl"))
_INVESTMENT_SECTIONS = frozenset(("invst", "port"))
_LIST_SECTIONS = frozenset(
    ("cat", "class", "memorized", "security", "prices", "budget", "tax", "tag", "template", "invitem", "bill",
     "invoice", "cust", "vend", "emp", "other")
)  # fmt: skip
_STATUSES = {"*": "cleared", "c": "cleared", "x": "reconciled", "r": "reconciled"}
_HEADER = re.compile(r"!\s*(type\s*:|account\b|option\s*:|clear\s*:)", re.IGNORECASE)
_ORDER_OPTION = re.compile(r"option\s?:\s?(dmy|mdy|ymd)")
_KNOWN_FIELDS = frozenset("DTUPMNLCASE$%")


class QifSource:
    """The `qif` format."""

    name = "qif"

    def sniff(self, head: bytes, filename: str) -> int:
        """95 for a file that begins with a QIF header line, else 0."""
        encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1"
        text = head.removeprefix(b"\xef\xbb\xbf").decode(encoding, errors="replace").lstrip()
        return 95 if _HEADER.match(text) else 0

    def read(self, path: Path, options: SourceOptions) -> Reading:
        """Drafts of kind bank_line, one for each record, and one Statement for each section of them.

        The file is read twice: first for the order of dates and the decimal mark, which `inferred` states. Raises
        InputError when it does not begin with a header or a setting is unknown. A record that is cut off, has no date
        or an amount that does not fit the file's decimal mark becomes a Rejection. Splits that do not add up leave the
        total as it is, noted in the attributes.
        """
        _check_settings(options, str(path))
        encoding = detect_encoding(path, declared_encoding(options), str(path))
        reading = Reading(format=self.name, drafts=iter(()), derived_ids=True)
        reading.inferred["encoding"] = f"{encoding.name}: {encoding.evidence}"
        forms = _survey(path, encoding, options)
        reading.inferred["date"] = forms.date_evidence
        reading.inferred["amount"] = forms.decimal_evidence
        if options.currency is None:
            reading.inferred["currency"] = "not in the file: declare currency"
        reading.drafts = chunks(_drafts(path, encoding, options, forms, reading))
        return reading


def _check_settings(options: SourceOptions, file: str) -> None:
    choices = {"date_order": ("dmy", "mdy", "ymd"), "decimal": (",", ".")}
    for key, value in options.settings.items():
        place = Place(file, field=f"settings.{key}")
        if key not in SETTINGS:
            hint = f"known settings: {', '.join(SETTINGS)}"
            raise InputError(f"unknown setting {key!r}", hint=hint, place=place)
        if key in choices and value not in choices[key]:
            raise InputError(f"unknown {key}", hint=f"one of: {' '.join(choices[key])}", place=place)


@dataclass(slots=True)
class _Record:
    """The fields of one record, in order, each a code and a text; `line` is where it begins."""

    section: str
    line: int
    fields: list[tuple[str, str]] = field(default_factory=list)
    is_complete: bool = False

    def first(self, code: str) -> str | None:
        """The first text of a field that is not blank."""
        return next((text for name, text in self.fields if name == code and text), None)


@dataclass(slots=True)
class _Header:
    """A line that begins with an exclamation mark: its words in lower case."""

    line: int
    words: str


def _survey(path: Path, encoding: Encoding, options: SourceOptions) -> Forms:
    """How the file's dates and amounts are written."""
    survey = Survey()
    stated: str | None = None
    for item in _items(path, encoding):
        if isinstance(item, _Header):
            option = _ORDER_OPTION.fullmatch(item.words)
            stated = option[1] if option else stated
        elif item.section in _LINE_SECTIONS:
            for code, text in item.fields:
                if code == "D":
                    survey.add_date(text)
                elif code in ("T", "U", "$"):
                    survey.add_amount(text)
    order, decimal = options.settings.get("date_order", stated), options.settings.get("decimal")
    return survey.forms(
        None if order is None else str(order), None if decimal is None else str(decimal), options.currency
    )


def _items(path: Path, encoding: Encoding) -> Iterator[_Header | _Record]:
    """Headers and records in order. Raises InputError when the file does not begin with a header."""
    section: str | None = None
    record: _Record | None = None
    held = number = 0
    with open_text(path, encoding, newline=None) as file:
        while raw := file.readline(HELD_CHARACTERS):
            number += 1
            held += len(raw)
            if held > HELD_CHARACTERS or (record is not None and len(record.fields) > RECORD_FIELDS):
                hint = "check that this is a QIF file: a record ends with a line of ^"
                raise InputError("a record has no end", hint=hint, place=Place(str(path), number))
            line = raw.strip().strip("\ufeff\x1a")
            if not line:
                continue
            if section is None and not _HEADER.match(line):
                raise _no_header(path, number)
            if line.startswith("!"):
                if record is not None:
                    yield record
                header = _Header(number, " ".join(line[1:].lower().split()))
                section = _section_of(header.words, section or "")
                record, held = None, 0
                yield header
                continue
            record = record or _Record(section or "", number)
            if line == "^":
                record.is_complete = True
                yield record
                record, held = None, 0
            else:
                record.fields.append((line[0], line[1:].strip()))
    if record is not None:
        yield record
    if section is None:
        raise _no_header(path, None)


def _no_header(path: Path, line: int | None) -> InputError:
    hint = "a QIF file begins with a line such as !Type:Bank"
    return InputError("no QIF header", hint=hint, place=Place(str(path), line))


def _section_of(words: str, before: str) -> str:
    """The section a header opens: `account`, the type's name, or as before for an option."""
    if words.startswith("type"):
        return words.partition(":")[2].strip()
    if words.startswith("account"):
        return "account"
    return before if words.startswith(("option", "clear")) else words


def _drafts(path: Path, encoding: Encoding, options: SourceOptions, forms: Forms, reading: Reading) -> Iterator[Draft]:
    """Every record as (line, columns), appending to the reading's statements and rejections."""
    walk = _Walk(options, forms, reading)
    for item in _items(path, encoding):
        if isinstance(item, _Header):
            walk.begin(item)
            continue
        draft = walk.draft_of(item)
        if draft is not None:
            yield draft
    walk.finish()


class _Walk:
    """The sections of one file in order, with the account that each belongs to."""

    def __init__(self, options: SourceOptions, forms: Forms, reading: Reading):
        account = options.settings.get("account")
        self._default_account = None if account is None else str(account)
        self._currency = options.currency.upper() if options.currency else None
        self._forms = forms
        self._reading = reading
        self._account = self._default_account
        self._section: _Section | None = None
        self._is_listing = False
        self._left_out = 0
        self._unbalanced = 0

    def begin(self, header: _Header) -> None:
        """A header: it ends the section before, and may open one of transactions."""
        words = header.words
        if words.startswith(("option", "clear")):
            if "autoswitch" in words:
                self._is_listing = words.startswith("option")
                self._account = self._default_account
            return
        self._end_section()
        section = _section_of(words, "")
        if section in _LINE_SECTIONS:
            self._section = _Section(self._account, section, self._currency)
        elif section not in _LIST_SECTIONS | _INVESTMENT_SECTIONS | {"account"}:
            reason = "a section of this type is not read: its records are left out"
            self._reading.rejections.append(Rejection(header.line, "!Type", reason, shown(words)))

    def draft_of(self, record: _Record) -> Draft | None:
        """The draft of a record of a section of transactions; None for any other record, and for a rejected one."""
        if record.section == "account":
            if not self._is_listing:
                self._account = record.first("N") or self._default_account
            return None
        if record.section in _INVESTMENT_SECTIONS:
            self._left_out += 1
        if self._section is None or not record.fields:
            return None
        if self._section.takes_opening(record, self._forms):
            return None
        refusal = _refusal(record, self._forms)
        if refusal is not None:
            self._section.lines += 1
            self._reading.rejections.append(refusal)
            return None
        columns, amount = self._columns(record)
        self._section.add(amount, columns["date"])
        return record.line, columns

    def finish(self) -> None:
        """At the end of the file: say what was left out or noted."""
        self._end_section()
        if self._left_out:
            self._reading.inferred["left_out"] = f"investment transactions, which are no booked cash: {self._left_out}"
        if self._unbalanced:
            text = f"records whose splits do not add up, so that their totals were kept: {self._unbalanced}"
            self._reading.inferred["splits"] = text

    def _end_section(self) -> None:
        if self._section is not None:
            self._reading.statements.append(self._section.statement())
            self._section = None

    def _columns(self, record: _Record) -> tuple[Columns, Decimal | None]:
        """The columns of a complete record and its amount, None where it has none."""
        amount = self._forms.amount_of(record.first("T") or record.first("U"))
        splits = _splits(record)
        attributes = self._attributes(record, splits, amount)
        category = record.first("L") or (splits[0].get("category") if len(splits) == 1 else None)
        status = record.first("C")
        columns: Columns = {
            "kind": "bank_line",
            "date": self._forms.day_of(record.first("D")),
            "amount": None if amount is None else plain_text(amount),
            "currency": self._currency,
            "description": record.first("M"),
            "counterparty": record.first("P"),
            "status": None if status is None else _STATUSES.get(status.lower(), status.lower()),
            "category": category,
            "reference": record.first("N"),
            "account": None if self._section is None else self._section.account,
            "attributes": attributes_text(attributes),
        }
        return columns, amount

    def _attributes(self, record: _Record, splits: list[dict[str, str]], amount: Decimal | None) -> dict[str, object]:
        """What has no column of its own: the address, the splits, and fields of vendors."""
        found: dict[str, object] = {}
        address = [text for code, text in record.fields if code == "A" and text]
        if address:
            found["address"] = address
        others = {code: text for code, text in record.fields if code not in _KNOWN_FIELDS and text}
        if others:
            found["other"] = others
        if splits:
            found.update(_listed(splits))
            adds_up = self._adds_up(splits, amount)
            if adds_up is not None:
                found["splits_add_up"] = adds_up
                self._unbalanced += not adds_up
        return found

    def _adds_up(self, splits: list[dict[str, str]], amount: Decimal | None) -> bool | None:
        """Whether the splits make the total; None when none of them states an amount."""
        texts = [split["amount"] for split in splits if "amount" in split]
        if not texts:
            return None
        total = Decimal(0)
        for text in texts:
            part = self._forms.amount_of(text)
            if part is None:
                return False
            total = EXACT.add(total, part)
        return total == amount


@dataclass(slots=True)
class _Section:
    """One section of transactions, which becomes a statement of its account."""

    account: str | None
    type: str
    currency: str | None
    lines: int = 0
    opening: Decimal | None = None
    sum: Decimal = Decimal(0)
    days: list[str] = field(default_factory=list)

    def takes_opening(self, record: _Record, forms: Forms) -> bool:
        """Whether a record is no transaction: Quicken begins an account's export with its opening balance.

        Its payee says so and its category is the account itself, in brackets, which also names the account.
        """
        category = record.first("L") or ""
        is_opening = (record.first("P") or "").lower() == "opening balance" and re.fullmatch(r"\[.+\]", category)
        if self.lines or self.opening is not None or not is_opening or not record.is_complete:
            return False
        opening = forms.amount_of(record.first("T") or record.first("U"))
        if opening is None or not is_held(opening, self.currency) or is_damaged(category):
            return False
        self.opening = opening
        self.account = self.account or category[1:-1]
        return True

    def add(self, amount: Decimal | None, day: str | None) -> None:
        """Count a record; an amount that the currency cannot hold stays out of the sum."""
        self.lines += 1
        if amount is not None and is_held(amount, self.currency):
            self.sum = EXACT.add(self.sum, amount)
        if day and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", day):
            self.days = [min([*self.days[:1], day]), max([*self.days[1:], day])]

    def statement(self) -> Statement:
        """The statement. QIF states no closing balance."""
        account = shown(self.account or "", 200)
        return Statement(
            statement_id=account or self.type,
            account=account,
            currency=self.currency or "",
            opening=None if self.opening is None else plain_text(self.opening),
            closing=None,
            sum=plain_text(self.sum),
            lines=self.lines,
            from_date=self.days[0] if self.days else None,
            to_date=self.days[1] if self.days else None,
        )


def _refusal(record: _Record, forms: Forms) -> Rejection | None:
    """Why a record cannot be a bank line at all; None when it can."""
    excerpt = shown(" ".join(code + text for code, text in record.fields[:6]))
    if not record.is_complete:
        return Rejection(record.line, "^", "the record is not ended by ^: it may be cut off", excerpt)
    for code, text in record.fields:
        if is_damaged(code + text):
            return Rejection(record.line, shown(code), "bytes that are not text in the file's encoding", excerpt)
    if not record.first("D"):
        return Rejection(record.line, "D", "missing: a transaction needs a date", excerpt)
    totals = {forms.amount_of(text) for code, text in record.fields if code in ("T", "U") and text}
    if None in totals:
        mark = "comma" if forms.decimal == "," else "point"
        return Rejection(record.line, "T", f"not an amount with a decimal {mark}, as this file has", excerpt)
    if len(totals) > 1:
        return Rejection(record.line, "T", "several different amounts in one record", excerpt)
    return None


def _splits(record: _Record) -> list[dict[str, str]]:
    """The splits of a record: each begins with its category, which memo, amount and percentage follow."""
    names = {"E": "memo", "$": "amount", "%": "percent"}
    splits: list[dict[str, str]] = []
    for code, text in record.fields:
        if code == "S":
            splits.append({"category": text} if text else {})
        elif code in names and text:
            if not splits or names[code] in splits[-1]:
                splits.append({})
            splits[-1][names[code]] = text
    return splits


def _listed(splits: list[dict[str, str]]) -> dict[str, object]:
    """The splits as attributes, as many as are kept."""
    kept: list[dict[str, str]] = []
    characters = 0
    for split in splits:
        characters += sum(len(name) + len(text) for name, text in split.items())
        if characters > SPLITS_CHARACTERS:
            return {"splits": kept, "splits_left_out": len(splits) - len(kept)}
        kept.append(split)
    return {"splits": kept}


SOURCE = QifSource()
