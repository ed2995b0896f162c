"""From drafts (text) to canonical records: one plan for every format, so that each check exists once.

Checks live in SQL and never raise: a row that fails carries its fault (field, reason, text) to quarantine. What
lives elsewhere: reading files (adapters/sources), telling new from known records (core/versions).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tieout.model.money import EXPONENTS, MAX_MINOR
from tieout.model.plan import Columns, Plan, Step, identifier
from tieout.model.record import DRAFT_COLUMNS, LINK_COLUMNS, MONEY_KINDS, RECORD_COLUMNS

FAULT_SEPARATOR = "\x1f"
MAX_ID_LENGTH = 512
MAX_TEXT_LENGTH = 1_000_000
DRAFTS = "drafts"
STAGED_COLUMNS: Columns = (*RECORD_COLUMNS, ("fault", "VARCHAR"))
"""A staged row is a record plus its fault, `field␟reason␟text`, or None where there is none."""

_TEXT_COLUMNS = ("description", "counterparty", "status", "category", *LINK_COLUMNS, "attributes")
_DRAFT_TO_RECORD = {
    "date": "effective_date",
    "time": "occurred_at",
    "amount": "amount_minor",
    "fee": "fee_minor",
    "net": "net_minor",
}
_NUMBERS_AND_DAYS = frozenset(
    {"version", "effective_date", "occurred_at", "amount_minor", "fee_minor", "net_minor", "date_text"}
)
_PLAIN_DECIMAL = r"[+-]?[0-9]{1,22}(\.[0-9]{1,12}0*)?"
_TWO_DECIMALS = r"[+-]?[0-9]{1,14}(\.[0-9]{1,2})?"
_YEAR = "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
_DAY = f"{_YEAR}-[0-9]{{2}}-[0-9]{{2}}"
_INSTANT = _DAY + r"T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z"
_OBSERVED = "getvariable('observed_us')::BIGINT"
_LANE = "9223372036854775807::UHUGEINT"


def normalise_plan(
    source: str, batch: int, present: Collection[str], *, derived_ids: bool, observed_us: int = 0
) -> Plan:
    """The plan that turns the relation `drafts` into the output `staged` (STAGED_COLUMNS).

    `present` are the draft columns the relation has; `observed_us` the version (microseconds since 1970) of rows
    whose source does not version them: when the delivery was observed, where the user said so.
    """
    there = set(present)
    typed = Step("typed", _typed_sql(there), "view")
    named = Step("named", _named_sql(there, derived_ids), "view")
    staged = Step("staged", _staged_sql(there, derived_ids), "output")
    return Plan(
        steps=(typed, named, staged),
        parameters={
            "source": source,
            "batch": batch,
            "max_minor": MAX_MINOR,
            "money_kinds": list(MONEY_KINDS),
            "observed_us": observed_us,
        },
    )


def staged_measures() -> Plan:
    """What a staged file holds, by currency: (faulty, currency, rows, sum of minor units); and its identities."""
    totals = """
        SELECT fault IS NOT NULL, currency, count(*), coalesce(sum(amount_minor::DECIMAL(38,0)), 0)
        FROM staged GROUP BY 1, 2 ORDER BY 1, 2"""
    identities = "SELECT count(*), count(DISTINCT id_hash) FROM staged WHERE fault IS NULL"
    kinds = "SELECT DISTINCT kind FROM staged WHERE fault IS NULL ORDER BY kind"
    digests = """
        SELECT coalesce(sum(digest_a::DECIMAL(38,0)), 0), coalesce(sum(digest_b::DECIMAL(38,0)), 0)
        FROM staged WHERE fault IS NULL"""
    return Plan(
        steps=(
            Step("totals", totals, "measure"),
            Step("identities", identities, "measure"),
            Step("kinds", kinds, "measure"),
            Step("digests", digests, "measure"),
        ),
        inputs={"staged": STAGED_COLUMNS},
    )


def missing_plan(columns: Collection[str]) -> Plan:
    """How many readable rows lack each of a contract's required columns: one measure, `missing`."""
    counts = ", ".join(f"count(*) FILTER (WHERE {_record_column(name)} IS NULL)" for name in columns)
    return Plan(
        steps=(Step("missing", f"SELECT {counts} FROM staged WHERE fault IS NULL", "measure"),),
        inputs={"staged": STAGED_COLUMNS},
    )


def _record_column(draft_column: str) -> str:
    """The record column that a draft column ends in."""
    return identifier(_DRAFT_TO_RECORD.get(draft_column, draft_column))


