"""Sides as items: which records a side lets in, with which amount, sign and keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tieout.core.matching.columns import MAX_STAGES
from tieout.model.configuration import PassConfig, ReconciliationConfig, SideConfig
from tieout.model.errors import UsageError
from tieout.model.plan import identifier

ITEM_HASH = "xor(id_hash, occurrence::BIGINT * 1000003)"
"""The identity of an item from a record's, and back: further occurrences of one native id are items of their own."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Adjacent keyed passes over the same keys, decided together: a key's outcome depends on all its records.

    `on` maps side to key column; `exact` and `grouped` tell which passes were declared, `names` their names;
    `unique` lists sides whose key admits one record; `fee` the side whose fee may make up the difference.
    """

    number: int
    on: dict[str, str]
    exact: bool
    grouped: bool
    unique: tuple[str, ...]
    fee: str | None
    names: tuple[str, ...]

    @property
    def sides(self) -> tuple[str, ...]:
        """The sides in order."""
        return tuple(self.on)


def stages(sides: Sequence[SideConfig], passes: Sequence[PassConfig]) -> tuple[Stage, ...]:
    """The passes in order, adjacent ones with the same keys and fee folded into one stage."""
    folded: list[list[PassConfig]] = []
    for one in passes:
        if folded and dict(folded[-1][0].on) == dict(one.on) and folded[-1][0].fee == one.fee:
            folded[-1].append(one)
        else:
            folded.append([one])
    if len(folded) > MAX_STAGES:
        raise UsageError(f"more than {MAX_STAGES} different keys in passes", hint="fold or drop passes")
    return tuple(
        Stage(
            number=number,
            on={side.name: group[0].on[side.name] for side in sides},
            exact=any(one.type == "exact" for one in group),
            grouped=any(one.type == "grouped" for one in group),
            unique=tuple(sorted({side for one in group for side in one.unique})),
            fee=group[0].fee,
            names=tuple(one.name for one in group),
        )
        for number, group in enumerate(folded, start=1)
    )


def side_parameters(reconciliation: ReconciliationConfig) -> dict[str, object]:
    """The values that the sides' filters read: kinds and allowed or refused words per column."""
    values: dict[str, object] = {}
    for number, side in enumerate(reconciliation.sides):
        values[f"side_{number}"] = side.name
        values[f"source_{number}"] = side.source
        values[f"kinds_{number}"] = list(side.kinds)
        for place, words in enumerate(side.where.values()):
            values[f"where_{number}_{place}"] = list(words)
        for place, words in enumerate(side.where_not.values()):
            values[f"where_not_{number}_{place}"] = list(words)
    return values


def side_items_sql(reconciliation: ReconciliationConfig, number: int, records: str) -> str:
    """Items of one side (ITEM_COLUMNS) from a relation of current records. Zero amounts tie by themselves."""
    side = reconciliation.sides[number]
    amount = identifier(f"{side.amount}_minor")
    signed = amount if side.sign == 1 else f"-{amount}"
    fee = "fee_minor" if side.sign == 1 else "-fee_minor"
    columns = [identifier(stage.on[side.name]) for stage in stages(reconciliation.sides, reconciliation.passes)]
    columns += ["NULL::VARCHAR"] * (MAX_STAGES - len(columns))
    keys = ", ".join(f"{column} AS key_{place}" for place, column in enumerate(columns, start=1))
    return f"""
        SELECT getvariable('side_{number}') AS side, getvariable('source_{number}') AS source, kind, native_id,
            occurrence, {ITEM_HASH} AS id_hash, digest_a, digest_b, batch, effective_date, occurred_at, currency,
            {signed} AS amount_minor, coalesce({fee}, 0) AS fee_minor, {signed} AS open_minor, customer_ref,
            reference, counterparty, description, {keys}
        FROM {records}
        WHERE {_filter_sql(side, number)} AND {amount} <> 0 AND currency IS NOT NULL"""


def _filter_sql(side: SideConfig, number: int) -> str:
    conditions = [f"list_contains(getvariable('kinds_{number}'), kind)"]
    for place, column in enumerate(side.where):
        conditions.append(f"list_contains(getvariable('where_{number}_{place}'), {identifier(column)})")
    for place, column in enumerate(side.where_not):
        refused = f"list_contains(getvariable('where_not_{number}_{place}'), {identifier(column)})"
        conditions.append(f"NOT coalesce({refused}, false)")
    return " AND ".join(conditions)
