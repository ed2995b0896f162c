"""The `sources` section of the schema: formats, mapping entries and contracts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tieout.core.config.schema_parts import TEXT, Schema, array, integer, object_, reference, text
from tieout.model.record import DRAFT_COLUMNS

MAX_PATTERN_CHARACTERS: Final = 200

MONEY_COLUMNS: Final = ("amount", "fee", "net")
MOMENT_COLUMNS: Final = ("date", "time", "version")

_NO_COLUMN: Final = "no column {} in a record that a file could feed"


def source_schema() -> Schema:
    """One entry of `sources`."""
    return object_(
        "One outside system.",
        {
            "format": {
                **text("Format of its files; absent: detected for each file."),
                "pattern": "^[a-z0-9_-]{1,63}$",
                "patternErrorMessage": "a format has lower-case letters, digits, hyphens and underscores",
                "examples": ["csv", "camt", "stripe"],
            },
            "files": {
                **reference("texts", "File patterns, relative to this file; a single one needs no list."),
                "examples": [["invoices-*.csv"]],
            },
            "kind": {**reference("kind", "Kind of the rows that do not say their own."), "examples": ["invoice"]},
            "currency": {
                **reference("currency", "Currency (ISO 4217) of the rows that do not say their own."),
                "examples": ["EUR"],
            },
            "zone": text("IANA time zone of instants that carry none.", default="UTC", examples=["Europe/Berlin"]),
            "customers": {
                "type": "boolean",
                "description": "Whether its records name a customer, so that an unknown one is a finding.",
                "default": False,
            },
            "mapping": _mapping(),
            "settings": {
                "type": "object",
                "description": "What only this format understands (delimiter, encoding, sheet …).",
                "additionalProperties": reference("setting"),
                "examples": [{"delimiter": ";"}],
            },
            "contract": reference("contract", "What a delivery must satisfy, or it is refused whole."),
        },
    )


def _mapping() -> Schema:
    columns: dict[str, Schema] = {}
    for column in DRAFT_COLUMNS:
        if column == "attributes":
            columns[column] = array("Columns that are kept beside the record as they are.", TEXT)
            continue
        entry = "text_entry"
        if column in MONEY_COLUMNS:
            entry = "amount_entry" if column == "amount" else "money_entry"
        elif column in MOMENT_COLUMNS:
            entry = "moment_entry"
        columns[column] = {"anyOf": [TEXT, reference(entry)], "description": _COLUMN_WORDS[column]}
    return {
        **object_(
            "Which column of the file feeds which of a record: a column's name, or an entry that says more.",
            columns,
            examples=[{"native_id": "number", "date": {"from": "issued", "format": "%d.%m.%Y"}}],
        ),
        "x-says": _NO_COLUMN,
    }


def entry_schemas() -> dict[str, Schema]:
    """Definitions of mapping entries: what a column's entry may say depends on what the column holds."""
    return {
        "text_entry": _entry({}),
        "moment_entry": _entry({"format": _format_of_moment()}),
        "money_entry": _entry(_money_keys()),
        "amount_entry": _entry({**_money_keys(), **_two_column_keys()}),
    }


def _entry(more: Mapping[str, Schema]) -> Schema:
    """One mapping entry: the keys every column has, and those that only some have."""
    keys = {
        "from": {
            **reference("texts", "The column, or several."),
            "examples": ["total", ["street", "city"]],
        },
        "pattern": {
            **text("Regular expression (RE2) whose first group is taken.", examples=["(INV-[0-9]+)"]),
            "maxLength": MAX_PATTERN_CHARACTERS,
        },
        "value": text("A constant for every row, in place of a column.", examples=["EUR"]),
        "map": {
            "type": "object",
            "description": "Replaces whole texts; what is not listed stays as it is.",
            "additionalProperties": {"type": "string"},
            "minProperties": 1,
            "examples": [{"bezahlt": "paid"}],
        },
    }
    return object_("How one column is read.", {**keys, **more})


def _format_of_moment() -> Schema:
    return text("How the date or instant is written, in strptime's letters.", examples=["%d.%m.%Y"])


def _money_keys() -> dict[str, Schema]:
    return {
        "decimal": {
            "type": "string",
            "description": "The decimal mark; the other one then groups digits.",
            "enum": [".", ","],
        },
        "negate": {"type": "boolean", "description": "Turn the sign round.", "default": False},
        "minor": {
            "type": "boolean",
            "description": "The file gives minor units (cents), not major ones.",
            "default": False,
        },
    }


def _two_column_keys() -> dict[str, Schema]:
    return {
        "credit": text("Column of money in, where in and out stand apart.", examples=["Paid in"]),
        "debit": text("Column of money out, where in and out stand apart.", examples=["Paid out"]),
        "sign_from": text("Column that tells the sign of an unsigned amount.", examples=["Type"]),
        "negative": {
            **reference("texts", "Values of the `sign_from` column that mean money out."),
            "examples": [["debit"]],
        },
    }


def contract_schema() -> Schema:
    """The `contract` of a source."""
    return object_(
        "What a delivery must satisfy, or it is refused whole.",
        {
            "required": array(
                "Columns that every row must have.",
                {"type": "string", "enum": list(DRAFT_COLUMNS), "x-says": _NO_COLUMN},
            ),
            "kinds": array("Kinds that may occur; empty: any. Declares kinds of your own.", reference("kind")),
            "currencies": array("Currencies that may occur; empty: any.", reference("currency")),
            "quarantine_limit_percent": integer(
                "Share of unreadable rows from which the delivery is refused.", 0, 100, default=100
            ),
        },
        examples=[{"required": ["native_id", "amount"], "quarantine_limit_percent": 5}],
    )


_COLUMN_WORDS: Final = {
    "kind": "What the row is: invoice, payment, refund …",
    "native_id": "The source's own id.",
    "version": "The source's own version: a counter or an instant.",
    "date": "Booking or effective date.",
    "time": "Instant, where the source knows one.",
    "amount": "Amount; money towards the company is positive.",
    "fee": "Fee that was kept back.",
    "net": "Amount after the fee.",
    "currency": "Currency (ISO 4217).",
    "description": "Free text, such as a bank line's purpose.",
    "counterparty": "Who is on the other end.",
    "status": "The source's word for its state.",
    "category": "Its type within the kind.",
    "reference": "A reference that other sources share.",
    "invoice_ref": "The invoice it belongs to.",
    "payment_ref": "The payment it belongs to.",
    "payout_ref": "The payout it belongs to.",
    "subscription_ref": "The subscription it belongs to.",
    "order_ref": "The order it belongs to.",
    "customer_ref": "The source's id of the customer.",
    "account": "The account it stands on.",
}
