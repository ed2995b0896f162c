"""What verification asks of the columns, as plans: measures list rows that break an invariant, or sums to compare.

Pure; which parts are read, and what the control plane says of the same things, is service/verification's work.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from tieout.core.matching.columns import (
    ALLOCATION_COLUMNS,
    CLOSED_ITEM_COLUMNS,
    OPEN_ITEM_COLUMNS,
    PAIR_COLUMNS,
    PAIRS_SQL,
    RECORD_IDENTITY,
    REVOKED_COLUMNS,
)
from tieout.core.matching.items import side_items_sql, side_parameters
from tieout.core.matching.opening import source_names
from tieout.core.versions import CONTESTED_COLUMNS, current_steps
from tieout.model.configuration import ReconciliationConfig
from tieout.model.money import MAX_MINOR
from tieout.model.plan import Columns, Plan, Row, Step, columns_sql
from tieout.model.reading import DraftQuery
from tieout.model.record import RECORD_COLUMNS

SHOWN_ROWS = 100
"""How many rows a measure names; the breach after them says how many more there are."""

WEIGHED_COLUMNS: Columns = (
    ("side", "VARCHAR"),
    *((name, kind) for name, kind in RECORD_IDENTITY if name in ("source", "kind", "native_id", "occurrence")),
    ("id_hash", "BIGINT"),
    ("currency", "VARCHAR"),
    ("amount_minor", "BIGINT"),
)
"""A record as a side let it in: its identity and the signed amount that matches may use."""

_WORKED = {"pairs": PAIR_COLUMNS, "allocations": ALLOCATION_COLUMNS, "revoked": REVOKED_COLUMNS}
_GLOB = re.compile(r"[*?\[]")
_KEY = ("side", "id_hash", "occurrence", "currency")
_NAMES = ("side", "source", "kind", "native_id", "occurrence", "id_hash")
_CARRIED = """
    SELECT o.* FROM open_items AS o
    ANTI JOIN closed_items AS c ON c.side = o.side AND c.id_hash = o.id_hash AND c.opened_run = o.run"""
_OPEN = {"open_items": OPEN_ITEM_COLUMNS, "closed_items": CLOSED_ITEM_COLUMNS}


def _shown(select: str, order: str) -> str:
    """The first rows of a query with, in the last column, how many there are altogether."""
    return f"SELECT *, count(*) OVER () FROM ({select}) ORDER BY {order} LIMIT {SHOWN_ROWS}"


def record_plan() -> Plan:
    """Record parts by themselves. Measures `totals` (batch, currency, rows, sum of minor units), `digests` (batch,
    two lane sums) and `large` (batch, line, kind, native_id: an amount beyond the largest)."""
    large = """
        SELECT batch, line, kind, native_id FROM records
        WHERE greatest(abs(amount_minor), abs(fee_minor), abs(net_minor)) > getvariable('max_minor')"""
    totals = """
        SELECT batch, coalesce(currency, ''), count(*), coalesce(sum(amount_minor::DECIMAL(38,0)), 0)
        FROM records GROUP BY ALL ORDER BY ALL"""
    digests = """
        SELECT batch, sum(digest_a::DECIMAL(38,0)), sum(digest_b::DECIMAL(38,0)) FROM records
        GROUP BY batch ORDER BY batch"""
    steps = (
        Step("totals", totals, "measure"),
        Step("digests", digests, "measure"),
        Step("large", _shown(large, "batch, line"), "measure"),
    )
    return Plan(steps, {"max_minor": MAX_MINOR}, {"records": RECORD_COLUMNS})


def identity_plan() -> Plan:
    """One source's versions. Measures `current` (kind, native_id, occurrence with several current versions) and
    `twice` (the same content kept more than once). Only identities that repeat are looked at closely."""
    crowded = "SELECT id_hash FROM records GROUP BY id_hash HAVING count(*) > 1"
    current = f"""
        SELECT kind, native_id, occurrence FROM current_records
        WHERE id_hash IN ({crowded}) GROUP BY ALL HAVING count(*) > 1"""
    twice = f"""
        SELECT kind, native_id, max(occurrence) AS occurrence FROM records WHERE id_hash IN ({crowded})
        GROUP BY kind, native_id, digest_a, digest_b, occurrence > 0 HAVING count(*) > 1"""
    steps = (
        *current_steps("records", "contested", "current_records"),
        Step("current", _shown(current, "kind, native_id, occurrence"), "measure"),
        Step("twice", _shown(twice, "kind, native_id, occurrence"), "measure"),
    )
    return Plan(steps, inputs={"records": RECORD_COLUMNS, "contested": CONTESTED_COLUMNS})


def conservation_plan() -> Plan:
    """Matches that do not net to zero or to their typed residual. Measures `pairs` (run, match_id, currency, left,
    right, fee) and `allocations` (run, match_id, currency, sides, least and greatest sum of a side)."""
    pairs = f"""
        SELECT run, match_id, currency, left_minor, right_minor, fee_minor FROM {PAIRS_SQL}
        WHERE left_minor <> right_minor + fee_minor"""
    allocations = """
        SELECT run, match_id, currency, count(*), min(total), max(total) FROM (
            SELECT run, match_id, stage, currency, side, sum(allocated_minor::DECIMAL(38,0)) AS total
            FROM allocations GROUP BY ALL
        ) GROUP BY run, match_id, stage, currency HAVING count(*) < 2 OR min(total) <> max(total)"""
    steps = (
        Step("unequal_pairs", _shown(pairs, "run, match_id"), "measure"),
        Step("unequal_allocations", _shown(allocations, "run, match_id, currency"), "measure"),
    )
    return Plan(steps, inputs={"pairs": PAIR_COLUMNS, "allocations": ALLOCATION_COLUMNS})


def figures_plan() -> Plan:
    """What the parts say of the proofs' figures: measure `figures` (run, side, currency, figure, rows, sum).

    The figure is `opened`, `closed` (open items that a later run replaced) or `matched`. Reads the relation
    `closings` (CLOSED_ITEM_COLUMNS and `run`, the one that closed them).
    """
    parts = [
        "SELECT run, side, currency, 'opened', open_minor FROM open_items",
        """SELECT c.run, o.side, o.currency, 'closed', o.open_minor FROM closings AS c
           JOIN open_items AS o ON o.side = c.side AND o.id_hash = c.id_hash AND o.run = c.opened_run""",
        "SELECT run, left_side, currency, 'matched', left_minor FROM pairs",
        "SELECT run, right_side, currency, 'matched', right_minor FROM pairs",
        "SELECT run, side, currency, 'matched', allocated_minor FROM allocations WHERE residual IS NULL",
    ]
    union = " UNION ALL ".join(f"SELECT * FROM ({part}) AS part(run, side, currency, figure, minor)" for part in parts)
    figures = f"""
        SELECT run, side, currency, figure, count(*), sum(minor::DECIMAL(38,0)) FROM ({union})
        GROUP BY ALL ORDER BY ALL"""
    inputs = {"open_items": OPEN_ITEM_COLUMNS, "pairs": PAIR_COLUMNS, "allocations": ALLOCATION_COLUMNS}
    return Plan((Step("figures", figures, "measure"),), inputs=inputs)


def closings_query(files: Sequence[str], closing_runs: Sequence[int]) -> DraftQuery:
    """Closed items with the run that closed them, which stands in the catalogue and not in the file."""
    columns = columns_sql(CLOSED_ITEM_COLUMNS)
    if not files:
        empty = ", ".join(f"NULL::{kind} AS {name}" for name, kind in (*CLOSED_ITEM_COLUMNS, ("run", "INTEGER")))
        return DraftQuery(f"SELECT {empty} WHERE false")
    sql = f"""
        SELECT {columns}, list_extract($closing_runs, list_position($closing_files, filename))::INTEGER AS run
        FROM read_parquet($closing_patterns, filename = true, hive_partitioning = false)"""
    parameters = {
        "closing_patterns": _patterns(files),
        "closing_files": list(files),
        "closing_runs": list(closing_runs),
    }
    return DraftQuery(sql, parameters)


def _patterns(files: Sequence[str]) -> list[str]:
    """Files as the engine's readers take them: a path is that file, never a pattern."""
    return [_GLOB.sub(r"[\g<0>]", file) for file in files]


