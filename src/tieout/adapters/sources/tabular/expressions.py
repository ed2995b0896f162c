"""SQL expressions that turn the texts of a table into canonical drafts (DuckDB dialect), one small function each.

Every expression takes and yields text. What does not fit the expected form comes out as it went in, so that the
normaliser quarantines the row and names the text. Values are bound; identifiers go through `quote_identifier`.
Measured on 1M rows: a strptime or one full match costs 0.03 s, so the checks cost little more than the read.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from tieout.adapters.sources.tabular.forms import CURRENCY_SYMBOLS, GROUP_MARKS, AmountForm, DateForm
from tieout.model.money import EXPONENTS

PLAIN_NUMBER = r"[+-]?[0-9]+(?:\.[0-9]+)?"
_INSTANT = "%Y-%m-%dT%H:%M:%S.%fZ"
_OFFSET = r"(?:Z|UTC|GMT|[+-](?:(?:0[0-9]|1[0-3])(?::?[0-5][0-9])?|14(?::?00)?))$"
_OFFSET_AFTER_BLANK = " ?" + _OFFSET
_UTC_NAME = " ?(?:Z|UTC|GMT)$"
_BLANK_BEFORE_OFFSET = " ([+-][0-9:]+)$"
_FIRST_GROUP = r"\1"
_NEGATIVE = r"[-−(]|[Dd][Rr]\s*$"
_BLANK = r"[\s\x{a0}\x{202f}]*"
_MARK = "(?:[$€£¥₹]|[A-Z]{3})?"
_EARLIEST = "TIMESTAMP '0999-01-01 00:00:00'"


@dataclass(slots=True)
class Bindings:
    """Values of a query under construction, bound by name so that none is ever written into SQL."""

    values: dict[str, object] = field(default_factory=dict)

    def bind(self, value: object) -> str:
        """The placeholder of a value; equal values share one."""
        for name, known in self.values.items():
            if known == value and type(known) is type(value):
                return f"${name}"
        name = f"v{len(self.values)}"
        self.values[name] = value
        return f"${name}"


def quote_identifier(name: str) -> str:
    """An identifier as SQL; the only way names of files and columns reach a query."""
    return '"' + name.replace('"', '""') + '"'


def first_filled(expressions: list[str]) -> str:
    """The first of some texts that is not blank."""
    blanked = [f"nullif(trim({expression}), '')" for expression in expressions]
    return f"coalesce({', '.join(blanked)})" if len(blanked) > 1 else expressions[0]


def joined(expressions: list[str]) -> str:
    """Texts joined by a space, blanks left out; NULL when all are blank."""
    if len(expressions) == 1:
        return expressions[0]
    blanked = [f"nullif(trim({expression}), '')" for expression in expressions]
    return f"nullif(concat_ws(' ', {', '.join(blanked)}), '')"


def extracted(text: str, pattern: str, bindings: Bindings, *, keep: bool) -> str:
    """What the pattern's first group matches in the text; without a match the text itself (`keep`) or NULL."""
    group = f"nullif(regexp_extract({text}, {bindings.bind(pattern)}, 1), '')"
    return f"coalesce({group}, {text})" if keep else group


def mapped(text: str, words: dict[str, str], bindings: Bindings) -> str:
    """Words replaced by others; a word that is not listed stays."""
    cases = [f"WHEN {bindings.bind(word)} THEN {bindings.bind(to)}" for word, to in words.items()]
    return f"CASE {text} {' '.join(cases)} ELSE {text} END"


def negated(amount: str) -> str:
    """A canonical amount with the opposite sign; other texts unchanged."""
    return (
        f"CASE WHEN NOT regexp_full_match({amount}, '{PLAIN_NUMBER}') THEN {amount} "
        f"WHEN starts_with({amount}, '-') THEN substr({amount}, 2) "
        f"ELSE '-' || ltrim({amount}, '+') END"
    )


