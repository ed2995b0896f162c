"""The columnar datasets of match reconciliations. Amounts are minor units with the side's sign applied."""

from __future__ import annotations

from tieout.model.plan import Columns

MAX_STAGES = 4
"""Keyed stages (adjacent passes over the same keys count as one) that a reconciliation may have."""

RECORD_IDENTITY: Columns = (
    ("source", "VARCHAR"),
    ("kind", "VARCHAR"),
    ("native_id", "VARCHAR"),
    ("occurrence", "INTEGER"),
    ("id_hash", "BIGINT"),
    ("digest_a", "BIGINT"),
    ("digest_b", "BIGINT"),
    ("batch", "INTEGER"),
    ("effective_date", "DATE"),
)
"""What every dataset keeps of a record: enough to find it, order it and prove which version was meant."""

ITEM_COLUMNS: Columns = (
    ("side", "VARCHAR"),
    *RECORD_IDENTITY,
    ("occurred_at", "TIMESTAMP"),
    ("currency", "VARCHAR"),
    ("amount_minor", "BIGINT"),
    ("fee_minor", "BIGINT"),
    ("open_minor", "BIGINT"),
    ("customer_ref", "VARCHAR"),
    ("reference", "VARCHAR"),
    ("counterparty", "VARCHAR"),
    ("description", "VARCHAR"),
    *((f"key_{stage}", "VARCHAR") for stage in range(1, MAX_STAGES + 1)),
)
"""A record as one side of a reconciliation sees it. `key_n` is its key in the n-th keyed stage, or NULL."""

OPEN_ITEM_COLUMNS: Columns = (
    *ITEM_COLUMNS,
    ("code", "VARCHAR"),
    ("other_minor", "BIGINT"),
    ("other_currency", "VARCHAR"),
    ("other_id", "VARCHAR"),
    ("due_date", "DATE"),
    ("grouped", "BOOLEAN"),
    ("run", "INTEGER"),
)
"""An item that is not fully allocated, and its break: `code` (why), what the other side says under the same key,
`due_date` (end of grace), whether a group finding stands for it, and the run that wrote the row."""

CLOSED_ITEM_COLUMNS: Columns = (("side", "VARCHAR"), ("id_hash", "BIGINT"), ("opened_run", "INTEGER"))
"""Open items of an earlier run that are open no more, or no more in the same way."""

_PAIRED: Columns = tuple(column for column in RECORD_IDENTITY if column[0] not in ("digest_b", "batch"))
"""What a pair keeps of each record: one digest lane proves which version was meant; the batch stands in the record."""

PAIR_COLUMNS: Columns = (
    ("match_id", "BIGINT"),
    ("stage", "INTEGER"),
    ("key", "VARCHAR"),
    ("currency", "VARCHAR"),
    ("left_side", "VARCHAR"),
    ("left_minor", "BIGINT"),
    *((f"left_{name}", kind) for name, kind in _PAIRED),
    ("right_side", "VARCHAR"),
    ("right_minor", "BIGINT"),
    *((f"right_{name}", kind) for name, kind in _PAIRED),
    ("fee_minor", "BIGINT"),
    ("run", "INTEGER"),
)
"""A match of one record to one record, both used in full: left_minor = right_minor + fee_minor."""

PAIRS_SQL = """(
    SELECT * REPLACE (xor(left_id_hash, right_id_hash) AS match_id, coalesce(key, left_native_id) AS key,
        coalesce(fee_minor, 0) AS fee_minor)
    FROM pairs)"""
"""The relation `pairs` as PAIR_COLUMNS mean it. Parts leave out what follows from the rest, since pairs are what a run
writes most of: `match_id` always, `key` where it is the left record's own id, `fee_minor` where no fee is declared."""

ALLOCATION_COLUMNS: Columns = (
    ("match_id", "BIGINT"),
    ("stage", "INTEGER"),
    ("key", "VARCHAR"),
    ("currency", "VARCHAR"),
    ("type", "VARCHAR"),
    ("side", "VARCHAR"),
    *RECORD_IDENTITY,
    ("allocated_minor", "BIGINT"),
    ("residual", "VARCHAR"),
    ("run", "INTEGER"),
)
"""One record's share in an N:M match. A row with a `residual` type (fee) stands for no record but for the typed
difference between the sides; it belongs to the first side's total."""

REVOKED_COLUMNS: Columns = (("match_id", "BIGINT"), ("matched_run", "INTEGER"))
"""Matches of closed runs that an amendment or a withdrawal has undone."""
