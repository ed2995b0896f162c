"""One camt entry (`Ntry`) as a draft bank line: direction, dates, references, counterparty, text.

An entry is what the bank books, so it is one draft however many transactions it bundles; a bundle's own
references and amounts are kept in its attributes. Element names are those of ISO 20022's bank-to-customer cash
management messages; paths cover versions 1 to 13, whose later ones move names into `Pty` and statuses into `Cd`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import TYPE_CHECKING

from tieout.model.record import Rejection

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

Columns = dict[str, str | None]
Draft = tuple[int, Columns]
"""A draft's line in the file and its columns."""

DETAILS_LISTED = 10_000
"""Transactions of one bundled entry that its attributes list; a longer bundle says how many it leaves out."""

EXACT = Context(prec=120)
"""Adds amounts of up to AMOUNT_CHARACTERS without ever rounding."""

AMOUNT_CHARACTERS = 40

_AMOUNT = re.compile(r"\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)")
_DAY = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(T.*|Z|[+-][0-9]{2}:[0-9]{2})?")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(?P<offset>Z|[+-][0-9]{2}:[0-9]{2})?"
)
_PATHS: dict[str, str] = {}
_SIGNS = {"CRDT": 1, "DBIT": -1}


@dataclass(slots=True)
class EntryResult:
    """What became of one entry. `amount` is signed and None when it could not be read."""

    line: int
    columns: Columns
    amount: Decimal | None
    rejections: list[Rejection] = field(default_factory=list)


def local_name(element: Element) -> str:
    """An element's name without its namespace."""
    tag: str = element.tag
    return tag.rpartition("}")[2]


def text_at(element: Element, *paths: str) -> str | None:
    """The stripped text of the first of these paths that has any; names in a path are local names."""
    for path in paths:
        text: str | None = element.findtext(_any_namespace(path))
        if text is not None and (text := text.strip()):
            return text
    return None


def _any_namespace(path: str) -> str:
    cached = _PATHS.get(path)
    if cached is None:
        cached = _PATHS[path] = "/".join(f"{{*}}{name}" for name in path.split("/"))
    return cached


def signed_amount(text: str | None, direction: str | None) -> Decimal | None:
    """The amount with its direction's sign; None when either cannot be read or the amount is negative.

    The indicator states the direction of the entry itself, so that the reversal of a credit is a DBIT: a reversal
    flag never turns the sign again.
    """
    sign = _SIGNS.get(direction or "")
    if text is None or sign is None or len(text) > AMOUNT_CHARACTERS or not _AMOUNT.fullmatch(text):
        return None
    amount = Decimal(text)
    return amount if sign > 0 or not amount else amount.copy_negate()


def plain_text(amount: Decimal) -> str:
    """Decimal text without an exponent."""
    return format(amount, "f")


def day_of(text: str | None) -> str | None:
    """The date part of an ISO date (with or without a zone) or date-time; any other text unchanged."""
    match = _DAY.fullmatch(text) if text else None
    return match.group(1) if match else text


def instant_of(text: str | None) -> str | None:
    """An ISO date-time with an offset as UTC; None for one without; a text that is no instant unchanged."""
    if text is None:
        return None
    match = _INSTANT.fullmatch(text)
    try:
        if match and not match["offset"]:
            return None
        moment = datetime.fromisoformat(text) if match else None
        if moment is None:
            return text
        return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    except (ValueError, OverflowError):
        return text