def amount_text(
    text: str, form: AmountForm, bindings: Bindings, *, currency: str | None = None, thousands: str | None = None
) -> str:
    """Amounts as plain decimals with a point.

    Three tiers, the common one first, as a CASE branch is evaluated only for rows that no earlier one took: plain
    digits in the expected form; decorated ones (currency mark, parentheses or trailing minus for negatives, CR or
    DR, thousands marks); anything else unchanged. Only ASCII digits count, no exponents, no underscores. A mark or
    code of another currency than the row's makes the text unreadable.
    """
    if form.decimal is None and thousands is None:
        decimal, marks = ".", ""
    else:
        decimal = form.decimal or "."
        marks = thousands if thousands is not None else ("," if decimal == "." else ".") + GROUP_MARKS
    number = _number_pattern(decimal, marks)
    digits = f"regexp_extract({text}, {bindings.bind(number)}, 0)"
    cleaned = _cleaned(digits, decimal, marks, bindings)
    leading = f"CASE WHEN starts_with({cleaned}, '.') THEN '0' ELSE '' END"
    negative = f"regexp_matches({text}, {bindings.bind(_NEGATIVE)})"
    slow = f"CASE WHEN {negative} THEN '-' ELSE '' END || {leading} || {cleaned}"
    if decimal == ".":
        fast = f"WHEN regexp_full_match({text}, '{PLAIN_NUMBER}') THEN {text}"
    else:
        simple = r"[+-]?(?:[0-9]{1,3}(?:\.[0-9]{3})+|[0-9]+)(?:,[0-9]+)?"
        simple = simple if "." in marks else r"[+-]?[0-9]+(?:,[0-9]+)?"
        fast = f"WHEN regexp_full_match({text}, '{simple}') THEN replace(replace({text}, '.', ''), ',', '.')"
    decorated = f"regexp_full_match({text}, {bindings.bind(_decorated_pattern(number))})"
    if currency is not None:
        decorated += f" AND {_fits_currency(text, currency, bindings)}"
    return f"CASE {fast} WHEN {decorated} THEN {slow} ELSE {text} END"


def credit_less_debit(credit: str, debit: str, *, debit_is_signed: bool) -> str:
    """One signed amount from two canonical columns; blank counts as zero, two blanks as no amount.

    A debit is taken off, or added where the column carries its own minus signs. Garbled texts come out as they are.
    """
    zero = r"[+-]?0+(?:\.0*)?"
    taken = debit if debit_is_signed else negated(debit)
    is_number = f"regexp_full_match({credit}, '{PLAIN_NUMBER}') AND regexp_full_match({debit}, '{PLAIN_NUMBER}')"
    is_short = f"length({credit}) <= 28 AND length({debit}) <= 28"
    exact = [f"CAST({text} AS DECIMAL(38, 9))" for text in (credit, debit)]
    fine = "[^.]*(?:[.][0-9]{0,9})?"
    is_fine = f"regexp_full_match({credit}, '{fine}') AND regexp_full_match({debit}, '{fine}')"
    total = f"CAST({exact[0]} {'+' if debit_is_signed else '-'} {exact[1]} AS VARCHAR)"
    return (
        f"CASE WHEN nullif(trim({debit}), '') IS NULL THEN nullif(trim({credit}), '') "
        f"WHEN nullif(trim({credit}), '') IS NULL THEN {taken} "
        f"WHEN NOT ({is_number}) THEN {credit} || ' / ' || {debit} "
        f"WHEN regexp_full_match({credit}, '{zero}') THEN {taken} "
        f"WHEN regexp_full_match({debit}, '{zero}') THEN {credit} "
        f"WHEN {is_short} AND {is_fine} THEN rtrim(rtrim({total}, '0'), '.') "
        f"ELSE {credit} || ' / ' || {debit} END"
    )


