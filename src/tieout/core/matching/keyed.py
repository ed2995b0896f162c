"""The keyed passes, exact and grouped: what a key's records decide together.

A key's outcome is a function of all its records, in this order: one to one and equal; everything under the key
ties out by sums; equal amounts pair off in order; what is left is allocated oldest first. Nothing here depends on
the order of arrival: records are ordered by date, instant, id and content.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from tieout.core.matching.columns import ALLOCATION_COLUMNS, ITEM_COLUMNS, PAIR_COLUMNS, RECORD_IDENTITY
from tieout.core.matching.items import Stage
from tieout.model.plan import Step, columns_sql, words_type

_ITEM = columns_sql(ITEM_COLUMNS)
_SEEN = f"side, {columns_sql(RECORD_IDENTITY)}, occurred_at, currency, fee_minor, open_minor"

_ORDER = "effective_date, occurred_at, native_id, occurrence, digest_a, source, kind"
_RUN = "getvariable('run')::INTEGER AS run"
_LANE = "9223372036854775807::UHUGEINT"


def taken_steps(stage: Stage, *, opening: bool) -> tuple[Step, ...]:
    """Table `taken_n`: keys that admit one record on a side and have it in a firm match (side, key)."""
    if not (opening and stage.unique):
        return ()
    number = stage.number
    sql = f"""
        SELECT DISTINCT side, key FROM firm
        WHERE stage = {number} AND residual IS NULL AND list_contains(getvariable('unique_{number}'), side)
            AND (run, match_id) NOT IN (SELECT (matched_run, match_id) FROM revoked)"""
    return (Step(f"taken_{number}", sql),)


def _admitted_sql(stage: Stage, *, opening: bool) -> str:
    """The condition that an item's key is not taken by a firm match where it admits one record."""
    number = stage.number
    if not (opening and stage.unique):
        return "true"
    return f"(side, key_{number}) NOT IN (SELECT (side, key) FROM taken_{number})"


def pair_steps(
    stage: Stage,
    left: str,
    right: str,
    *,
    opening: bool,
    single: Collection[str],
    words: Mapping[str, Collection[str]],
) -> tuple[Step, ...]:
    """One to one, the fast and common case: keys with one record on each side, equal amount and currency.

    Reads the views `left` and `right`; writes the output `pairs`; leaves everything else in table `pool_1`.
    Crowded keys are found by an engine hash of the key: a collision only sends a key down the general way. On the
    sides named in `single` the key is the record's own id, which only further occurrences can repeat. `words` lists
    what some text columns of a pair may hold, so that they are written as numbers.
    """
    key = f"key_{stage.number}"
    crowded = [
        Step(
            f"crowded_{end}",
            f"SELECT hash({key}) AS crowd FROM {side} WHERE occurrence > 0"
            if side in single
            else f"SELECT hash({key}) AS crowd FROM {side} WHERE {key} IS NOT NULL GROUP BY 1 HAVING count(*) > 1",
        )
        for end, side in (("left", left), ("right", right))
    ]
    items = ", ".join(f"s.{name}" for name, _ in ITEM_COLUMNS)
    pool = " UNION ALL ".join(
        f"SELECT {items} FROM {side} AS s ANTI JOIN pairs AS p ON p.{prefix}_id_hash = s.id_hash"
        for side, prefix in ((left, "left"), (right, "right"))
    )
    return (
        *crowded,
        Step("pairs", _pairs_sql(stage, left, right, words, opening=opening, own_key=left in single), "output"),
        Step("pool_1", pool),
    )


