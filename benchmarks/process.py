"""One process, measured from outside: wall time, CPU time and peak memory, as the system accounts them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PEAK_UNIT = 1 if sys.platform == "darwin" else 1_024
"""Bytes in which the system counts `ru_maxrss`."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One process: seconds from start to end, CPU seconds (user and system), peak resident bytes, and its outcome.

    `work_seconds` is what the process itself says of its work proper, without start and imports; None where it says
    nothing. `status` is what its JSON says of the outcome; `errors` is what it wrote on stderr.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    exit_code: int
    work_seconds: float | None = None
    status: str = ""
    errors: str = ""

    @property
    def last_error(self) -> str:
        """The last line of stderr: what a failed process died of."""
        lines = self.errors.strip().splitlines()
        return lines[-1] if lines else f"exit code {self.exit_code}"


def environment() -> dict[str, str]:
    """What children inherit: as here, and compiled modules are used and kept."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    found = inherited.get("PYTHONPATH")
    return inherited | {"PYTHONPATH": os.pathsep.join([str(ROOT), *([found] if found else [])])}


def measure(command: Sequence[str], *, timeout_seconds: float, scale: float = 1) -> Measurement:
    """Run a command to its end, killing it after the timeout (its exit code is then -9).

    With `scale` the work of a process that did only a sample of it is multiplied; its start and imports are not.
    """
    done, _ = _measured(command, timeout_seconds, scale)
    return done


def ask(command: Sequence[str], *, timeout_seconds: float = 3_600) -> dict[str, Any]:
    """Run a helper that is not measured, and return the JSON object that it prints.

    Raises RuntimeError with the helper's own words when it fails.
    """
    done, said = _measured(command, timeout_seconds, 1)
    if done.exit_code != 0:
        raise RuntimeError(f"{' '.join(command[1:4])} failed: {done.errors.strip() or done.exit_code}")
    return said


def _measured(command: Sequence[str], timeout_seconds: float, scale: float) -> tuple[Measurement, dict[str, Any]]:
    """A measurement, and the JSON object that the process printed (empty where it printed none)."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        begun = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, cwd=ROOT, env=environment()
        )
        killer = threading.Timer(timeout_seconds, os.kill, (process.pid, signal.SIGKILL))
        killer.start()
        try:
            _, status, used = os.wait4(process.pid, 0)
        finally:
            killer.cancel()
        wall = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        said, complained = _document(_text(output)), _text(errors)
    seconds, cpu_seconds = said.get("work_seconds"), said.get("work_cpu_seconds")
    used_cpu = used.ru_utime + used.ru_stime
    if scale != 1 and seconds is not None and cpu_seconds is not None:
        wall += (scale - 1) * seconds
        used_cpu += (scale - 1) * cpu_seconds
        seconds *= scale
    peak = used.ru_maxrss * PEAK_UNIT
    return Measurement(wall, used_cpu, peak, process.returncode, seconds, _status(said), complained), said


def _status(document: dict[str, Any]) -> str:
    """The outcome as our helpers and `tieout run --json` or `tieout ingest --json` (of one each) tell it."""
    for place, name in (("reconciliations", "status"), ("files", "state")):
        if document.get(place):
            return str(document[place][0][name])
    return str(document.get("status", ""))


def _text(file: Any) -> str:
    file.seek(0)
    content: bytes = file.read()
    return content.decode("utf-8", "replace")


def _document(said: str) -> dict[str, Any]:
    try:
        found = json.loads(said)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
