"""Matching worlds: deliveries of records, classified as in production, and runs of the match plan over their parts.

No database: what a run reads and writes are Parquet files that the world remembers, as the catalogue would.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tieout.adapters.engine.duckdb import DuckEngine
from tieout.adapters.spool import as_query
from tieout.core.matching.columns import PAIR_COLUMNS, PAIRS_SQL
from tieout.core.matching.opening import source_names
from tieout.core.matching.plan import FINDING_COLUMNS, OUTPUTS, match_plan
from tieout.core.matching.proof import proof_lines, result_hash
from tieout.core.normalise import DRAFTS, normalise_plan
from tieout.core.versions import classify_plan
from tieout.model.configuration import PassConfig, ReconciliationConfig, SideConfig
from tieout.model.money import decimal_text
from tieout.model.plan import Plan, Step
from tieout.model.reading import DraftQuery, Reading
from tieout.model.run import ProofLine

EARLIER = {
    "open_items": "open_items",
    "closed_items": "closed_items",
    "pairs_before": "pairs",
    "allocations_before": "allocations",
    "revoked_before": "revoked",
}
KEY_COLUMNS = {"key": "reference", "key2": "order_ref", "id": "native_id", "payout": "payout_ref"}
DRAFT_NAMES = {"id": "native_id", "key": "reference", "key2": "order_ref", "payout": "payout_ref"}


@dataclass(frozen=True)
class Match:
    """A match as people see it: its type, what of each record is used (minor units), and the fee it explains.

    A further occurrence of a native id is written `id#occurrence`.
    """

    type: str
    currency: str
    used: tuple[tuple[str, str, int], ...]
    fee: int

    def shown(self) -> dict[str, object]:
        """As cases write it."""
        used = {name.split("#")[0]: decimal_text(minor, self.currency) for _, name, minor in self.used}
        shown: dict[str, object] = {"type": self.type, "used": used}
        return shown | ({"fee": decimal_text(self.fee, self.currency)} if self.fee else {})


@dataclass
class Outcome:
    """What one run gave: new matches, all items now open, revoked matches, proof, result hash, findings' rows."""

    matches: list[Match]
    open: list[dict[str, Any]]
    revoked: list[Match]
    proof: list[ProofLine]
    hash: str
    written: Mapping[str, int]
    breaks: list[dict[str, Any]]
    converged: list[dict[str, Any]]
    groups: list[Any]


