"""Kills the real service at a chosen system call or instant, and looks at what is left.

A zygote process imports the service once; for every attempt it forks a child, which waits until strace (if any) is
attached, does one command on one data directory, and acknowledges on its standard output. Run as a program this file
is that zygote; imported, it is the harness that drives it.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Self

SYSCALLS = ("write", "pwrite64", "fsync", "fdatasync", "rename", "openat", "unlink", "ftruncate", "mkdir", "rmdir")
ACKNOWLEDGED = "acknowledged"
CONFIGURATION = """
workspace: acme
sources:
  billing: {format: json, kind: invoice, mapping: &columns {native_id: id, version: version, reference: ref,
            amount: amount, currency: currency, date: date}}
  psp: {format: json, kind: payment, mapping: *columns}
reconciliations:
  inv:
    kind: match
    sides:
      invoices: {source: billing}
      payments: {source: psp}
    on: {invoices: reference, payments: reference}
engine: {threads: 1}
"""

IMPORTED_ONCE = (
    "alembic.command", "alembic.config", "duckdb", "pysqlite3.dbapi2", "tieout.adapters.sources.json_rows.source",
    "tieout.core.config.parsing", "tieout.service.intake", "tieout.service.runs", "tieout.service.withdrawal",
    "tieout.service.workspace",
)  # fmt: skip
"""What the zygote loads before it forks, so that a child's system calls are the command's own."""

Command = tuple[str, ...]
"""A command of the scenario: its name and its arguments."""


def clock() -> datetime:
    """The scenario's time."""
    return datetime(2026, 3, 10, 12, tzinfo=UTC)


# --- The commands, as any surface would call them. ---


def carry_out(directory: Path, command: Command) -> str:
    """Do one command on a data directory through the service; returns what is to be acknowledged."""
    from tieout.core.config.parsing import parse_configuration
    from tieout.model.audit import Actor
    from tieout.model.errors import UsageError
    from tieout.service.intake import ingest
    from tieout.service.runs import run_reconciliation
    from tieout.service.withdrawal import supersede
    from tieout.service.workspace import initialise, open_workspace

    name, *arguments = command
    ada = Actor("ada", "cli")
    if name == "initialise":
        initialise(directory / "data", "acme", clock)
        return name
    configuration = parse_configuration(CONFIGURATION, "tieout.yaml")
    unit = open_workspace(directory / "data", "acme", clock)
    try:
        if name == "ingest":
            report = ingest(unit, configuration, arguments[0], directory / arguments[1], ada)
            return f"{name} {report.batch}"
        if name == "supersede":
            try:
                supersede(unit, configuration, _batch_of(unit, arguments[0]), ada, "faulty")
            except UsageError as error:
                if "withdrawn" not in str(error):
                    raise
            return name
        run = run_reconciliation(unit, configuration, "inv", ada, slice_only=name == "slice")
        return f"{name} {run.result_hash}"
    finally:
        unit.close()


def _batch_of(unit: Any, file_name: str) -> int:
    """The first batch of a file that kept rows: repeated deliveries of it keep none."""
    from sqlalchemy import select

    from tieout.adapters.store.tables import batches

    kept = batches.c.accepted + batches.c.superseding + batches.c.stale > 0
    with unit.read() as connection:
        query = select(batches.c.batch).where(batches.c.file_name == file_name, kept).order_by(batches.c.batch)
        return int(connection.scalars(query).first())


def observe(directory: Path) -> dict[str, Any]:
    """What a workspace says: current state, kept rows, findings, closed runs and proofs. {} before it exists.

    Numbers of batches and what was refused or repeated do not count: a repeated command may use another number.
    """
    from sqlalchemy import select

    from tieout.adapters.store.tables import batches, findings, proofs, runs
    from tieout.core.config.parsing import parse_configuration
    from tieout.model.errors import UsageError
    from tieout.service.verification import verify
    from tieout.service.workspace import open_workspace

    configuration = parse_configuration(CONFIGURATION, "tieout.yaml")
    try:
        unit = open_workspace(directory / "data", "acme", clock)
    except UsageError:
        return {}
    try:
        report = verify(unit, configuration, replay_runs=0)
        kept = batches.c.accepted + batches.c.superseding + batches.c.stale
        with unit.read() as connection:

            def rows(*columns: Any) -> list[tuple[Any, ...]]:
                return sorted((tuple(row) for row in connection.execute(select(*columns))), key=str)

            delivered = select(batches.c.source, batches.c.state, kept).where(kept > 0)
            return {
                "state": dict(report.state),
                "breaches": [str(breach) for breach in report.breaches],
                "delivered": sorted(tuple(row) for row in connection.execute(delivered)),
                "findings": rows(findings.c.fingerprint, findings.c.state, findings.c.at_risk_minor,
                                 findings.c.recurrences, findings.c.resolution),
                "runs": [row for row in rows(runs.c.run, runs.c.state, runs.c.result_hash) if row[1] == "closed"],
                "proofs": rows(proofs.c.run, proofs.c.side, proofs.c.currency, proofs.c.matched, proofs.c.closing),
            }  # fmt: skip
    finally:
        unit.close()


