"""What a run takes over from the closed one, and what has changed since: the pool that the passes decide over.

The firm matches of closed runs stand. Only a record that was amended or withdrawn undoes the matches it is part
of; the other records of those matches come back into the pool with the amount that was used.
"""

from __future__ import annotations

from tieout.core.matching.columns import ITEM_COLUMNS, MAX_STAGES, OPEN_ITEM_COLUMNS, PAIRS_SQL
from tieout.core.matching.items import ITEM_HASH, side_items_sql
from tieout.core.versions import current_steps
from tieout.model.configuration import ReconciliationConfig
from tieout.model.plan import Step, columns_sql


def source_names(reconciliation: ReconciliationConfig) -> list[str]:
    """The sources behind the sides, each once, in order; a source's place names its inputs (`records_0` …)."""
    return list(dict.fromkeys(side.source for side in reconciliation.sides))


def first_pool_steps(reconciliation: ReconciliationConfig) -> tuple[Step, ...]:
    """Without an opening: every current record of the sides. Views `side_0`, `side_1` …"""
    steps: list[Step] = []
    sources = source_names(reconciliation)
    for place in range(len(sources)):
        steps += current_steps(f"records_{place}", f"contested_{place}", f"current_{place}")
    for number, side in enumerate(reconciliation.sides):
        current = f"current_{sources.index(side.source)}"
        steps.append(Step(f"side_{number}", side_items_sql(reconciliation, number, current), "view"))
    return tuple(steps)


def next_pool_steps(reconciliation: ReconciliationConfig, *, renewed: bool) -> tuple[Step, ...]:
    """With an opening: what changed, what that undoes, and what stays open. Tables `side_0`, `side_1` …

    `renewed` tells that the rules are not those of the opening: every record is looked at, since the new rules may
    let in others or join them by other keys.

    Reads, per source, `records_n` (all accepted parts), `changed_n` (parts of batches accepted or withdrawn since)
    and `contested_n`; and `open_items`, `closed_items`, `pairs_before`, `allocations_before`, `revoked_before`.
    """
    sources = source_names(reconciliation)
    steps: list[Step] = [Step("carried", _carried_sql()), Step("firm", _firm_sql(), "view")]
    for place in range(len(sources)):
        everything = f" UNION SELECT id_hash FROM records_{place}" if renewed else ""
        steps.append(Step(f"moved_{place}", f"SELECT DISTINCT id_hash FROM changed_{place}{everything}"))
        chosen = f"SELECT * FROM records_{place} WHERE id_hash IN (SELECT id_hash FROM moved_{place})"
        steps.append(Step(f"arrived_{place}", chosen))
        steps += current_steps(f"arrived_{place}", f"contested_{place}", f"arrived_now_{place}")
    arriving = " UNION ALL ".join(
        side_items_sql(reconciliation, number, f"arrived_now_{sources.index(side.source)}")
        for number, side in enumerate(reconciliation.sides)
    )
    moved_records = " UNION ".join(
        f"SELECT getvariable('side_{number}') AS side, id_hash AS record_hash FROM moved_{sources.index(side.source)}"
        for number, side in enumerate(reconciliation.sides)
    )
    changed_records = " UNION ".join(
        f"SELECT getvariable('side_{number}') AS side, id_hash AS record_hash FROM changed_{sources.index(side.source)}"
        for number, side in enumerate(reconciliation.sides)
    )
    steps += [
        Step("arriving_items", arriving),
        Step("moved_records", moved_records),
        Step("changed_records", changed_records, "view"),
    ]
    fees = any(one.fee for one in reconciliation.passes)
    steps += [
        Step("moved", _moved_sql()),
        Step("prior", _prior_sql()),
        Step("touched", _touched_sql(fees=fees)),
        Step("revoked", _revoked_sql()),
        Step("released", _released_sql()),
    ]
    for place in range(len(sources)):
        back = f"SELECT * FROM records_{place} WHERE id_hash IN (SELECT record_hash FROM released)"
        steps.append(Step(f"back_{place}", back))
        steps += current_steps(f"back_{place}", f"contested_{place}", f"back_now_{place}")
    for number, side in enumerate(reconciliation.sides):
        back = side_items_sql(reconciliation, number, f"back_now_{sources.index(side.source)}")
        steps.append(Step(f"side_{number}", _side_pool_sql(number, back)))
    return tuple(steps)


