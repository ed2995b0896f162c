"""BAI2 cash management reports, version 2: transaction details as bank lines, accounts as statements.

What lives here: recognising a file, the nesting of its records and its control totals. Physical lines become records
in `records`, fields get their meaning in `fields`, an account is read in `account`.

A file whose records do not nest (file 01/99, group 02/98, account 03/49, detail 16) is refused whole: it cannot be
framed. A control total or count that does not agree leaves the details as they are and becomes a Rejection that names
the account, group or file, what was stated and what was found; `inferred` counts the controls that hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tieout.adapters.sources.bai2.account import AccountReader, GroupContext
from tieout.adapters.sources.bai2.fields import DEFAULT_CURRENCY, NON_MONETARY, day_of, minor_units
from tieout.adapters.sources.bai2.records import Record, records
from tieout.adapters.sources.csv.encoding import Encoding, detect_encoding
from tieout.adapters.sources.drafting import Draft, chunks, declared_encoding, open_text, shown
from tieout.model.errors import InputError, Place
from tieout.model.reading import Reading, SourceOptions
from tieout.model.record import Rejection

VERSION = "2"
_FILE_START = re.compile(r"\s*01,[^,\r\n]{0,80},[^,\r\n]{0,80},[0-9]{6},")
_FILE = re.compile(_FILE_START.pattern + r"[0-9]{0,4},(?:[^,\r\n]{0,40},){3}2\s*(?:/|$)", re.MULTILINE)

_FOLLOWING = {
    "": ("01",),
    "01": ("02", "99"),
    "02": ("03", "98"),
    "03": ("16", "49"),
    "16": ("16", "49"),
    "49": ("03", "98"),
    "98": ("02", "99"),
    "99": ("01",),
}
"""Record code to those that may follow it."""

_NAMES = {
    "01": "file header", "02": "group header", "03": "account", "16": "transaction", "49": "account trailer",
    "98": "group trailer", "99": "file trailer",
}  # fmt: skip
_REFUSED_GROUPS = {
    "2": "the group withdraws what was reported before: withdraw it by hand, its details are no movements",
    "4": "the group is marked as a test",
}


class Bai2Source:
    """The `bai2` format."""

    name = "bai2"

    def sniff(self, head: bytes, filename: str) -> int:
        """95 for a version 2 file header, 70 for a file header that does not end as one; else 0."""
        text = head.removeprefix(b"\xef\xbb\xbf").decode("latin-1")
        if _FILE.match(text):
            return 95
        return 70 if _FILE_START.match(text) and re.search(r"\s02,", text[:4_096]) else 0

    def read(self, path: Path, options: SourceOptions) -> Reading:
        """Drafts of kind bank_line, one for each transaction detail, and one Statement for each account record.

        Amounts are minor units of the account's currency, else the group's, else `options.currency`, else USD; the
        date is the group's as-of date. Lazily raises InputError, naming the line, when records do not nest or the
        file is cut off: whoever consumes the drafts then discards everything of the file.
        """
        encoding = detect_encoding(path, declared_encoding(options), str(path))
        reading = Reading(format=self.name, drafts=iter(()), derived_ids=True)
        reading.inferred["encoding"] = f"{encoding.name}: {encoding.evidence}"
        reading.drafts = chunks(_drafts(path, encoding, options, reading))
        return reading


def _drafts(path: Path, encoding: Encoding, options: SourceOptions, reading: Reading) -> Iterator[Draft]:
    """Every detail as (line, columns), appending to the reading's statements and rejections."""
    walk = _Walk(path, reading, options.currency)
    with open_text(path, encoding, newline=None) as file:
        for record in records(file, path):
            draft = walk.take(record)
            if draft is not None:
                yield draft
    walk.finish()


@dataclass(slots=True)
class _Control:
    """What the parts of a group or file stated while it streams by; `count` begins with its header's records."""

    count: int = 0
    total_minor: int = 0
    parts: int = 0


