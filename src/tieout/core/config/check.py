"""What one place of a configuration demands of another: names that must exist, keys that exclude each other.

Works on the plain data that shape leaves, in which INVALID stands for what was already refused: every
check looks only at values of the expected type, so that one mistake is told once. The checks of single mapping
entries, patterns and secrets stand in entry.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from tieout.core.config.entry import Fault, mapping_faults, secret_faults, url_faults, zone_fault
from tieout.core.config.shape import MAX_PROBLEMS, Path, nearest, path_text, place_of, quoted
from tieout.core.config.tree import MapNode
from tieout.model.configuration import ReconciliationConfig, SeverityThresholds
from tieout.model.errors import Place, Problem
from tieout.model.record import KINDS, RAW_KIND

Table = Mapping[str, Any]

MAX_STAGES = 4
"""Keyed stages that matching provides for; adjacent passes of equal key and fee are one stage."""

KIND_LIKENESS = 0.88
"""From this likeness on, a kind of a source's own is taken for a slip of a known one ("invoices")."""


def check_references(data: Table, root: MapNode) -> list[Problem]:
    """Every problem between the sections of a configuration whose shape has been checked."""
    check = _Check(root)
    sources = _table(data.get("sources"))
    check.add((), url_faults(data.get("database_url")))
    for name, source in sources.items():
        if check.full:
            break
        _check_source(check, ("sources", name), _table(source))
    _check_identity(check, data, sources)
    for name, reconciliation in _table(data.get("reconciliations")).items():
        if check.full:
            break
        _check_reconciliation(check, ("reconciliations", name), _table(reconciliation), sources)
    return check.problems


class _Check:
    """Gathers problems and knows where things stand."""

    def __init__(self, root: MapNode):
        self.root = root
        self.problems: list[Problem] = []

    @property
    def full(self) -> bool:
        """Whether enough problems have been told."""
        return len(self.problems) >= MAX_PROBLEMS

    def say(self, path: Path, message: str, hint: str = "", of_key: bool = False) -> None:
        """A problem at the place of a path, or of the nearest one above it that exists."""
        place = place_of(self.root, path, of_key)
        self.problems.append(Problem(message, Place(place.file, place.line, path_text(path)), hint))

    def add(self, path: Path, faults: Iterable[Fault]) -> None:
        """Faults found below a path."""
        for fault in faults:
            if self.full:
                return
            self.say((*path, *fault.path), fault.message, fault.hint)

    def known(self, path: Path, name: object, names: Table, what: str, of_key: bool = False) -> None:
        """Says so when a name is not among those there are."""
        if isinstance(name, str) and name not in names and not self.full:
            hint = nearest(name, names) or f"define it under `{what}s` first"
            self.say(path, f"no {what} {quoted(name)}", hint, of_key)


def _check_source(check: _Check, path: Path, source: Table) -> None:
    contract = _table(source.get("contract"))
    declared = _texts(contract.get("kinds"))
    kind = source.get("kind")
    if isinstance(kind, str) and kind not in declared:
        known = _likely_kind(kind)
        if known:
            hint = f"did you mean {known}? To declare a kind of your own, list it in `contract.kinds`"
            check.say((*path, "kind"), f"no kind {quoted(kind)}", hint)
        elif declared:
            hint = f"add {kind} to `contract.kinds`, which lists what may occur"
            check.say((*path, "kind"), f"the contract does not let kind {quoted(kind)} in", hint)
    currency, currencies = source.get("currency"), _texts(contract.get("currencies"))
    if isinstance(currency, str) and currencies and currency not in currencies:
        hint = f"add {currency} to `contract.currencies`, which lists what may occur"
        check.say((*path, "currency"), f"the contract does not let currency {currency} in", hint)
    check.add(path, zone_fault(source.get("zone")))
    check.add((*path, "mapping"), mapping_faults(_table(source.get("mapping"))))
    check.add((*path, "settings"), secret_faults(_table(source.get("settings"))))


def _check_identity(check: _Check, data: Table, sources: Table) -> None:
    canonical = _table(data.get("identity")).get("canonical_source")
    check.known(("identity", "canonical_source"), canonical, sources, "source")
    for attribute, names in _table(data.get("authority")).items():
        for path, name in _each(("authority", attribute), names):
            check.known(path, name, sources, "source")


def _check_reconciliation(check: _Check, path: Path, item: Table, sources: Table) -> None:
    sides = _table(item.get("sides"))
    for name, side in sides.items():
        _check_side(check, (*path, "sides", name), _table(side), sources)
    _check_same_sides(check, (*path, "sides"), sides)
    if "on" in item and "passes" in item:
        check.say((*path, "on"), "`on` and `passes` exclude each other", "move the key into the passes")
    elif "on" not in item and "passes" not in item:
        hint = "add `on: {side: column, …}`, which gives an exact and a grouped pass, or write `passes`"
        check.say(path, "no matching key is named", hint)
    _check_on(check, (*path, "on"), item.get("on"), sides)
    _check_passes(check, (*path, "passes"), item.get("passes"), sides)
    check.known((*path, "disputes"), item.get("disputes"), sources, "source")
    _check_numbers(check, path, item)


def _check_side(check: _Check, path: Path, side: Table, sources: Table) -> None:
    name = side.get("source")
    check.known((*path, "source"), name, sources, "source")
    source = _table(sources.get(name)) if isinstance(name, str) else {}
    if "kind" not in side:
        if isinstance(name, str) and name in sources and "kind" not in source:
            hint = f"add `kind: …` here or to source {name}"
            check.say(path, "the kind of its records is not known", hint)
        return
    contract = _texts(_table(source.get("contract")).get("kinds"))
    declared = {*contract, *_texts(source.get("kind")), *_kinds_mapped(source)}
    for kind_path, kind in _each((*path, "kind"), side["kind"]):
        if not isinstance(kind, str) or not source or check.full:
            continue
        if contract and kind not in contract:
            hint = nearest(kind, contract)
            check.say(kind_path, f"the contract of source {name} does not let kind {quoted(kind)} in", hint)
        elif kind not in {*KINDS, RAW_KIND, *declared}:
            check.say(kind_path, f"no kind {quoted(kind)}", nearest(kind, sorted({*KINDS, *declared})))