class EntryReader:
    """Collects one entry: its transaction details as they end, then the entry itself."""

    def __init__(self) -> None:
        self._details: list[dict[str, str]] = []
        self._only: Columns = {}
        self._only_attributes: dict[str, str] = {}
        self._count = 0
        self._total: Decimal | None = Decimal(0)

    def add_detail(self, element: Element) -> None:
        """Take a `TxDtls` element that has ended; the caller may clear it afterwards."""
        self._count += 1
        summary = _detail_summary(element)
        amount = _detail_amount(element)
        self._total = None if self._total is None or amount is None else EXACT.add(self._total, amount)
        if len(self._details) < DETAILS_LISTED:
            self._details.append(summary)
        if self._count == 1:
            self._only, self._only_attributes = _only_detail(element)

    def finish(self, entry: Element, account: str | None) -> EntryResult:
        """The draft of an `Ntry` element that has ended, for a statement's account."""
        line = entry.sourceline or 0
        amount_element = entry.find("{*}Amt")
        amount_text = text_at(entry, "Amt")
        direction = text_at(entry, "CdtDbtInd")
        rejections = _refusals(line, amount_text, direction)
        amount = signed_amount(amount_text, direction)
        attributes = _entry_attributes(entry)
        columns = _entry_columns(entry, attributes)
        columns["account"] = account
        columns["amount"] = plain_text(amount) if amount is not None else amount_text
        columns["currency"] = amount_element.get("Ccy") if amount_element is not None else None
        self._add_details(columns, attributes, amount, direction)
        columns["reference"] = columns.get("reference") or text_at(entry, "AcctSvcrRef")
        if attributes.get("entry_information") == columns["description"]:
            attributes.pop("entry_information", None)
        columns["attributes"] = attributes_text(attributes)
        return EntryResult(line, columns, amount, rejections)

    def _add_details(
        self, columns: Columns, attributes: dict[str, object], amount: Decimal | None, direction: str | None
    ) -> None:
        """One transaction speaks for the entry; several are listed, and compared with the entry's amount."""
        if self._count == 1:
            returned = "reversal" in attributes or "return_reason" in self._only_attributes
            party = _counterparty_role(direction, returned)
            columns["reference"] = self._only["reference"]
            columns["invoice_ref"] = self._only["invoice_ref"]
            columns["counterparty"] = self._only[party]
            columns["description"] = self._only["description"] or columns["description"]
            account = self._only[f"{party}_account"]
            if account:
                attributes["counterparty_account"] = account
            attributes.update(self._only_attributes)
            if self._total is not None and amount is not None and abs(amount) != abs(self._total):
                attributes["transaction_amount"] = plain_text(self._total)
        elif self._count > 1:
            attributes["transactions"] = self._details
            attributes["transaction_count"] = self._count
            if self._count > len(self._details):
                attributes["transactions_left_out"] = self._count - len(self._details)
            if self._total is not None and amount is not None:
                attributes["transactions_add_up"] = abs(amount) == abs(self._total)


