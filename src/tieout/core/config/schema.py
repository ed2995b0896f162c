"""The shape of `tieout.yaml` as JSON Schema (draft 2020-12): the one source of truth for its keys.

The same data is published for editors (docs/tieout.schema.json), checked by shape and documented in
docs/configuration.md; tests hold the three together. Sources have a file of their own. What relates one place to
another (names that must exist, keys that exclude each other) stands in check. To add a key: add it here
with a description and, where it has one, its default; then carry it over in config.
"""

from __future__ import annotations

from typing import Final

from tieout.core.config.schema_parts import TEXT, Schema, array, integer, named, object_, reference, text
from tieout.core.config.schema_source import contract_schema, entry_schemas, source_schema
from tieout.model.money import EXPONENTS
from tieout.model.record import KINDS, RECORD_COLUMNS

NAME_PATTERN: Final = "^[a-z0-9][a-z0-9-]{0,62}$"
MAX_DAYS: Final = 3_650

_TEXT_RECORD_COLUMNS: Final = tuple(name for name, type_ in RECORD_COLUMNS if type_ == "VARCHAR")

KEY_COLUMNS: Final = tuple(name for name in _TEXT_RECORD_COLUMNS if name not in ("kind", "currency", "attributes"))
"""Record columns that can be a key: `kind` and `currency` would join all with all, `attributes` is JSON."""

FILTER_COLUMNS: Final = tuple(name for name in _TEXT_RECORD_COLUMNS if name not in ("kind", "attributes"))
"""Record columns that `where` can name; the kind has a key of its own."""


def schema() -> Schema:
    """The whole schema, to be read only: its parts may be shared."""
    top = object_(
        "Configuration of one Tieout workspace.",
        {
            "includes": {
                **array("Further files whose sections join this one, relative to this file.", TEXT),
                "examples": [["sources/banks.yaml"]],
            },
            "workspace": {
                **reference("name", "The isolated world of one company; part of every key and path."),
                "examples": ["acme"],
            },
            "data_directory": text("Where records, runs and the database live, beside this file.", default=".tieout"),
            "database_url": text(
                "The control plane's database; absent: SQLite in the data directory. A password is never "
                "written here: refer to the whole URL with env:NAME or file:PATH.",
                examples=["env:TIEOUT_DATABASE_URL"],
            ),
            "engine": _engine(),
            "sources": named("Outside systems by name.", reference("source")),
            "identity": _identity(),
            "authority": _authority(),
            "reconciliations": named("What is compared with what, by name.", reference("reconciliation")),
        },
        required=["workspace"],
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tieout.yaml",
        **top,
        "$defs": _definitions(),
    }


def _definitions() -> dict[str, Schema]:
    """Parts that the schema names more than once, or that are easier to read on their own."""
    return {
        "name": {
            "type": "string",
            "pattern": NAME_PATTERN,
            "patternErrorMessage": "a name has lower-case letters, digits and hyphens, 63 at most",
        },
        "kind": {
            "type": "string",
            "pattern": "^[a-z][a-z0-9_]{0,62}$",
            "patternErrorMessage": "a kind has lower-case letters, digits and underscores, 63 at most",
            "examples": list(KINDS),
        },
        "currency": {"type": "string", "enum": sorted(EXPONENTS), "x-says": "ISO 4217 has no currency {}"},
        "key_column": {
            "type": "string",
            "enum": list(KEY_COLUMNS),
            "x-says": "no column {} in a record that can be a key",
        },
        "texts": {"anyOf": [TEXT, {"type": "array", "items": TEXT, "minItems": 1}]},
        "names": {"anyOf": [reference("name"), {"type": "array", "items": reference("name"), "minItems": 1}]},
        "kinds": {"anyOf": [reference("kind"), {"type": "array", "items": reference("kind"), "minItems": 1}]},
        "setting": {
            "anyOf": [
                {"type": "string"},
                {"type": "integer"},
                {"type": "boolean"},
                {"type": "null"},
                {"type": "array", "items": reference("setting")},
                {"type": "object", "additionalProperties": reference("setting")},
            ]
        },
        "filter": {
            **object_(
                "Record columns and the values that count.",
                {column: reference("texts") for column in FILTER_COLUMNS},
            ),
            "x-says": "no column {} in a record that can be filtered",
        },
        **entry_schemas(),
        "contract": contract_schema(),
        "source": source_schema(),
        "side": _side(),
        "pass": _pass(),
        "reconciliation": _reconciliation(),
    }


