"""`tieout version`: which version this is, and what it stands on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import typer

from tieout import __version__
from tieout.surfaces.cli.commands.options import Json, single_command
from tieout.surfaces.cli.output import write_json

LIBRARIES = ("duckdb", "sqlalchemy", "pysqlite3", "lxml")

app = single_command()


@app.command()
def command(as_json: Json = False) -> None:
    """Show the version of Tieout and of the libraries that results could depend on."""
    found = {"tieout": __version__, "python": platform.python_version(), **{name: _version(name) for name in LIBRARIES}}
    if as_json:
        write_json(found)
        return
    for name, number in found.items():
        typer.echo(f"{name} {number}")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
