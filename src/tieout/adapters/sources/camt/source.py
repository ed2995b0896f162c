"""Bank statements in ISO 20022 XML: camt.052 (reports), camt.053 (statements), camt.054 (notifications).

Every version, matched by local names, so with any namespace or none. What lives here: recognising and streaming
the document. One entry becomes a draft in `entry`; balances become a statement in `statement`.

Documents are untrusted: a DOCTYPE is refused, entities are never resolved, nothing is fetched, and no more than
one statement header and one entry is held at a time, so memory follows neither the file nor a batch's length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tieout.adapters.sources.camt.entry import Draft, EntryReader
from tieout.adapters.sources.camt.fields import local_name
from tieout.adapters.sources.camt.statement import StatementReader
from tieout.adapters.sources.drafting import chunks
from tieout.model.errors import InputError, Place
from tieout.model.reading import Reading, SourceOptions

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

STATEMENT_TAGS = ("Stmt", "Rpt", "Ntfctn")
EVENT_TAGS = tuple(f"{{*}}{name}" for name in (*STATEMENT_TAGS, "Bal", "Ntry", "TxDtls"))

HELD_BYTES = 64 * 1024 * 1024
"""Most bytes of a document between two statements, entries or transaction details: what is held at one time."""


_MESSAGE_NAME = re.compile(r"camt\.05[234](\.[0-9]{3}\.[0-9]{2})?")
_CONTAINER = re.compile(r"<([A-Za-z_][\w.-]*:)?BkToCstmr(Stmt|AcctRpt|DbtCdtNtfctn)\b")


class CamtSource:
    """The `camt` format."""

    name = "camt"

    def sniff(self, head: bytes, filename: str) -> int:
        """95 for an XML document that names a camt.052, 053 or 054 message; 5 for other XML; else 0."""
        text = _head_text(head)
        if not text.startswith("<"):
            return 0
        return 95 if _MESSAGE_NAME.search(text) or _CONTAINER.search(text) else 5

    def read(self, path: Path, options: SourceOptions) -> Reading:
        """Drafts of kind bank_line, one for each entry, and one Statement for each statement, report or
        notification.

        Lazily raises InputError, naming the line, when the document is not well-formed, carries a DOCTYPE or holds
        no statement: whoever consumes the drafts then discards everything of the file. `options` has nothing to
        say to this format: every column is the bank's.
        """
        with path.open("rb") as file:
            message = _MESSAGE_NAME.search(_head_text(file.read(4_096)))
        reading = Reading(format=self.name, drafts=iter(()), derived_ids=True)
        reading.inferred["message"] = message.group() if message else "camt, version not stated"
        reading.drafts = chunks(_drafts(path, reading))
        return reading


class _HeldBytes:
    """A file that refuses to go on when too much of it was read since something was last let go of."""

    def __init__(self, file: BinaryIO, path: Path):
        self._file = file
        self._path = path
        self._held = 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes of the file. Raises InputError over HELD_BYTES."""
        data = self._file.read(size)
        self._held += len(data)
        if self._held > HELD_BYTES:
            raise InputError(
                f"no statement entry within {HELD_BYTES // (1024 * 1024)} MB of XML",
                hint="check that this is a camt.052, camt.053 or camt.054 document",
                place=Place(str(self._path)),
            )
        return data

    def release(self) -> None:
        """What was read so far is no longer held."""
        self._held = 0


def _head_text(head: bytes) -> str:
    """The head as text, only to look for names in it: UTF-16 by its byte order mark, else as Latin-1."""
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1"
    return head.removeprefix(b"\xef\xbb\xbf").decode(encoding, errors="replace").lstrip()


def _drafts(path: Path, reading: Reading) -> Iterator[Draft]:
    """Every entry of the document as (line, columns), appending to the reading's statements and rejections."""
    from lxml import etree

    with path.open("rb") as file:
        source = _HeldBytes(file, path)
        # Without recovery, huge trees, DTD or network; comments and instructions would only split texts in two.
        events = etree.iterparse(
            source, events=("start", "end"), tag=EVENT_TAGS, load_dtd=False, dtd_validation=False, no_network=True,
            resolve_entities=False, huge_tree=False, recover=False, collect_ids=False, remove_comments=True,
            remove_pis=True,
        )  # fmt: skip
        try:
            yield from _walk(events, source, path, reading)
        except etree.XMLSyntaxError as error:
            raise InputError(
                f"not well-formed XML: {error.msg}",
                hint="fetch the file again from the bank; nothing of it was taken",
                place=Place(str(path), error.lineno or None),
            ) from None
    if not reading.statements:
        raise InputError(
            "the document holds no bank statement, report or notification",
            hint="camt.052, camt.053 and camt.054 documents are read here",
            place=Place(str(path)),
        )


def _walk(events: Iterable[tuple[str, Element]], source: _HeldBytes, path: Path, reading: Reading) -> Iterator[Draft]:
    """The drafts of all statements; everything that has been read is let go of at once."""
    statement: StatementReader | None = None
    entry = EntryReader()
    for event, element in events:
        if statement is None:
            if event == "start" and local_name(element) in STATEMENT_TAGS:
                _refuse_doctype(element, path)
                statement = StatementReader(element)
            continue
        if event == "start":
            continue
        if element is statement.element:
            reading.statements.append(statement.finish())
            statement = None
        elif element.getparent() is not statement.element:
            if local_name(element) == "TxDtls":
                entry.add_detail(element)
        elif local_name(element) == "Bal":
            statement.add_balance(element)
        elif local_name(element) == "Ntry":
            statement.take_header_before(element)
            result = entry.finish(element, statement.account)
            statement.add_entry(result)
            reading.rejections.extend(result.rejections)
            if not result.rejections:
                yield result.line, result.columns
            entry = EntryReader()
        _let_go(element)
        source.release()


def _refuse_doctype(element: Element, path: Path) -> None:
    """No camt document has a document type declaration; one that does is an attack or not a camt document."""
    if element.getroottree().docinfo.internalDTD is not None:
        raise InputError(
            "the document declares a DOCTYPE, which is refused",
            hint="bank statements have none: entities and external definitions are never read",
            place=Place(str(path)),
        )


def _let_go(element: Element) -> None:
    """Free an element that has been read and, of what stands before it, all that nothing more is read from."""
    element.clear()
    parent, earlier = element.getparent(), element.getprevious()
    while parent is not None and earlier is not None:
        before = earlier.getprevious()
        if _is_done(earlier, before=element):
            parent.remove(earlier)
        earlier = before


def _is_done(earlier: Element, before: Element) -> bool:
    """Whether an earlier sibling is no longer needed: an entry still needs its own fields, and a statement the
    message's header."""
    name = local_name(before)
    if name == "Ntry":
        return True
    if name in STATEMENT_TAGS:
        return local_name(earlier) != "GrpHdr"
    return name == "TxDtls" and local_name(earlier) == "TxDtls"


SOURCE = CamtSource()