@dataclass
class World:
    """One reconciliation over sources that deliver batches; runs open on one another."""

    directory: Path
    engine: DuckEngine
    config: ReconciliationConfig
    files: int = 0
    run: int = 0
    batches: dict[str, dict[int, dict[str, list[Path]]]] = field(default_factory=lambda: defaultdict(dict))
    seen: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    gone: dict[str, dict[int, dict[str, list[Path]]]] = field(default_factory=lambda: defaultdict(dict))
    labels: dict[tuple[str, str], int] = field(default_factory=dict)
    earlier: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))
    proof: dict[tuple[str, str], ProofLine] = field(default_factory=dict)

    def deliver(self, source: str, drafts: Sequence[Mapping[str, str | None]], label: str = "") -> int:
        """Take in one batch of drafts, normalised and classified against the source's earlier batches."""
        self.files += 1
        number = self.files
        directory = self.directory / f"batch-{number}"
        directory.mkdir()
        names = sorted({name for draft in drafts for name in draft})
        chunk: dict[str, Any] = {name: [draft.get(name) for draft in drafts] for name in names}
        chunk["line"] = list(range(1, len(drafts) + 1))
        query, present = as_query(Reading("case", iter([chunk])), directory / "spool.jsonl")
        staged = directory / "staged.parquet"
        plan = normalise_plan(source, number, present or [], derived_ids=False)
        self.engine.run(plan, {}, {"staged": staged}, {DRAFTS: query})
        prior = [path for parts in self.batches[source].values() for path in parts["records"]]
        outputs = {name: directory / f"{name}.parquet" for name in ("records", "contested")}
        results = self.engine.run(classify_plan(), {"staged": [staged], "prior": prior}, outputs)
        faults = self.rows([staged], "fault", "fault IS NOT NULL")
        assert not faults, f"a case's record cannot be read: {faults}"
        self.batches[source][number] = {name: [outputs[name]] for name in outputs if results.written[name]}
        for name in outputs:
            self.batches[source][number].setdefault(name, [])
        if label:
            self.labels[(source, label)] = number
        return number

    def withdraw(self, source: str, label: str) -> None:
        """Take a batch back."""
        number = self.labels[(source, label)]
        self.gone[source][number] = self.batches[source].pop(number)

    def close(self) -> Outcome:
        """Run the plan over what arrived, and remember what it wrote."""
        self.run += 1
        opening = self.run > 1
        inputs: dict[str, list[Path]] = {}
        for place, source in enumerate(source_names(self.config)):
            accepted = self.batches[source]
            changed = (set(accepted) ^ self.seen[source]) if opening else set()
            known = {**accepted, **self.gone[source]}
            inputs[f"records_{place}"] = [path for parts in accepted.values() for path in parts["records"]]
            inputs[f"contested_{place}"] = [path for parts in accepted.values() for path in parts["contested"]]
            inputs[f"changed_{place}"] = [path for number in sorted(changed) for path in known[number]["records"]]
            self.seen[source] = set(accepted)
        if opening:
            inputs |= {name: self.earlier[dataset] for name, dataset in EARLIER.items()}
        directory = self.directory / f"run-{self.run}"
        directory.mkdir()
        outputs = {name: directory / f"{dataset}.parquet" for name, dataset in OUTPUTS.items()}
        results = self.engine.run(match_plan(self.config, self.run, opening=opening), inputs, outputs)
        lines = proof_lines(results.measured["movements"], self.proof)
        before = self.matches()
        for name, dataset in OUTPUTS.items():
            if results.written.get(name):
                self.earlier[dataset].append(outputs[name])
        self.proof = {(line.side, line.currency): line for line in lines}
        after = self.matches()
        return Outcome(
            matches=[match for identity, match in after.items() if identity[0] == self.run],
            open=self.open_items(),
            revoked=[match for identity, match in before.items() if identity not in after],
            proof=lines,
            hash=result_hash(results.measured, lines),
            written=results.written,
            breaks=[dict(zip(FINDING_COLUMNS, row, strict=True)) for row in results.measured["breaks"]],
            converged=[dict(zip(FINDING_COLUMNS, row, strict=True)) for row in results.measured.get("converged", [])],
            groups=results.measured["groups"],
        )

    def rows(self, paths: Sequence[Path], columns: str, where: str = "true") -> list[tuple[Any, ...]]:
        """Rows of some parts."""
        if not paths:
            return []
        sql = f"SELECT {columns} FROM read_parquet($paths) WHERE {where}"
        return self.engine.fetch(DraftQuery(sql, {"paths": [str(path) for path in paths]}))

    def matches(self) -> dict[tuple[int, int], Match]:
        """Every active match by (run, match id)."""
        gone = set(self.rows(self.earlier["revoked"], "matched_run, match_id"))
        used: dict[tuple[int, int], list[tuple[str, str, int]]] = defaultdict(list)
        types: dict[tuple[int, int], set[str]] = defaultdict(set)
        fees: dict[tuple[int, int], int] = defaultdict(int)
        currencies: dict[tuple[int, int], str] = {}
        pairs = f"""run, match_id, currency, left_side, {_name("left_")}, left_minor, right_side, {_name("right_")},
            right_minor, fee_minor"""
        shown = Step("shown", f"SELECT {pairs} FROM {PAIRS_SQL}", "measure")
        plan = Plan((shown,), inputs={"pairs": PAIR_COLUMNS})
        measured = self.engine.run(plan, {"pairs": self.earlier["pairs"]}, {}).measured["shown"]
        for run, number, unit, side, name, left, other, other_name, right, fee in measured:
            used[(run, number)] += [(side, name, left), (other, other_name, right)]
            types[(run, number)].add("exact")
            fees[(run, number)] += fee
            currencies[(run, number)] = unit
        columns = f"run, match_id, currency, side, {_name()}, allocated_minor, residual, type"
        for run, number, unit, side, name, minor, residual, kind in self.rows(self.earlier["allocations"], columns):
            types[(run, number)].add(kind)
            currencies[(run, number)] = unit
            if residual is None:
                used[(run, number)].append((side, name, minor))
            else:
                fees[(run, number)] -= minor
        return {
            key: Match("+".join(sorted(types[key])), currencies[key], tuple(sorted(used[key])), fees[key])
            for key in currencies
            if key not in gone
        }

    def open_items(self) -> list[dict[str, Any]]:
        """Everything open now."""
        closed = set(self.rows(self.earlier["closed_items"], "side, id_hash, opened_run"))
        names = ("side", "id_hash", "run", "native_id", "occurrence", "currency", "amount_minor", "open_minor", "code",
                 "other_minor", "other_id", "due_date", "grouped", "batch")  # fmt: skip
        found = [dict(zip(names, row, strict=True)) for row in self.rows(self.earlier["open_items"], ", ".join(names))]
        kept = [item for item in found if (item["side"], item["id_hash"], item["run"]) not in closed]
        return sorted(kept, key=lambda item: (item["side"], item["native_id"], item["occurrence"]))