def _typed_sql(present: set[str]) -> str:
    """Every draft column in its canonical type; NULL where the text cannot be read (the fault says so later)."""

    def text(column: str) -> str:
        return identifier(column) if column in present else "NULL::VARCHAR"

    def money(column: str) -> str:
        return _minor_sql(column) if column in present else "NULL::BIGINT"

    shown = ", ".join(f"{text(column)} AS {identifier(column)}" for column in DRAFT_COLUMNS)
    given = "nullif(d.native_id, '')" if "native_id" in present else "NULL::VARCHAR"
    return f"""
        SELECT line, {", ".join(f"d.{identifier(column)}" for column in ("kind", *_TEXT_COLUMNS))}, d.exponent,
            {given} AS given_id, d.currency, d.version AS version_text, d.date AS date_text, d.time AS time_text,
            d.amount AS amount_text, d.fee AS fee_text, d.net AS net_text,
            {_version_sql() if "version" in present else _OBSERVED} AS version,
            {_day_sql("date") if "date" in present else "NULL::DATE"} AS given_date,
            {_instant_sql("time") if "time" in present else "NULL::TIMESTAMP"} AS occurred_at,
            {money("amount")} AS amount_minor, {money("fee")} AS fee_minor, {money("net")} AS net_minor
        FROM (SELECT line, {shown}, {_exponent_sql() if "currency" in present else "NULL::INTEGER"} AS exponent
              FROM {DRAFTS}) AS d"""


def _exponent_sql() -> str:
    """The minor-unit exponent of the row's currency; NULL for a code that is not one."""
    groups: dict[int, list[str]] = {}
    for code, exponent in EXPONENTS.items():
        groups.setdefault(exponent, []).append(f"'{code}'")
    common = "WHEN currency IN ('USD', 'EUR', 'GBP') THEN 2"
    cases = " ".join(f"WHEN currency IN ({', '.join(codes)}) THEN {exponent}" for exponent, codes in groups.items())
    return f"CASE {common} {cases} END"


def _minor_sql(column: str) -> str:
    """Minor units of a decimal text, exactly; NULL when it is no plain decimal or finer than its currency.

    Two decimals or fewer on up to 14 digits fit a 64-bit decimal even when multiplied by 100: the common and fast
    way. Everything else takes 38 digits.
    """
    text = f"d.{identifier(column)}"
    scale = "CASE d.exponent WHEN 0 THEN 1 WHEN 2 THEN 100 WHEN 3 THEN 1000 ELSE 10000 END"
    wide = f"(TRY_CAST({text} AS DECIMAL(38,12)) * {scale})"
    return f"""CASE
        WHEN d.exponent = 2 AND regexp_full_match({text}, '{_TWO_DECIMALS}')
            THEN CAST(CAST({text} AS DECIMAL(18,2)) * 100 AS BIGINT)
        WHEN d.exponent IS NOT NULL AND regexp_full_match({text}, '{_PLAIN_DECIMAL}') AND {wide} = trunc({wide})
            THEN TRY_CAST({wide} AS BIGINT) END"""


def _day_sql(column: str) -> str:
    text = f"d.{identifier(column)}"
    return f"CASE WHEN regexp_full_match({text}, '{_DAY}') THEN TRY_CAST({text} AS DATE) END"


def _instant_sql(column: str) -> str:
    text = f"d.{identifier(column)}"
    return f"CASE WHEN regexp_full_match({text}, '{_INSTANT}') THEN TRY_CAST(rtrim({text}, 'Z') AS TIMESTAMP) END"


def _version_sql() -> str:
    """A source's version as a number: as it stands, or microseconds since 1970 of an instant."""
    return f"""CASE WHEN d.version IS NULL THEN {_OBSERVED}
        WHEN regexp_full_match(d.version, '[0-9]{{1,18}}') THEN CAST(d.version AS BIGINT)
        ELSE epoch_us({_instant_sql("version")}) END"""


def _named_sql(present: set[str], derived_ids: bool) -> str:
    """Typed rows with their identity and fault. Lines without an id get one from what the bank printed.

    A derived id is made of account, date, amount, currency and text, and the ordinal among equal lines: the same
    line on an overlapping statement has the same id, and two equal lines of one day stay two.
    """
    facts = ("account", "date_text", "amount_minor", "currency", "reference", "counterparty", "description", "kind")
    derived = f"'line:' || md5({_encoded(facts)})"
    ordinal = f"row_number() OVER (PARTITION BY given_id IS NULL, {', '.join(facts)} ORDER BY line, attributes)"
    native_id = f"coalesce(given_id, {derived} || ':' || {ordinal})" if derived_ids else "given_id"
    return f"""
        SELECT *, {native_id} AS native_id, coalesce(given_date, occurred_at::DATE) AS effective_date,
            {_fault_sql(present, derived_ids)} AS fault
        FROM typed"""


