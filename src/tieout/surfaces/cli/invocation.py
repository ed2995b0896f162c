"""The words before the command, as data. Nothing heavy is imported here: `tieout --help` passes through."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import typer

from tieout.model.clock import Clock, system_clock


@dataclass(frozen=True, slots=True)
class Invocation:
    """Where the configuration lies, and what time it is. Travels as the context's `obj`."""

    directory: Path | None = None
    config: Path | None = None
    clock: Clock = system_clock

    @property
    def words(self) -> str:
        """`tieout` as it was called here, for the commands that are suggested next."""
        if self.config is not None:
            return f"tieout --config {self.config}"
        return "tieout" if self.directory is None else f"tieout -C {self.directory}"


def invocation_of(context: typer.Context) -> Invocation:
    """The global options of a running command."""
    found = context.find_object(Invocation)
    return found if isinstance(found, Invocation) else Invocation()
