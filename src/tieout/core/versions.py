"""Which version of a record is current, and what an arriving row is: accepted, duplicate, superseding or stale.

Everything here is a function of the *set* of deliveries, never of their order: the current version of an identity
is the greatest by (source version, content digest), and an identity that one file uses for several contents
without telling them apart by version becomes several occurrences, all kept, numbered by digest. Such a conflict
stands until a greater content arrives by itself; one of its contents arriving alone again settles nothing.
"""

from __future__ import annotations

from tieout.core.normalise import FAULT_SEPARATOR, STAGED_COLUMNS
from tieout.model.plan import Columns, Plan, Step, columns_sql
from tieout.model.record import RECORD_COLUMNS

CONTESTED_COLUMNS: Columns = (("id_hash", "BIGINT"),)
"""Identities that ever had more than one version. A superset never hurts: it only costs a ranking."""

QUARANTINE_COLUMNS: Columns = (
    ("line", "BIGINT"),
    ("field", "VARCHAR"),
    ("reason", "VARCHAR"),
    ("text", "VARCHAR"),
    ("kind", "VARCHAR"),
    ("native_id", "VARCHAR"),
    ("batch", "INTEGER"),
)

_IDENTITY = "kind, native_id"


def overlap_plan() -> Plan:
    """Whether a staged file shares identities with earlier parts of its source: one measure, `overlap` (rows)."""
    overlap = """
        SELECT count(*) FROM staged WHERE fault IS NULL AND id_hash IN (SELECT id_hash FROM prior)"""
    return Plan((Step("overlap", overlap, "measure"),), inputs={"staged": STAGED_COLUMNS, "prior": RECORD_COLUMNS})


def classify_plan() -> Plan:
    """Sort a staged file's rows against what the source said before.

    Inputs: `staged`, `prior` (the source's record parts of accepted batches). Outputs: `records` (the versions to
    keep), `contested` (identities with several versions from now on). Measures: `outcomes` (outcome,
    currency, rows, sum of minor units) and `duplicates` (earlier batch, rows) and
    `undated` (rows that differ from a known version although both carry the same source version).
    """
    steps = (
        Step("arriving", _arriving_sql()),
        Step("known", _known_sql()),
        Step("judged", _judged_sql()),
        Step("records", _records_sql(), "output"),
        Step("contested", _contested_sql(), "output"),
        Step("outcomes", _outcomes_sql(), "measure"),
        Step("duplicates", "SELECT of_batch, count(*) FROM judged WHERE outcome = 'duplicate' GROUP BY 1 ORDER BY 1",
             "measure"),
        Step("undated", "SELECT count(*) FROM judged WHERE undated", "measure"),
        Step("digests", """
            SELECT coalesce(sum(digest_a::DECIMAL(38,0)), 0), coalesce(sum(digest_b::DECIMAL(38,0)), 0)
            FROM judged WHERE outcome <> 'duplicate'""", "measure"),
    )  # fmt: skip
    return Plan(steps, inputs={"staged": STAGED_COLUMNS, "prior": RECORD_COLUMNS})


def _arriving_sql() -> str:
    """Readable rows, numbered within their identity: repeats of one content, and occurrences of several contents.

    Several contents under one identity are versions when their source versions differ, else occurrences, placed
    from 1 by digest; a row that stands alone in its version has place 0.
    """
    return f"""
        WITH crowded AS (
            SELECT id_hash FROM staged WHERE fault IS NULL GROUP BY id_hash HAVING count(*) > 1
        ), alone AS (
            SELECT *, 1 AS repeat, 0 AS placed FROM staged
            WHERE fault IS NULL AND id_hash NOT IN (SELECT id_hash FROM crowded)
        ), together AS (
            SELECT *, row_number() OVER (PARTITION BY {_IDENTITY}, digest_a, digest_b ORDER BY line) AS repeat,
                count(DISTINCT (digest_a, digest_b)) OVER (PARTITION BY {_IDENTITY}, version) AS contents,
                dense_rank() OVER (PARTITION BY {_IDENTITY}, version ORDER BY digest_a, digest_b) AS place
            FROM staged WHERE fault IS NULL AND id_hash IN (SELECT id_hash FROM crowded)
        )
        SELECT * FROM alone
        UNION ALL
        SELECT * EXCLUDE (contents, place), CASE WHEN contents > 1 THEN place ELSE 0 END AS placed FROM together"""


def _known_sql() -> str:
    """What earlier batches hold under the arriving identities."""
    return f"""
        SELECT {_IDENTITY}, occurrence, version, digest_a, digest_b, batch FROM prior
        WHERE id_hash IN (SELECT id_hash FROM arriving)"""


