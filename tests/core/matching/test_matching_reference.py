"""The keyed decision once more, in plain Python over one key's records, held against the plan on the real engine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

LEFT, RIGHT = "invoices", "payments"
SIDES = [{"name": LEFT, "kinds": ["invoice"]}, {"name": RIGHT, "kinds": ["payment"]}]
PASSES = [{"type": "exact"}, {"type": "grouped"}]


@dataclass(frozen=True, order=True)
class Record:
    """One record under a key; records are ordered by date, then id."""

    date: str
    name: str
    side: str
    minor: int
    currency: str


Allocation = frozenset[tuple[str, int]]


def decide(records: Sequence[Record]) -> tuple[list[Allocation], dict[str, int]]:
    """Matches (what of each record is used) and what stays open, of all records under one key."""
    matches: list[Allocation] = []
    left = dict.fromkeys((record.name for record in records), 0) | {record.name: record.minor for record in records}

    def match(shares: Sequence[tuple[Record, int]]) -> None:
        used = frozenset((record.name, share) for record, share in shares if share)
        if used:
            matches.append(used)
        for record, share in shares:
            left[record.name] -= share

    by_currency: dict[str, list[Record]] = defaultdict(list)
    for record in sorted(records):
        by_currency[record.currency].append(record)
    if all(_ties(several) for several in by_currency.values()):
        for several in by_currency.values():
            match([(record, record.minor) for record in several])
        return matches, {}
    for several in by_currency.values():
        rest = _pair(several, match)
        _share(rest, match)
    return matches, {name: minor for name, minor in left.items() if minor}


def _sum(records: Sequence[Record], side: str) -> int:
    return sum(record.minor for record in records if record.side == side)


def _ties(records: Sequence[Record]) -> bool:
    """Both sides are there and their sums are equal."""
    return {record.side for record in records} == {LEFT, RIGHT} and _sum(records, LEFT) == _sum(records, RIGHT)


def _pair(records: Sequence[Record], match: Any) -> list[Record]:
    """Equal amounts pair off, first with first; returns the others."""
    paired: set[str] = set()
    for one in records:
        if one.side == LEFT:
            for other in records:
                if other.side == RIGHT and other.minor == one.minor and other.name not in paired:
                    match([(one, one.minor), (other, other.minor)])
                    paired |= {one.name, other.name}
                    break
    return [record for record in records if record.name not in paired]


def _share(records: Sequence[Record], match: Any) -> None:
    """The smaller side in full; the larger oldest first, or, of mixed signs, all but the gap of its largest record."""
    sums = {side: _sum(records, side) for side in (LEFT, RIGHT)}
    if sums[LEFT] * sums[RIGHT] <= 0:
        return
    smaller, larger = sorted((LEFT, RIGHT), key=lambda side: (abs(sums[side]), side == RIGHT))
    gap = abs(sums[larger]) - abs(sums[smaller])
    shares = [(record, record.minor) for record in records if record.side == smaller]
    own = [record for record in records if record.side == larger]
    if len({record.minor > 0 for record in records}) == 1:
        budget = abs(sums[smaller])
        for record in own:
            size = min(abs(record.minor), budget)
            shares.append((record, size if record.minor > 0 else -size))
            budget -= size
    else:
        sign = 1 if sums[larger] > 0 else -1
        bearer = max(
            (record for record in own if record.minor * sign > 0),
            key=lambda record: (abs(record.minor), _First(record)),
        )
        if abs(bearer.minor) < gap:
            return
        shares += [(record, record.minor - sign * gap * (record is bearer)) for record in own]
    match(shares)


@dataclass(frozen=True)
class _First:
    """Turns the order of records round: the earliest of equals is the greatest."""

    record: Record

    def __lt__(self, other: _First) -> bool:
        return other.record < self.record

    def __gt__(self, other: _First) -> bool:
        return self.record < other.record


def codes(records: Sequence[Record], matches: Sequence[Allocation], rest: dict[str, int]) -> dict[str, str]:
    """Why each open item stayed open."""
    used: dict[str, int] = defaultdict(int)
    for several in matches:
        for name, minor in several:
            used[name] += minor
    told = {}
    for record in records:
        if record.name not in rest:
            continue
        others = [other for other in records if other.side != record.side]
        same = [other for other in others if other.currency == record.currency]
        like = any(
            other.side == record.side and other.name != record.name and other.currency == record.currency
            and other.minor == rest[record.name] and used[other.name] == other.minor
            for other in records
        )  # fmt: skip
        if record.side == RIGHT and rest[record.name] < 0:
            told[record.name] = "UNAPPLIED_REFUND"
        elif like and all(used[other.name] == other.minor for other in others):
            told[record.name] = "DUPLICATE_RECORD"
        elif same:
            told[record.name] = "AMOUNT_MISMATCH"
        elif others:
            told[record.name] = "CURRENCY_MISMATCH"
        else:
            told[record.name] = "MISSING_RECORD" if record.side == LEFT else "MISSING_INVOICE"
    return told


RECORDS = st.tuples(
    st.sampled_from([LEFT, RIGHT]),
    st.sampled_from([200, 300, 500, 500, 700, 800, 1000, -200, -300]),
    st.sampled_from(["EUR", "EUR", "EUR", "EUR", "USD"]),
    st.sampled_from(["2026-03-01", "2026-03-02"]),
)
KEYS = st.lists(st.lists(RECORDS, min_size=1, max_size=6), min_size=8, max_size=20)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(KEYS)
def test_plan_agrees_with_the_reference(make_world: Any, matching: Any, keys: list[list[Any]]) -> None:
    """Every key of up to six records comes out of the plan as the reference decides it, codes included."""
    world = make_world(matching.configure(SIDES, PASSES))
    expected_matches: set[Allocation] = set()
    expected_open: dict[str, tuple[int, str]] = {}
    drafts: dict[str, list[Any]] = defaultdict(list)
    for number, rows in enumerate(keys):
        records = [
            Record(date, f"{side[0]}{number}-{place}", side, minor, unit)
            for place, (side, minor, unit, date) in enumerate(rows)
        ]
        matches, rest = decide(records)
        expected_matches |= set(matches)
        told = codes(records, matches, rest)
        expected_open |= {name: (minor, told[name]) for name, minor in rest.items()}
        for record in records:
            drafts[record.side].append(
                {"kind": record.side.removesuffix("s"), "native_id": record.name, "reference": f"k{number}",
                 "amount": f"{record.minor // 100}.00", "currency": record.currency, "date": record.date}
            )  # fmt: skip
    for source, several in drafts.items():
        world.deliver(source, several)
    outcome = world.close()
    found = {frozenset((name, minor) for _, name, minor in match.used) for match in outcome.matches}
    assert found == expected_matches
    assert {item["native_id"]: (item["open_minor"], item["code"]) for item in outcome.open} == expected_open
    assert all(line.unexplained_minor == 0 for line in outcome.proof)