def signed_by(amount: str, sign: str, negative: list[str], positive: list[str] | None, bindings: Bindings) -> str:
    """An amount turned negative where another column says so. Words are compared without case or outer blanks.

    Where the positive words are known too, an amount beside any other word is not believed: both texts come out.
    """
    word = f"lower(trim({sign}))"
    cases = f"WHEN {word} IN ({_listed(negative, bindings)}) THEN {negated(amount)}"
    if positive is None:
        return f"CASE {cases} ELSE {amount} END"
    known = f"WHEN {word} IN ({_listed(positive, bindings)}) OR {amount} IS NULL THEN {amount}"
    return f"CASE {cases} {known} ELSE {amount} || ' (' || coalesce({sign}, 'neither debit nor credit') || ')' END"


def minor_to_major(text: str, currency: str, bindings: Bindings) -> str:
    """Whole minor units (cents, yen, fils) as a decimal in major units, by the currency's exponent.

    Without a known currency, or for anything but a whole number of up to 18 digits, the text comes out followed by
    "minor units", which no normaliser takes for an amount: as plain digits it would be a hundred times too much.
    """
    by_exponent: dict[int, list[str]] = {}
    for code, exponent in EXPONENTS.items():
        by_exponent.setdefault(exponent, []).append(code)
    cases = []
    # The commonest exponent comes first: a CASE stops at the first branch that holds.
    for exponent, codes in sorted(by_exponent.items(), key=lambda item: -len(item[1])):
        listed = ", ".join(f"'{code}'" for code in codes)
        scaled = f"CAST({text} AS DECIMAL(18, 0))"
        if exponent:
            unit = f"0.{'0' * (exponent - 1)}1"
            scaled = f"{scaled} * CAST('{unit}' AS DECIMAL({exponent + 1}, {exponent}))"
        cases.append(f"WHEN {currency} IN ({listed}) THEN CAST({scaled} AS VARCHAR)")
    whole = f"regexp_full_match({text}, '[+-]?[0-9]{{1,18}}')"
    return (
        f"CASE WHEN {text} IS NULL THEN NULL WHEN NOT {whole} THEN {text} || ' minor units' "
        f"{' '.join(cases)} ELSE {text} || ' minor units' END"
    )


def day_text(text: str, form: DateForm, bindings: Bindings) -> str:
    """Booking dates as YYYY-MM-DD, as written: an offset or zone does not move them."""
    if form.is_day:
        return text
    local = f"regexp_replace({text}, {bindings.bind(_OFFSET_AFTER_BLANK)}, '')" if form.has_offset else text
    parsed = _parsed(local, form.formats, bindings)
    # Formats with %Y also take "19" for the year 19: such a date is not believed. greatest() ignores NULLs.
    return f"coalesce(CAST(CAST(nullif(greatest({parsed}, {_EARLIEST}), {_EARLIEST}) AS DATE) AS VARCHAR), {text})"


def instant_text(text: str, form: DateForm, zone: str, bindings: Bindings) -> str:
    """Instants in UTC. Texts without an offset are local times of `zone`; a local time that the zone skips
    (clocks go forward) comes out unchanged, one that occurs twice is taken as the later, standard one."""
    if form.is_instant:
        return text
    days = [name for name in form.formats if name not in form.times]
    local = _local_instant(_parsed(text, form.times, bindings), zone, bindings)
    choices = [local]
    if form.has_offset:
        whole = f"regexp_replace({text}, {bindings.bind(_UTC_NAME)}, '+00:00')"
        close = f"{bindings.bind(_BLANK_BEFORE_OFFSET)}, {bindings.bind(_FIRST_GROUP)}"
        whole = f"regexp_replace({whole}, {close})"
        parsed = _parsed(whole, tuple(f"{name}%z" for name in form.times), bindings)
        known = f"CASE WHEN regexp_matches({text}, {bindings.bind(_OFFSET)}) THEN timezone('UTC', {parsed}) END"
        choices.insert(0, f"strftime({known}, '{_INSTANT}')")
    result = f"coalesce({', '.join(choices)}, {text})"
    if not days:
        return result
    return f"CASE WHEN {_parsed(text, tuple(days), bindings)} IS NULL THEN {result} END"


