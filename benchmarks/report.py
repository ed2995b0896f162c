"""What was measured, as Markdown tables that also read well on a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

from benchmarks.cases import AGAIN, ALONE, MORE_INGESTED, MORE_RUN, PER_ROW, STEPS, TIEOUT_RUN, Result
from benchmarks.figures import Spread, cpu, growth, peak_bytes, ratios, wall, work
from benchmarks.rounds import Series

TITLES = {
    "ingest-parquet": "Ingesting payments.parquet",
    "ingest-csv": "Ingesting payments.csv",
    "run": "Reconciling",
}
ABSENT = "-"
LATER = (AGAIN, MORE_INGESTED, MORE_RUN)

Row = Sequence[str]


@dataclass(frozen=True, slots=True)
class Growing:
    """What grows, and the sizes (rows) between which: the key of an exponent."""

    measurement: str
    variant: str
    name: str
    first: int
    last: int


def document(facts: Mapping[str, str], options: Mapping[str, object], results: Sequence[Result]) -> dict[str, object]:
    """Everything, as one JSON document: each round of each series, and the growth exponents."""
    return {
        "machine": dict(facts),
        "options": dict(options),
        "results": [asdict(result) | {"series": [_series(series) for series in result.series]} for result in results],
        "growth": [asdict(one) | {"exponent": exponent} for one, exponent in growths(results).items()],
    }


def _series(series: Series) -> dict[str, object]:
    """A series without what its processes wrote."""
    rounds = [
        None if one is None else {key: value for key, value in asdict(one).items() if key != "errors"}
        for one in series.rounds
    ]
    return {**asdict(series), "rounds": rounds}


def render(facts: Mapping[str, str], results: Sequence[Result], remarks: Sequence[str] = ()) -> str:
    """The whole report in Markdown; ends with the ratios of everything in one table."""
    blocks = [table(("machine", ""), list(facts.items()))]
    for result in results:
        blocks += _result(result)
    blocks += ["## Growth with the rows", GROWTH_NOTE, _growth_table(results)]
    blocks += ["## All ratios", RATIO_NOTE, _ratio_table(results)]
    blocks += list(remarks)
    return "\n\n".join(blocks) + "\n"


GROWTH_NOTE = (
    "The exponent e in seconds ~ rows^e between two sizes: 1 is linear; the constant cost of starting a process makes "
    "it less, the more so the smaller the sizes."
)
RATIO_NOTE = (
    "Medians of the whole process's seconds as multiples of the reference of the same round: DuckDB's COPY for "
    "ingestion, bare DuckDB for reconciling."
)


def table(head: Row, rows: Sequence[Row]) -> str:
    """A Markdown table with columns of even width; all but the first are set to the right."""
    widths = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head))]
    lines = [_line(head, widths)]
    rule = [f"{'-' * (width - 1)}{':' if place else '-'}" if width > 1 else "-" for place, width in enumerate(widths)]
    lines.append("| " + " | ".join(rule) + " |")
    return "\n".join(lines + [_line(row, widths) for row in rows])


def _line(row: Row, widths: Sequence[int]) -> str:
    cells = [text.rjust(width) if place else text.ljust(width) for place, (text, width) in enumerate(zip(row, widths))]  # noqa: B905
    return "| " + " | ".join(cells) + " |"


def _result(result: Result) -> list[str]:
    payments = "" if result.payments is None else f", {result.payments:,} payments"
    blocks = [f"## {TITLES[result.measurement]}: {result.variant}, {result.rows:,} invoices{payments}"]
    reference = _named(result, result.reference)
    first = [one for one in result.series if one.name not in LATER and not one.name.startswith(ALONE)]
    head = ("", "runs", "seconds", f"x {result.reference}", "CPU s", "x", "peak MB")
    blocks.append(table(head, [_timed(series, reference) for series in first]))
    if result.measurement == "run":
        blocks += [_accuracy(first), _steps(result)]
    blocks += [f"{one.name}: {one.status}: {one.remark}" for one in result.series if one.status == "failed"]
    return blocks


def _timed(series: Series, reference: Series) -> Row:
    if not series.measured:
        return (series.name, series.status, *(ABSENT,) * 5)
    peak = peak_bytes(series)
    return (
        f"{series.name} (scaled)" if series.name == PER_ROW else series.name,
        str(len(series.measured)),
        _spread(wall(series)),
        _spread(ratios(series, reference)),
        _middle(cpu(series)),
        _middle(ratios(series, reference, "cpu_seconds")),
        ABSENT if peak is None else f"{peak / 10**6:,.0f}",
    )


def _accuracy(every: Sequence[Series]) -> str:
    head = ("pairs", "matched", "precision", "recall", "linked", "precision", "recall")
    rows = []
    for series in every:
        verdict = series.verdict
        if not verdict:
            continue
        row = [f"{series.name} (sample)" if series.name == PER_ROW else series.name]
        for what in ("matched", "linked"):
            claimed, right = verdict[what], verdict[f"{what}_right"]
            row += [f"{claimed:,}", _percent(right, claimed), _percent(right, verdict["true"])]
        rows.append(row)
    return table(head, rows)


def _steps(result: Result) -> str:
    """A workspace's life after its first run, in seconds and as a percentage of that run."""
    head = ("then", "process s", "% of the first run", "work s", "% of the first work")
    whole, alone = _named(result, TIEOUT_RUN), _named(result, ALONE + TIEOUT_RUN)
    rows = []
    for name in STEPS:
        step, inside = _named(result, name), _named(result, ALONE + name)
        shares = (ratios(step, whole), ratios(inside, alone, "work_seconds"))
        shown = [ABSENT if share is None else f"{share.median * 100:.1f}%" for share in shares]
        rows.append((name, _spread(wall(step)), shown[0], _spread(work(inside)), shown[1]))
    return table(head, rows)


