"""What became of deliveries: counts and totals per outcome, repeated batches, statements, unreadable rows."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.text import Text

from tieout.service.classing import OUTCOMES, totals_text
from tieout.service.intake import IngestReport
from tieout.surfaces.cli.output import text
from tieout.surfaces.cli.render.figures import counted, money
from tieout.surfaces.cli.render.preview import (
    print_rejections,
    rejection_document,
    statement_document,
    statements_view,
)


def ingest_document(name: str, report: IngestReport) -> dict[str, object]:
    """One taken-in file as JSON; `read` = accepted + duplicate + superseding + stale + quarantined."""
    return {
        "file": name,
        "source": report.source,
        "format": report.format,
        "batch": report.batch,
        "state": report.state,
        **{outcome: report.counts[outcome] for outcome in ("read", *OUTCOMES)},
        "undated": report.undated,
        "totals": totals_text(report.totals),
        "duplicates_of": {str(batch): rows for batch, rows in sorted(report.duplicates_of.items())},
        "statements": [statement_document(statement) for statement in report.statements],
        "quarantined_rows": [rejection_document(rejection) for rejection in report.quarantined],
        "inferred": dict(report.inferred),
    }


def print_ingested(out: Console, name: str, report: IngestReport) -> None:
    """One taken-in file on a terminal."""
    head = Text(f"{report.source:<10} ", style="bold")
    head.append_text(text(name))
    batch = "dry run" if report.batch is None else f"batch {report.batch}"
    head.append(f"  {batch}", style="dim")
    out.print(head)
    out.print(Text("  ").append_text(outcomes_text(report)))
    for words in _sums(report.totals):
        out.print(Text(f"  {words}", style="dim"))
    if report.undated:
        words = f"  {report.undated:,} rows differ from what is known, and nothing says which is later: map `version`"
        out.print(Text(f"{words}, or say --observed-at", style="yellow"))
    if report.statements:
        out.print(statements_view(report.statements))
    print_rejections(out, report.quarantined, report.counts["quarantined"])


def outcomes_text(report: IngestReport) -> Text:
    """ "72 read: 70 accepted, 2 duplicate (of batch 1)"; "72 accepted" where nothing else happened."""
    parts = [_outcome(report, outcome) for outcome in OUTCOMES if report.counts[outcome]]
    if len(parts) == 1:
        return parts[0]
    words = Text(f"{report.counts['read']:,} read")
    return words.append(": ").append_text(Text(", ").join(parts)) if parts else words


def _outcome(report: IngestReport, outcome: str) -> Text:
    styles = {"quarantined": "red", "accepted": "green", "superseding": "yellow", "stale": "yellow"}
    words = Text(f"{report.counts[outcome]:,} {outcome}", style=styles.get(outcome, ""))
    others = [str(batch) for batch in sorted(report.duplicates_of) if batch != report.batch]
    if outcome == "duplicate" and others:
        words.append(f" (of batch {', '.join(others)})", style="dim")
    return words


def _sums(totals: Mapping[str, Mapping[str, tuple[int, int]]]) -> list[str]:
    """Totals per outcome and currency, those that have one."""
    return [
        f"{outcome} {money(amount, currency)} {currency} in {counted(rows, 'row')}"
        for outcome in OUTCOMES
        for currency, (rows, amount) in sorted(totals.get(outcome, {}).items())
        if currency
    ]
