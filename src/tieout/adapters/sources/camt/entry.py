"""One camt entry (`Ntry`) as a draft bank line: direction, dates, references, counterparty, text.

An entry is what the bank books, so it is one draft however many transactions it bundles; a bundle's own
references and amounts are kept in its attributes. Element names are those of ISO 20022's bank-to-customer cash
management messages; paths cover versions 1 to 13, whose later ones move names into `Pty` and statuses into `Cd`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from tieout.adapters.sources.camt.fields import EXACT, SIGNS, Fields, day_of, instant_of, plain_text, signed_amount
from tieout.model.record import Rejection

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

Columns = dict[str, str | None]
Draft = tuple[int, Columns]
"""A draft's line in the file and its columns."""

DETAILS_CHARACTERS = 250_000
"""Length up to which an entry's attributes list its bundled transactions; what is left out is counted there. A
record holds a million characters of attributes."""


@dataclass(slots=True)
class EntryResult:
    """What became of one entry. `amount` is signed and None when it could not be read."""

    line: int
    columns: Columns
    amount: Decimal | None
    rejections: list[Rejection] = field(default_factory=list)


class EntryReader:
    """Collects one entry: its transaction details as they end, then the entry itself."""

    def __init__(self) -> None:
        self._details: list[dict[str, str]] = []
        self._characters = 0
        self._only: Columns = {}
        self._only_attributes: dict[str, str] = {}
        self._count = 0
        self._total: Decimal | None = Decimal(0)
        self._currencies: set[str | None] = set()

    def add_detail(self, element: Element) -> None:
        """Take a `TxDtls` element that has ended; the caller may clear it afterwards."""
        detail = Fields(element)
        self._count += 1
        amount, currency = _detail_amount(detail)
        self._currencies.add(currency)
        self._total = None if self._total is None or amount is None else EXACT.add(self._total, amount)
        if self._characters <= DETAILS_CHARACTERS:
            summary = _detail_summary(detail)
            self._details.append(summary)
            self._characters += sum(len(name) + len(text) for name, text in summary.items())
        if self._count == 1:
            self._only, self._only_attributes = _only_detail(detail)

    def finish(self, element: Element, account: str | None) -> EntryResult:
        """The draft of an `Ntry` element that has ended, for a statement's account."""
        line = element.sourceline or 0
        entry = Fields(element)
        amount_text, direction = entry.first("Amt"), entry.first("CdtDbtInd")
        amount = signed_amount(amount_text, direction)
        attributes = _entry_attributes(entry)
        columns = _entry_columns(entry, attributes)
        columns["account"] = account
        columns["amount"] = plain_text(amount) if amount is not None else amount_text
        self._add_details(columns, attributes, amount, direction)
        columns["reference"] = columns.get("reference") or entry.first("AcctSvcrRef")
        if attributes.get("entry_information") == columns["description"]:
            attributes.pop("entry_information", None)
        columns["attributes"] = attributes_text(attributes)
        return EntryResult(line, columns, amount, _refusals(line, amount_text, direction))

    def _add_details(
        self, columns: Columns, attributes: dict[str, object], amount: Decimal | None, direction: str | None
    ) -> None:
        """One transaction speaks for the entry; several are listed, and compared with the entry's amount."""
        same_currency = self._currencies == {columns["currency"]}
        total = self._total if same_currency and amount is not None else None
        adds_up = None if total is None or amount is None else abs(amount) == abs(total)
        if self._count == 1:
            self._add_only(columns, attributes, direction)
            if adds_up is False and total is not None:
                attributes["transaction_amount"] = plain_text(total)
        elif self._count > 1:
            attributes["transactions"] = self._details
            attributes["transaction_count"] = self._count
            if self._count > len(self._details):
                attributes["transactions_left_out"] = self._count - len(self._details)
            if adds_up is not None:
                attributes["transactions_add_up"] = adds_up

    def _add_only(self, columns: Columns, attributes: dict[str, object], direction: str | None) -> None:
        """What the only transaction says of its entry."""
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
        if self._only_attributes.get("original_amount", "").endswith(f" {columns['currency']}"):
            attributes.pop("original_amount")