def _fault_sql(present: set[str], derived_ids: bool) -> str:
    """The first fault of a row, `field␟reason␟text`, or NULL. Only columns that are present are looked at."""

    def fault(field: str, condition: str, reason: str, text: str = "''") -> str:
        parts = f"'{field}{FAULT_SEPARATOR}{reason}{FAULT_SEPARATOR}', left(coalesce({text}, ''), 200)"
        return f"WHEN {condition} THEN concat({parts})"

    is_money = "list_contains(getvariable('money_kinds'), kind)"
    if "status" in present:
        is_money += " AND status IS DISTINCT FROM 'deleted'"  # a tombstone carries no amount, and supersedes
    moneys = [column for column in ("amount", "fee", "net") if column in present]
    checks = [fault("kind", "kind IS NULL OR kind = ''", "the row does not say what it is: declare the source''s kind")]
    if not derived_ids:
        checks.append(fault("native_id", "given_id IS NULL", "missing: a record needs its own id"))
    if "native_id" in present:
        reason = f"longer than {MAX_ID_LENGTH} characters"
        checks.append(fault("native_id", _longer("given_id", MAX_ID_LENGTH), reason, "given_id"))
        checks.append(fault("native_id", "contains(given_id, chr(0))", "contains a NUL character"))
    carries = " OR ".join([is_money, *(f"{column}_text IS NOT NULL" for column in moneys)])
    needs = f"currency IS NULL AND ({carries})"
    checks.append(fault("currency", needs, "an amount needs a currency: declare or map it"))
    if "currency" in present:
        unknown = "currency IS NOT NULL AND exponent IS NULL"
        checks.append(fault("currency", unknown, "not an ISO 4217 currency", "currency"))
    for column in moneys:
        unread = f"{column}_minor IS NULL AND {column}_text IS NOT NULL AND currency IS NOT NULL"
        reason = "not a plain decimal number that its currency can hold"
        checks.append(fault(column, unread, reason, f"{column}_text"))
        large = f"abs({column}_minor) > getvariable('max_minor')"
        checks.append(fault(column, large, "larger than 10^15 minor units", f"{column}_text"))
    checks.append(fault("amount", f"amount_minor IS NULL AND {is_money}", "missing"))
    if "date" in present:
        unread = "given_date IS NULL AND date_text IS NOT NULL"
        checks.append(fault("date", unread, "not a date (YYYY-MM-DD)", "date_text"))
    if "time" in present:
        unread = "occurred_at IS NULL AND time_text IS NOT NULL"
        checks.append(fault("time", unread, "not an instant (YYYY-MM-DDTHH:MM:SSZ)", "time_text"))
    if "version" in present:
        checks.append(fault("version", "version IS NULL", "neither a whole number nor an instant", "version_text"))
    for text in sorted({"kind", *_TEXT_COLUMNS} & present):
        checks.append(fault(text, _longer(text, MAX_TEXT_LENGTH), f"longer than {MAX_TEXT_LENGTH} characters"))
        checks.append(fault(text, f"contains({text}, chr(0))", "contains a NUL character"))
    return f"CASE {' '.join(checks)} END"


def _longer(column: str, limit: int) -> str:
    """Whether a text has more characters than a limit; counting bytes first is free, counting characters is not."""
    return f"strlen({column}) > {limit} AND length({column}) > {limit}"


def _encoded(columns: Sequence[str], absent: Collection[str] = ()) -> str:
    """SQL for the canonical, length-delimited text of some columns; columns that are NULL or absent leave no trace.

    A text is its length in bytes, the column's letter, and itself (`7apayment`); a number or day its letter, its
    digits and a semicolon (`f-4900;`). A narrow file thus costs no more for a wide schema, and says the same.
    """
    parts = []
    for place, column in enumerate(columns):
        letter = chr(ord("a") + place)
        if column in absent:
            continue
        if column in _NUMBERS_AND_DAYS:
            parts.append(f"'{letter}' || {column} || ';'")
        else:
            parts.append(f"strlen({column}), CASE WHEN {column} IS NOT NULL THEN '{letter}' END, {column}")
    return f"concat({', '.join(parts)})"


def _staged_sql(present: set[str], derived_ids: bool) -> str:
    """Records with digests, ready to be written; columns that the file does not have are left out of the part.

    Batch and line are lineage and stay outside the digests.
    """
    content = ("kind", "native_id", "version", "effective_date", "occurred_at", "amount_minor", "fee_minor",
               "net_minor", "currency", *_TEXT_COLUMNS)  # fmt: skip
    absent = {_DRAFT_TO_RECORD.get(column, column) for column in DRAFT_COLUMNS if column not in present}
    absent -= {"version", *(("native_id",) if derived_ids else ())}
    if "time" in present:
        absent.discard("effective_date")
    identity = "concat(strlen(getvariable('source')), ':', getvariable('source'), kind, ':', native_id)"
    chosen = {
        "occurrence": "0::INTEGER",
        "id_hash": f"(id_lanes & {_LANE})::BIGINT",
        "digest_a": f"(lanes & {_LANE})::BIGINT",
        "digest_b": "(lanes >> 65)::BIGINT",
        "batch": "getvariable('batch')::INTEGER",
    }
    written = [name for name, _ in RECORD_COLUMNS if name not in absent]
    shown = ", ".join(f"{chosen.get(name, name)} AS {identifier(name)}" for name in written)
    return f"""
        SELECT {shown}, fault FROM (
            SELECT *, md5_number({_encoded(content, absent)}) AS lanes, md5_number({identity}) AS id_lanes
            FROM named)"""
