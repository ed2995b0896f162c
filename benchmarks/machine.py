"""What the figures were measured on: processor, memory, versions. No host name, no paths."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.process import ROOT

PACKAGES = ("tieout", "duckdb", "sqlalchemy", "pysqlite3", "polars", "pandas", "pyarrow", "numpy", "datacompy")


def facts() -> dict[str, str]:
    """Facts by name, in the order in which they are shown; an absent library is 'not installed'."""
    found = {
        "processor": _processor(),
        "cores": str(_cores()),
        "memory": f"{_memory_bytes() / 2**30:.1f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "load average": load_average(),
    }
    commit = _commit()
    if commit:
        found["commit"] = commit
    return found | {name: _version(name) for name in PACKAGES}


def load_average() -> str:
    """Processes at work over the last 1, 5 and 15 minutes: well above 0 before a start, the machine is not quiet."""
    if not hasattr(os, "getloadavg"):
        return "unknown"
    return " ".join(f"{load:.2f}" for load in os.getloadavg())


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    """The commit measured, and whether files differ from it; empty outside a checkout."""
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return said.stdout.strip()