def _pairs_sql(
    stage: Stage, left: str, right: str, words: Mapping[str, Collection[str]], *, opening: bool, own_key: bool
) -> str:
    key = f"key_{stage.number}"
    alone = f"{key} IS NOT NULL"
    if opening and stage.unique:
        alone += f" AND {_admitted_sql(stage, opening=opening)}"
    equal = "l.open_minor = r.open_minor"
    shown = {"stage": f"{stage.number}::INTEGER", "currency": "l.currency", "run": "getvariable('run')::INTEGER"}
    if not own_key:
        shown["key"] = f"l.{key}"
    if stage.fee:
        equal = f"({equal} OR l.open_minor - r.open_minor = {_fee_sql(stage, 'l', 'r')})"
        shown["fee_minor"] = "l.open_minor - r.open_minor"
    for end, alias in (("left", "l"), ("right", "r")):
        shown |= {f"{end}_{name}": f"{alias}.{name}" for name, _ in (("side", ""), *RECORD_IDENTITY)}
        shown[f"{end}_minor"] = f"{alias}.open_minor"
    shown |= {name: f"{shown[name]}::{words_type(known)}" for name, known in words.items()}
    columns = ", ".join(f"{shown[name]} AS {name}" for name, _ in PAIR_COLUMNS if name in shown)
    return f"""
        SELECT {columns}
        FROM (SELECT s.* FROM {left} AS s ANTI JOIN crowded_left AS c ON c.crowd = hash(s.{key}) WHERE {alone}) AS l
        JOIN (SELECT s.* FROM {right} AS s ANTI JOIN crowded_right AS c ON c.crowd = hash(s.{key}) WHERE {alone}) AS r
            ON l.{key} = r.{key} AND l.currency = r.currency
        WHERE {equal}"""


def _fee_sql(stage: Stage, left: str, right: str) -> str:
    """What left minus right may come to when the declared side's fee makes up the difference."""
    return f"{right}.fee_minor" if stage.fee == stage.sides[1] else f"-{left}.fee_minor"


def stage_steps(stage: Stage, sides: Sequence[str], *, opening: bool, more: bool) -> tuple[Step, ...]:
    """One stage over `pool_n`; leaves `allocations_n`, `seen_n` (records that share a key) and `pool_n+1`.

    `more` tells that another stage follows.
    """
    number = stage.number
    shared = f"SELECT key_{number} FROM pool_{number} WHERE key_{number} IS NOT NULL GROUP BY 1 HAVING count(*) > 1"
    seen = f"""
        SELECT {_SEEN}, key_{number} AS key FROM pool_{number} SEMI JOIN shared_{number} USING (key_{number})
        WHERE open_minor <> 0 AND {_admitted_sql(stage, opening=opening)}"""
    steps = [Step(f"shared_{number}", shared), Step(f"seen_{number}", seen)]
    parts: list[str] = []
    remaining = f"seen_{number}"
    if stage.grouped:
        steps += [Step(f"tied_{number}", _tied_sql(stage, sides)), Step(f"ties_{number}", _ties_sql(stage))]
        parts.append(f"ties_{number}")
        steps.append(Step(f"untied_{number}", _without(remaining, f"SELECT key FROM tied_{number}", "key"), "view"))
        remaining = f"untied_{number}"
    if stage.exact and len(sides) == 2:
        steps.append(Step(f"ranked_{number}", _ranked_sql(stage, sides, remaining)))
        parts.append(f"ranked_{number}")
        steps.append(
            Step(f"unranked_{number}", _without(remaining, f"SELECT id_hash FROM ranked_{number}", "id_hash"), "view")
        )
        remaining = f"unranked_{number}"
    if stage.grouped and len(sides) == 2:
        steps.append(Step(f"partial_{number}", _partial_sql(stage, remaining)))
        parts.append(f"partial_{number}")
    union = " UNION ALL ".join(f"SELECT {columns_sql(ALLOCATION_COLUMNS)} FROM {part}" for part in parts)
    steps.append(Step(f"allocations_{number}", union or _no_allocations()))
    steps.append(Step(f"pool_{number + 1}", _leftover_sql(number), "table" if more else "view"))
    return tuple(steps)


def _without(relation: str, query: str, column: str) -> str:
    return f"SELECT * FROM {relation} WHERE {column} NOT IN ({query})"


def _no_allocations() -> str:
    nothing = ", ".join(f"NULL::{kind} AS {name}" for name, kind in ALLOCATION_COLUMNS)
    return f"SELECT {nothing} WHERE false"


