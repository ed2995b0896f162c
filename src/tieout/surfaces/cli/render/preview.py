"""What a file says: its records, totals, statements, unreadable rows, and what was concluded about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tieout.model.errors import InputError
from tieout.model.money import decimal_text, parse_decimal
from tieout.model.record import Rejection, Statement
from tieout.service.preview import Preview
from tieout.surfaces.cli.output import table, text
from tieout.surfaces.cli.render.figures import counted, grouped, money

SHOWN_REJECTIONS = 20


def statement_document(statement: Statement) -> dict[str, object]:
    """A bank statement as JSON; `gap` is closing - (opening + sum), null without both balances."""
    return {
        "statement_id": statement.statement_id,
        "account": statement.account,
        "currency": statement.currency,
        "sequence": statement.sequence,
        "from_date": statement.from_date,
        "to_date": statement.to_date,
        "opening": statement.opening,
        "closing": statement.closing,
        "sum": statement.sum,
        "lines": statement.lines,
        "ties": statement.ties,
        "gap": None if statement.gap is None else f"{statement.gap:f}",
    }


def rejection_document(rejection: Rejection) -> dict[str, object]:
    """An unreadable row as JSON."""
    return {"line": rejection.line, "field": rejection.field, "reason": rejection.reason, "text": rejection.text}


def preview_document(shown: Preview) -> dict[str, object]:
    """A file as JSON, without its records."""
    return {
        "rows": {"read": shown.rows_read, "records": shown.records_count, "quarantined": shown.quarantined_count},
        "totals": {
            total.currency: {"rows": total.rows, "amount": decimal_text(total.amount_minor, total.currency)}
            for total in shown.totals
        },
        "statements": [statement_document(statement) for statement in shown.statements],
        "quarantined": [rejection_document(rejection) for rejection in shown.quarantined],
        "inferred": dict(shown.inferred),
    }


def print_preview(out: Console, shown: Preview, limit: int) -> None:
    """A file on a terminal: the first records, then all that was measured."""
    head = Text(shown.file, style="bold")
    head.append(f"  {shown.format}, {counted(shown.records_count, 'record')}", style="dim")
    if shown.quarantined_count:
        head.append(f", {shown.quarantined_count:,} quarantined", style="red")
    out.print(head)
    if shown.records_count and limit:
        _print_records(out, shown.records(limit))
        if shown.records_count > limit:
            out.print(text(f"… and {shown.records_count - limit:,} more (--limit, or --json for all)", "dim"))
    for total in shown.totals:
        line = Text("total  ", style="dim")
        line.append(f"{money(total.amount_minor, total.currency)} {total.currency}", style="bold")
        line.append(f" in {counted(total.rows, 'record')}")
        out.print(line)
    if shown.statements:
        out.print(statements_view(shown.statements))
    print_rejections(out, shown.quarantined, shown.quarantined_count)
    for name, words in shown.inferred.items():
        out.print(text(f"{name.replace('_', ' ')}: {words}", "dim"))


def _print_records(out: Console, records: Iterable[Mapping[str, object]]) -> None:
    """One row a record; the columns that say nothing in any of them are left out."""
    rows = list(records)
    columns = [">line", "kind", "id", "date", ">amount"]
    shown = [name for name in ("reference", "counterparty", "description") if any(row[name] for row in rows)]
    made = table(*columns, *(shown if out.width >= 100 else shown[:1] or shown[1:2]))
    words = shown if out.width >= 100 else shown[:1]
    for row in rows:
        amount = "" if row["amount"] is None else f"{grouped(str(row['amount']))} {row['currency']}"
        style = "red" if amount.startswith("-") else ""
        own = str(row["native_id"] or "")
        made.add_row(
            str(row["line"]),
            text(row["kind"] or ""),
            text("derived" if own.startswith("line:") else own, "dim" if own.startswith("line:") else ""),
            str(row["date"] or ""),
            Text(amount, style=style),
            *(text(_shortened(str(row[name] or ""))) for name in words),
        )
    out.print(made)


def _shortened(words: str) -> str:
    return words if len(words) <= 60 else words[:59] + "…"


def statements_view(statements: Sequence[Statement]) -> Table:
    """Bank statements, and whether each ties: opening + lines = closing."""
    made = table("statement", "account", ">opening", ">sum", ">closing", "", ">lines", "ties")
    for one in statements:
        ties = Text("no balances", style="dim") if one.ties is None else Text("✓", style="green")
        if one.ties is False:
            ties = Text(f"✗ {_figure(f'{one.gap:f}', one.currency)}", style="bold red")
        figures = [_figure(figure, one.currency) for figure in (one.opening, one.sum, one.closing)]
        made.add_row(text(one.statement_id), text(one.account), *figures, one.currency, str(one.lines), ties)
    return made


def _figure(decimal: str | None, currency: str) -> str:
    """A bank's figure with the decimals of its currency, or as it stands where it has others."""
    if decimal is None:
        return ""
    try:
        return money(parse_decimal(decimal, currency), currency)
    except InputError:
        return grouped(decimal)


def print_rejections(out: Console, rejections: Sequence[Rejection], count: int) -> None:
    """Unreadable rows: where, which field, why, and the text that stood there."""
    if not count:
        return
    made = table(">line", "field", "reason", "text", title=f"Quarantined: {counted(count, 'row')}")
    for one in rejections[:SHOWN_REJECTIONS]:
        line = "" if one.line is None else str(one.line)
        made.add_row(line, text(one.field), text(one.reason), text(_shortened(one.text)))
    out.print(made)
    if count > SHOWN_REJECTIONS:
        out.print(text(f"… and {count - SHOWN_REJECTIONS:,} more", "dim"))