def weighed_plan(rules: ReconciliationConfig) -> Plan:
    """Output `weighed` (WEIGHED_COLUMNS): the current records as the sides of some rules let them in.

    Inputs per source, as a match plan names them: `records_n`, `contested_n`.
    """
    steps: list[Step] = []
    inputs: dict[str, Columns] = {}
    sources = source_names(rules)
    for place in range(len(sources)):
        steps += current_steps(f"records_{place}", f"contested_{place}", f"current_{place}")
        inputs |= {f"records_{place}": RECORD_COLUMNS, f"contested_{place}": CONTESTED_COLUMNS}
    items = " UNION ALL ".join(
        side_items_sql(rules, number, f"current_{sources.index(side.source)}")
        for number, side in enumerate(rules.sides)
    )
    steps.append(Step("weighed", f"SELECT {columns_sql(WEIGHED_COLUMNS)} FROM ({items})", "output"))
    return Plan(tuple(steps), side_parameters(rules), inputs)


def allocation_plan(*, complete: bool) -> Plan:
    """Records whose active allocations do not fit them. Measure `unfit` (side, source, kind, native_id, used, open,
    amount, shares, what) and, when `complete`, `lost`: records that are neither matched nor open.

    `complete` says that one version of the rules holds for all; else `weighed` has a record once for each version,
    and one that fits is enough. Records are told apart by integers; names are looked up for what is wrong only.
    """
    steps = [
        Step("firm", _firm_sql(), "view"),
        Step("carried", _CARRIED, "view"),
        Step("standing", _standing_sql()),
        Step("judged", _judged_sql(), "table" if complete else "view"),
        Step("suspects", _suspects_sql(complete=complete)),
        Step("unfit", _shown(_unfit_sql(), "side, source, kind, native_id, what"), "measure"),
    ]
    if complete:
        lost = f"""
            SELECT side, source, kind, native_id, amount_minor FROM weighed AS w
            ANTI JOIN standing AS s ON {_same("w", "s")}"""
        steps.append(Step("lost", _shown(lost, "side, source, kind, native_id"), "measure"))
    return Plan(tuple(steps), inputs={"weighed": WEIGHED_COLUMNS, **_WORKED, **_OPEN})


