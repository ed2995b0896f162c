"""kill -9 at any instant: nothing acknowledged is lost, nothing is there in part, nothing is doubled."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pysqlite3.dbapi2 as sqlite
import pytest

SAMPLED = 20
INSTANTS = 4
SLOW_INSTANTS = 60


@pytest.fixture(scope="module")
def ground(harness: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any, Path]]:
    """The scenario run without faults, a zygote, and a directory to work in."""
    reason = harness.can_trace()
    if reason is not None:
        pytest.skip(reason)
    directory = tmp_path_factory.mktemp("crash")
    stages = harness.prepare(directory)
    with harness.Zygote() as zygote:
        yield stages, zygote, directory


def _kill_all(harness: Any, ground: Any, points: list[Any]) -> list[str]:
    stages, zygote, directory = ground
    wrong = [harness.kill_at(zygote, stages[point.stage], point, directory) for point in points]
    return [problem for problem in wrong if problem is not None]


def test_a_fault_free_attempt_acknowledges(harness: Any, ground: Any) -> None:
    """The harness itself: without a fault every command ends by itself and leaves what the scenario left."""
    stages, zygote, directory = ground
    for stage in stages:
        target = harness.copied(stage, directory)
        ended = zygote.attempt(target, stage.command)
        assert ended.signal == 0
        assert ended.acknowledged is not None
        assert harness.observe(target) == stage.seen_after


def test_sampled_points(harness: Any, ground: Any) -> None:
    """Points spread evenly over all system calls of all commands, and some random instants."""
    stages, zygote, directory = ground
    points = harness.count_points(zygote, stages, directory)
    assert len(points) >= 500
    step = len(points) / SAMPLED
    chosen = [points[int((place + 0.5) * step)] for place in range(SAMPLED)]
    chosen += harness.random_points(stages, zygote, directory, INSTANTS, seed=1)
    assert _kill_all(harness, ground, chosen) == []


@pytest.mark.slow
def test_every_point(harness: Any, ground: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Every system call of every command, and many random instants."""
    stages, zygote, directory = ground
    points = harness.count_points(zygote, stages, directory)
    points += harness.random_points(stages, zygote, directory, SLOW_INSTANTS, seed=2)
    wrong = _kill_all(harness, ground, points)
    with capsys.disabled():
        print(f"\n{len(points)} crash points, {len(wrong)} wrong: 0 lost and 0 doubled expected")
    assert wrong == []


CALL = re.compile(r"^\d+\s+(\w+)\((.*)$")
PATH = re.compile(r"<(/[^>]*)>")


def _calls(log: str) -> list[tuple[str, str, str]]:
    """(system call, path of its first descriptor or its arguments, the whole line) in order."""
    found = []
    for line in log.splitlines():
        match = CALL.match(line)
        if match:
            path = PATH.search(match.group(2))
            found.append((match.group(1), path.group(1) if path else match.group(2), line))
    return found


@pytest.mark.parametrize("number", [1, 3, 4, 7, 9])
def test_syncs_come_before_the_acknowledgement(harness: Any, ground: Any, number: int) -> None:
    """In the order of system calls: bytes, names and commits are forced to disk before the process says yes."""
    stages, zygote, directory = ground
    stage = stages[number]
    target = harness.copied(stage, directory)
    before = {path for path in target.rglob("*") if path.is_file()}
    trace = ["-y", "-e", "trace=write,pwrite64,fsync,fdatasync,rename,mkdir,unlink,ftruncate"]
    calls = _calls(zygote.attempt(target, stage.command, trace=trace).log)
    told = next(place for place, (name, _, line) in enumerate(calls) if name == "write" and "acknowledged" in line)
    renamed = {
        new: old
        for _, _, line in calls
        if (pair := re.search(r'rename\("([^"]+)", "([^"]+)"', line))
        for old, new in [pair.groups()]
    }
    durable = [
        path for path in target.rglob("*")
        if path.is_file() and (path not in before or path.name.startswith("control.db"))
        and ("raw" in path.parts or "parts" in path.parts or path.name in ("control.db", "control.db-wal"))
    ]  # fmt: skip
    kept_parts = _visible_files(target)
    for path in durable:
        if "parts" in path.parts and path not in kept_parts:
            continue
        names = {str(path), renamed.get(str(path), "")}
        writes = [
            place for place, (name, at, _) in enumerate(calls[:told]) if name in ("write", "pwrite64") and at in names
        ]
        syncs = [
            place for place, (name, at, _) in enumerate(calls[:told]) if name in ("fsync", "fdatasync") and at in names
        ]
        if writes:
            assert syncs, f"{path} is written but never forced to disk before the acknowledgement"
            assert max(syncs) > max(writes), f"{path} is written after it was forced to disk"
        if path not in before and path.suffix != ".db-wal" and not path.name.startswith("control.db"):
            folders = [
                place for place, (name, at, _) in enumerate(calls[:told]) if name == "fsync" and at == str(path.parent)
            ]
            assert folders, f"the directory of {path} is not forced to disk before the acknowledgement"
    wal = [
        place
        for place, (name, at, _) in enumerate(calls)
        if at.endswith("control.db-wal") and name in ("fsync", "fdatasync")
    ]
    assert wal
    assert min(wal) < told
    if number == 4:
        assert kept_parts & set(durable), "the large delivery should have made a part file"


def _visible_files(target: Path) -> set[Path]:
    """Files of visible parts."""
    connection = sqlite.connect(target / "data" / "control.db")
    try:
        rows = connection.execute("SELECT path FROM parts WHERE path IS NOT NULL").fetchall()
    finally:
        connection.close()
    return {target / "data" / "parts" / "acme" / row[0] for row in rows}
