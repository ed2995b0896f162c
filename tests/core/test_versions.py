"""Versions as a function of the set of deliveries: which content is current, whatever came first or twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tieout.adapters.engine.duckdb import DuckEngine
from tieout.adapters.spool import as_query, rejections_query
from tieout.core.normalise import DRAFTS, normalise_plan
from tieout.core.versions import classify_plan, current_steps, overlap_plan, quarantine_plan, state_plan
from tieout.model.plan import Plan, Step
from tieout.model.reading import DraftQuery, Reading
from tieout.model.record import RECORD_COLUMNS, Rejection

Row = tuple[str, int, str]
"""A delivered row: native id, source version, content."""

Delivery = tuple[Row, ...]


@dataclass
class Source:
    """One source's batches, staged and classified like in production."""

    engine: DuckEngine
    directory: Path
    batches: dict[int, dict[str, list[Path]]] = field(default_factory=dict)
    count: int = 0

    def deliver(self, rows: Sequence[Row]) -> dict[str, int]:
        """Take in one file; its outcomes by word."""
        self.count += 1
        directory = self.directory / str(self.count)
        directory.mkdir()
        path = self.stage(rows, directory)
        prior = [part for batch in self.batches.values() for part in batch["records"]]
        outputs = {name: directory / f"{name}.parquet" for name in ("records", "contested")}
        results = self.engine.run(classify_plan(), {"staged": [path], "prior": prior}, outputs)
        self.batches[self.count] = {name: [outputs[name]] if results.written[name] else [] for name in outputs}
        outcomes: dict[str, int] = defaultdict(int)
        for outcome, _, count, _ in results.measured["outcomes"]:
            outcomes[str(outcome)] += int(str(count))
        self.duplicates = dict(results.measured["duplicates"])
        self.undated = results.measured["undated"][0][0]
        return dict(outcomes)

    def stage(self, rows: Sequence[Row], directory: Path) -> Path:
        """A staged file."""
        chunk: dict[str, Any] = {
            "line": list(range(1, len(rows) + 1)),
            "kind": ["payment"] * len(rows),
            "native_id": [row[0] for row in rows],
            "version": [str(row[1]) for row in rows],
            "amount": ["1.00"] * len(rows),
            "currency": ["EUR"] * len(rows),
            "description": [row[2] for row in rows],
        }
        query, present = as_query(Reading("test", iter([chunk])), directory / "spool.jsonl")
        plan = normalise_plan("source", self.count, present or [], derived_ids=False)
        self.engine.run(plan, {}, {"staged": directory / "staged.parquet"}, {DRAFTS: query})
        return directory / "staged.parquet"

    def inputs(self) -> dict[str, list[Path]]:
        """The parts of all batches."""
        return {
            name: [path for batch in self.batches.values() for path in batch[name]] for name in ("records", "contested")
        }

    def state(self) -> tuple[object, ...]:
        """The order-free fingerprint."""
        return self.engine.run(state_plan(), self.inputs(), {}).measured["state"][0]

    def current(self) -> dict[str, list[tuple[int, int, str]]]:
        """Native id to (occurrence, version, content), in order."""
        plan = Plan(
            (
                *current_steps("records", "contested", "now"),
                Step("shown", "SELECT native_id, occurrence, version, description FROM now ORDER BY ALL", "measure"),
            ),
            inputs=state_plan().inputs,
        )
        found: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
        for native_id, occurrence, version, content in self.engine.run(plan, self.inputs(), {}).measured["shown"]:
            found[str(native_id)].append((int(str(occurrence)), int(str(version)), str(content)))
        return dict(found)

    def digests(self) -> dict[tuple[str, int, str], tuple[int, int]]:
        """What orders contents of one version."""
        paths = [str(path) for path in self.inputs()["records"]]
        sql = "SELECT native_id, version, description, digest_a, digest_b FROM read_parquet($paths)"
        return {row[:3]: row[3:] for row in self.engine.fetch(DraftQuery(sql, {"paths": paths}))}  # type: ignore[misc]


@pytest.fixture(scope="module")
def engine() -> Iterator[DuckEngine]:
    """One engine for the module."""
    with DuckEngine(threads=1) as engine:
        yield engine


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory, engine: DuckEngine) -> Any:
    """Makes fresh sources."""
    return lambda: Source(engine, tmp_path_factory.mktemp("source"))


