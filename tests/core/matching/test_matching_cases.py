"""Every situation in cases/*.yaml, run through the match plan on the real engine.

A case: `sides`, `passes`, and `runs`, each with what arrives (`arrive`), batches taken back (`withdraw`) and what is
expected: all new `matches`, all `open` items, `revoked` matches, and lines of the `proof`. A case with `bug` states
what is wrong today; it must fail until that is mended.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tieout.model.money import decimal_text

CASES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))


def _load(path: Path) -> dict[str, Any]:
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def _parameter(path: Path) -> Any:
    bug = _load(path).get("bug")
    return pytest.param(path, id=path.stem, marks=[pytest.mark.xfail(reason=bug, strict=True)] if bug else [])


def _config(case: dict[str, Any], matching: Any) -> Any:
    settings = {name: case[name] for name in ("grace_days", "group_over") if name in case}
    return matching.configure(case["sides"], case["passes"], **settings)


def _deliver(world: Any, run: dict[str, Any], matching: Any, *, backwards: bool) -> None:
    groups: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for record in run.get("arrive", []):
        source, draft = matching.draft_of(record, world.config)
        groups[(source, record.get("batch", ""))].append(draft)
    for (source, label), drafts in sorted(groups.items(), reverse=backwards):
        world.deliver(source, drafts[::-1] if backwards else drafts, label)
    for word in run.get("withdraw", []):
        source, label = word.split("/")
        world.withdraw(source, label)


def _open_shown(items: list[dict[str, Any]], expected: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Open items with the fields that the case speaks of."""
    fields = {name for item in expected for name in item} | {"id", "code", "open"}
    shown = []
    for item in items:
        unit = item["currency"]
        other = item["other_minor"]
        everything = {
            "side": item["side"],
            "id": item["native_id"],
            "code": item["code"],
            "open": decimal_text(item["open_minor"], unit),
            "currency": unit,
            "other": None if other is None else decimal_text(other, unit),
            "due": str(item["due_date"]),
            "grouped": item["grouped"],
        }
        shown.append({name: everything[name] for name in fields})
    return sorted(shown, key=_place)


def _check(outcome: Any, expect: dict[str, Any]) -> None:
    expected_open = [dict(item) for item in expect.get("open", [])]
    shown = _open_shown(outcome.open, expected_open)
    for wanted in expected_open:
        for name in shown[0] if shown else ():
            wanted.setdefault(name, next((item[name] for item in shown if item["id"] == wanted["id"]), None))
    assert shown == sorted(expected_open, key=_place)
    assert sorted(map(str, (match.shown() for match in outcome.matches))) == sorted(
        str({"type": match["type"], "used": dict(sorted(match["used"].items(), key=_by_side(outcome)))}
            | ({"fee": match["fee"]} if "fee" in match else {}))
        for match in expect.get("matches", [])
    )  # fmt: skip
    assert sorted(sorted(name.split("#")[0] for _, name, _ in match.used) for match in outcome.revoked) == sorted(
        sorted(names) for names in expect.get("revoked", [])
    )
    for line in expect.get("proof", []):
        found = next(one for one in outcome.proof if (one.side, one.currency) == (line["side"], line["currency"]))
        text = found.as_text()
        assert {name: text[name] for name in line} == line


def _place(item: dict[str, Any]) -> tuple[str, str]:
    return str(item["id"]), str(item["open"])


def _by_side(outcome: Any) -> Any:
    """Orders a match's records as `shown` does: by side, then name."""
    sides = {name.split("#")[0]: side for match in outcome.matches for side, name, _ in match.used}
    return lambda pair: (sides.get(pair[0], ""), pair[0])


def _check_invariants(world: Any, outcome: Any) -> None:
    assert all(line.unexplained_minor == 0 for line in outcome.proof)
    sides = [side.name for side in world.config.sides]
    used: dict[tuple[str, str], int] = defaultdict(int)
    for match in world.matches().values():
        sums = {side: sum(minor for own, _, minor in match.used if own == side) for side in sides}
        first, *others = (sums[side] for side in sides)
        assert all(other == first - match.fee for other in others), match
        for side, name, minor in match.used:
            used[(side, name)] += minor
    seen = [(item["side"], item["native_id"], item["occurrence"]) for item in outcome.open]
    assert len(seen) == len(set(seen)), "an item is open twice"
    for item in outcome.open:
        assert item["open_minor"] != 0
        name = item["native_id"] + (f"#{item['occurrence']}" if item["occurrence"] else "")
        assert item["open_minor"] == item["amount_minor"] - used[(item["side"], name)]


@pytest.mark.parametrize("path", [_parameter(path) for path in CASES])
def test_case(path: Path, make_world: Any, matching: Any) -> None:
    """The case comes out as written, conserves money, and does so whatever the order of arrival within a run."""
    case = _load(path)
    hashes: list[list[str]] = []
    for backwards in (False, True):
        world = make_world(_config(case, matching))
        hashes.append([])
        for run in case["runs"][: 1 if backwards else None]:
            _deliver(world, run, matching, backwards=backwards)
            outcome = world.close()
            _check(outcome, run["expect"])
            _check_invariants(world, outcome)
            hashes[-1].append(outcome.hash)
    assert hashes[0][:1] == hashes[1]
