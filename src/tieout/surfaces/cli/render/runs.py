"""What running reconciliations gave, as a controller reads it: proof, findings by gravity, open items by age."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from tieout.service.checks import CheckReport
from tieout.service.listing import AgeRow, FindingCounts, FindingRow
from tieout.service.runs import RunReport
from tieout.surfaces.cli.output import table, text
from tieout.surfaces.cli.render.ageing import age_document, ages_view
from tieout.surfaces.cli.render.figures import counted, short_hash
from tieout.surfaces.cli.render.findings import counts_line, findings_view
from tieout.surfaces.cli.render.proof import proof_document, proof_view

_STATUS = {
    "closed": "closed",
    "slice": "slice taken, the run stays open",
    "unchanged": "which still holds: nothing new",
    "dry-run": "dry run, nothing written",
}


def counts_document(counts: FindingCounts) -> dict[str, object]:
    """Findings that stand, as JSON."""
    return {"open": counts.open, "by_severity": dict(counts.by_severity), "pending": counts.pending}


def report_document(report: RunReport, ages: Sequence[AgeRow], counts: FindingCounts, threshold: int) -> dict[str, Any]:
    """One reconciliation's run as JSON."""
    return {
        "reconciliation": report.reconciliation,
        "run": report.run,
        "status": report.status,
        "as_of": report.as_of.isoformat(),
        "batches": report.batches,
        "matched_records": report.matched_records,
        "open_items": report.open_items,
        "open_items_by_code": dict(report.codes),
        "proof": [proof_document(line) for line in report.proof],
        "unexplained": any(line.unexplained_minor for line in report.proof),
        "ages": [age_document(row) for row in ages],
        "findings": {**counts_document(counts), "moved": asdict(report.findings), "threshold": threshold},
        "result_hash": report.result_hash,
        "manifest_digest": report.manifest_digest,
    }


def check_document(report: CheckReport, counts: FindingCounts) -> dict[str, object]:
    """One source's check as JSON."""
    return {
        "source": report.source,
        "status": report.status,
        "codes": dict(report.codes),
        "findings": {**counts_document(counts), "moved": asdict(report.findings)},
    }


def print_checks(out: Console, checks: Sequence[CheckReport], counts: Mapping[str, FindingCounts]) -> None:
    """What the sources themselves are found to say wrongly; nothing where all are in order."""
    broken = [one for one in checks if one.codes]
    if not checks:
        return
    out.print(_rule("sources"))
    if not broken:
        out.print(Text(f"{counted(len(checks), 'source')} checked, nothing wrong with any", style="green"))
        return
    for one in broken:
        line = Text(f"{one.source:<10} ", style="bold")
        line.append(", ".join(f"{count:,} {code}" for code, count in sorted(one.codes.items())))
        out.print(line)
    clean = [one.source for one in checks if not one.codes]
    if clean:
        out.print(text(f"in order: {', '.join(clean)}", "dim"))


def print_report(
    out: Console,
    report: RunReport,
    ages: Sequence[AgeRow],
    counts: FindingCounts,
    shown: Sequence[FindingRow],
    threshold: int,
    words: str,
) -> None:
    """One reconciliation's run on a terminal; `shown` are the findings to spell out, the gravest first, and `words`
    how Tieout was called."""
    out.print(_rule(report.reconciliation))
    head = Text("" if report.run is None else f"run {report.run}, ", style="dim")
    head.append(f"{_STATUS[report.status]}, as of {report.as_of}", style="dim")
    if report.result_hash:
        head.append(f", result {short_hash(report.result_hash)}", style="dim")
    out.print(head)
    out.print(proof_view(out, report.proof))
    if report.status == "dry-run":
        moved = report.findings
        out.print(Text(f"would find {counted(moved.new, 'disagreement')}; {counted(report.open_items, 'item')} open"))
        for code, count in sorted(report.codes.items()):
            out.print(Text(f"  {count:>6,}  {code}"))
        return
    line = Text("findings  ", style="bold").append_text(counts_line(counts))
    moved = report.findings
    news = [f"{getattr(moved, name):,} {name}" for name in ("new", "reopened", "closed") if getattr(moved, name)]
    if news:
        line.append(f"  ({', '.join(news)})", style="dim")
    if threshold:
        line.append(f"  threshold {threshold:,}", style="dim")
    out.print(line)
    if shown:
        out.print(findings_view(shown, with_reconciliation=False))
    more = counts.open - sum(row.members or 1 for row in shown)
    if more > 0:
        ask = text(f"… and {more:,} more: {words} findings -r {report.reconciliation}", "dim")
        out.print(Text("       ").append_text(ask))
    if ages:
        out.print(Text("open items by age, all sides", style="bold"))
        out.print(ages_view(ages))


def print_summary(
    out: Console, limits: Mapping[str, int], counts: Mapping[str, FindingCounts], failed: Sequence[str]
) -> None:
    """The verdict: every reconciliation on a line. `limits` are the open findings that each may have."""
    out.print(_rule("summary"))
    made = table("!reconciliation", "findings", "verdict")
    for name, limit in limits.items():
        found = counts.get(name, FindingCounts())
        verdict = Text("clean" if found.open == 0 else f"{found.open:,} open, {limit:,} allowed", style="green")
        if found.open > limit:
            verdict.stylize("red")
        if name in failed:
            verdict = Text("not finished", style="bold red")
        made.add_row(text(name), counts_line(found), verdict)
    out.print(made)


def print_next(out: Console, *commands: str) -> None:
    """The commands a person is likely to type now, never broken over lines: they are there to be copied."""
    for place, command in enumerate(commands):
        out.print(Text("next: " if place == 0 else "      ", style="dim").append(command), soft_wrap=True)


def _rule(title: str) -> Rule:
    return Rule(text(title, "bold"), align="left", style="dim")
