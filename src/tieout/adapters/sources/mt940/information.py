"""What the information field of an entry (`:86:`, or the national `:NS:`) says, in the dialects of real banks.

Structured as the German banking industry's DFÜ agreement has it (`166?00GUTSCHRIFT?20EREF+…?32NAME`), in codes
between slashes (`/EREF/…/REMI/…/NAME/…`, Dutch and Nordic banks), in numbered lines (`:NS:`), or free text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tieout.adapters.sources.mt940.fields import amount_of

LINE_CHARACTERS = 65
SUBFIELD_CHARACTERS = 27
DESCRIPTION_CHARACTERS = 1_000
"""A longer text is cut in the description and kept whole, as long as it was held, in the attributes."""

TEXT_CODES = ("SVWZ", "REMI", "PY")
ATTRIBUTE_OF_CODE = {
    "EREF": "end_to_end_id",
    "KREF": "customer_reference",
    "MREF": "mandate_id",
    "MARF": "mandate_id",
    "CRED": "creditor_id",
    "CSID": "creditor_id",
    "DEBT": "debtor_id",
    "BREF": "bank_reference",
    "PREF": "batch_reference",
    "IREF": "instruction_id",
    "RREF": "return_reference",
    "RTRN": "return_reason",
    "ABWA": "ultimate_debtor",
    "UDTR": "ultimate_debtor",
    "ULTD": "ultimate_debtor",
    "ABWE": "ultimate_creditor",
    "UCRD": "ultimate_creditor",
    "ULTC": "ultimate_creditor",
    "ULTB": "ultimate_creditor",
    "IBAN": "counterparty_account",
    "BIC": "counterparty_bank",
    "NAME": "counterparty",
    "ADDR": "counterparty_address",
    "PURP": "purpose_code",
    "TRTP": "booking_text",
    "PT": "booking_text",
    "TRCD": "bank_transaction_code",
    "OCMT": "original_amount",
    "OAMT": "original_amount",
    "COAM": "compensation_amount",
    "CHGS": "charges",
    "EXCH": "exchange_rate",
}
"""Code to attribute; the texts of TEXT_CODES are the description instead."""

PLUS_CODES = ("EREF", "KREF", "MREF", "BREF", "RREF", "CRED", "DEBT", "COAM", "OAMT", "ABWA", "ABWE", "IBAN", "BIC",
              "PURP", "SVWZ")  # fmt: skip
"""Codes that German banks write with a plus sign; all codes occur between slashes."""

OTHER_CODES = ("ORDP", "BENM", "CNTP", "ISDT", "IACC", "PHON", "INIT", "SVCL", "ID")
"""Codes between slashes that are kept under their own names, or (CNTP) hold several fields."""

AMOUNT_ATTRIBUTES = ("original_amount", "compensation_amount", "charges")
STRUCTURED_ATTRIBUTES = {"00": "booking_text", "10": "primanota", "30": "counterparty_bank", "34": "text_key_extension"}
NATIONAL_ATTRIBUTES = {"17": "booking_text", "18": "primanota", "33": "counterparty_bank", "34": "counterparty_account"}
PURPOSE_SUBFIELDS = (*(f"{number}" for number in range(20, 30)), "60", "61", "62", "63")
NATIONAL_PURPOSES = tuple(f"{number:02d}" for number in range(1, 15))

_SLASH_CODES = "|".join((*TEXT_CODES, *ATTRIBUTE_OF_CODE, *OTHER_CODES))
_PLUS_CODE = re.compile(rf"(?:^|(?<=\s))({'|'.join(PLUS_CODES)})\+", re.IGNORECASE | re.ASCII)
_SLASH_CODE = re.compile(rf"/({_SLASH_CODES})/", re.IGNORECASE | re.ASCII)
_STRUCTURED = re.compile(r"\s*([0-9]{3})?([?<>~^|])(?=00|10|[236][0-9])")
_AMOUNT = re.compile(r"([A-Z]{3}) ?([0-9,]+)", re.ASCII)
_PLACEHOLDERS = ("NONREF", "NOREF", "NOTPROVIDED", "KREF+", "EREF+", "KREF", "EREF", "N")


@dataclass(slots=True)
class Information:
    """What an information field says. `attributes` are named as those of other bank formats."""

    description: str | None = None
    counterparty: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)


def provided(text: str | None) -> str | None:
    """A reference, or None for what banks write where there is none (`NONREF`, `NOTPROVIDED`, `KREF+`)."""
    if text is None or "".join(text.split()).upper() in _PLACEHOLDERS or not any(map(str.isalnum, text)):
        return None
    return text


def read_information(lines: Sequence[str], *, national: bool = False) -> Information:
    """The content of an `:86:` field (or, `national`, of an `:NS:` field) by its physical lines."""
    if national:
        return _read_national(lines)
    first = next((line for line in lines if line.strip()), "")
    structured = _STRUCTURED.match(first)
    if structured is not None:
        return _read_structured("".join(_padded(lines)), structured[1], structured[2])
    text = _joined(lines)
    if _SLASH_CODE.match(text):
        return _read_slashes(text)
    if _PLUS_CODE.match(text):
        return _from_purposes([text], {}, text)
    return _finished({}, text, None, text)


def details_attributes(text: str) -> dict[str, str]:
    """What coded supplementary details of a `:61:` field (`/OCMT/USD1,7//CHGS/EUR0,5/`) say; empty for others."""
    found = read_information([text]) if _SLASH_CODE.match(text) else Information()
    wanted = (*AMOUNT_ATTRIBUTES, "exchange_rate")
    return {name: value for name, value in found.attributes.items() if name in wanted}


def _padded(lines: Sequence[str]) -> Iterable[str]:
    """Lines to be joined as they are; a blank or two that were cut off where others are full come back."""
    is_full = any(len(line) == LINE_CHARACTERS for line in lines)
    for line in lines:
        is_cut = is_full and LINE_CHARACTERS - 2 <= len(line) < LINE_CHARACTERS
        yield line.ljust(LINE_CHARACTERS) if is_cut else line


def _joined(lines: Sequence[str]) -> str:
    """Free text: a line of full length goes on in the next one, a shorter one ended with a word."""
    parts = [line if len(line) >= LINE_CHARACTERS else f"{line} " for line in lines]
    return _plain("".join(parts))


def _plain(text: str) -> str:
    return " ".join(text.split())


def _read_structured(text: str, type_code: str | None, separator: str) -> Information:
    """German subfields: booking text, purpose, counterparty."""
    pieces = re.split(re.escape(separator) + "([0-9]{2})", text)
    subfields = list(zip(pieces[1::2], pieces[2::2], strict=True))
    attributes = {"gvc_code": type_code or ""}
    for number, content in subfields:
        if number in STRUCTURED_ATTRIBUTES:
            attributes.setdefault(STRUCTURED_ATTRIBUTES[number], _plain(content))
    accounts = dict(reversed(subfields))
    attributes["counterparty_account"] = _plain(accounts.get("38") or accounts.get("31") or "")
    attributes["counterparty"] = _party([content for number, content in subfields if number in ("32", "33")])
    return _from_purposes([content for number, content in subfields if number in PURPOSE_SUBFIELDS], attributes, text)


def _read_national(lines: Sequence[str]) -> Information:
    """Numbered lines: purpose 01 to 14, counterparty 15 and 16."""
    subfields: list[list[str]] = []
    for line in lines:
        number, content = line[:2], line[2:]
        if number.isascii() and number.isdigit():
            subfields.append([number, content])
        elif subfields:
            subfields[-1][1] += line
    attributes: dict[str, str] = {}
    for number, content in subfields:
        if number in NATIONAL_ATTRIBUTES:
            attributes.setdefault(NATIONAL_ATTRIBUTES[number], _plain(content))
    attributes["counterparty"] = _party([content for number, content in subfields if number in ("15", "16")])
    purposes = [content for number, content in subfields if number in NATIONAL_PURPOSES]
    return _from_purposes(purposes, attributes, _joined(lines))


def _party(parts: Sequence[str]) -> str:
    return _plain(" ".join(_runs(parts)))


def _runs(parts: Iterable[str]) -> list[str]:
    """Subfields joined where one is full and so goes on in the next."""
    gathered: list[list[str]] = []
    goes_on = False
    for part in parts:
        if goes_on and not _PLUS_CODE.match(part):
            gathered[-1].append(part)
        else:
            gathered.append([part])
        goes_on = len(part) >= SUBFIELD_CHARACTERS
    return ["".join(run) for run in gathered]


def _from_purposes(parts: Sequence[str], attributes: dict[str, str], whole: str) -> Information:
    """SEPA codes (`EREF+`) of the purpose and the rest of its text.

    A reference ends where its run of full subfields does: what follows without a code is text.
    """
    texts: list[str] = []
    for run in _runs(parts):
        pieces = _PLUS_CODE.split(run)
        texts.append(pieces[0])
        for code, content in zip(pieces[1::2], pieces[2::2], strict=True):
            _add_code(code.upper(), content, attributes, texts)
    return _finished(attributes, _plain(" ".join(texts)), attributes.pop("counterparty", None), whole)


def _read_slashes(text: str) -> Information:
    """Codes between slashes; what follows a code up to the next known one is its content."""
    attributes: dict[str, str] = {}
    texts: list[str] = []
    pieces = _SLASH_CODE.split(text)
    for code, content in zip(pieces[1::2], pieces[2::2], strict=True):
        _add_code(code.upper(), content.strip("/ "), attributes, texts)
    return _finished(attributes, _plain(" ".join(texts)), attributes.pop("counterparty", None), text)


def _add_code(code: str, content: str, attributes: dict[str, str], texts: list[str]) -> None:
    """Keep one coded text; the first of several of one meaning counts."""
    if code in TEXT_CODES:
        _add_remittance(content, attributes, texts)
    elif code == "CNTP":
        account, bank, party = (*content.split("/", 3), "", "", "")[:3]
        _keep("counterparty_account", account, attributes)
        _keep("counterparty_bank", bank, attributes)
        _keep("counterparty", party, attributes)
    else:
        _keep(ATTRIBUTE_OF_CODE.get(code, code.lower()), content, attributes)


def _add_remittance(content: str, attributes: dict[str, str], texts: list[str]) -> None:
    """Remittance: plain, or marked as unstructured (`USTD//…`) or structured (`STRD/CUR/reference`)."""
    kind, _, rest = content.partition("/")
    if kind == "STRD":
        _keep("creditor_reference", rest.rpartition("/")[2], attributes)
    else:
        texts.append(rest.lstrip("/") if kind == "USTD" else content)


def _keep(name: str, content: str, attributes: dict[str, str]) -> None:
    text = _plain(content)
    if name in AMOUNT_ATTRIBUTES and (match := _AMOUNT.fullmatch(text)):
        amount = amount_of(match[2])
        text = text if amount is None else f"{amount:f} {match[1]}"
    if text and not attributes.get(name):
        attributes[name] = text


def _finished(attributes: dict[str, str], description: str, counterparty: str | None, whole: str) -> Information:
    """Empty texts and placeholders left out, a long description cut and kept in the attributes."""
    kept = {name: text for name, text in attributes.items() if text}
    for name in ("counterparty_account", "counterparty_bank"):
        if name in kept:
            kept[name] = "".join(kept[name].split())
    for name in ("end_to_end_id", "customer_reference", "mandate_id", "creditor_reference"):
        if name in kept and provided(kept[name]) is None:
            del kept[name]
    description = description or kept.get("booking_text", "")
    if len(description) > DESCRIPTION_CHARACTERS:
        kept["information"] = whole
        description = description[:DESCRIPTION_CHARACTERS]
    return Information(description or None, counterparty or None, kept)