def _kinds_mapped(source: Table) -> list[str]:
    """Kinds that a source's mapping gives to rows, as a constant or by replacing texts."""
    entry = _table(_table(source.get("mapping")).get("kind"))
    return [*_texts(entry.get("value")), *_texts(tuple(_table(entry.get("map")).values()))]


def _check_same_sides(check: _Check, path: Path, sides: Table) -> None:
    """Two sides of the very same records would match every record with itself."""
    seen: dict[str, str] = {}
    for name, side in sides.items():
        table = _table(side)
        if not isinstance(table.get("source"), str):
            continue
        selection = repr([table.get(key) for key in ("source", "kind", "where", "where_not")])
        if selection in seen:
            hint = "tell them apart by `kind`, `where` or `where_not`"
            check.say((*path, name), f"takes the same records as side {seen[selection]}", hint)
        seen.setdefault(selection, name)


def _check_on(check: _Check, path: Path, on: object, sides: Table) -> None:
    """Every side has a key column, and nothing else has."""
    if not isinstance(on, Mapping) or not sides:
        return
    for name in on:
        check.known((*path, name), name, sides, "side", of_key=True)
    missing = [name for name in sides if name not in on]
    if missing and len(on) + len(missing) <= len(sides):  # else a misspelt name has been told already
        hint = f"add `{missing[0]}: column`, the record column that holds its key"
        check.say(path, f"the key of side {', '.join(missing)} is missing", hint)


def _check_passes(check: _Check, path: Path, passes: object, sides: Table) -> None:
    _check_stages(check, path, passes)
    names: set[str] = set()
    for pass_path, item in _each(path, passes):
        table = _table(item)
        name = table.get("name")
        if isinstance(name, str):
            if name in names:
                check.say((*pass_path, "name"), f"pass {quoted(name)} is there twice", "give each a name of its own")
            names.add(name)
        _check_on(check, (*pass_path, "on"), table.get("on"), sides)
        if not sides:
            continue
        for unique_path, side in _each((*pass_path, "unique"), table.get("unique")):
            check.known(unique_path, side, sides, "side")
        _check_fee(check, (*pass_path, "fee"), table.get("fee"), sides)


def _check_stages(check: _Check, path: Path, passes: object) -> None:
    """The engine keeps one key column per stage, and has a fixed number of them."""
    keys = [
        repr((sorted(_table(table.get("on")).items()), table.get("fee")))
        for table in (_table(item) for _, item in _each(path, passes))
    ]
    stages = sum(1 for index, key in enumerate(keys) if index == 0 or key != keys[index - 1])
    if stages > MAX_STAGES:
        hint = f"{MAX_STAGES} are possible: put passes of equal `on` and `fee` next to each other, or leave some out"
        check.say(path, f"the passes change their key or fee {stages - 1} times", hint)


def _check_fee(check: _Check, path: Path, fee: object, sides: Table) -> None:
    check.known(path, fee, sides, "side")
    if not isinstance(fee, str) or fee not in sides:
        return
    if len(sides) != 2:
        hint = "remove it, or split the reconciliation into pairs of sides"
        check.say(path, f"a fee needs exactly two sides, here are {len(sides)}", hint)
    elif _table(sides[fee]).get("amount") == "fee":
        check.say(path, f"side {fee} compares its fee already", "remove it, or compare `amount` or `net`")


def _check_numbers(check: _Check, path: Path, item: Table) -> None:
    grace = item.get("grace_days", _default("grace_days"))
    window = item.get("window_days", _default("window_days"))
    if isinstance(grace, int) and isinstance(window, int) and grace > window:
        at = "grace_days" if "grace_days" in item else "window_days"
        message = f"grace_days ({grace}) is longer than window_days ({window})"
        check.say((*path, at), message, "a break must open before it escalates")
    severity = _table(item.get("severity"))
    defaults = SeverityThresholds()
    high, critical = severity.get("high", defaults.high), severity.get("critical", defaults.critical)
    if isinstance(high, int) and isinstance(critical, int) and high > critical:
        message = f"high ({high}) is more than critical ({critical})"
        check.say((*path, "severity"), message, "critical begins where high ends: raise it")


def _default(key: str) -> object:
    """The model's own default of a reconciliation's key."""
    return next(field.default for field in fields(ReconciliationConfig) if field.name == key)


def _likely_kind(kind: str) -> str:
    """The known kind that an unknown one is most probably a slip of; empty for a kind of its own."""
    if kind in KINDS or kind == RAW_KIND:
        return ""
    close = difflib.get_close_matches(kind, KINDS, n=1, cutoff=KIND_LIKENESS)
    return close[0] if close else ""


def _table(value: object) -> Table:
    return value if isinstance(value, Mapping) else {}


def _texts(value: object) -> tuple[str, ...]:
    """A text or a list of texts as a tuple; anything refused is left out."""
    if isinstance(value, str):
        return (value,)
    return tuple(text for text in value if isinstance(text, str)) if isinstance(value, tuple) else ()


def _each(path: Path, value: object) -> Iterator[tuple[Path, object]]:
    """A list's items with their paths; a single value counts as a list of itself."""
    if isinstance(value, tuple):
        for index, item in enumerate(value):
            yield (*path, index), item
    elif value is not None:
        yield path, value