def _named(result: Result, name: str) -> Series:
    return next(series for series in result.series if series.name == name)


def growths(results: Sequence[Result]) -> dict[Growing, float]:
    """Exponents between neighbouring sizes, and over all of them where there are more than two."""
    seconds: dict[tuple[str, str, str], dict[int, float]] = {}
    for result in results:
        for series in result.series:
            found = work(series) if series.name.startswith(ALONE) else wall(series)
            if found is not None and series.name != PER_ROW:
                seconds.setdefault((result.measurement, result.variant, series.name), {})[result.rows] = found.median
    exponents = {}
    for (measurement, variant, name), by_rows in seconds.items():
        sizes = sorted(by_rows)
        spans = list(pairwise(sizes))
        spans += [(sizes[0], sizes[-1])] if len(sizes) > 2 else []
        for first, last in spans:
            exponent = growth({rows: by_rows[rows] for rows in sizes if first <= rows <= last})
            if exponent is not None:
                exponents[Growing(measurement, variant, name, first, last)] = exponent
    return exponents


def _growth_table(results: Sequence[Result]) -> str:
    found = growths(results)
    if not found:
        return "Measured at one size only."
    spans = list(dict.fromkeys((one.variant, one.first, one.last) for one in found))
    names = list(dict.fromkeys((one.measurement, one.name) for one in found))
    head = ("", *(f"{variant} {_short(first)} to {_short(last)}" for variant, first, last in spans))
    rows = []
    for measurement, name in names:
        exponents = [found.get(Growing(measurement, variant, name, *span)) for variant, *span in spans]
        cells = [ABSENT if exponent is None else f"{exponent:.2f}" for exponent in exponents]
        rows.append((f"{TITLES[measurement]}: {name}", *cells))
    return table(head, rows)


def _ratio_table(results: Sequence[Result]) -> str:
    head = ("", *(f"{result.variant} {_short(result.rows)}" for result in results if result.measurement == "run"))
    if len(head) == 1:
        return "Nothing was reconciled."
    cells: dict[str, list[str]] = {}
    places = {(one.variant, one.rows): place for place, one in enumerate(_runs(results))}
    for result in results:
        reference = _named(result, result.reference)
        for series in result.series:
            if series.name.startswith(ALONE):
                continue
            label = series.name if result.measurement == "run" else f"{series.name} {result.measurement[7:]}"
            row = cells.setdefault(label, [ABSENT] * len(places))
            row[places[result.variant, result.rows]] = _cell(series, reference)
    return table(head, [(name, *row) for name, row in cells.items()])


def _runs(results: Sequence[Result]) -> list[Result]:
    return [result for result in results if result.measurement == "run"]


def _cell(series: Series, reference: Series) -> str:
    found = ratios(series, reference)
    return series.status if found is None else f"{_number(found.median)}"


def _short(rows: int) -> str:
    """A number of rows in few letters: 100k, 1M."""
    for unit, letter in ((1_000_000, "M"), (1_000, "k")):
        if rows >= unit and rows % (unit // 10) == 0:
            return f"{rows / unit:g}{letter}"
    return str(rows)


def _spread(found: Spread | None) -> str:
    if found is None:
        return ABSENT
    return f"{_number(found.median)} ({_number(found.least)}-{_number(found.greatest)})"


def _middle(found: Spread | None) -> str:
    return ABSENT if found is None else _number(found.median)


def _number(value: float) -> str:
    """Three digits are all that such a measurement can bear."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _percent(part: int, whole: int) -> str:
    """Cut off, not rounded: 100.00% is said only of all."""
    if not whole:
        return ABSENT
    hundredths = part * 10_000 // whole
    return f"{hundredths // 100}.{hundredths % 100:02}%"
