"""`tieout plan`: what a run would do. The same path as `tieout run`, which with `--dry-run` is this."""

from __future__ import annotations

import typer

from tieout.surfaces.cli.commands.options import Json, single_command
from tieout.surfaces.cli.commands.run import AsOf, Names, execute

app = single_command()


@app.command()
def command(context: typer.Context, reconciliations: Names = None, as_of: AsOf = None, as_json: Json = False) -> None:
    """Show what a run would do: the same work and the same proof, but nothing is written. Short for `run --dry-run`."""
    execute(context, reconciliations or [], as_of, slice_only=False, dry_run=True, as_json=as_json)
