"""One OFX statement (bank, credit card or investment): its account, period and balance, and the sum of its lines."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from decimal import Decimal

from tieout.adapters.sources.drafting import EXACT, is_held, plain_text, shown
from tieout.adapters.sources.ofx.fields import amount_of, day_of
from tieout.adapters.sources.ofx.transaction import AccountContext, Line
from tieout.model.record import Statement

_ACCOUNT_ATTRIBUTES = {
    "BANKID": "bank_id",
    "BRANCHID": "branch_id",
    "ACCTTYPE": "account_type",
    "BROKERID": "broker_id",
}


class StatementReader:
    """Collects one statement while its document streams by. `default_currency` serves where CURDEF is blank."""

    def __init__(self, default_currency: str | None, zone: tzinfo):
        self._zone = zone
        self._currency = default_currency
        self._account: dict[str, str] = {}
        self._context: AccountContext | None = None
        self._closing: Decimal | None = None
        self._period: dict[str, str] = {}
        self._sums: dict[str, Decimal] = {}
        self.lines = 0

    @property
    def context(self) -> AccountContext:
        """What holds for all transactions of this statement, as known so far."""
        if self._context is None:
            attributes = {name: self._account[tag] for tag, name in _ACCOUNT_ATTRIBUTES.items() if tag in self._account}
            self._context = AccountContext(self._account.get("ACCTID"), self._currency, attributes, self._zone)
        return self._context

    def take_account(self, texts: Mapping[str, str]) -> bool:
        """Take the account's element; False when transactions were read for another one already."""
        account = {name: shown(text, 200) for name, text in texts.items() if text}
        if self.lines and account.get("ACCTID") != self._account.get("ACCTID"):
            return False
        self._account, self._context = account, None
        return True

    def take_value(self, name: str, text: str) -> bool:
        """Take a value of the statement itself; False when transactions were read in another currency already."""
        text = shown(text)
        if name == "CURDEF" and text:
            if self.lines and text.upper() != self._currency:
                return False
            self._currency, self._context = text.upper(), None
        elif name in ("DTSTART", "DTEND"):
            self._period.setdefault(name, text)
        return True

    def take_balance(self, texts: Mapping[str, str]) -> None:
        """Take the ledger balance; one that cannot be read counts as missing."""
        self._closing = amount_of(texts.get("BALAMT"))

    def add(self, line: Line) -> None:
        """Count a transaction and add it to the sum of its currency; an unreadable one is only counted."""
        self.lines += 1
        currency = line.columns.get("currency") or ""
        if line.rejection is None:
            self._sums.setdefault(currency, Decimal(0))
            if line.amount is not None and is_held(line.amount, currency):
                self._sums[currency] = EXACT.add(self._sums[currency], line.amount)

    def finish(self) -> Statement:
        """The statement, once its element has ended. OFX states no opening balance."""
        currency = self._currency or next(iter(self._sums), "")
        account = self._account.get("ACCTID", "")
        start, end = (self._period.get(name, "") for name in ("DTSTART", "DTEND"))
        period = f"/{start[:8]}-{end[:8]}" if start or end else ""
        closing = self._closing
        if closing is not None and not is_held(closing, currency):
            closing = None
        return Statement(
            statement_id=f"{account}{shown(period)}",
            account=account,
            currency=currency,
            opening=None,
            closing=None if closing is None else plain_text(closing),
            sum=plain_text(self._sums.get(currency, Decimal(0))),
            lines=self.lines,
            from_date=_day(start),
            to_date=_day(end),
        )


def _day(text: str) -> str | None:
    """A period's day; None where it cannot be read."""
    day = day_of(text)
    return day if day and day != text else None
