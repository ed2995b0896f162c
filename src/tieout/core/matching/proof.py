"""What a run proves: totals per side and currency from what it wrote, and the order-free result hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from tieout.core.matching.columns import CLOSED_ITEM_COLUMNS, OPEN_ITEM_COLUMNS
from tieout.model.finding import Code
from tieout.model.plan import Row, Step, columns_sql
from tieout.model.run import ProofLine

_SAME_ITEM = ("open_minor", "amount_minor", "digest_a", "digest_b", "code", "other_minor", "other_id", "due_date",
              "key_1", "key_2", "key_3", "key_4", "grouped")  # fmt: skip
_PLACES = " ".join(f"WHEN '{code}' THEN {place}" for place, code in enumerate(Code, start=1))
_CODE = f"CASE code {_PLACES} END"
_LOW = "({0} % 2147483648)"
_HIGH = "(({0} // 2147483648) % 2147483648)"


def delta_steps(*, opening: bool) -> tuple[Step, ...]:
    """Outputs `open_items` (rows that are new or changed) and `closed_items` (earlier rows that no longer hold).

    `settled` is what is open after the run; without an opening that is just what was written.
    """
    columns = columns_sql(OPEN_ITEM_COLUMNS)
    if not opening:
        return (
            Step("open_items_written", f"SELECT {columns} FROM labelled", "output"),
            Step("settled", "SELECT * FROM open_items_written", "view"),
        )
    same = " AND ".join(f"c.{name} IS NOT DISTINCT FROM s.{name}" for name in _SAME_ITEM)
    unchanged = f"""
        SELECT c.side, c.id_hash, c.run FROM carried AS c
        JOIN settled AS s ON s.side = c.side AND s.id_hash = c.id_hash AND {same}"""
    fresh = f"""
        SELECT {columns} FROM settled
        WHERE (side, id_hash) NOT IN (SELECT (side, id_hash) FROM unchanged)"""
    closed = f"""
        SELECT {columns_sql(CLOSED_ITEM_COLUMNS)} FROM (SELECT *, run AS opened_run FROM carried)
        WHERE (side, id_hash) NOT IN (SELECT (side, id_hash) FROM unchanged)"""
    return (
        Step("settled", f"SELECT {columns} FROM labelled"),
        Step("unchanged", unchanged),
        Step("open_items_written", fresh, "output"),
        Step("closed_items_written", closed, "output"),
        Step("revoked_written", "SELECT match_id, matched_run FROM revoked", "output"),
    )


def proof_steps(sides: Sequence[str], *, opening: bool, paired: bool) -> tuple[Step, ...]:
    """The measure `movements`: (side, currency, movement, rows, sum of minor units as DECIMAL)."""
    if opening:
        new = "SELECT side, currency, 'new', amount_minor FROM touched WHERE change = 'new'"
        amended = """
            SELECT side, currency, 'amended', amount_minor FROM touched WHERE change = 'amended'
            UNION ALL SELECT side, prior_currency, 'amended', -prior_minor FROM touched WHERE change = 'amended'"""
        withdrawn = "SELECT side, prior_currency, 'withdrawn', prior_minor FROM touched WHERE change = 'withdrawn'"
        reopened = """
            SELECT side, currency, 'reopened', allocated_minor FROM firm
            WHERE residual IS NULL AND (run, match_id) IN (SELECT (matched_run, match_id) FROM revoked)"""
        parts = [new, amended, withdrawn, reopened]
    else:
        parts = [f"SELECT side, currency, 'new', amount_minor FROM side_{place}" for place in range(len(sides))]
    if paired:
        parts += [f"SELECT {end}_side, currency, 'matched', {end}_minor FROM pairs" for end in ("left", "right")]
    parts.append("SELECT side, currency, 'matched', allocated_minor FROM allocations WHERE residual IS NULL")
    parts.append("SELECT side, currency, 'closing', open_minor FROM settled")
    union = " UNION ALL ".join(f"SELECT * FROM ({part}) AS part(side, currency, movement, minor)" for part in parts)
    movements = f"""
        SELECT side, currency, movement, count(*), sum(minor::DECIMAL(38,0)) FROM ({union}) GROUP BY ALL ORDER BY ALL"""
    return (Step("movements", movements, "measure"),)


def hash_steps(*, opening: bool, paired: bool) -> tuple[Step, ...]:
    """The measure `lanes`: order-free sums of digest products over matches, open items and revocations."""
    parts = []
    if paired:
        first = f"{_LOW.format('left_digest_a')} * {_LOW.format('right_digest_a')} + stage"
        second = f"{_HIGH.format('left_digest_a')} * {_HIGH.format('right_digest_a')} + abs(left_minor - right_minor)"
        parts.append(_lane_sql("pairs", "pairs", first, second))
    parts.append(
        _lane_sql(
            "allocations",
            "allocations",
            f"{_LOW.format('coalesce(digest_a, 7)')} * {_LOW.format('abs(allocated_minor)')} + stage",
            f"{_HIGH.format('coalesce(digest_b, 7)')} * {_LOW.format('match_id')} + abs(allocated_minor)",
        )
    )
    parts.append(
        _lane_sql(
            "open_items",
            "settled",
            f"{_LOW.format('digest_a')} * {_LOW.format('abs(open_minor)')}",
            f"{_HIGH.format('digest_b')} * {_LOW.format('abs(coalesce(other_minor, 0))')}"
            f" + {_HIGH.format('digest_a')} * {_CODE}",
        )
    )
    if opening:
        parts.append(_lane_sql("revoked", "revoked", _LOW.format("match_id"), _HIGH.format("match_id")))
    codes = "SELECT code, count(*), sum(open_minor::DECIMAL(38,0)) FROM settled GROUP BY code ORDER BY code"
    return (
        Step("lanes", " UNION ALL ".join(parts) + " ORDER BY 1", "measure"),
        Step("codes", codes, "measure"),
    )


def _lane_sql(name: str, relation: str, first: str, second: str) -> str:
    return f"""
        SELECT '{name}', count(*), coalesce(sum(({first})::DECIMAL(38,0)), 0),
            coalesce(sum(({second})::DECIMAL(38,0)), 0) FROM {relation}"""


def result_hash(measured: Mapping[str, Iterable[Row]], lines: Sequence[ProofLine]) -> str:
    """SHA-256 over what a run gave: lanes, codes and proof. Free of order, run numbers and batch numbers."""
    content = {
        "lanes": [[str(value) for value in row] for row in measured["lanes"]],
        "codes": [[str(value) for value in row] for row in measured["codes"]],
        "proof": [line.as_text() for line in sorted(lines, key=lambda line: (line.side, line.currency))],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def proof_lines(movements: Iterable[Row], opening: Mapping[tuple[str, str], ProofLine]) -> list[ProofLine]:
    """The proof: per side and currency, opening plus movements must give closing; the rest is unexplained.

    `opening` holds the lines of the run this one opened on: their closing is our opening.
    """
    sums: dict[tuple[str, str], dict[str, tuple[int, int]]] = {}
    for side, currency, movement, rows, total in movements:
        count, value = int(str(rows)), int(Decimal(str(total)))
        sums.setdefault((str(side), str(currency)), {})[str(movement)] = (count, value)
    lines = []
    for side, currency in sorted({*sums, *opening}):
        moved = sums.get((side, currency), {})
        before = opening.get((side, currency))
        values = {name: moved.get(name, (0, 0)) for name in ("new", "amended", "reopened", "withdrawn", "matched")}
        closing_count, closing = moved.get("closing", (0, 0))
        lines.append(
            ProofLine(
                side=side,
                currency=currency,
                opening_minor=before.closing_minor if before else 0,
                new_minor=values["new"][1],
                amended_minor=values["amended"][1],
                reopened_minor=values["reopened"][1],
                withdrawn_minor=values["withdrawn"][1],
                matched_minor=values["matched"][1],
                written_off_minor=0,
                closing_minor=closing,
                opening_count=before.closing_count if before else 0,
                new_count=values["new"][0],
                matched_count=values["matched"][0],
                closing_count=closing_count,
            )
        )
    return lines