def json_attributes(pairs: dict[str, str], bindings: Bindings) -> str:
    """A JSON object of name to text, keys sorted, blanks left out; NULL when it would be empty."""
    parts = [f"{bindings.bind(_json_key(key))} || to_json(nullif({pairs[key]}, ''))" for key in sorted(pairs)]
    return f"nullif('{{' || concat_ws(',', {', '.join(parts)}) || '}}', '{{}}')"


def _json_key(key: str) -> str:
    return json.dumps(key, ensure_ascii=False) + ":"


def _local_instant(parsed: str, zone: str, bindings: Bindings) -> str:
    if zone == "UTC":
        return f"strftime({parsed}, '{_INSTANT}')"
    name = bindings.bind(zone)
    # A skipped local time does not survive the way to UTC and back.
    return (
        f"CASE WHEN timezone({name}, timezone({name}, {parsed})) = {parsed} "
        f"THEN strftime(timezone('UTC', timezone({name}, {parsed})), '{_INSTANT}') END"
    )


def _parsed(text: str, formats: tuple[str, ...], bindings: Bindings) -> str:
    if not formats:
        return "CAST(NULL AS TIMESTAMP)"
    listed = ", ".join(bindings.bind(name) for name in formats)
    parsed = f"try_strptime({text}, [{listed}])"
    # strptime is lenient with digits: "2026034" passes for %Y%m%d, and "9.9.9" for the year 2009 under %y.
    doubtful = []
    if any("%Y%m%d" in name for name in formats):
        doubtful.append("[0-9]{4,7}")
    if any(name.partition(":")[0].removesuffix(" %H").removesuffix("T%H").endswith("%y") for name in formats):
        doubtful.append("[^:]*[-./ ][0-9](?:[ T,]+[0-9]{1,2}:.*)?")
    if doubtful:
        return f"CASE WHEN NOT regexp_full_match({text}, {bindings.bind('|'.join(doubtful))}) THEN {parsed} END"
    return parsed


def _listed(words: list[str], bindings: Bindings) -> str:
    return ", ".join(bindings.bind(word.strip().lower()) for word in words)


def _number_pattern(decimal: str, marks: str) -> str:
    part = re.escape(decimal)
    grouped = f"[0-9]{{1,3}}(?:[{re.escape(marks)}][0-9]{{3}})+|" if marks else ""
    return f"(?:{grouped}[0-9]+)(?:{part}[0-9]+)?|{part}[0-9]+"


def _decorated_pattern(number: str) -> str:
    core = f"{_MARK}{_BLANK}(?:{number}){_BLANK}{_MARK}"
    signed = f"(?:[-+−]{_BLANK}{core}|{_MARK}{_BLANK}[-+−]{_BLANK}(?:{number}))"
    after = f"{_BLANK}(?:[-−]|[CcDd][Rr])?"
    return rf"{_BLANK}(?:\({_BLANK}{core}{_BLANK}\)|{signed}|{core}{after}){_BLANK}"


def _fits_currency(text: str, currency: str, bindings: Bindings) -> str:
    """Whether the mark or code beside an amount can be the row's currency; true where the row has none."""
    code = f"nullif(regexp_extract({text}, '([A-Z]{{3}})', 1), '')"
    cases = [f"WHEN {code} IS NOT NULL THEN {code} = {currency}"]
    for symbol, codes in CURRENCY_SYMBOLS.items():
        listed = ", ".join(f"'{one}'" for one in codes)
        cases.append(f"WHEN contains({text}, {bindings.bind(symbol)}) THEN {currency} IN ({listed})")
    return f"coalesce(CASE {' '.join(cases)} ELSE true END, true)"


def _cleaned(digits: str, decimal: str, marks: str, bindings: Bindings) -> str:
    for mark in marks:
        digits = f"replace({digits}, {bindings.bind(mark)}, '')"
    return digits if decimal == "." else f"replace({digits}, ',', '.')"