def test_new_repeated_newer_older(sources: Any) -> None:
    """Accepted, duplicate, superseding and stale; the greatest version is current."""
    source = sources()
    assert source.deliver([("a", 5, "five"), ("b", 0, "x")]) == {"accepted": 2}
    assert source.deliver([("a", 5, "five"), ("b", 0, "x")]) == {"duplicate": 2}
    assert source.duplicates == {1: 2}
    assert source.deliver([("a", 7, "seven")]) == {"superseding": 1}
    assert source.deliver([("a", 6, "six")]) == {"stale": 1}
    assert source.deliver([("a", 6, "six"), ("a", 7, "seven")]) == {"duplicate": 2}
    assert source.duplicates == {3: 1, 4: 1}
    assert source.current() == {"a": [(0, 7, "seven")], "b": [(0, 0, "x")]}


def test_repeats_within_one_file(sources: Any) -> None:
    """The same content twice in one file counts once and names its own batch."""
    source = sources()
    assert source.deliver([("a", 1, "x"), ("a", 1, "x"), ("a", 1, "x")]) == {"accepted": 1, "duplicate": 2}
    assert source.duplicates == {1: 2}
    assert source.current() == {"a": [(0, 1, "x")]}


def test_versions_within_one_file(sources: Any) -> None:
    """Several versions in one file: the greatest counts, the others are stale."""
    source = sources()
    assert source.deliver([("a", 3, "new"), ("a", 1, "old"), ("a", 2, "middle")]) == {"accepted": 1, "stale": 2}
    assert source.current() == {"a": [(0, 3, "new")]}


def test_undated(sources: Any) -> None:
    """Rows that differ from a known version although both carry the same source version are told."""
    source = sources()
    source.deliver([("a", 1, "x")])
    source.deliver([("a", 1, "y"), ("b", 1, "z")])
    assert source.undated == 1
    source.deliver([("a", 2, "w")])
    assert source.undated == 0


def test_conflict_in_one_file_keeps_both(sources: Any) -> None:
    """One id with two contents of one version: both are current, numbered by digest."""
    source = sources()
    assert source.deliver([("a", 0, "x"), ("a", 0, "y"), ("b", 0, "z")]) == {"accepted": 3}
    current = source.current()
    assert sorted(content for _, _, content in current["a"]) == ["x", "y"]
    assert [occurrence for occurrence, _, _ in current["a"]] == [0, 1]
    assert source.deliver([("a", 0, "y"), ("a", 0, "x")]) == {"duplicate": 2}
    assert source.current() == current


def test_one_content_of_a_conflict_alone(sources: Any) -> None:
    """One of the contents arriving alone, before or after, neither doubles it nor settles the conflict."""
    states = set()
    for content in ("x", "y"):
        for order in ((0, 1), (1, 0)):
            source = sources()
            deliveries = [[("a", 0, "x"), ("a", 0, "y")], [("a", 0, content)]]
            for place in order:
                source.deliver(deliveries[place])
            assert sorted(text for _, _, text in source.current()["a"]) == ["x", "y"]
            states.add(source.state())
    assert len(states) == 1


def test_a_newer_version_settles_a_conflict(sources: Any) -> None:
    """A later version takes the place of both; an earlier conflict that arrives late is stale."""
    for order in permutations(range(2)):
        source = sources()
        deliveries = [[("a", 1, "x"), ("a", 1, "y")], [("a", 2, "z")]]
        outcomes = [source.deliver(deliveries[place]) for place in order]
        assert source.current() == {"a": [(0, 2, "z")]}
        assert outcomes[1] == ({"superseding": 1} if order == (0, 1) else {"stale": 2})


def test_conflict_beside_an_older_version(sources: Any) -> None:
    """Rows of a lower version in the same file are no part of the conflict."""
    source = sources()
    assert source.deliver([("a", 1, "old"), ("a", 2, "x"), ("a", 2, "y")]) == {"accepted": 2, "stale": 1}
    assert sorted(text for _, _, text in source.current()["a"]) == ["x", "y"]


