"""Why an item stayed open: the one break that stands for it, and what the other side says under its key."""

from __future__ import annotations

from collections.abc import Sequence

from tieout.core.matching.columns import ITEM_COLUMNS
from tieout.core.matching.items import Stage
from tieout.model.configuration import ReconciliationConfig
from tieout.model.plan import Step

_NARROW = "side, id_hash, kind, native_id, currency, open_minor, key_1, key_2, key_3, key_4"


def label_steps(reconciliation: ReconciliationConfig, staged: Sequence[Stage], *, opening: bool) -> tuple[Step, ...]:
    """View `labelled` (OPEN_ITEM_COLUMNS): every item with something left, and its code.

    Reads the last pool, what each stage saw and allocated and, after an opening, the firm matches under the keys.
    """
    last = staged[-1].number + 1
    return (
        Step("left_open", f"SELECT {_NARROW} FROM pool_{last} WHERE open_minor <> 0"),
        Step("company", _company_sql(staged, opening=opening)),
        Step("verdicts", _verdicts_sql(staged, len(reconciliation.sides))),
        Step("labels", _labels_sql(reconciliation)),
        Step("crowded_codes", _crowded_codes_sql(opening=opening)),
        Step("labelled", _labelled_sql(opening=opening), "view"),
    )


def _company_sql(staged: Sequence[Stage], *, opening: bool) -> str:
    """Everything under the keys of open items: what each stage saw, how much of it was used, and firm matches."""
    parts = []
    for stage in staged:
        number = stage.number
        parts.append(f"""
            SELECT {number} AS stage, s.key, s.side, s.id_hash, s.native_id, s.currency, s.open_minor AS said_minor,
                coalesce(a.used_minor, 0) AS used_minor
            FROM seen_{number} AS s
            LEFT JOIN (SELECT side, id_hash, sum(allocated_minor)::BIGINT AS used_minor FROM allocations_{number}
                       WHERE residual IS NULL GROUP BY ALL) AS a ON a.side = s.side AND a.id_hash = s.id_hash
            WHERE s.key IN (SELECT key_{number} FROM left_open)""")
        if opening:
            parts.append(f"""
            SELECT stage, key, side, id_hash, native_id, currency, allocated_minor, allocated_minor
            FROM firm WHERE stage = {number} AND residual IS NULL AND key IN (SELECT key_{number} FROM left_open)
                AND (run, match_id) NOT IN (SELECT (matched_run, match_id) FROM revoked)""")
    return " UNION ALL ".join(parts)


def _verdicts_sql(staged: Sequence[Stage], sides: int) -> str:
    """Per open item: what the other sides say under its keys, and whether its like, or its place, is taken."""
    keys = " UNION ALL ".join(
        f"""
        SELECT side, id_hash, native_id, currency, open_minor, {stage.number} AS stage, key_{stage.number} AS key,
            list_contains(getvariable('unique_{stage.number}'), side) AS admits_one
        FROM left_open WHERE key_{stage.number} IS NOT NULL"""
        for stage in staged
    )
    like = "c.side = i.side AND c.id_hash <> i.id_hash AND c.currency = i.currency AND c.said_minor = i.open_minor"
    displaced = "i.admits_one AND c.side = i.side AND c.id_hash <> i.id_hash AND c.used_minor <> 0"
    return f"""
        WITH asking AS ({keys})
        SELECT i.side, i.id_hash,
            count(DISTINCT c.side) FILTER (WHERE c.side <> i.side AND c.currency = i.currency)
                >= {sides - 1} AS answered,
            bool_or(c.side <> i.side AND c.currency <> i.currency) AS answered_otherwise,
            bool_or(c.side <> i.side AND c.side = getvariable('side_0')) AS expected,
            bool_or(c.side <> i.side AND c.used_minor <> c.said_minor) AS answer_open,
            bool_or({like} AND c.used_minor = c.said_minor) AS like_matched,
            bool_or({displaced}) AS displaced,
            min(c.native_id) FILTER (WHERE c.side <> i.side) AS other_id,
            min(c.currency) FILTER (WHERE c.side <> i.side AND c.currency <> i.currency) AS other_currency,
            coalesce(min(c.native_id) FILTER (WHERE {like}), min(c.native_id) FILTER (WHERE {displaced})) AS like_id,
            sum(c.said_minor) FILTER (WHERE c.side <> i.side AND c.currency = i.currency) AS other_minor
        FROM asking AS i JOIN company AS c ON c.stage = i.stage AND c.key = i.key
        GROUP BY i.side, i.id_hash"""


def _labels_sql(reconciliation: ReconciliationConfig) -> str:
    """The code: the strongest statement that can be made about an open item."""
    expects_invoice = "invoice" in reconciliation.sides[0].kinds
    unexpected = "MISSING_INVOICE" if expects_invoice else "UNEXPECTED_RECORD"
    refund = "l.kind = 'refund' OR (l.kind IN ('charge', 'payment') AND l.open_minor < 0)"
    return f"""
        SELECT l.side, l.id_hash, l.open_minor,
            CASE WHEN {refund} THEN 'UNAPPLIED_REFUND'
                 WHEN coalesce(v.displaced, false) THEN 'DUPLICATE_RECORD'
                 WHEN coalesce(v.like_matched, false) AND NOT coalesce(v.answer_open, false) THEN 'DUPLICATE_RECORD'
                 WHEN coalesce(v.answered, false) THEN 'AMOUNT_MISMATCH'
                 WHEN coalesce(v.answered_otherwise, false) THEN 'CURRENCY_MISMATCH'
                 WHEN l.side = getvariable('side_0') OR coalesce(v.expected, false) THEN 'MISSING_RECORD'
                 ELSE '{unexpected}' END AS code,
            v.other_minor::BIGINT AS other_minor, v.other_currency,
            CASE WHEN code = 'DUPLICATE_RECORD' THEN v.like_id ELSE v.other_id END AS other_id
        FROM left_open AS l LEFT JOIN verdicts AS v ON v.side = l.side AND v.id_hash = l.id_hash"""


def _crowded_codes_sql(*, opening: bool) -> str:
    """Codes of which so many breaks appear for the first time that a group finding stands for them."""
    fresh = "WHERE (side, id_hash, code) NOT IN (SELECT (side, id_hash, code) FROM carried)" if opening else ""
    return f"SELECT code FROM labels {fresh} GROUP BY code HAVING count(*) > getvariable('group_over')"


def _labelled_sql(*, opening: bool) -> str:
    """Open items as they are written: items of the first pool with what is left of them now.

    Whether a group stands for one is decided when its break first appears.
    """
    item = ", ".join("b.open_minor" if name == "open_minor" else f"l.{name}" for name, _ in ITEM_COLUMNS)
    crowded = "b.code IN (SELECT code FROM crowded_codes)"
    known = "LEFT JOIN carried AS c ON c.side = b.side AND c.id_hash = b.id_hash AND c.code = b.code"
    return f"""
        SELECT {item}, b.code, b.other_minor, b.other_currency, b.other_id,
            (l.effective_date + getvariable('grace_days')::INTEGER)::DATE AS due_date,
            {f"coalesce(c.grouped, {crowded})" if opening else crowded} AS grouped,
            getvariable('run')::INTEGER AS run
        FROM pool_1 AS l
        JOIN labels AS b ON b.side = l.side AND b.id_hash = l.id_hash
        {known if opening else ""}"""
