"""The text of a first `tieout.yaml`: commented line by line, valid as it stands, ready to be changed.

What a source's files hold is inferred elsewhere and handed in as plain data; nothing here reads a file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tieout.model.errors import UsageError

COMMENT_COLUMN: Final = 60

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SAFE = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_NOT_TEXT = {"true", "false", "null"}
"""Plain scalars that YAML 1.2 does not take for text; `yes`, `no`, `on` and `off` are for readers of YAML 1.1."""
_OLD_YAML = {"yes", "no", "on", "off", "y", "n"}

_EXPECTED_KINDS: Final = ("invoice", "order", "ledger_entry", "payout")
"""Kinds that stand on the first side: what is expected."""
_SETTLING_KINDS: Final = {
    "invoice": ("payment", "charge", "bank_line", "ledger_entry"),
    "order": ("invoice", "payment", "charge"),
    "ledger_entry": ("bank_line",),
    "payout": ("bank_line",),
}
"""Expected kind to the kinds that settle it, the likeliest first."""
_LINKS: Final = {
    "invoice": ("invoice_ref", "reference"),
    "order": ("order_ref", "reference"),
    "payout": ("payout_ref", "reference"),
    "ledger_entry": (),
}

_MAPPING_WORDS: Final = {
    "kind": "what the row is",
    "native_id": "the source's own id",
    "version": "the source's own version",
    "date": "booking or effective date",
    "time": "instant, where there is one",
    "amount": "money towards you is positive",
    "fee": "what was kept back",
    "net": "amount after the fee",
    "currency": "ISO 4217 code",
    "description": "free text",
    "counterparty": "who is on the other end",
    "status": "the source's word for its state",
    "category": "type within the kind",
    "reference": "a reference that others share",
    "invoice_ref": "the invoice it belongs to",
    "payment_ref": "the payment it belongs to",
    "payout_ref": "the payout it belongs to",
    "subscription_ref": "the subscription it belongs to",
    "order_ref": "the order it belongs to",
    "customer_ref": "the source's id of the customer",
    "account": "the account it stands on",
    "attributes": "kept beside the record as they are",
}


@dataclass(frozen=True, slots=True)
class StarterSource:
    """One source as inferred from its files; every part as it would stand in `tieout.yaml`."""

    name: str
    format: str | None = None
    kind: str | None = None
    mapping: Mapping[str, object] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)
    files: tuple[str, ...] = ()


EXAMPLE_SOURCES: Final = (
    StarterSource(
        name="billing",
        format="csv",
        kind="invoice",
        files=("invoices.csv",),
        mapping={
            "native_id": "number",
            "date": {"from": "issued", "format": "%Y-%m-%d"},
            "amount": "total",
            "currency": "currency",
            "status": "status",
            "customer_ref": "customer",
        },
    ),
    StarterSource(
        name="payments",
        format="csv",
        kind="payment",
        files=("payments.csv",),
        mapping={
            "native_id": "id",
            "date": {"from": "paid", "format": "%Y-%m-%d"},
            "amount": "amount",
            "currency": "currency",
            "invoice_ref": "invoice",
        },
    ),
)
"""Two made-up CSV files, for a workspace of which nothing is known yet."""


def starter_configuration(workspace: str, sources: list[StarterSource]) -> str:
    """A commented `tieout.yaml` for these sources, or for the example ones when there are none.

    Where one source's kind and columns show how another settles it, the reconciliation stands ready; else it is
    a comment to fill in. Raises UsageError for a workspace or source that is no name, or a source named twice.
    """
    _check_names(workspace, [source.name for source in sources])
    shown = sources or list(EXAMPLE_SOURCES)
    lines = [
        "# What Tieout reconciles, and how. Every key is described in docs/configuration.md.",
        "# Secrets never stand here: write env:NAME or file:PATH instead.",
        "",
        _line(f"workspace: {_scalar(workspace)}", "the isolated world of one company"),
        _line("data_directory: .tieout", "where records and runs are kept, beside this file"),
        "",
        _line("sources:", "the systems that say something about your revenue"),
    ]
    for source in shown:
        lines += _source_lines(source)
    lines += ["", *_reconciliation_lines(shown)]
    return "\n".join(lines) + "\n"


def _check_names(workspace: str, names: list[str]) -> None:
    for what, name in [("workspace", workspace), *(("source", name) for name in names)]:
        if not _NAME.fullmatch(name):
            hint = "use lower-case letters, digits and hyphens, 63 at most, such as acme"
            raise UsageError(f"{name[:80]!r} is not a {what}'s name", hint=hint)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"source {twice[0]!r} is there twice", hint="give each source a name of its own")


def _source_lines(source: StarterSource) -> list[str]:
    lines = [_line(f"  {_scalar(source.name)}:", "one system; the name is yours")]
    if source.format:
        lines.append(_line(f"    format: {_scalar(source.format)}", "how its files are written"))
    if source.files:
        lines.append(_line(f"    files: {_flow(list(source.files))}", "patterns, relative to this file"))
    if source.kind:
        lines.append(_line(f"    kind: {_scalar(source.kind)}", "what its rows are"))
    if source.mapping:
        lines.append(_line("    mapping:", "column of a record: column of the file"))
        for column, entry in source.mapping.items():
            words = _MAPPING_WORDS.get(column, "")
            lines.append(_line(f"      {_scalar(column)}: {_flow(entry)}", words))
    if source.settings:
        lines.append(_line("    settings:", "what only this format understands"))
        lines += [f"      {_scalar(key)}: {_flow(value)}" for key, value in source.settings.items()]
    return lines if len(lines) > 1 else [_line(f"  {_scalar(source.name)}: {{}}", "one system; the name is yours")]


def _reconciliation_lines(sources: list[StarterSource]) -> list[str]:
    pair = _pair(sources)
    if pair is None:
        return _example_reconciliation(sources)
    expected, settling, keys = pair
    sides = _side_names(expected, settling)
    lines = [
        _line("reconciliations:", "what is compared with what"),
        _line(f"  {sides[0]}-to-{sides[1]}:", "its name in findings and commands"),
        _line("    kind: match", "link records whose money should agree"),
        _line("    sides:", "the first is what is expected"),
    ]
    for side, source in zip(sides, (expected, settling), strict=True):
        selection = f"      {side}: {{source: {_flow(source.name)}, kind: {_flow(source.kind)}}}"
        lines.append(_line(selection, "which records of which source"))
    on = ", ".join(f"{side}: {key}" for side, key in zip(sides, keys, strict=True))
    lines += [
        _line(f"    on: {{{on}}}", "the key that both sides share"),
        _line("    grace_days: 3", "how long a break may settle itself"),
        _line("    window_days: 30", "after that an open item escalates"),
    ]
    return lines


def _pair(sources: list[StarterSource]) -> tuple[StarterSource, StarterSource, tuple[str, str]] | None:
    """An expected source, one that settles it, and the key columns of both; None when nothing shows them."""
    for kind in _EXPECTED_KINDS:
        for settling_kind in _SETTLING_KINDS[kind]:
            for expected in (source for source in sources if source.kind == kind):
                for settling in (source for source in sources if source.kind == settling_kind):
                    keys = _keys(kind, expected, settling)
                    if keys:
                        return expected, settling, keys
    return None


def _keys(kind: str, expected: StarterSource, settling: StarterSource) -> tuple[str, str] | None:
    for link in _LINKS[kind]:
        if "native_id" in expected.mapping and link in settling.mapping:
            return "native_id", link
    if "reference" in expected.mapping and "reference" in settling.mapping:
        return "reference", "reference"
    return None


def _side_names(expected: StarterSource, settling: StarterSource) -> tuple[str, str]:
    """Sides are named for what they hold: the plural of the kind."""
    first, second = (f"{source.kind}".replace("_", "-") + "s" for source in (expected, settling))
    return first.replace("entrys", "entries"), second.replace("entrys", "entries")


def _example_reconciliation(sources: list[StarterSource]) -> list[str]:
    """A reconciliation to fill in, as comments: which columns belong together could not be told."""
    first, second = (sources[0].name, sources[1].name if len(sources) > 1 else "another-source")
    return [
        _line("reconciliations: {}", "what is compared with what, for example:"),
        "#  invoices-to-payments:",
        "#    sides:  # the first is what is expected",
        f"#      invoices: {{source: {first}, kind: invoice}}",
        f"#      payments: {{source: {second}, kind: payment}}",
        "#    on: {invoices: native_id, payments: invoice_ref}  # the key that both sides share",
    ]


def _line(text: str, comment: str) -> str:
    return f"{text:<{COMMENT_COLUMN}}  # {comment}" if comment else text


def _flow(value: object) -> str:
    """A value in YAML's flow style."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(str(key))}: {_flow(below)}" for key, below in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    if value is None or isinstance(value, (bool, int)):
        return json.dumps(value)
    return _scalar(str(value))


def _scalar(text: str) -> str:
    """Text as a YAML scalar, quoted where a reader could take it for something else.

    Characters that YAML cannot hold at all (lone surrogates of odd file names, NUL) become `?`, which in a file
    pattern stands for any one character.
    """
    if _SAFE.fullmatch(text) and text.lower() not in _NOT_TEXT | _OLD_YAML:
        return text
    kept = re.sub(r"[\0\ud800-\udfff]", "?", text)
    escaped = kept.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(_printable(character) for character in escaped) + '"'


def _printable(character: str) -> str:
    """A character as YAML's double quotes can hold it (YAML 1.2, sections 5.1 and 5.7)."""
    if character == "\t":
        return "\\t"
    if character == "\n":
        return "\\n"
    if " " <= character <= "~" or (character.isprintable() and "\xa0" < character <= "\uffff"):
        return character
    return f"\\U{ord(character):08x}" if character > "\uffff" else f"\\u{ord(character):04x}"
