"""The whole plan of one match run, from parts to parts. A slice and a close run the same plan."""

from __future__ import annotations

from collections.abc import Collection

from tieout.core.matching.columns import (
    ALLOCATION_COLUMNS,
    CLOSED_ITEM_COLUMNS,
    OPEN_ITEM_COLUMNS,
    PAIR_COLUMNS,
    REVOKED_COLUMNS,
)
from tieout.core.matching.items import Stage, side_parameters, stages
from tieout.core.matching.keyed import pair_steps, stage_steps, taken_steps
from tieout.core.matching.labels import label_steps
from tieout.core.matching.opening import first_pool_steps, next_pool_steps, source_names
from tieout.core.matching.proof import delta_steps, hash_steps, proof_steps
from tieout.core.versions import CONTESTED_COLUMNS
from tieout.model.configuration import ReconciliationConfig
from tieout.model.money import EXPONENTS
from tieout.model.plan import Columns, Plan, Step, columns_sql
from tieout.model.record import RECORD_COLUMNS

OUTPUTS = {
    "pairs": "pairs",
    "allocations_written": "allocations",
    "open_items_written": "open_items",
    "closed_items_written": "closed_items",
    "revoked_written": "revoked",
}
"""Outputs of the plan, and the dataset each becomes a part of."""


def match_plan(
    reconciliation: ReconciliationConfig, run: int, *, opening: bool, complete: bool = False, renewed: bool = False
) -> Plan:
    """Decide a reconciliation over its inputs; `opening` tells whether a closed run stands before this one, and
    `complete` asks for all single breaks rather than for those that moved since the opening. `renewed` tells that
    the rules have changed since.

    Outputs: see OUTPUTS. Measures: `movements`, `lanes`, `codes` (proof.py) and `breaks`, `converged`, `groups`
    (what findings are projected from).
    """
    names = [side.name for side in reconciliation.sides]
    staged = stages(reconciliation.sides, reconciliation.passes)
    paired = len(names) == 2
    steps = list(next_pool_steps(reconciliation, renewed=renewed) if opening else first_pool_steps(reconciliation))
    if paired:
        steps += taken_steps(staged[0], opening=opening)
        single = _own_id_sides(reconciliation, staged[0])
        words = _pair_words(reconciliation)
        steps += pair_steps(staged[0], "side_0", "side_1", opening=opening, single=single, words=words)
    else:
        union = " UNION ALL ".join(f"SELECT * FROM side_{place}" for place in range(len(names)))
        steps.append(Step("pool_1", union))
    for stage in staged:
        if stage is not staged[0] or not paired:
            steps += taken_steps(stage, opening=opening)
        steps += stage_steps(stage, names, opening=opening, more=stage is not staged[-1])
    union = " UNION ALL ".join(f"SELECT * FROM allocations_{stage.number}" for stage in staged)
    steps.append(Step("allocations", union, "view"))
    steps.append(Step("allocations_written", f"SELECT {columns_sql(ALLOCATION_COLUMNS)} FROM allocations", "output"))
    steps += label_steps(reconciliation, staged, opening=opening)
    steps += delta_steps(opening=opening)
    steps += proof_steps(names, opening=opening, paired=paired)
    steps += hash_steps(opening=opening, paired=paired)
    steps += _finding_steps(opening=opening, complete=complete)
    parameters = side_parameters(reconciliation) | {
        "run": run,
        "grace_days": reconciliation.grace_days,
        "group_over": reconciliation.group_over,
    }
    for stage in staged:
        parameters |= {f"fee_side_{stage.number}": stage.fee, f"unique_{stage.number}": list(stage.unique)}
    return Plan(tuple(steps), parameters, _inputs(reconciliation, opening=opening))


def _pair_words(reconciliation: ReconciliationConfig) -> dict[str, Collection[str]]:
    """What the columns of a pair that hold a few words may say."""
    words: dict[str, Collection[str]] = {"currency": EXPONENTS}
    for end, side in zip(("left", "right"), reconciliation.sides, strict=True):
        words |= {f"{end}_side": [side.name], f"{end}_source": [side.source], f"{end}_kind": side.kinds}
    return words


def _own_id_sides(reconciliation: ReconciliationConfig, stage: Stage) -> list[str]:
    """The views of sides whose key is the native id of one kind: unique but for further occurrences."""
    return [
        f"side_{place}"
        for place, side in enumerate(reconciliation.sides)
        if stage.on[side.name] == "native_id" and len(side.kinds) == 1
    ]


def _inputs(reconciliation: ReconciliationConfig, *, opening: bool) -> dict[str, Columns]:
    inputs: dict[str, Columns] = {}
    for place in range(len(source_names(reconciliation))):
        inputs |= {f"records_{place}": RECORD_COLUMNS, f"contested_{place}": CONTESTED_COLUMNS}
        if opening:
            inputs[f"changed_{place}"] = RECORD_COLUMNS
    if opening:
        inputs |= {
            "open_items": OPEN_ITEM_COLUMNS,
            "closed_items": CLOSED_ITEM_COLUMNS,
            "pairs_before": PAIR_COLUMNS,
            "allocations_before": ALLOCATION_COLUMNS,
            "revoked_before": REVOKED_COLUMNS,
        }
    return inputs


FINDING_COLUMNS = (
    "side", "source", "kind", "native_id", "occurrence", "currency", "amount_minor", "open_minor", "code",
    "other_minor", "other_currency", "other_id", "effective_date", "due_date", "customer_ref", "reference",
    "counterparty", "description", "batch", "key_1",
)  # fmt: skip
"""Columns of the measures `breaks` and `converged`, in order."""


def _finding_steps(*, opening: bool, complete: bool) -> tuple[Step, ...]:
    """What the control plane needs: single breaks that are new or changed, those that converged, and groups."""
    columns = ", ".join(FINDING_COLUMNS)
    relation = "settled" if complete else "open_items_written"
    breaks = f"SELECT {columns} FROM {relation} WHERE NOT grouped ORDER BY side, native_id, occurrence"
    groups = """
        SELECT code, side, currency, count(*), sum(abs(open_minor)::DECIMAL(38,0)), min(due_date), min(effective_date)
        FROM settled WHERE grouped GROUP BY ALL ORDER BY ALL"""
    steps = [Step("breaks", breaks, "measure"), Step("groups", groups, "measure")]
    if opening:
        converged = f"""
            SELECT {columns} FROM carried
            WHERE NOT grouped AND (side, id_hash, code) NOT IN (SELECT (side, id_hash, code) FROM settled)
            ORDER BY side, native_id, occurrence"""
        steps.append(Step("converged", converged, "measure"))
    return tuple(steps)
