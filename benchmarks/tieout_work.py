"""Tieout's work alone: how long one service call takes inside a fresh process, without its start and imports.

`python -m benchmarks.tieout_work run DIRECTORY`, or `… ingest DIRECTORY FILE` (payments). The workspace is open
before the clock starts, so that only the service's own work counts.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from benchmarks.prepare import ACTOR
from tieout.model.clock import system_clock
from tieout.service.configuration import data_directory, load_configuration
from tieout.service.intake import ingest
from tieout.service.runs import run_reconciliation
from tieout.service.workspace import open_workspace


def main(action: str, directory: Path, *files: str) -> None:
    """Do it, and print the seconds and the outcome's status."""
    configuration, base = load_configuration(directory)
    unit = open_workspace(data_directory(configuration, base), configuration.workspace, system_clock)
    try:
        wall, cpu = time.perf_counter(), time.process_time()
        if action == "run":
            (name,) = configuration.reconciliations
            status = run_reconciliation(unit, configuration, name, ACTOR).status
        else:
            status = ingest(unit, configuration, "payments", Path(files[0]), ACTOR).state
        work = {"work_seconds": time.perf_counter() - wall, "work_cpu_seconds": time.process_time() - cpu}
    finally:
        unit.close()
    print(json.dumps(work | {"status": status}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