def _tied_sql(stage: Stage, sides: Sequence[str]) -> str:
    """Keys under which all sides are present and, in every currency, have equal sums (fee counted or not).

    A key that admits one record on a side is never tied by several there.

    `residual_minor` is what the fee makes up: first side minus second; 0 where sums are equal as they are.
    """
    fee = f"CASE WHEN side = getvariable('fee_side_{stage.number}') THEN fee_minor ELSE 0 END" if stage.fee else "0"
    many = f"""
        SELECT key FROM seen_{stage.number} WHERE list_contains(getvariable('unique_{stage.number}'), side)
        GROUP BY key, side HAVING count(*) > 1"""
    fit = f"WHERE key NOT IN ({many})" if stage.unique else ""
    return f"""
        WITH sums AS (
            SELECT key, currency, side, sum(open_minor)::BIGINT AS total, sum(open_minor + {fee})::BIGINT AS with_fee
            FROM seen_{stage.number} GROUP BY ALL
        ), currencies AS (
            SELECT key, currency, count(*) = {len(sides)} AND min(total) = max(total) AS plain,
                count(*) = {len(sides)} AND min(with_fee) = max(with_fee) AS feeing,
                max(total) FILTER (WHERE side = getvariable('side_0'))
                    - max(total) FILTER (WHERE side = getvariable('side_1')) AS difference
            FROM sums GROUP BY ALL
        ), keys AS (
            SELECT key, bool_and(plain OR feeing) AS ties FROM currencies {fit} GROUP BY key
        )
        SELECT key, currency, CASE WHEN plain THEN 0 ELSE difference END AS residual_minor
        FROM currencies WHERE key IN (SELECT key FROM keys WHERE ties)"""


def _ties_sql(stage: Stage) -> str:
    """Every record under a tied key, used in full, and a typed row for the fee where there is one."""
    nothing = ", ".join(f"NULL::{kind}" for _, kind in RECORD_IDENTITY)
    return f"""
        SELECT {_match_id(stage, "s")} AS match_id, {stage.number}::INTEGER AS stage, s.key, s.currency,
            'grouped' AS type,
            s.side, {_of("s")}, s.open_minor AS allocated_minor, NULL::VARCHAR AS residual, {_RUN}
        FROM seen_{stage.number} AS s JOIN tied_{stage.number} AS t ON s.key = t.key AND s.currency = t.currency
        UNION ALL
        SELECT {_match_id(stage, "t")}, {stage.number}::INTEGER, t.key, t.currency, 'grouped', getvariable('side_0'),
            {nothing}, -t.residual_minor, 'fee', {_RUN}
        FROM tied_{stage.number} AS t WHERE t.residual_minor <> 0"""


def _ranked_sql(stage: Stage, sides: Sequence[str], remaining: str) -> str:
    """Equal amounts under one key, first with first. Where a side's key admits one record, only its first pairs."""
    rank = f"row_number() OVER (PARTITION BY side, key, currency, open_minor ORDER BY {_ORDER})"
    orders = [
        f"dense_rank() OVER (PARTITION BY l.key ORDER BY {_prefixed('l' if side == sides[0] else 'r')}) = 1"
        for side in stage.unique
    ]
    qualify = f"QUALIFY {' AND '.join(orders)}" if orders else ""
    match_id = "xor(left_id, right_id)"
    return f"""
        WITH ranks AS (SELECT *, {rank} AS place FROM {remaining}),
        couples AS (
            SELECT l.key AS key, l.currency AS currency, l.id_hash AS left_id, r.id_hash AS right_id
            FROM ranks AS l JOIN ranks AS r ON l.key = r.key AND l.currency = r.currency
                AND l.open_minor = r.open_minor AND l.place = r.place
            WHERE l.side = getvariable('side_0') AND r.side = getvariable('side_1')
            {qualify}
        )
        SELECT {match_id} AS match_id, {stage.number}::INTEGER AS stage, s.key, s.currency, 'exact' AS type, s.side,
            {_of("s")}, s.open_minor AS allocated_minor, NULL::VARCHAR AS residual, {_RUN}
        FROM couples AS c JOIN {remaining} AS s ON s.key = c.key
            AND ((s.side = getvariable('side_0') AND s.id_hash = c.left_id)
              OR (s.side = getvariable('side_1') AND s.id_hash = c.right_id))"""