def _same(one: str, other: str) -> str:
    return " AND ".join(f"{one}.{name} = {other}.{name}" for name in _KEY)


def _firm_sql() -> str:
    """Active shares of records, pairs taken apart."""
    names = ", ".join(_NAMES)
    ends = " UNION ALL ".join(
        f"SELECT run, match_id, {', '.join(f'{end}_{name}' for name in _NAMES)}, currency, {end}_minor FROM {PAIRS_SQL}"
        for end in ("left", "right")
    )
    return f"""
        SELECT f.* FROM ({ends}
            UNION ALL SELECT run, match_id, {names}, currency, allocated_minor FROM allocations WHERE residual IS NULL
        ) AS f(run, match_id, {names}, currency, minor)
        ANTI JOIN revoked AS r ON r.matched_run = f.run AND r.match_id = f.match_id"""


def _standing_sql() -> str:
    """What each record has in active matches and still open, in one row."""
    keys = ", ".join(_KEY)
    return f"""
        SELECT {keys}, sum(used)::DECIMAL(38,0) AS used, sum(still)::DECIMAL(38,0) AS still,
            count(*) FILTER (WHERE used IS NOT NULL) AS shares, max(abs(used)) AS largest
        FROM (
            SELECT {keys}, minor AS used, 0::BIGINT AS still FROM firm
            UNION ALL SELECT {keys}, NULL, open_minor FROM carried
        ) GROUP BY ALL"""