def _name(prefix: str = "") -> str:
    """A record's name in SQL."""
    return f"concat({prefix}native_id, CASE WHEN {prefix}occurrence > 0 THEN concat('#', {prefix}occurrence) END)"


def configure(
    sides: Sequence[Mapping[str, Any]], passes: Sequence[Mapping[str, Any]], **more: Any
) -> ReconciliationConfig:
    """A reconciliation from the short words of a case: pass keys are `key`, `key2`, `id` or `payout`, or per side."""
    built = tuple(
        SideConfig(
            name=side["name"],
            source=side.get("source", side["name"]),
            kinds=tuple(side["kinds"]),
            where={name: tuple(words) for name, words in side.get("where", {}).items()},
            where_not={name: tuple(words) for name, words in side.get("where_not", {}).items()},
            amount=side.get("amount", "amount"),
            sign=side.get("sign", 1),
        )
        for side in sides
    )
    steps = []
    for number, one in enumerate(passes, start=1):
        on = one.get("on", "key")
        keys = dict.fromkeys((side.name for side in built), on) if isinstance(on, str) else on
        steps.append(
            PassConfig(
                name=f"p{number}",
                type=one["type"],
                on={side: KEY_COLUMNS[key] for side, key in keys.items()},
                unique=tuple(one.get("unique", ())),
                fee=one.get("fee"),
            )
        )
    return ReconciliationConfig("case", built, tuple(steps), **more)


def draft_of(record: Mapping[str, Any], config: ReconciliationConfig) -> tuple[str, dict[str, str | None]]:
    """A case's record as (source, draft): `side` gives source and kind, dates default to one day."""
    side = next(side for side in config.sides if side.name == record["side"])
    draft: dict[str, str | None] = {"kind": side.kinds[0], "currency": "EUR", "date": "2026-03-01"}
    skipped = ("side", "batch")
    for name, value in record.items():
        if name not in skipped:
            draft[DRAFT_NAMES.get(name, name)] = None if value is None else str(value)
    return side.source, draft


Maker = Callable[[ReconciliationConfig], World]


@pytest.fixture(scope="session")
def engine() -> Iterator[DuckEngine]:
    """One engine for all worlds: a finished plan leaves nothing behind."""
    with DuckEngine(threads=1, memory="1GB") as engine:
        yield engine


@pytest.fixture
def make_world(tmp_path_factory: pytest.TempPathFactory, engine: DuckEngine) -> Maker:
    """Makes worlds, each in a directory of its own."""
    return lambda config: World(tmp_path_factory.mktemp("world"), engine, config)


@pytest.fixture(scope="session")
def matching() -> Any:
    """The helpers of this file, for tests: `configure`, `draft_of`."""

    class Helpers:
        configure = staticmethod(configure)
        draft_of = staticmethod(draft_of)

    return Helpers