def _judged_sql() -> str:
    """Arriving rows with their outcome. The greatest of several arriving versions decides; the others are stale.

    A conflict (rows placed from 1) is known only where the same content was in a conflict before: that it stands
    beside others must be kept, whichever of them came alone in another delivery.
    """
    return f"""
        WITH first_seen AS (
            SELECT {_IDENTITY}, digest_a, digest_b, min(batch) AS first_batch,
                min(batch) FILTER (WHERE occurrence > 0) AS first_conflict
            FROM known GROUP BY ALL
        ), greatest_known AS (
            SELECT {_IDENTITY}, max((version, digest_a, digest_b)) AS top,
                coalesce(max((version, digest_a, digest_b)) FILTER (WHERE occurrence > 0) = top, false) AS in_conflict
            FROM known GROUP BY ALL
        ), ranked AS (
            SELECT *, max((version, digest_a, digest_b)) OVER (PARTITION BY {_IDENTITY}) AS own_top FROM arriving
        ), compared AS (
            SELECT r.* EXCLUDE (occurrence), g.top, g.in_conflict, (r.version, r.digest_a, r.digest_b) AS own,
                CASE WHEN r.repeat > 1 THEN r.batch WHEN r.placed > 0 THEN f.first_conflict
                     ELSE f.first_batch END AS of_batch
            FROM ranked AS r
            LEFT JOIN first_seen AS f ON f.kind = r.kind AND f.native_id = r.native_id
                AND f.digest_a = r.digest_a AND f.digest_b = r.digest_b
            LEFT JOIN greatest_known AS g ON g.kind = r.kind AND g.native_id = r.native_id
        )
        SELECT * EXCLUDE (placed, top, in_conflict, own, own_top), placed::INTEGER AS occurrence,
            CASE WHEN of_batch IS NOT NULL THEN 'duplicate'
                 WHEN version < own_top[1] THEN 'stale'
                 WHEN top IS NULL THEN 'accepted'
                 WHEN placed > 0 AND version = top[1] AND (in_conflict OR own_top >= top) THEN 'accepted'
                 WHEN own > top OR (placed > 0 AND own_top > top) THEN 'superseding'
                 ELSE 'stale' END AS outcome,
            coalesce(of_batch IS NULL AND top[1] = version AND own <> top, false) AS undated
        FROM compared"""


def _contested_sql() -> str:
    """Identities of which this delivery brings a further version, or several contents at once."""
    return "SELECT DISTINCT id_hash FROM judged WHERE outcome IN ('superseding', 'stale') OR occurrence > 0"


def _records_sql() -> str:
    """The versions to keep. `fault` stays as an empty column, so that every record part has one shape."""
    return f"""
        SELECT {columns_sql(RECORD_COLUMNS)}, NULL::VARCHAR AS fault FROM judged WHERE outcome <> 'duplicate'"""


def quarantine_plan(batch: int) -> Plan:
    """Output `quarantine` (QUARANTINE_COLUMNS): staged rows with a fault, and the relation `rejections`."""
    part = f"split_part(fault, '{FAULT_SEPARATOR}', {{}})"
    sql = f"""
        SELECT line, {part.format(1)} AS field, {part.format(2)} AS reason, {part.format(3)} AS text,
            kind, native_id, getvariable('batch')::INTEGER AS batch
        FROM staged WHERE fault IS NOT NULL
        UNION ALL
        SELECT line, field, reason, text, NULL, NULL, getvariable('batch')::INTEGER FROM rejections
        ORDER BY line, field"""
    return Plan((Step("quarantine", sql, "output"),), {"batch": batch}, {"staged": STAGED_COLUMNS})


def _outcomes_sql() -> str:
    return """
        SELECT outcome, currency, count(*), coalesce(sum(amount_minor::DECIMAL(38,0)), 0) FROM judged
        GROUP BY 1, 2 ORDER BY 1, 2"""


def current_steps(records: str, contested: str, name: str) -> tuple[Step, ...]:
    """A view `name` of the current versions among `records`, given the source's `contested` identities.

    Only contested identities are ranked; everything else is current by being alone. Where the greatest content
    was in a conflict, all contents that were in one at that version are current, numbered from 0 by digest.
    """
    columns = columns_sql(RECORD_COLUMNS)
    numbered = ", ".join("place AS occurrence" if column == "occurrence" else column for column, _ in RECORD_COLUMNS)
    content = "(version, digest_a, digest_b)"
    sql = f"""
        SELECT {columns} FROM {records} WHERE id_hash NOT IN (SELECT id_hash FROM {contested})
        UNION ALL
        SELECT {numbered} FROM (
            SELECT *, (row_number() OVER (PARTITION BY {_IDENTITY} ORDER BY digest_a, digest_b) - 1)::INTEGER AS place
            FROM (
                SELECT * FROM (
                    SELECT *, max({content}) OVER (PARTITION BY {_IDENTITY}) AS top FROM {records}
                    WHERE id_hash IN (SELECT id_hash FROM {contested}))
                QUALIFY CASE WHEN bool_or(occurrence > 0 AND {content} = top) OVER (PARTITION BY {_IDENTITY})
                             THEN occurrence > 0 AND version = top[1] ELSE {content} = top END
                    AND row_number() OVER (PARTITION BY {_IDENTITY}, digest_a, digest_b
                                           ORDER BY occurrence = 0, batch, line) = 1))"""
    return (Step(name, sql, "view"),)


def state_plan() -> Plan:
    """An order-free fingerprint of one source's current state: measure `state` (rows, lane sums as DECIMAL).

    A row's term is a product of 31-bit pieces of its digests and occurrence: integers only, equal on every engine.
    """
    low = "{0} % 2147483648"
    high = "({0} // 2147483648) % 2147483648"
    lanes = [
        f"sum((({low.format('digest_a')}) * ({high.format('digest_b')}) + occurrence + 1)::DECIMAL(38,0))",
        f"sum((({high.format('digest_a')}) * ({low.format('digest_b')}) + occurrence + 1)::DECIMAL(38,0))",
        "sum(digest_a::DECIMAL(38,0))",
        "sum(digest_b::DECIMAL(38,0))",
    ]
    state = f"SELECT count(*), {', '.join(f'coalesce({lane}, 0)' for lane in lanes)} FROM current_records"
    steps = (*current_steps("records", "contested", "current_records"), Step("state", state, "measure"))
    return Plan(steps, inputs={"records": RECORD_COLUMNS, "contested": CONTESTED_COLUMNS})