# --- The scenario. ---


def _record(prefix: str, number: int, amount: int, version: int = 1) -> dict[str, str]:
    return {"id": f"{prefix}_{number}", "version": str(version), "ref": f"k{number}", "amount": f"{amount}.00",
            "currency": "EUR", "date": "2026-03-01"}  # fmt: skip


def _large(prefix: str, count: int) -> list[dict[str, str]]:
    """Records whose part is too large for a segment: ids that compress badly."""
    chance = random.Random(7)
    return [
        _record(prefix, number, 5) | {"ref": f"{chance.getrandbits(256):x}"} for number in range(1_000, 1_000 + count)
    ]


def write_deliveries(directory: Path) -> None:
    """The files that the scenario takes in."""
    files = {
        "invoices.jsonl": [_record("in", n, 10 + n) for n in range(40)],
        "payments.jsonl": [_record("py", n, 10 + n + (n % 9 == 0)) for n in range(30)] + [{"id": "bad", "amount": "x"}],
        "large.jsonl": _large("in", 12_000),
        "late.jsonl": [_record("py", n, 10 + n) for n in range(30, 36)] + [_record("py", 3, 1, version=2)],
        "again.jsonl": [_record("py", n, 10 + n + (n % 9 == 0)) for n in range(20)],
    }
    names = dict.fromkeys(_record("", 0, 0))
    for name, records in files.items():
        text = "".join(json.dumps(names | record) + "\n" for record in records)
        (directory / name).write_text(text, encoding="utf-8")


SCENARIO: tuple[Command, ...] = (
    ("initialise",),
    ("ingest", "billing", "invoices.jsonl"),
    ("ingest", "psp", "payments.jsonl"),
    ("run",),
    ("ingest", "billing", "large.jsonl"),
    ("ingest", "psp", "late.jsonl"),
    ("slice",),
    ("run",),
    ("ingest", "psp", "again.jsonl"),
    ("supersede", "payments.jsonl"),
    ("run",),
)


@dataclass
class Stage:
    """One command of the scenario: the directory as it was before, and what is there before and after."""

    number: int
    command: Command
    before: Path
    seen_before: dict[str, Any]
    seen_after: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.number} {' '.join(self.command)}"


def prepare(directory: Path) -> list[Stage]:
    """Run the scenario without faults, keeping a copy of the directory before each command."""
    work = directory / "work"
    work.mkdir()
    write_deliveries(work)
    stages = []
    seen = observe(work)
    for number, command in enumerate(SCENARIO):
        before = directory / f"before-{number}"
        shutil.copytree(work, before)
        carry_out(work, command)
        after = observe(work)
        assert after["breaches"] == [], after["breaches"]
        stages.append(Stage(number, command, before, seen, after))
        seen = after
    return stages


# --- Killing. ---


@dataclass(frozen=True)
class Point:
    """Where to kill: before the n-th call of a system call in a stage; or after some seconds."""

    stage: int
    syscall: str | None
    when: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"stage {self.stage}, " + (f"{self.syscall} #{self.when}" if self.syscall else f"{self.seconds:.3f} s")


@dataclass
class Ended:
    """How an attempt ended: by which signal (0 none), what it had acknowledged, and strace's log if asked for."""

    signal: int
    acknowledged: str | None
    log: str = ""
    seconds: float = 0.0


@dataclass
class Zygote:
    """Drives the zygote process; a context manager."""

    process: subprocess.Popen[str] = field(init=False)

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert self._line() == "ready"
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def _say(self, **words: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(words) + "\n")

    def attempt(
        self, directory: Path, command: Command, *, trace: Sequence[str] = (), seconds: float | None = None
    ) -> Ended:
        """One command in a child; `trace` are strace's arguments, `seconds` the time after which it is killed."""
        output = directory / "stdout"
        log = directory / "strace.log"
        self._say(directory=str(directory), command=command, stdout=str(output))
        child = int(self._line())
        with _strace(child, trace, log) if trace else contextlib.nullcontext():
            started = time.monotonic()
            self._say(go=True)
            if seconds is not None:
                time.sleep(seconds)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            status = int(self._line())
            took = time.monotonic() - started
        told = output.read_text().strip() if output.exists() else ""
        lines = [line.removeprefix(ACKNOWLEDGED).strip() for line in told.splitlines() if line.startswith(ACKNOWLEDGED)]
        text = log.read_text(errors="replace") if log.exists() else ""
        if os.WIFEXITED(status) and os.WEXITSTATUS(status):
            raise AssertionError(f"{command} failed:\n{told}")
        return Ended(os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, lines[0] if lines else None, text, took)