def _partial_sql(stage: Stage, remaining: str) -> str:
    """What neither tied nor paired: the smaller side is used in full, the residual stays open on the larger.

    Where all records have one sign, the larger side is used oldest first. Where signs are mixed (refunds in a
    payout) and both sides' sums have one sign, the residual stays on the larger side's largest record, and is left
    alone where it would not fit there. On a side whose key admits one record, only the first takes part.
    """
    refused = f"list_contains(getvariable('unique_{stage.number}'), side) AND (ordinal > 1 OR taken)"
    only_first = f"AND NOT ({refused})" if stage.unique else ""
    taken = f"key IN (SELECT key FROM ranked_{stage.number})" if stage.exact and stage.unique else "false"
    side = "FILTER (WHERE side = getvariable('side_{}'))"
    return f"""
        WITH ordered AS (
            SELECT *, row_number() OVER (PARTITION BY key, side ORDER BY {_ORDER}) AS ordinal, {taken} AS taken
            FROM {remaining}
        ), eligible AS (
            SELECT * FROM ordered WHERE true {only_first}
        ), sums AS (
            SELECT key, currency, bool_and(open_minor > 0) OR bool_and(open_minor < 0) AS one_sign,
                coalesce(sum(open_minor) {side.format(0)}, 0)::BIGINT AS sum_0,
                coalesce(sum(open_minor) {side.format(1)}, 0)::BIGINT AS sum_1
            FROM eligible GROUP BY key, currency
        ), placed AS (
            SELECT e.*, one_sign, least(abs(sum_0), abs(sum_1)) AS ceiling,
                greatest(abs(sum_0), abs(sum_1)) - least(abs(sum_0), abs(sum_1)) AS gap,
                (side = getvariable('side_0')) = (abs(sum_0) > abs(sum_1)) AS larger,
                sum(abs(open_minor)) OVER (PARTITION BY e.key, e.currency, side ORDER BY {_ORDER}
                    ROWS UNBOUNDED PRECEDING) AS reach,
                row_number() OVER (PARTITION BY e.key, e.currency, side
                    ORDER BY sign(open_minor) = sign(sum_0) DESC, abs(open_minor) DESC, {_ORDER}) AS size_rank
            FROM eligible AS e JOIN sums AS g ON e.key = g.key AND e.currency = g.currency
            WHERE sign(sum_0) * sign(sum_1) > 0
        ), fitting AS (
            SELECT *, bool_and(one_sign OR NOT larger OR size_rank > 1 OR abs(open_minor) >= gap)
                OVER (PARTITION BY key, currency) AS fits,
                CASE WHEN one_sign THEN greatest(0, least(reach, ceiling) - (reach - abs(open_minor)))
                     WHEN larger AND size_rank = 1 THEN abs(open_minor) - gap
                     ELSE abs(open_minor) END AS size
            FROM placed
        ), shares AS (
            SELECT *, (sign(open_minor) * size)::BIGINT AS share FROM fitting WHERE fits
        )
        SELECT {_match_id(stage, "s")} AS match_id, {stage.number}::INTEGER AS stage, s.key, s.currency,
            'partial' AS type,
            s.side, {_of("s")}, s.share AS allocated_minor, NULL::VARCHAR AS residual, {_RUN}
        FROM shares AS s WHERE s.share <> 0"""


def _leftover_sql(number: int) -> str:
    """The pool after a stage: what each item still has open."""
    columns = ", ".join(f"p.{name}" for name, _ in ITEM_COLUMNS if name != "open_minor")
    return f"""
        WITH used AS (
            SELECT side, id_hash, sum(allocated_minor)::BIGINT AS used_minor FROM allocations_{number}
            WHERE residual IS NULL GROUP BY side, id_hash
        )
        SELECT {columns}, (p.open_minor - coalesce(u.used_minor, 0))::BIGINT AS open_minor
        FROM pool_{number} AS p LEFT JOIN used AS u ON u.side = p.side AND u.id_hash = p.id_hash"""


def _match_id(stage: Stage, alias: str) -> str:
    """A group's id: one 63-bit lane of the MD5 of its stage, key and currency."""
    text = f"concat({stage.number}, ':', strlen({alias}.key), ':', {alias}.key, {alias}.currency)"
    return f"(md5_number({text}) & {_LANE})::BIGINT"


def _of(alias: str) -> str:
    return ", ".join(f"{alias}.{name}" for name, _ in RECORD_IDENTITY)


def _prefixed(alias: str) -> str:
    return ", ".join(f"{alias}.{name.strip()}" for name in _ORDER.split(","))
