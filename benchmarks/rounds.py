"""Rounds: every task once in each, in the same order, so that a noisy minute hits all of them alike."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Literal

from benchmarks.process import Measurement, ask, measure

LEAST_TIMEOUT_SECONDS = 60

Status = Literal["measured", "not installed", "failed", "not measured"]


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to measure: a command, and what is done before it without being timed.

    `needs` are modules without which it cannot run; `accepted` the exit codes of a success, and `status` what its
    JSON must say of the outcome ("" where it says nothing); `follows` names the task that must have succeeded just
    before; `judge` is a helper that tells, after the first success, how right the outcome is; `scale` multiplies the
    work of a sample; `most_runs` bounds the rounds that a slow one takes part in.
    """

    name: str
    command: tuple[str, ...]
    prepare: Callable[[], None]
    needs: tuple[str, ...] = ()
    accepted: tuple[int, ...] = (0,)
    status: str = ""
    follows: str = ""
    judge: tuple[str, ...] = ()
    scale: float = 1
    most_runs: int | None = None


@dataclass(slots=True)
class Series:
    """What was measured of one task: one entry a round, None where it sat out."""

    name: str
    status: Status = "not measured"
    remark: str = ""
    rounds: list[Measurement | None] = field(default_factory=list)
    verdict: dict[str, Any] = field(default_factory=dict)

    @property
    def measured(self) -> list[Measurement]:
        """The rounds it took part in."""
        return [one for one in self.rounds if one is not None]


@dataclass(slots=True)
class Clock:
    """The limit on the time of everything: `deadline` by time.monotonic()."""

    deadline: float

    @staticmethod
    def of_minutes(minutes: float) -> Clock:
        """A clock that starts now."""
        return Clock(time.monotonic() + minutes * 60)

    @property
    def left_seconds(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, self.deadline - time.monotonic())


def run_rounds(tasks: Sequence[Task], *, runs: int, warm_up: bool, clock: Clock) -> list[Series]:
    """Measure tasks in `runs` rounds after a warm-up round that is thrown away.

    A round begins only while the last one would still fit into the time that is left. A task that fails is left out
    of the following rounds, and says why.
    """
    every = [Series(task.name) for task in tasks]
    longest = 0.0
    for number in range(-1 if warm_up else 0, runs):
        if clock.left_seconds <= longest:
            break
        begun = time.monotonic()
        failed: set[str] = set()
        for task, series in zip(tasks, every, strict=True):
            if task.follows in failed:
                series.status, series.remark = "failed", f"{task.follows} failed before it"
            _take_part(task, series, number, clock)
            if series.status == "failed":
                failed.add(task.name)
        longest = max(longest, time.monotonic() - begun)
    for series in every:
        if series.status == "not measured":
            series.remark = "no time was left"
    return every


def _take_part(task: Task, series: Series, number: int, clock: Clock) -> None:
    absent = [name for name in task.needs if find_spec(name) is None]
    if absent:
        series.status, series.remark = "not installed", ", ".join(absent)
        return
    warming = number < 0
    if series.status == "failed" or (task.most_runs is not None and (warming or number >= task.most_runs)):
        if not warming:
            series.rounds.append(None)
        return
    task.prepare()
    os.sync()  # what the preparation wrote is not to be paid by the fsync of the next process
    timeout = max(LEAST_TIMEOUT_SECONDS, clock.left_seconds)
    done = measure(task.command, timeout_seconds=timeout, scale=task.scale)
    complaint = _complaint(task, done)
    if complaint:
        series.status, series.remark = "failed", complaint
        print(f"  {task.name}: failed: {complaint}", file=sys.stderr)
        return
    print(f"  {'warm-up' if warming else f'run {number + 1}'}  {task.name}: {done.wall_seconds:.2f} s", file=sys.stderr)
    if not warming:
        series.status = "measured"
        series.rounds.append(done)
    if task.judge and not series.verdict:
        series.verdict = ask(task.judge)


def _complaint(task: Task, done: Measurement) -> str:
    """What is wrong with an outcome; empty when nothing is."""
    if done.exit_code not in task.accepted:
        return done.last_error
    if task.status and done.status != task.status:
        return f"it says {done.status or 'nothing'!r} instead of {task.status!r}"
    return ""
