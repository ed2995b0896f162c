"""Bank, credit card and investment statements in OFX: 1.x (SGML), 2.x (XML), and QFX, which is OFX by another name.

What lives here: recognising a document and walking its aggregates. Text and tags are in `text`, amounts and
moments in `fields`, one transaction in `transaction`, one statement in `statement`.

Read are statement transactions of bank and credit card accounts and the cash transactions of investment accounts
(`INVBANKTRAN`). Trades of securities and pending transactions are no booked cash: they are counted in `inferred`
and left out. Confirmations of transfers are no statement lines: they are rejected, so that they are seen.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from tieout.adapters.sources.drafting import Draft, chunks, declared_encoding, open_text, shown
from tieout.adapters.sources.ofx.statement import StatementReader
from tieout.adapters.sources.ofx.text import Tag, encoding_of, tags, version_of
from tieout.adapters.sources.ofx.transaction import read_transaction
from tieout.model.errors import InputError, Place
from tieout.model.reading import Reading, SourceOptions
from tieout.model.record import Rejection

DEPTH = 100
"""Aggregates open at one time. OFX nests a fifth as deep; empty values that are never closed count too."""

HELD_CHARACTERS = 32 * 1024 * 1024
"""Most characters of one transaction."""

_STATEMENTS = frozenset(("STMTRS", "CCSTMTRS", "INVSTMTRS"))
_ACCOUNTS = frozenset(("BANKACCTFROM", "CCACCTFROM", "INVACCTFROM"))
_LISTS = frozenset(("BANKTRANLIST", "INVTRANLIST"))
_COLLECTED = frozenset(("STMTTRN", "STATUS", "LEDGERBAL", *_ACCOUNTS))
"""Aggregates whose values are gathered; of all others nothing is kept."""

_FRAMING = frozenset(("STMTTRN", "INVBANKTRAN", *_STATEMENTS, *_LISTS))
_AGGREGATES = _FRAMING | _COLLECTED
"""What is an aggregate even where stray text stands behind its opening tag."""

_TRANSFERS = frozenset(("INTRARS", "INTERRS"))
_LEFT_OUT = frozenset(("STMTTRNP", "LOANSTMTTRN"))
_START = re.compile(r"(OFXHEADER\s*:|DATA\s*:\s*OFXSGML|<\?OFX\b|<OFX[\s>])", re.IGNORECASE)
_ROOT = re.compile(r"<\?OFX\b|<OFX[\s>]", re.IGNORECASE)


class OfxSource:
    """The `ofx` format."""

    name = "ofx"

    def sniff(self, head: bytes, filename: str) -> int:
        """95 for what begins as OFX does; 60 where its root stands further on or only its transactions; else 0."""
        text = _head_text(head)
        if _START.match(text) or (text.startswith("<?xml") and _ROOT.search(text[:4_096])):
            return 95
        return 60 if _ROOT.search(text[:4_096]) or (text.startswith("<") and "<STMTTRN>" in text) else 0

    def read(self, path: Path, options: SourceOptions) -> Reading:
        """Drafts of kind bank_line, one for each transaction, and one Statement for each account's statement.

        `options.currency` serves statements that name none, `options.zone` instants without an offset (UTC by the
        standard), `settings.encoding` overrides what bytes and header say. Lazily raises InputError, naming the
        line, when tags do not nest, the file is cut off, carries a DOCTYPE or holds no statement (then with the
        bank's own error message where it sent one): whoever consumes the drafts discards everything of the file.
        """
        zone = _zone(path, options.zone)
        encoding = encoding_of(path, declared_encoding(options))
        with open_text(path, encoding) as file:
            head = file.read(4_096)
        reading = Reading(format=self.name, drafts=iter(()), derived_ids=True)
        reading.inferred["version"] = version_of(head)
        reading.inferred["encoding"] = f"{encoding.name}: {encoding.evidence}"

        def drafts() -> Iterator[Draft]:
            with open_text(path, encoding) as file:
                yield from _Walk(path, reading, options.currency, zone).run(tags(file, path))

        reading.drafts = chunks(drafts())
        return reading


def _head_text(head: bytes) -> str:
    """The head as text, only to look for names in it: UTF-16 by its byte order mark, else as Latin-1."""
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1"
    return head.removeprefix(b"\xef\xbb\xbf").decode(encoding, errors="replace").lstrip()


def _zone(path: Path, name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        hint = "use an IANA name such as Europe/Berlin"
        raise InputError(f"unknown zone {name!r}", hint=hint, place=Place(str(path), field="zone")) from None


@dataclass(slots=True)
class _Frame:
    """An open aggregate, or an empty value that was not closed. `texts` is None where nothing is gathered."""

    name: str
    line: int
    texts: dict[str, str] | None


class _Walk:
    """The aggregates of one document as they open and close.

    In SGML an empty value looks like an aggregate until its parent closes while it is still open; it then gives its
    contents to the parent. So no list of known tags is needed, and vendors' own are harmless.
    """

    def __init__(self, path: Path, reading: Reading, currency: str | None, zone: tzinfo):
        self._path = path
        self._reading = reading
        self._currency = currency.upper() if currency else None
        self._zone = zone
        self._stack: list[_Frame] = []
        self._names: Counter[str] = Counter()
        self._statement: StatementReader | None = None
        self._left_out: Counter[str] = Counter()
        self._failures: list[Rejection] = []
        self._transfers = 0
        self._held = 0
        self._draft: Draft | None = None

    def run(self, found: Iterator[Tag]) -> Iterator[Draft]:
        """The drafts of all statements, appending to the reading's statements and rejections."""
        has_root = False
        for tag in found:
            if not self._stack:
                if tag.is_end or tag.name != "OFX":
                    continue
                has_root = True
            if tag.is_end:
                self._end(tag)
                if self._draft is not None:
                    yield self._draft
                    self._draft = None
            else:
                self._begin(tag)
        self._finish(has_root)

    def _begin(self, tag: Tag) -> None:
        if tag.text and tag.name not in _AGGREGATES:
            self._value(tag)
            return
        if tag.name == "STMTTRN" and self._names["STMTTRN"]:
            self._unwind("STMTTRN")
            self._reject_open(self._pop())
        if tag.name in _STATEMENTS:
            self._finish_statement()
            self._statement = StatementReader(self._currency, self._zone)
        parent = self._stack[-1] if self._stack else None
        gathers = tag.name in _COLLECTED or (parent is not None and parent.texts is not None)
        if len(self._stack) >= DEPTH:
            raise InputError(
                f"more than {DEPTH} tags are open at once",
                hint="check that the file is complete: closing tags are missing",
                place=Place(str(self._path), tag.line),
            )
        self._stack.append(_Frame(tag.name, tag.line, {} if gathers else None))
        self._names[tag.name] += 1

    def _value(self, tag: Tag) -> None:
        """A value belongs to the aggregate it stands in, or else to the statement."""
        texts = self._stack[-1].texts if self._stack else None
        if texts is not None:
            self._held += len(tag.text)
            if self._held > HELD_CHARACTERS:
                hint = "check that the file is complete: closing tags are missing"
                raise InputError("a transaction has no end", hint=hint, place=Place(str(self._path), tag.line))
            texts.setdefault(tag.name, tag.text)
        elif self._statement is not None and not self._statement.take_value(tag.name, tag.text):
            self._refuse_late(tag.line, "currency")

    def _end(self, tag: Tag) -> None:
        if not self._names[tag.name]:
            if tag.name in _FRAMING:
                raise InputError(
                    f"</{tag.name}> closes what was never opened",
                    hint="fetch the file again from the bank; nothing of it was taken",
                    place=Place(str(self._path), tag.line),
                )
            return
        self._unwind(tag.name)
        self._ended(self._pop())

    def _unwind(self, name: str) -> None:
        """Close what is still open inside the innermost aggregate of a name."""
        while self._stack[-1].name != name:
            frame = self._pop()
            parent = self._stack[-1]
            if frame.name == "STMTTRN":
                self._reject_open(frame)
            elif frame.name in _STATEMENTS:
                self._finish_statement()
            elif frame.texts and parent.texts is not None:
                for path, text in frame.texts.items():
                    parent.texts.setdefault(path, text)

    def _pop(self) -> _Frame:
        frame = self._stack.pop()
        self._names[frame.name] -= 1
        if not self._names[frame.name]:
            del self._names[frame.name]
        return frame

    def _ended(self, frame: _Frame) -> None:
        """An aggregate is complete."""
        name, texts = frame.name, frame.texts or {}
        parent = self._stack[-1] if self._stack else None
        is_inside = parent is not None and parent.texts is not None
        if name == "STMTTRN":
            self._transaction(frame.line, texts)
        elif is_inside and parent is not None and parent.texts is not None:
            for path, text in texts.items():
                parent.texts.setdefault(f"{name}/{path}", text)
            return
        elif name in _ACCOUNTS:
            if self._statement is not None and not self._statement.take_account(texts):
                self._refuse_late(frame.line, "account")
        elif name == "LEDGERBAL" and self._statement is not None:
            self._statement.take_balance(texts)
        elif name in _STATEMENTS:
            self._finish_statement()
        elif name == "STATUS":
            self._status(frame.line, texts)
        elif name in _TRANSFERS:
            self._transfers += 1
            reason = "a confirmed transfer is no statement line: its account's statement books it"
            self._reading.rejections.append(Rejection(frame.line, name, reason))
        elif name in _LEFT_OUT or (parent is not None and parent.name in _LISTS and name != "INVBANKTRAN"):
            self._left_out[name if len(self._left_out) < 100 else "others"] += 1
        self._held = 0

    def _transaction(self, line: int, texts: dict[str, str]) -> None:
        if self._statement is None:
            reason = "the transaction stands outside any statement: its account is not known"
            self._reading.rejections.append(Rejection(line, "STMTTRN", reason, _excerpt(texts)))
            return
        result = read_transaction(line, texts, self._statement.context)
        self._statement.add(result)
        if result.rejection is not None:
            self._reading.rejections.append(result.rejection)
        else:
            self._draft = (line, result.columns)

    def _reject_open(self, frame: _Frame) -> None:
        """A transaction that was never closed may have lost any of its values."""
        reason = "the transaction is not closed: it may be cut off"
        self._reading.rejections.append(Rejection(frame.line, "STMTTRN", reason, _excerpt(frame.texts or {})))
        self._held = 0

    def _status(self, line: int, texts: dict[str, str]) -> None:
        if texts.get("SEVERITY", "").upper() == "ERROR":
            message = shown(f"{texts.get('CODE', '')} {texts.get('MESSAGE', '')}".strip(), 200)
            self._failures.append(Rejection(line, "STATUS", "the bank answered with an error", message))

    def _finish_statement(self) -> None:
        if self._statement is not None:
            self._reading.statements.append(self._statement.finish())
            self._statement = None

    def _refuse_late(self, line: int, what: str) -> None:
        raise InputError(
            f"a statement names its {what} only after transactions",
            hint="the file mixes statements or is damaged; nothing of it was taken",
            place=Place(str(self._path), line),
        )

    def _finish(self, has_root: bool) -> None:
        """At the end of the file: it must be complete and hold something; then say what was left out."""
        if self._stack:
            frame = self._stack[-1]
            raise InputError(
                f"the file ends inside {frame.name}",
                hint="it is cut off: fetch it again from the bank; nothing of it was taken",
                place=Place(str(self._path), frame.line),
            )
        if not self._reading.statements and not self._transfers:
            self._refuse_empty(has_root)
        self._reading.rejections.extend(self._failures)
        if self._left_out:
            names = ", ".join(f"{count} {shown(name)}" for name, count in sorted(self._left_out.items())[:20])
            self._reading.inferred["left_out"] = f"no booked cash transactions: {names}"

    def _refuse_empty(self, has_root: bool) -> None:
        if self._failures:
            first = self._failures[0]
            message, line = f"the bank sent an error instead of a statement: {first.text}", first.line
            raise InputError(message, hint="ask the bank for the statement again", place=Place(str(self._path), line))
        what = "the document holds no bank, credit card or investment statement" if has_root else "no OFX document"
        raise InputError(what, hint="download the account's transactions as OFX", place=Place(str(self._path)))


def _excerpt(texts: dict[str, str]) -> str:
    return shown(" ".join(texts[name] for name in ("DTPOSTED", "TRNAMT", "FITID", "NAME") if name in texts))


SOURCE = OfxSource()