class _Walk:
    """The records of one file in order."""

    def __init__(self, path: Path, reading: Reading, currency: str | None):
        self._path = path
        self._reading = reading
        self._default_currency = (currency or DEFAULT_CURRENCY).upper()
        self._before = Record(0, "")
        self._file = _Control()
        self._group = _Control()
        self._sequence: str | None = None
        self._context = GroupContext("", self._default_currency, None)
        self._account: AccountReader | None = None
        self._records = 0
        self._controls = 0
        self._failed = 0
        self._non_monetary = 0
        self._corrections = 0
        self._without_currency = 0
        self._has_currency = False

    def take(self, record: Record) -> Draft | None:
        """The draft of a record that is a detail; None for any other, and for a rejected one."""
        if record.code not in _FOLLOWING[self._before.code]:
            raise self._misplaced(record)
        self._before = record
        if record.code == "16":
            return self._detail(record)
        begin_or_end = {
            "01": self._begin_file, "02": self._begin_group, "03": self._begin_account, "49": self._end_account,
            "98": self._end_group, "99": self._end_file,
        }  # fmt: skip
        begin_or_end[record.code](record)
        return None

    def finish(self) -> None:
        """At the end of the file: it must be complete; then say what was checked and left out."""
        if self._before.code != "99":
            what = _NAMES.get(self._before.code)
            raise InputError(
                f"the file ends after a record {self._before.code} ({what})" if what else "the file holds no record",
                hint="it is cut off before its trailer (99): fetch it again from the bank; nothing of it was taken",
                place=Place(str(self._path), self._before.line or None),
            )
        inferred = self._reading.inferred
        held = self._controls - self._failed
        inferred["controls"] = f"{held} of {self._controls} control totals and counts agree"
        if self._without_currency:
            inferred["currency"] = f"{self._default_currency} where neither account nor group names one"
        if self._non_monetary:
            inferred["left_out"] = f"details without money (type {NON_MONETARY}): {self._non_monetary}"
        if self._corrections:
            inferred["corrections"] = f"groups that correct what was reported before: {self._corrections}"

    def _misplaced(self, record: Record) -> InputError:
        here = f"a record {record.code} ({_NAMES[record.code]})"
        if not self._before.code:
            message = f"{here} where a file header (01) must stand"
        else:
            message = f"{here} after a record {self._before.code} ({_NAMES[self._before.code]})"
        hint = "records are missing or not in order: fetch the file again from the bank; nothing of it was taken"
        return InputError(message, hint=hint, place=Place(str(self._path), record.line))

    def _begin_file(self, record: Record) -> None:
        fields = record.fields
        version = fields[7] if len(fields) > 7 else ""
        if version not in ("", VERSION):
            raise InputError(
                f"BAI version {shown(version)!r} is not read",
                hint="ask the bank for BAI2, that is version 2",
                place=Place(str(self._path), record.line),
            )
        self._sequence = shown(fields[4]) if len(fields) > 4 and fields[4] else None
        self._file = _Control(count=record.count)

    def _begin_group(self, record: Record) -> None:
        fields = [*record.fields, *[""] * 7]
        status, day, currency = fields[2], day_of(fields[3]), fields[5].upper()
        self._corrections += status == "3"
        refusal = _REFUSED_GROUPS.get(status) or (None if day else "the group names no as-of date")
        self._context = GroupContext(day, currency or self._default_currency, self._sequence, refusal)
        self._has_currency = bool(currency)
        self._group = _Control(count=record.count)

    def _begin_account(self, record: Record) -> None:
        self._account = AccountReader(record, self._context)
        fields = record.fields
        self._without_currency += not self._has_currency and not (len(fields) > 1 and fields[1])
        self._records = record.count
        self._reading.rejections.extend(self._account.rejections)

    def _detail(self, record: Record) -> Draft | None:
        assert self._account is not None
        self._records += record.count
        detail = self._account.detail(record)
        if detail.rejection is not None:
            self._reading.rejections.append(detail.rejection)
        elif detail.columns is None:
            self._non_monetary += 1
        return None if detail.columns is None else (record.line, detail.columns)

    def _end_account(self, record: Record) -> None:
        account = self._account
        assert account is not None
        self._records += record.count
        what = f"account {shown(account.account)}"
        stated = self._check(record, what, {"control total": account.total_minor, "number of records": self._records})
        self._group.total_minor += stated[0]
        self._group.count += stated[1]
        self._group.parts += 1
        if self._context.refusal is None:
            self._reading.statements.append(account.statement())

    def _end_group(self, record: Record) -> None:
        what = f"group of {shown(self._context.day)}"
        stated = self._check(record, what, _expected(self._group, "accounts", record))
        self._file.total_minor += stated[0]
        self._file.count += stated[2]
        self._file.parts += 1

    def _end_file(self, record: Record) -> None:
        self._check(record, "file", _expected(self._file, "groups", record))

    def _check(self, record: Record, what: str, found: dict[str, int]) -> list[int]:
        """Compare a trailer's numbers with those found; returns the stated ones, the found where none is stated.

        Going on with what was stated keeps one fault from being reported on every level above it.
        """
        texts = [*record.fields, *[""] * len(found)]
        stated: list[int] = []
        for text, (name, number) in zip(texts, found.items(), strict=False):
            value = minor_units(text)
            self._controls += 1
            stated.append(number if value is None else value)
            if value != number:
                self._failed += 1
                reason = f"{what}: {name} does not agree: stated {shown(text) or 'nothing'}, found {number}"
                self._reading.rejections.append(Rejection(record.line, f"{record.code} {name}", reason, shown(text)))
        return stated


def _expected(control: _Control, parts: str, record: Record) -> dict[str, int]:
    """What a group's or file's trailer must state."""
    return {
        "control total": control.total_minor,
        f"number of {parts}": control.parts,
        "number of records": control.count + record.count,
    }


SOURCE = Bai2Source()
