"""One camt statement, report or notification: its account, period and balances, and the sum of its booked entries."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from tieout.adapters.sources.camt.entry import EntryResult
from tieout.adapters.sources.camt.fields import EXACT, Fields, day_of, local_name, plain_text, signed_amount
from tieout.model.record import Statement

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

OPENING_CODES = ("OPBD", "PRCD")
CLOSING_CODES = ("CLBD",)
INTERIM_CODE = "ITBD"


class StatementReader:
    """Collects one statement while its document streams by.

    `element` is the statement's element; its header (account, period) stands before its balances and entries.
    """

    def __init__(self, element: Element):
        self.element = element
        self._header: dict[str, str] = {}
        self._balances: list[tuple[str, str, Decimal]] = []
        self._sums: dict[str, Decimal] = {}
        self._lines = 0

    @property
    def account(self) -> str | None:
        """The account's IBAN, or its other number; None when its header has not been read or names none."""
        return self._header.get("account")

    def take_header_before(self, element: Element) -> None:
        """Read the header elements that stand before a child of the statement, so that they can be let go."""
        sibling = element.getprevious()
        while sibling is not None:
            self._take_header(sibling)
            sibling = sibling.getprevious()

    def _take_header(self, child: Element) -> None:
        """Keep what one header element says; paths start inside it."""
        wanted = _HEADER.get(local_name(child))
        fields = Fields(child) if wanted else None
        for name, paths in wanted or ():
            text = fields.first(*paths) if fields and paths else (child.text or "").strip()
            if text:
                self._header.setdefault(name, text.replace(" ", "").upper() if name == "account" else text)

    def add_balance(self, element: Element) -> None:
        """Take a `Bal` element; one that cannot be read counts as missing, and the statement as not provable."""
        fields = Fields(element)
        code, currency = fields.first("Tp/CdOrPrtry/Cd", "Tp/Cd"), fields.first("Amt@Ccy")
        value = signed_amount(fields.first("Amt"), fields.first("CdtDbtInd"))
        if code and currency and value is not None:
            self._balances.append((code, currency, value))

    def add_entry(self, entry: EntryResult) -> None:
        """Count a booked entry and add it to the sum of its currency; an unreadable one is only counted.

        camt.052 and camt.054 also report entries that are not booked; an entry of a camt.053 that does not say
        is booked, as statements hold nothing else.
        """
        status = entry.columns.get("status")
        if status != "book" and not (status is None and self._is_statement):
            return
        self._lines += 1
        currency = entry.columns.get("currency") or ""
        self._sums.setdefault(currency, Decimal(0))
        if entry.amount is not None and not entry.rejections:
            self._sums[currency] = EXACT.add(self._sums[currency], entry.amount)

    def finish(self) -> Statement:
        """The statement, once its element has ended."""
        for child in self.element:
            self._take_header(child)
        header = self._header
        currency = self._statement_currency()
        opening, closing = self._ends([(code, value) for code, own, value in self._balances if own == currency])
        return Statement(
            statement_id=header.get("id") or self._message_id() or "",
            account=self.account or "",
            currency=currency,
            opening=None if opening is None else plain_text(opening),
            closing=None if closing is None else plain_text(closing),
            sum=plain_text(self._sums.get(currency, Decimal(0))),
            lines=self._lines,
            sequence=header.get("electronic_sequence") or header.get("legal_sequence"),
            from_date=day_of(header.get("from")),
            to_date=day_of(header.get("to")),
        )

    @property
    def _is_statement(self) -> bool:
        return local_name(self.element) == "Stmt"

    def _message_id(self) -> str | None:
        container = self.element.getparent()
        return None if container is None else Fields(container).first("GrpHdr/MsgId")

    def _statement_currency(self) -> str:
        """The currency of the closing or opening balance, else of the account, else of the first entry."""
        for codes in (CLOSING_CODES, OPENING_CODES, (INTERIM_CODE,)):
            for code, currency, _ in self._balances:
                if code in codes:
                    return currency
        return self._header.get("currency") or next(iter(self._sums), "")

    def _ends(self, balances: list[tuple[str, Decimal]]) -> tuple[Decimal | None, Decimal | None]:
        """Opening and closing balance.

        A camt.053 of several pages closes each page but the last, and opens each but the first, with an interim
        balance (ITBD): there it stands in for the end that is missing. In an intraday report it is a balance of
        its own time, not of the entries reported, and proves nothing.
        """
        opening = _first(balances, OPENING_CODES)
        closing = _first(balances, CLOSING_CODES)
        interim = [value for code, value in balances if code == INTERIM_CODE] if self._is_statement else []
        if opening is None and interim and (closing is not None or len(interim) > 1):
            opening = interim.pop(0)
        if closing is None and interim and opening is not None:
            closing = interim[-1]
        return opening, closing


_HEADER: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "Id": (("id", ()),),
    "ElctrncSeqNb": (("electronic_sequence", ()),),
    "LglSeqNb": (("legal_sequence", ()),),
    "FrToDt": (("from", ("FrDtTm", "FrDt")), ("to", ("ToDtTm", "ToDt"))),
    "Acct": (
        ("account", ("Id/IBAN", "Id/Othr/Id", "Id/PrtryAcct/Id", "Id/BBAN", "Id/UPIC")),
        ("currency", ("Ccy",)),
    ),
}
"""Header element to what is kept of it, each by the paths where it may stand (none: its own text)."""


def _first(balances: list[tuple[str, Decimal]], codes: tuple[str, ...]) -> Decimal | None:
    """The first balance of the first of these codes that occurs."""
    for wanted in codes:
        for code, value in balances:
            if code == wanted:
                return value
    return None