def _engine() -> Schema:
    return object_(
        "Bounds for the engine that works on the columns.",
        {
            "memory": {
                **text("Memory it may use before it spills to disk; absent: the engine's own default."),
                "pattern": "^[1-9][0-9]{0,5} ?([KMGT]i?B)$",
                "patternErrorMessage": "memory is a whole number and a unit, such as 4GB or 512MB",
                "examples": ["4GB"],
            },
            "threads": integer("Threads it may use; absent: as many as the machine has.", 1, 1_024),
        },
        examples=[{"memory": "4GB", "threads": 2}],
    )


def _identity() -> Schema:
    return object_(
        "Where canonical customers come from.",
        {
            "canonical_source": reference("name", "The source whose customer ids are the canonical ones."),
            "key_map": text(
                "CSV file with columns customer_id, source, native_id, beside this file.",
                examples=["customers.csv"],
            ),
        },
        examples=[{"canonical_source": "crm", "key_map": "customers.csv"}],
    )


def _authority() -> Schema:
    return {
        "type": ["object", "null"],
        "description": "Which source wins for an attribute: the first that knows it.",
        "propertyNames": {
            "pattern": "^[a-z][a-z0-9_]{0,62}$",
            "patternErrorMessage": "an attribute has lower-case letters, digits and underscores, 63 at most",
        },
        "additionalProperties": reference("names"),
        "examples": [{"email": ["crm", "billing"]}],
    }


def _side() -> Schema:
    return object_(
        "One side: which records of which source, and which of their amounts.",
        {
            "source": {**reference("name", "The source of its records."), "examples": ["billing"]},
            "kind": {
                **reference("kinds", "Kind or kinds of its records; absent: the source's own kind."),
                "examples": ["invoice", ["payment", "refund"]],
            },
            "where": {
                **reference("filter", "Only records with one of these values."),
                "examples": [{"status": ["open", "paid"]}],
            },
            "where_not": {
                **reference("filter", "No records with one of these values."),
                "examples": [{"category": "payout"}],
            },
            "amount": {
                "type": "string",
                "description": "Which amount counts.",
                "enum": ["amount", "net", "fee"],
                "default": "amount",
            },
            "sign": {
                "type": "integer",
                "description": "-1 turns its amounts round, so that agreeing sides have equal sums.",
                "enum": [1, -1],
                "default": 1,
            },
        },
        required=["source"],
    )


def _on() -> Schema:
    return {
        "type": "object",
        "description": "The record column that holds the shared key, for every side.",
        "additionalProperties": reference("key_column"),
        "minProperties": 1,
        "examples": [{"invoices": "native_id", "payments": "invoice_ref"}],
    }


def _pass() -> Schema:
    return object_(
        "One ordered matching step.",
        {
            "name": {**reference("name", "Its name, shown with every match it makes."), "examples": ["by-invoice"]},
            "type": {
                "type": "string",
                "description": "exact: one record to one; grouped: many to many, by sums.",
                "enum": ["exact", "grouped"],
            },
            "on": _on(),
            "unique": {
                **reference("names", "Sides whose key admits one record; further ones are duplicates."),
                "examples": [["invoices"]],
            },
            "fee": {
                **reference("name", "The side whose fee may make up the difference (gross = net + fee)."),
                "examples": ["payments"],
            },
        },
        required=["name", "type", "on"],
    )


def _reconciliation() -> Schema:
    return object_(
        "What is compared with what.",
        {
            "kind": {
                "type": "string",
                "description": "match: link records whose money should agree.",
                "enum": ["match"],
                "x-not-yet": ["compare"],
                "default": "match",
            },
            "sides": {
                **named("Two or more sides, in order; the first is what is expected.", reference("side")),
                "type": "object",
                "minProperties": 2,
            },
            "passes": {
                **array("Matching steps, in order.", reference("pass")),
                "minItems": 1,
            },
            "on": {
                **_on(),
                "description": "Short for two passes on this key, `exact` and then `grouped`.",
            },
            "grace_days": integer("Days in which a break may settle itself before it opens.", 0, MAX_DAYS, 0),
            "window_days": integer("Days after which an open item escalates.", 0, MAX_DAYS, 30),
            "group_over": integer("Breaks of one cause from which they share one finding.", 1, 10**9, 1_000),
            "severity": _severity(),
            "disputes": {
                **reference("name", "The source whose disputes reopen what was matched."),
                "examples": ["stripe"],
            },
            "threshold": integer("Open findings up to which a run still counts as clean.", 0, 10**9, 0),
        },
        required=["sides"],
    )


def _severity() -> Schema:
    return object_(
        "Money at risk from which a finding is high or critical, in major units of its currency.",
        {
            "high": integer("From this amount on it is high.", 0, 10**15, 1_000),
            "critical": integer("From this amount on it is critical.", 0, 10**15, 10_000),
        },
        examples=[{"high": 1_000, "critical": 10_000}],
    )