def attributes_text(attributes: dict[str, object]) -> str | None:
    """Canonical JSON of the attributes: sorted keys, no white space; None when there are none."""
    if not attributes:
        return None
    return json.dumps(attributes, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _refusals(line: int, amount_text: str | None, direction: str | None) -> list[Rejection]:
    """Faults that must not reach the normaliser as a number: it would take an unsigned or doubly signed amount."""
    if direction not in _SIGNS:
        reason = "an entry must say CRDT or DBIT: the direction of its amount is not known"
        return [Rejection(line, "CdtDbtInd", reason, f"{direction or ''} {amount_text or ''}".strip()[:80])]
    if amount_text and amount_text.startswith("-"):
        reason = "an ISO 20022 amount has no sign of its own; with CdtDbtInd beside it the direction is ambiguous"
        return [Rejection(line, "Amt", reason, amount_text[:80])]
    return []


def _entry_columns(entry: Element, attributes: dict[str, object]) -> Columns:
    """The columns that the entry states itself."""
    booked, moment = text_at(entry, "BookgDt/Dt"), text_at(entry, "BookgDt/DtTm")
    valued = text_at(entry, "ValDt/Dt", "ValDt/DtTm")
    status = text_at(entry, "Sts", "Sts/Cd", "Sts/Prtry")
    code = attributes.get("bank_transaction_code")
    return {
        "kind": "bank_line",
        "date": day_of(booked or moment or valued),
        "time": instant_of(moment),
        "status": status.lower() if status else None,
        "category": code if isinstance(code, str) else None,
        "description": text_at(entry, "AddtlNtryInf"),
    }


def _entry_attributes(entry: Element) -> dict[str, object]:
    """What else an entry says and should be kept."""
    domain = [text_at(entry, f"BkTxCd/Domn/{part}") for part in ("Cd", "Fmly/Cd", "Fmly/SubFmlyCd")]
    attributes: dict[str, object] = {}
    found = {
        "entry_reference": text_at(entry, "NtryRef"),
        "account_servicer_ref": text_at(entry, "AcctSvcrRef"),
        "value_date": day_of(text_at(entry, "ValDt/Dt", "ValDt/DtTm")),
        "booking_instant": text_at(entry, "BookgDt/DtTm"),
        "bank_transaction_code": "-".join(part for part in domain if part) or text_at(entry, "BkTxCd/Prtry/Cd"),
        "proprietary_code": text_at(entry, "BkTxCd/Prtry/Cd"),
        "batch_reference": text_at(entry, "NtryDtls/Btch/PmtInfId", "NtryDtls/Btch/MsgId", "Btch/PmtInfId"),
        "batch_transactions": text_at(entry, "NtryDtls/Btch/NbOfTxs", "Btch/NbOfTxs"),
        "charges": text_at(entry, "Chrgs/TtlChrgsAndTaxAmt"),
        "entry_information": text_at(entry, "AddtlNtryInf"),
    }
    attributes.update((name, text) for name, text in found.items() if text)
    if (text_at(entry, "RvslInd") or "").lower() in ("true", "1"):
        attributes["reversal"] = True
    return attributes


def _provided(text: str | None) -> str | None:
    """None for the placeholder that SEPA prescribes where a payer gave no end-to-end reference."""
    return None if text is None or text.upper().replace(" ", "") == "NOTPROVIDED" else text


def _end_to_end(detail: Element) -> str | None:
    return _provided(text_at(detail, "Refs/EndToEndId"))


def _creditor_reference(detail: Element) -> str | None:
    return text_at(detail, "RmtInf/Strd/CdtrRefInf/Ref", "RmtInf/Strd/CdtrRefInf/CdtrRef")


def _detail_amount(detail: Element) -> Decimal | None:
    """The amount of one transaction, signed where it states a direction of its own."""
    text = text_at(detail, "Amt", "AmtDtls/TxAmt/Amt")
    return signed_amount(text, text_at(detail, "CdtDbtInd") or "CRDT")


def _detail_summary(detail: Element) -> dict[str, str]:
    """One transaction of a bundle, as short as it can be kept."""
    found = {
        "end_to_end_id": _end_to_end(detail),
        "creditor_reference": _creditor_reference(detail),
        "account_servicer_ref": text_at(detail, "Refs/AcctSvcrRef"),
        "transaction_id": text_at(detail, "Refs/TxId"),
        "mandate_id": text_at(detail, "Refs/MndtId"),
        "amount": text_at(detail, "Amt", "AmtDtls/TxAmt/Amt"),
    }
    return {name: text for name, text in found.items() if text}


def _only_detail(detail: Element) -> tuple[Columns, dict[str, str]]:
    """Columns and attributes that a transaction gives its entry when it is the only one."""
    texts = [text.strip() for text in detail.xpath(_UNSTRUCTURED) if text.strip()]
    documents = {text.strip() for text in detail.xpath(_DOCUMENTS) if text.strip()}
    columns: Columns = {
        "reference": _end_to_end(detail) or _creditor_reference(detail) or text_at(detail, "Refs/AcctSvcrRef"),
        "invoice_ref": documents.pop() if len(documents) == 1 else None,
        "description": " ".join(texts) or text_at(detail, "AddtlTxInf"),
    }
    for role, tag in (("debtor", "Dbtr"), ("creditor", "Cdtr")):
        columns[role] = _party_name(detail, tag) or _party_name(detail, f"Ultmt{tag}")
        number = f"RltdPties/{tag}Acct/Id"
        columns[f"{role}_account"] = text_at(detail, f"{number}/IBAN", f"{number}/Othr/Id")
    attributes = _detail_summary(detail)
    attributes.pop("amount", None)
    attributes.pop("account_servicer_ref", None)
    reason = text_at(detail, "RtrInf/Rsn/Cd", "RtrInf/Rsn/Prtry", "RtrInf/RtrRsn/Cd", "RtrInf/AddtlInf")
    if reason or detail.find("{*}RtrInf") is not None:
        attributes["return_reason"] = reason or "not stated"
    attributes.update(_original_amount(detail))
    return columns, attributes


_UNSTRUCTURED = "*[local-name()='RmtInf']/*[local-name()='Ustrd']/text()"
_DOCUMENTS = "*[local-name()='RmtInf']/*[local-name()='Strd']/*[local-name()='RfrdDocInf']/*[local-name()='Nb']/text()"


def _party_name(detail: Element, tag: str) -> str | None:
    """A party's name: `Nm` up to version 7, inside `Pty` (or the agent's institution) from version 8."""
    base = f"RltdPties/{tag}"
    return text_at(detail, f"{base}/Nm", f"{base}/Pty/Nm", f"{base}/Agt/FinInstnId/Nm")


def _counterparty_role(direction: str | None, returned: bool) -> str:
    """Who the other party is: the debtor of money that came in, the creditor of money that went out.

    A reversal or return runs the other way, but its parties keep the roles of the original transaction.
    """
    return "debtor" if (direction == "CRDT") is not returned else "creditor"


def _original_amount(detail: Element) -> dict[str, str]:
    """What was instructed or exchanged when that was in another currency."""
    for path in ("InstdAmt", "CntrValAmt", "TxAmt"):
        amount = detail.find(f"{{*}}AmtDtls/{{*}}{path}/{{*}}Amt")
        if amount is not None and amount.text and amount.get("Ccy"):
            found = {
                "original_amount": f"{amount.text.strip()} {amount.get('Ccy')}",
                "exchange_rate": text_at(detail, f"AmtDtls/{path}/CcyXchg/XchgRate"),
            }
            return {name: text for name, text in found.items() if text}
    return {}