def _carried_sql() -> str:
    """Open items as the last closed run left them: written rows less those closed later."""
    return f"""
        SELECT {columns_sql(OPEN_ITEM_COLUMNS)} FROM open_items
        WHERE (side, id_hash, run) NOT IN (SELECT (side, id_hash, opened_run) FROM closed_items)"""


def _firm_sql() -> str:
    """Active allocations of closed runs, one row a record: pairs taken apart, revoked matches left out."""
    columns = """match_id, run, stage, key, currency, side, id_hash, occurrence, digest_a, native_id, allocated_minor,
        residual"""
    pairs = PAIRS_SQL.replace("FROM pairs)", "FROM pairs_before)")
    ends = " UNION ALL ".join(
        f"""
            SELECT match_id, run, stage, key, currency, {end}_side AS side, {end}_id_hash AS id_hash,
                {end}_occurrence AS occurrence, {end}_digest_a AS digest_a, {end}_native_id AS native_id,
                {end}_minor AS allocated_minor,
                NULL::VARCHAR AS residual
            FROM {pairs}"""
        for end in ("left", "right")
    )
    return f"""
        SELECT * FROM ({ends} UNION ALL SELECT {columns} FROM allocations_before)
        WHERE (run, match_id) NOT IN (SELECT (matched_run, match_id) FROM revoked_before)"""


def _moved_sql() -> str:
    """Items of changed records: those there are now, and those that were open or matched before.

    Several contents of one id are items of their own, numbered among themselves: when the record changes, all of
    them are looked at anew.
    """
    before = " UNION ".join(
        f"""
        SELECT side, id_hash, {ITEM_HASH} AS record_hash FROM {relation}
        WHERE occurrence IS NOT NULL AND (side, {ITEM_HASH}) IN (SELECT (side, record_hash) FROM moved_records)"""
        for relation in ("carried", "firm")
    )
    return f"SELECT side, id_hash, {ITEM_HASH} AS record_hash FROM arriving_items UNION {before}"


def _prior_sql() -> str:
    """What moved items amounted to before: used in firm matches and still open."""
    keys = ", ".join(f"any_value(key_{stage}) AS key_{stage}" for stage in range(1, MAX_STAGES + 1))
    held = ("used_key", "used_stage", "used_digest", "open_date", "open_fee")
    return f"""
        SELECT side, id_hash, any_value(currency) AS currency, sum(minor)::BIGINT AS minor, {keys},
            {", ".join(f"any_value({name}) AS {name}" for name in held)}, bool_or(is_open) AS is_open
        FROM (
            SELECT side, id_hash, currency, open_minor AS minor, key_1, key_2, key_3, key_4, NULL::VARCHAR AS used_key,
                NULL::INTEGER AS used_stage, NULL::BIGINT AS used_digest, effective_date AS open_date,
                fee_minor AS open_fee, true AS is_open
            FROM carried WHERE (side, id_hash) IN (SELECT (side, id_hash) FROM moved)
            UNION ALL
            SELECT side, id_hash, currency, allocated_minor, NULL, NULL, NULL, NULL, key, stage, digest_a, NULL, NULL,
                false
            FROM firm WHERE residual IS NULL AND (side, id_hash) IN (SELECT (side, id_hash) FROM moved)
        ) GROUP BY side, id_hash"""


