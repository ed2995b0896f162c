"""Findings in plain words: what is wrong, what each side says, and what it is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from tieout.service.listing import FindingCounts, FindingRow, HistoryRow
from tieout.surfaces.cli.output import table, text
from tieout.surfaces.cli.render.figures import counted, grouped, instant

STYLES = {"critical": "bold red", "high": "red", "warning": "yellow"}
"""How each severity looks."""


def finding_document(row: FindingRow) -> dict[str, object]:
    """A finding as JSON: its fields by name, and what each side says as one sentence."""
    return {**asdict(row), "sentence": sentence(row)}


def sentence(row: FindingRow) -> str:
    """What each side says, such as "invoices say 20.00 EUR (in_2), charges say 19.90 EUR (ch_2)"."""
    if row.code == "BALANCE_GAP":
        return _balance(row)
    if row.code == "UNRESOLVED_CUSTOMER":
        return _unresolved(row)
    if row.code == "DUPLICATE_ID":
        return _twice(row)
    like = row.evidence.get("like")
    if row.code == "DUPLICATE_RECORD" and like:
        return f"{_said(row.side or '', _own(row), ' again')}; {_short(str(like))} said it already"
    sides = sorted(row.says, key=lambda side: side != row.side)
    said = ", ".join(_said(str(side), row.says[side]) for side in sides if isinstance(row.says[side], Mapping))
    if not said and row.members is not None:
        return f"{counted(row.members, 'record')} of this kind"
    return said or row.meaning


def _short(identity: str) -> str:
    """A record's id as people read it: of an id that was derived from a line's content, the beginning will do."""
    return f"line {identity[5:13]}" if identity.startswith("line:") else identity


def _said(side: str, value: Mapping[str, Any], more: str = "") -> str:
    if value.get("nothing"):
        return f"{side} say nothing"
    if "records" in value and "amounts" in value:
        amounts = ", ".join(f"{grouped(str(amount))} {unit}" for unit, amount in value["amounts"].items())
        return f"{side}: {counted(int(value['records']), 'record')}, {amounts}"
    where = ", ".join(_short(str(value[key])) for key in ("id", "date", "status", "payment") if value.get(key))
    witness = f" ({where})" if where else ""
    if value.get("amount") is not None:
        return f"{side} say {grouped(str(value['amount']))} {value.get('currency') or ''}".rstrip() + more + witness
    if value.get("currency"):
        return f"{side} say it in {value['currency']}{witness}"
    return f"{side} say {', '.join(f'{key} {word}' for key, word in value.items()) or 'nothing'}"


def _own(row: FindingRow) -> Mapping[str, Any]:
    own = row.says.get(row.side or "", {})
    return own if isinstance(own, Mapping) else {}


def _balance(row: FindingRow) -> str:
    own = _own(row)
    what = row.evidence.get("what") or f"statement {own.get('statement', row.record)}"
    return (
        f"account {own.get('account', '')}, {what}: expected {grouped(row.expected or '')}, "
        f"found {grouped(row.actual or '')} {row.currency or ''}"
    ).rstrip()


def _unresolved(row: FindingRow) -> str:
    records = int(_own(row).get("records", row.members or 0))
    if row.members is not None:
        return f"{counted(row.members, 'customer id')} that no canonical customer has"
    return f"{row.source or 'a source'} says customer {row.record} in {counted(records, 'record')}; nobody knows it"


def _twice(row: FindingRow) -> str:
    if row.members is not None:
        return f"{counted(row.members, 'id')} given more than once with different content"
    records = int(_own(row).get("records", 2))
    return f"{row.source or 'a source'} gives {row.record_kind or ''} {row.record} {records} times, each different"


def findings_view(rows: Sequence[FindingRow], *, with_reconciliation: bool = True) -> RenderableType:
    """Findings as blocks of two lines: what it is and what it is worth, then what each side says."""
    blocks: list[RenderableType] = []
    for row in rows:
        head = Text(f"{row.finding:>5}  ", style="bold")
        head.append(f"{row.severity:<8}  ", style=STYLES.get(row.severity, ""))
        head.append(row.code, style="bold")
        if row.at_risk is not None:
            head.append(f"  {grouped(row.at_risk)} {row.currency}")
        details = [row.reconciliation] if with_reconciliation else []
        if row.state != "open":
            details.append(row.state.replace("_", " "))
        if row.due_date and row.state == "pending":
            details.append(f"opens {row.due_date}")
        if row.members is not None:
            details.append(f"group of {row.members:,}")
        if details:
            head.append_text(text(f"  {' · '.join(details)}", "dim"))
        blocks += [head, _indented(sentence(row))]
    return Group(*blocks)


def _indented(words: str) -> RenderableType:
    return Padding(text(words), (0, 0, 0, 7))


def counts_line(counts: FindingCounts) -> Text:
    """ "3 critical, 12 high, 4 pending", each in its colour; "none" where there are none."""
    parts = [Text(f"{count:,} {severity}", style=STYLES.get(severity, "")) for severity, count in
             counts.by_severity.items()]  # fmt: skip
    if counts.pending:
        parts.append(Text(f"{counts.pending:,} pending", style="dim"))
    return Text(", ").join(parts) if parts else Text("none", style="green")


def finding_view(row: FindingRow, history: Sequence[HistoryRow]) -> RenderableType:
    """All about one finding."""
    head = Text(f"Finding {row.finding}  ", style="bold")
    head.append(row.severity, style=STYLES.get(row.severity, ""))
    head.append(f"  {row.code}", style="bold")
    facts = table("", "")
    facts.show_header = False
    for name, value in _facts(row):
        facts.add_row(Text(name, style="dim"), text(value))
    events = table("at", "who", "what", "state", "why", title="History")
    for event in history:
        moved = (
            event.to_state if event.from_state in (None, event.to_state) else f"{event.from_state} → {event.to_state}"
        )
        run = "" if event.run is None else f" (run {event.run})"
        events.add_row(
            instant(event.at), text(event.actor), text(event.action), text(moved), text(f"{event.reason}{run}")
        )
    return Group(head, text(row.meaning), Text(), text(sentence(row)), Text(), facts, Text(), events)


def _facts(row: FindingRow) -> list[tuple[str, str]]:
    money = f" {row.currency}" if row.currency else ""
    record = " ".join(part for part in (row.source, row.record_kind, row.record) if part)
    runs = f"{row.first_run} to {row.last_run}" if row.first_run != row.last_run else f"{row.first_run or ''}"
    facts = [
        ("reconciliation", row.reconciliation),
        ("state", row.state.replace("_", " ") + (f" ({row.resolution})" if row.resolution else "")),
        ("record", record),
        ("expected", f"{grouped(row.expected)}{money}" if row.expected else ""),
        ("actual", f"{grouped(row.actual)}{money}" if row.actual else ""),
        ("at risk", f"{grouped(row.at_risk)}{money}" if row.at_risk else ""),
        ("customer", row.customer or ""),
        ("likely cause", (row.cause or "").replace("_", " ")),
        ("effective", row.effective_date or ""),
        ("grace ends", row.due_date or ""),
        ("deadline", row.deadline or ""),
        ("members", f"{row.members:,}" if row.members is not None else ""),
        ("owner", row.owner or ""),
        ("seen in runs", runs),
        ("from batch", "" if row.batch is None else str(row.batch)),
        ("came back", f"{row.recurrences} times" if row.recurrences else ""),
    ]
    evidence = [(f"evidence: {name}", str(value)) for name, value in row.evidence.items() if value is not None]
    return [(name, value) for name, value in facts + evidence if value]