def _judged_sql() -> str:
    """Standing records against their amounts: within them, not fully used beside another match, and adding up."""
    return f"""
        SELECT s.*, w.amount_minor AS amount,
            coalesce(s.used, 0) BETWEEN least(0, w.amount_minor) AND greatest(0, w.amount_minor) AS within,
            s.shares > 1 AND s.largest >= abs(w.amount_minor) AS twice,
            coalesce(s.used, 0) + s.still = w.amount_minor AS adds_up
        FROM standing AS s LEFT JOIN weighed AS w ON {_same("s", "w")}"""


def _suspects_sql(*, complete: bool) -> str:
    fits = "coalesce(within AND NOT twice AND adds_up, false)"
    suspects = f"SELECT * FROM judged WHERE NOT {fits}"
    if complete:
        return suspects
    return f"SELECT u.* FROM ({suspects}) AS u ANTI JOIN (SELECT * FROM judged WHERE {fits}) AS f ON {_same('u', 'f')}"


def _unfit_sql() -> str:
    """Suspects by name, with the gravest reason."""
    names = ", ".join(_NAMES)
    return f"""
        WITH named AS (
            SELECT DISTINCT {names}, currency FROM (
                SELECT {names}, currency FROM firm UNION ALL SELECT {names}, currency FROM carried
            ) WHERE id_hash IN (SELECT id_hash FROM suspects)
        )
        SELECT DISTINCT u.side, n.source, n.kind, n.native_id, coalesce(u.used, 0) AS used, u.still, u.amount, u.shares,
            CASE WHEN u.amount IS NULL THEN 'unknown' WHEN NOT u.within THEN 'over' WHEN u.twice THEN 'twice'
                 ELSE 'uneven' END AS what
        FROM suspects AS u JOIN named AS n ON {_same("n", "u")}"""


def liveness_plan() -> Plan:
    """Open items that need a finding: measures `singles` (code, side, source, kind, native_id, occurrence, batch,
    due_date; those due by `today`) and `crowds` (code, side, rows), all that a group finding stands for."""
    singles = """
        SELECT code, side, source, kind, native_id, occurrence, batch, due_date FROM carried
        WHERE NOT grouped AND coalesce(due_date <= getvariable('today'), true)
        ORDER BY code, side, source, kind, native_id, occurrence"""
    crowds = "SELECT code, side, count(*) FROM carried WHERE grouped GROUP BY ALL ORDER BY ALL"
    steps = (
        Step("carried", _CARRIED, "view"),
        Step("singles", singles, "measure"),
        Step("crowds", crowds, "measure"),
    )
    return Plan(steps, inputs=_OPEN)


def schema_query(files: Sequence[str]) -> DraftQuery:
    """Columns of Parquet files: (file, column, physical type)."""
    sql = "SELECT file_name, name, type FROM parquet_schema($files) WHERE type IS NOT NULL ORDER BY file_name, name"
    return DraftQuery(sql, {"files": _patterns(files)})


def rows_query(files: Sequence[str]) -> DraftQuery:
    """Rows of Parquet files by their own metadata: (file, rows)."""
    return DraftQuery("SELECT file_name, num_rows FROM parquet_file_metadata($files)", {"files": _patterns(files)})


def is_exact(column: str, physical_type: str) -> bool:
    """Whether a Parquet column may hold money: nothing is floating, and minor units are 64-bit integers."""
    if physical_type in ("FLOAT", "DOUBLE"):
        return False
    return physical_type == "INT64" if column.endswith("_minor") else True


def state_text(row: Row) -> str:
    """A source's state as one text: rows, and SHA-256 (hex) over what `core.versions.state_plan` measured."""
    joined = ":".join(str(value) for value in row)
    return f"{row[0]}:{hashlib.sha256(joined.encode()).hexdigest()}"