def expected_state(deliveries: Sequence[Delivery], digests: Any) -> dict[str, list[str]]:
    """The rule in plain Python: the greatest content is current, and with it those it was ever in conflict with."""
    contents: dict[str, set[tuple[int, str]]] = defaultdict(set)
    conflicts: dict[tuple[str, int], set[str]] = defaultdict(set)
    for delivery in deliveries:
        at_once: dict[tuple[str, int], set[str]] = defaultdict(set)
        for native_id, version, content in delivery:
            contents[native_id].add((version, content))
            at_once[(native_id, version)].add(content)
        for key, several in at_once.items():
            if len(several) > 1:
                conflicts[key] |= several
    found = {}
    for native_id, known in contents.items():
        version, top = max(known, key=lambda pair: (pair[0], digests[(native_id, *pair)]))
        together = conflicts[(native_id, version)]
        found[native_id] = sorted(together) if top in together else [top]
    return found


ROWS = st.tuples(st.sampled_from("ab"), st.integers(0, 2), st.sampled_from("xyz"))
DELIVERIES = st.lists(st.lists(ROWS, min_size=1, max_size=4).map(tuple), min_size=1, max_size=4)


@settings(max_examples=25, deadline=None)
@given(DELIVERIES, st.randoms(use_true_random=False))
def test_state_is_a_function_of_the_set(sources: Any, deliveries: list[Delivery], random: Any) -> None:
    """Any order and repetition of deliveries, and of rows within them, reaches the same state: the reference's."""
    one, other = sources(), sources()
    shuffled = [*deliveries, random.choice(deliveries)]
    random.shuffle(shuffled)
    for delivery in deliveries:
        outcomes = one.deliver(delivery)
        assert sum(outcomes.values()) == len(delivery)
    for delivery in shuffled:
        rows = list(delivery)
        random.shuffle(rows)
        other.deliver(rows)
    assert one.state() == other.state()
    assert one.current() == other.current()
    shown = {native_id: sorted(text for _, _, text in rows) for native_id, rows in one.current().items()}
    assert shown == expected_state(deliveries, one.digests())


def test_redelivery_is_all_duplicates(sources: Any) -> None:
    """Whatever was taken in once, conflicts and old versions too, is a duplicate when it comes again."""
    source = sources()
    rows = [("a", 0, "x"), ("a", 0, "y"), ("b", 1, "o"), ("b", 2, "n"), ("c", 0, "z"), ("c", 0, "z")]
    source.deliver(rows)
    state = source.state()
    assert source.deliver(rows) == {"duplicate": len(rows)}
    assert source.state() == state


def test_overlap(sources: Any, tmp_path: Path) -> None:
    """How many rows of a file share an identity with what was there."""
    source = sources()
    source.deliver([("a", 0, "x"), ("b", 0, "x")])
    staged = source.stage([("a", 0, "other"), ("z", 0, "x")], tmp_path)
    inputs = {"staged": [staged], "prior": source.inputs()["records"]}
    assert source.engine.run(overlap_plan(), inputs, {}).measured["overlap"] == [(1,)]


def test_quarantine_keeps_rejections_and_faults(engine: DuckEngine, tmp_path: Path) -> None:
    """Unreadable rows of the engine and of the reader lie in one part, with field, reason and text."""
    chunk: dict[str, Any] = {"line": [1, 2], "kind": ["payment"] * 2, "native_id": ["a", "b"],
                             "amount": ["1", "x"], "currency": ["EUR"] * 2}  # fmt: skip
    query, present = as_query(Reading("test", iter([chunk])), tmp_path / "spool.jsonl")
    staged = tmp_path / "staged.parquet"
    plan = normalise_plan("source", 1, present or [], derived_ids=False)
    engine.run(plan, {}, {"staged": staged}, {DRAFTS: query})
    rejections = [Rejection(None, "row", "cannot be split", 'a"b'), Rejection(9, "date", "odd", "")]
    queries = {"rejections": rejections_query(rejections, tmp_path / "rejections.jsonl")}
    target = tmp_path / "quarantine.parquet"
    engine.run(quarantine_plan(1), {"staged": [staged]}, {"quarantine": target}, queries)
    rows = engine.fetch(
        DraftQuery(
            "SELECT line, field, reason, text, native_id FROM read_parquet($p) ORDER BY line", {"p": str(target)}
        )
    )
    assert rows == [
        (2, "amount", "not a plain decimal number that its currency can hold", "x", "b"),
        (9, "date", "odd", "", None),
        (None, "row", "cannot be split", 'a"b', None),
    ]


def test_empty_inputs(sources: Any) -> None:
    """A source without records has a state too."""
    source = sources()
    assert source.state()[0] == 0
    assert {name for name, _ in RECORD_COLUMNS} >= {"occurrence", "version"}