def _touched_sql(*, fees: bool) -> str:
    """Moved items whose amount, currency, key, or day is another than before. A new description is no amendment.

    Where fees count, any new content of a matched record is looked at anew: the fee it matched by is not kept. What
    is firm and has not changed itself stays firm, also under new rules.
    """
    stages = range(1, MAX_STAGES + 1)
    used = " ".join(f"WHEN {stage} THEN a.key_{stage}" for stage in stages)
    same = [
        "p.minor = a.amount_minor",
        "p.currency = a.currency",
        *(f"(p.key_{stage} IS NOT DISTINCT FROM a.key_{stage} OR NOT p.is_open)" for stage in stages),
        "(NOT p.is_open OR p.open_date IS NOT DISTINCT FROM a.effective_date)",
        f"(p.used_stage IS NULL OR p.used_key = CASE p.used_stage {used} END)",
    ]
    if fees:
        same += ["(NOT p.is_open OR p.open_fee = a.fee_minor)",
                 "(p.used_digest IS NULL OR p.used_digest = a.digest_a)"]  # fmt: skip
    firm = (
        "p.used_stage IS NOT NULL AND (m.side, m.record_hash) NOT IN (SELECT (side, record_hash) FROM changed_records)"
    )
    return f"""
        SELECT m.side, m.id_hash, m.record_hash, a.native_id, a.currency, a.amount_minor,
            p.currency AS prior_currency, p.minor AS prior_minor,
            CASE WHEN a.id_hash IS NULL THEN 'withdrawn' WHEN p.id_hash IS NULL THEN 'new' ELSE 'amended' END AS change
        FROM moved AS m
        LEFT JOIN arriving_items AS a ON a.side = m.side AND a.id_hash = m.id_hash
        LEFT JOIN prior AS p ON p.side = m.side AND p.id_hash = m.id_hash
        WHERE (a.id_hash IS NOT NULL OR p.id_hash IS NOT NULL)
            AND NOT coalesce({" AND ".join(same)}, false) AND NOT ({firm})"""


def _revoked_sql() -> str:
    """Matches that hold a touched record, as whole matches."""
    return """
        SELECT DISTINCT match_id, run AS matched_run FROM firm
        WHERE (side, id_hash) IN (SELECT (side, id_hash) FROM touched)"""


def _released_sql() -> str:
    """Items to be decided anew: touched ones that still exist, and the partners of revoked matches."""
    return f"""
        SELECT side, id_hash, record_hash FROM touched WHERE change <> 'withdrawn'
        UNION
        SELECT side, id_hash, {ITEM_HASH} FROM firm
        WHERE residual IS NULL AND (run, match_id) IN (SELECT (matched_run, match_id) FROM revoked)
            AND (side, id_hash) NOT IN (SELECT (side, id_hash) FROM touched)"""


def _side_pool_sql(number: int, back: str) -> str:
    """One side's pool: what was released, with what firm matches still leave of it, and what stays open."""
    released = ", ".join(f"b.{name}" for name, _ in ITEM_COLUMNS if name != "open_minor")
    columns = columns_sql(ITEM_COLUMNS)
    return f"""
        SELECT {columns} FROM (
            SELECT {released}, (b.amount_minor - coalesce(u.used_minor, 0))::BIGINT AS open_minor
            FROM ({back}) AS b
            LEFT JOIN (
                SELECT side, id_hash, sum(allocated_minor)::BIGINT AS used_minor FROM firm
                WHERE residual IS NULL AND (run, match_id) NOT IN (SELECT (matched_run, match_id) FROM revoked)
                    AND (side, id_hash) IN (SELECT (side, id_hash) FROM released)
                GROUP BY side, id_hash
            ) AS u ON u.side = b.side AND u.id_hash = b.id_hash
            WHERE (b.side, b.id_hash) IN (SELECT (side, id_hash) FROM released)
        ) WHERE open_minor <> 0
        UNION ALL
        SELECT {columns} FROM carried
        WHERE side = getvariable('side_{number}')
            AND (side, id_hash) NOT IN (SELECT (side, id_hash) FROM released)
            AND (side, id_hash) NOT IN (SELECT (side, id_hash) FROM touched)"""
