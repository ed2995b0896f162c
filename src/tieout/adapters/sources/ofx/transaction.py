"""One OFX statement transaction (`STMTTRN`) as a draft bank line.

Texts come by their paths inside the transaction ("NAME", "PAYEE/NAME", "CURRENCY/CURSYM"). Elements are those of
OFX 1.6 and 2.2, section 11.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal

from tieout.adapters.sources.drafting import Columns, attributes_text, is_damaged, plain_text, shown
from tieout.adapters.sources.ofx.fields import amount_of, day_of, has_clock, instant_of
from tieout.model.record import Rejection

_NO_ID = frozenset(("NONE", "NULL", "N/A", "NA", "UNKNOWN"))
"""What some banks write where they have no id."""

_OWN_COLUMN = frozenset(
    ("DTPOSTED", "TRNAMT", "FITID", "TRNTYPE", "MEMO", "NAME", "CURRENCY/CURSYM", "CURRENCY/CURRATE",
     "ORIGCURRENCY/CURSYM", "ORIGCURRENCY/CURRATE", "REFNUM", "CHECKNUM")
)  # fmt: skip
_NAMES = {
    "DTUSER": "user_date",
    "DTAVAIL": "available_date",
    "SRVRTID": "server_id",
    "SIC": "industry_code",
    "PAYEEID": "payee_id",
    "EXTDNAME": "extended_name",
    "BANKACCTTO/ACCTID": "counterparty_account",
    "BANKACCTTO/BANKID": "counterparty_bank_id",
    "CCACCTTO/ACCTID": "counterparty_account",
}
"""Element to the attribute that keeps it; others are kept under their own name in lower case."""

_DAYS = frozenset(("DTUSER", "DTAVAIL"))


@dataclass(frozen=True, slots=True)
class AccountContext:
    """What a statement says of all its transactions. `currency` is upper case, or None where none is named."""

    account: str | None
    currency: str | None
    attributes: Mapping[str, str]
    zone: tzinfo


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one transaction: a draft or a rejection. `amount` is None when it could not be read."""

    columns: Columns
    amount: Decimal | None
    rejection: Rejection | None = None


def read_transaction(line: int, texts: Mapping[str, str], context: AccountContext) -> Line:
    """The draft of a transaction that has ended.

    Its id is account and FITID, as FITIDs are unique within an account only; a blank FITID, or a placeholder for
    one, gives none, and the normaliser derives it.
    """
    refusal = _refusal(line, texts)
    if refusal is not None:
        return Line({}, None, refusal)
    amount_text, posted = texts.get("TRNAMT"), texts["DTPOSTED"]
    amount = amount_of(amount_text)
    number = _identifying(texts.get("FITID"))
    reference, check = _identifying(texts.get("REFNUM")), _identifying(texts.get("CHECKNUM"))
    columns: Columns = {
        "kind": "bank_line",
        "native_id": None if number is None else f"{context.account or ''}/{number}",
        "date": day_of(posted),
        "time": instant_of(posted, context.zone),
        "amount": amount_text if amount is None else plain_text(amount),
        "currency": _upper(texts.get("CURRENCY/CURSYM")) or context.currency,
        "description": texts.get("MEMO"),
        "counterparty": texts.get("NAME") or texts.get("PAYEE/NAME") or texts.get("EXTDNAME"),
        "category": texts.get("TRNTYPE"),
        "reference": reference or check,
        "account": context.account,
        "attributes": attributes_text(_attributes(texts, context, check if reference else None)),
    }
    return Line(columns, amount)


def _refusal(line: int, texts: Mapping[str, str]) -> Rejection | None:
    """Why a transaction cannot be a bank line at all; None when it can."""
    for name, text in texts.items():
        if is_damaged(text):
            return Rejection(line, name, "bytes that are not text in the file's encoding", shown(text))
    corrected = texts.get("CORRECTFITID")
    if corrected:
        action = texts.get("CORRECTACTION", "REPLACE").upper()
        reason = "the bank corrects an earlier transaction: apply it there, it is no movement of its own"
        return Rejection(line, "CORRECTFITID", reason, shown(f"{action} {corrected} {texts.get('TRNAMT', '')}"))
    if not texts.get("DTPOSTED"):
        reason = "missing: a transaction needs the date on which it was posted"
        return Rejection(line, "DTPOSTED", reason, shown(f"{texts.get('FITID', '')} {texts.get('TRNAMT', '')}".strip()))
    return None


def _identifying(text: str | None) -> str | None:
    """A number that identifies something; None for blanks, for zeros only and for words that say there is none."""
    if not text or not text.strip("0") or text.upper() in _NO_ID:
        return None
    return text


def _upper(text: str | None) -> str | None:
    return text.upper() if text else None


def _attributes(texts: Mapping[str, str], context: AccountContext, check: str | None) -> dict[str, str]:
    """What has no column of its own."""
    found: dict[str, str] = dict(context.attributes)
    for path, text in texts.items():
        if path not in _OWN_COLUMN and text:
            name = _NAMES.get(path) or path.lower().replace("/", "_")
            found.setdefault(name, (day_of(text) or text) if path in _DAYS else text)
    posted = texts.get("DTPOSTED")
    if posted and has_clock(posted):
        found["posted"] = posted
    if check:
        found["check_number"] = check
    if _upper(texts.get("CURRENCY/CURSYM")) not in (None, context.currency) and texts.get("CURRENCY/CURRATE"):
        found["currency_rate"] = texts["CURRENCY/CURRATE"]
    for element, name in (("CURSYM", "original_currency"), ("CURRATE", "original_rate")):
        if original := texts.get(f"ORIGCURRENCY/{element}"):
            found[name] = original
    return found
