"""Opening what a command works on: the configuration, and the workspace that it names."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer

from tieout.model.audit import Actor
from tieout.model.configuration import Configuration
from tieout.service.configuration import data_directory, find_directory, load_configuration
from tieout.service.unit import Unit
from tieout.service.workspace import open_workspace
from tieout.surfaces.cli.invocation import Invocation, invocation_of


@dataclass(frozen=True, slots=True)
class Session:
    """An open workspace, its configuration and base directory, and who is at work."""

    unit: Unit
    configuration: Configuration
    base: Path
    actor: Actor


def configuration_of(context: typer.Context) -> tuple[Configuration, Path]:
    """The configuration that the global options name, or the nearest one upwards; and its base directory."""
    return configured(invocation_of(context))


def configured(invocation: Invocation) -> tuple[Configuration, Path]:
    """The configuration that an invocation names, and its base directory."""
    if invocation.config is not None:
        return load_configuration(invocation.config.parent, invocation.config)
    directory = invocation.directory or find_directory(Path.cwd())
    return load_configuration(directory)


@contextmanager
def session(context: typer.Context) -> Iterator[Session]:
    """The workspace of the configuration, open for the length of a command."""
    invocation = invocation_of(context)
    configuration, base = configured(invocation)
    unit = open_workspace(data_directory(configuration, base), configuration.workspace, invocation.clock)
    try:
        yield Session(unit, configuration, base, current_actor())
    finally:
        unit.close()


def current_actor() -> Actor:
    """Who runs this process, as the system knows them."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError, ImportError):
        name = "unknown"
    return Actor(name, "cli")