def attributes_text(attributes: dict[str, object]) -> str | None:
    """Canonical JSON of the attributes: sorted keys, no white space; None when there are none."""
    if not attributes:
        return None
    return json.dumps(attributes, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _refusals(line: int, amount_text: str | None, direction: str | None) -> list[Rejection]:
    """Faults that must not reach the normaliser as a number: it would take an unsigned or doubly signed amount."""
    if direction not in SIGNS:
        reason = "an entry must say CRDT or DBIT: the direction of its amount is not known"
        return [Rejection(line, "CdtDbtInd", reason, f"{direction or ''} {amount_text or ''}".strip()[:80])]
    if amount_text and amount_text.startswith("-"):
        reason = "an ISO 20022 amount has no sign of its own; with CdtDbtInd beside it the direction is ambiguous"
        return [Rejection(line, "Amt", reason, amount_text[:80])]
    return []


def _entry_columns(entry: Fields, attributes: dict[str, object]) -> Columns:
    """The columns that the entry states itself."""
    booked, moment = entry.first("BookgDt/Dt"), entry.first("BookgDt/DtTm")
    valued = entry.first("ValDt/Dt", "ValDt/DtTm")
    status = entry.first("Sts", "Sts/Cd", "Sts/Prtry")
    code = attributes.get("bank_transaction_code")
    return {
        "kind": "bank_line",
        "date": day_of(booked or moment or valued),
        "time": instant_of(moment),
        "status": status.lower() if status else None,
        "category": code if isinstance(code, str) else None,
        "currency": entry.first("Amt@Ccy"),
        "description": entry.first("AddtlNtryInf"),
    }


def _entry_attributes(entry: Fields) -> dict[str, object]:
    """What else an entry says and should be kept."""
    domain = [entry.first(f"BkTxCd/Domn/{part}") for part in ("Cd", "Fmly/Cd", "Fmly/SubFmlyCd")]
    attributes: dict[str, object] = {}
    found = {
        "entry_reference": entry.first("NtryRef"),
        "account_servicer_ref": entry.first("AcctSvcrRef"),
        "value_date": day_of(entry.first("ValDt/Dt", "ValDt/DtTm")),
        "booking_instant": entry.first("BookgDt/DtTm"),
        "bank_transaction_code": "-".join(part for part in domain if part) or entry.first("BkTxCd/Prtry/Cd"),
        "proprietary_code": entry.first("BkTxCd/Prtry/Cd"),
        "batch_reference": entry.first("NtryDtls/Btch/PmtInfId", "NtryDtls/Btch/MsgId", "Btch/PmtInfId"),
        "batch_transactions": entry.first("NtryDtls/Btch/NbOfTxs", "Btch/NbOfTxs"),
        "charges": entry.first("Chrgs/TtlChrgsAndTaxAmt"),
        "entry_information": entry.first("AddtlNtryInf"),
    }
    attributes.update((name, text) for name, text in found.items() if text)
    if (entry.first("RvslInd") or "").lower() in ("true", "1"):
        attributes["reversal"] = True
    return attributes


def _provided(text: str | None) -> str | None:
    """None for the placeholder that SEPA prescribes where a payer gave no end-to-end reference."""
    return None if text is None or text.upper().replace(" ", "") == "NOTPROVIDED" else text


def _end_to_end(detail: Fields) -> str | None:
    return _provided(detail.first("Refs/EndToEndId"))


def _creditor_reference(detail: Fields) -> str | None:
    return detail.first("RmtInf/Strd/CdtrRefInf/Ref", "RmtInf/Strd/CdtrRefInf/CdtrRef")


def _detail_amount(detail: Fields) -> tuple[Decimal | None, str | None]:
    """The amount of one transaction, signed where it states a direction of its own, and its currency."""
    amount = signed_amount(detail.first("Amt", "AmtDtls/TxAmt/Amt"), detail.first("CdtDbtInd") or "CRDT")
    return amount, detail.first("Amt@Ccy", "AmtDtls/TxAmt/Amt@Ccy")


def _detail_summary(detail: Fields) -> dict[str, str]:
    """One transaction of a bundle, as short as it can be kept."""
    found = {
        "end_to_end_id": _end_to_end(detail),
        "creditor_reference": _creditor_reference(detail),
        "account_servicer_ref": detail.first("Refs/AcctSvcrRef"),
        "transaction_id": detail.first("Refs/TxId"),
        "mandate_id": detail.first("Refs/MndtId"),
        "amount": detail.first("Amt", "AmtDtls/TxAmt/Amt"),
    }
    return {name: text for name, text in found.items() if text}


def _only_detail(detail: Fields) -> tuple[Columns, dict[str, str]]:
    """Columns and attributes that a transaction gives its entry when it is the only one."""
    texts = detail.all("RmtInf/Ustrd")
    documents = set(detail.all("RmtInf/Strd/RfrdDocInf/Nb"))
    columns: Columns = {
        "reference": _end_to_end(detail) or _creditor_reference(detail) or detail.first("Refs/AcctSvcrRef"),
        "invoice_ref": documents.pop() if len(documents) == 1 else None,
        "description": " ".join(texts) or detail.first("AddtlTxInf"),
    }
    for role, tag in (("debtor", "Dbtr"), ("creditor", "Cdtr")):
        columns[role] = _party_name(detail, tag) or _party_name(detail, f"Ultmt{tag}")
        number = f"RltdPties/{tag}Acct/Id"
        columns[f"{role}_account"] = detail.first(f"{number}/IBAN", f"{number}/Othr/Id")
    attributes = _detail_summary(detail)
    attributes.pop("amount", None)
    attributes.pop("account_servicer_ref", None)
    reason = detail.first("RtrInf/Rsn/Cd", "RtrInf/Rsn/Prtry", "RtrInf/RtrRsn/Cd", "RtrInf/AddtlInf")
    if reason or detail.has_any("RtrInf"):
        attributes["return_reason"] = reason or "not stated"
    attributes.update(_original_amount(detail))
    return columns, attributes


def _party_name(detail: Fields, tag: str) -> str | None:
    """A party's name: `Nm` up to version 7, inside `Pty` (or the agent's institution) from version 8."""
    base = f"RltdPties/{tag}"
    return detail.first(f"{base}/Nm", f"{base}/Pty/Nm", f"{base}/Agt/FinInstnId/Nm")


def _counterparty_role(direction: str | None, returned: bool) -> str:
    """Who the other party is: the debtor of money that came in, the creditor of money that went out.

    A reversal or return runs the other way, but its parties keep the roles of the original transaction.
    """
    return "debtor" if (direction == "CRDT") is not returned else "creditor"


def _original_amount(detail: Fields) -> dict[str, str]:
    """What was instructed or exchanged when that was in another currency."""
    for path in ("AmtDtls/InstdAmt", "AmtDtls/CntrValAmt", "AmtDtls/TxAmt"):
        amount, currency = detail.first(f"{path}/Amt"), detail.first(f"{path}/Amt@Ccy")
        if amount and currency:
            rate = detail.first(f"{path}/CcyXchg/XchgRate")
            found = {"original_amount": f"{amount} {currency}", "exchange_rate": rate}
            return {name: text for name, text in found.items() if text}
    return {}