@contextlib.contextmanager
def _strace(child: int, arguments: Sequence[str], log: Path) -> Iterator[None]:
    """strace attached to a child, until the child ends."""
    command = ["strace", "-f", "-p", str(child), "-o", str(log), *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        for line in tracer.stderr:
            if "attached" in line:
                break
        else:
            raise AssertionError("strace could not attach")
        yield
        tracer.wait(timeout=60)


def can_trace() -> str | None:
    """Why strace cannot be used here; None when it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        command = ["strace", "-p", str(child.pid), "-o", os.devnull]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
            assert tracer.stderr is not None
            line = tracer.stderr.readline()
            child.kill()
    return None if "attached" in line else f"strace cannot attach: {line.strip()}"


def copied(stage: Stage, directory: Path) -> Path:
    """A fresh copy of the directory before a stage."""
    target = directory / "attempt"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(stage.before, target)
    return target


def count_points(zygote: Zygote, stages: Sequence[Stage], directory: Path) -> list[Point]:
    """Every system call at which a command can be killed, from a fault-free trace of each stage's main thread."""
    points = []
    for stage in stages:
        target = copied(stage, directory)
        ended = zygote.attempt(target, stage.command, trace=["-e", f"trace={','.join(SYSCALLS)}"])
        threads = [line.split(maxsplit=1)[0] for line in ended.log.splitlines()]
        main = threads[0]
        calls = Counter(
            found.group(1)
            for line, thread in zip(ended.log.splitlines(), threads, strict=True)
            if thread == main and (found := re.match(r"\d+\s+(\w+)\(", line))
        )
        points += [Point(stage.number, name, when) for name in SYSCALLS for when in range(1, calls[name] + 1)]
    return points


def kill_at(zygote: Zygote, stage: Stage, point: Point, directory: Path) -> str | None:
    """Kill one command at a point, look, repeat it, look again; returns what is wrong, or None.

    Between kill and repetition the workspace is as before or as after, and as after when the command acknowledged.
    Repeated, everything is as without the fault.
    """
    target = copied(stage, directory)
    if point.syscall is None:
        ended = zygote.attempt(target, stage.command, seconds=point.seconds)
    else:
        inject = f"inject={point.syscall}:signal=SIGKILL:when={point.when}"
        trace = ["-e", f"trace={point.syscall}", "-e", inject]
        ended = zygote.attempt(target, stage.command, trace=trace)
    left = observe(target)
    if left.get("breaches"):
        return f"{stage}: breaches after the kill at {point}: {left['breaches']}"
    if ended.acknowledged is not None and left != stage.seen_after:
        return f"{stage}: acknowledged, but lost at {point}: {_difference(left, stage.seen_after)}"
    if left not in (stage.seen_before, stage.seen_after):
        return f"{stage}: neither before nor after at {point}: {_difference(left, stage.seen_before)}"
    carry_out(target, stage.command)
    again = observe(target)
    if again != stage.seen_after:
        return f"{stage}: not as without the fault after {point}: {_difference(again, stage.seen_after)}"
    return None


def _difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    names = [name for name in {*one, *other} if one.get(name) != other.get(name)]
    return "; ".join(f"{name}: {one.get(name)} instead of {other.get(name)}" for name in sorted(names))[:2_000]


def random_points(stages: Sequence[Stage], zygote: Zygote, directory: Path, count: int, seed: int) -> list[Point]:
    """Instants spread over the commands' own durations."""
    chance = random.Random(seed)
    durations = {}
    for stage in stages:
        durations[stage.number] = zygote.attempt(copied(stage, directory), stage.command).seconds
    chosen = [chance.choice(list(stages)) for _ in range(count)]
    return [Point(stage.number, None, seconds=chance.uniform(0, durations[stage.number])) for stage in chosen]


# --- The zygote. ---


def _child(words: Mapping[str, Any], gate: int) -> None:
    """Wait for the gate, do the command, acknowledge. Never returns."""
    descriptor = os.open(words["stdout"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    status = 1
    try:
        os.read(gate, 1)
        told = carry_out(Path(words["directory"]), tuple(words["command"]))
        os.write(1, f"{ACKNOWLEDGED} {told}\n".encode())
        status = 0
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    os._exit(status)


def serve(words_in: Any = sys.stdin, tell: Callable[[str], None] = lambda line: print(line, flush=True)) -> None:
    """The zygote: for each command fork a child, tell its id, open the gate on request, tell how it ended."""
    for module in IMPORTED_ONCE:
        import_module(module)
    tell("ready")
    for line in words_in:
        words = json.loads(line)
        gate, opener = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(opener)
            _child(words, gate)
        os.close(gate)
        tell(str(child))
        words_in.readline()
        os.write(opener, b"x")
        os.close(opener)
        _, status = os.waitpid(child, 0)
        tell(str(status))


if __name__ == "__main__":
    serve()
