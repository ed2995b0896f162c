"""`tieout proof`: opening + movements = closing, for a run or for every reconciliation's last one."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from tieout.service.listing import ProofOfRun, proofs_of
from tieout.surfaces.cli.commands.options import Json, single_command
from tieout.surfaces.cli.invocation import invocation_of
from tieout.surfaces.cli.output import console, text, write_json
from tieout.surfaces.cli.render.figures import instant, short_hash
from tieout.surfaces.cli.render.proof import proof_document, proof_view
from tieout.surfaces.cli.render.runs import print_next
from tieout.surfaces.cli.session import session

app = single_command()


@app.command()
def command(
    context: typer.Context,
    target: Annotated[
        str | None,
        typer.Argument(metavar="[RUN|RECONCILIATION]", help="A run's number or a reconciliation; absent: all."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the proof of a run, or of the last closed run of a reconciliation.

    opening + new ± amended + reopened − withdrawn − matched − written off = closing; unexplained must be 0.
    """
    with session(context) as opened:
        proofs = proofs_of(opened.unit, opened.configuration, target)
    if as_json:
        write_json({"proofs": [_document(one) for one in proofs]})
        return
    out = console()
    for one in proofs:
        head = text(one.reconciliation, "bold")
        head.append(f"  run {one.run}, as of {one.as_of}, closed {instant(one.closed_at)}", style="dim")
        out.print(head)
        out.print(proof_view(out, one.lines))
        out.print(
            Text(f"result {short_hash(one.result_hash)}, manifest {short_hash(one.manifest_digest)}", style="dim")
        )
    if not proofs:
        out.print("nothing has been closed yet")
        print_next(out, f"{invocation_of(context).words} run")


def _document(one: ProofOfRun) -> dict[str, object]:
    return {
        "run": one.run,
        "reconciliation": one.reconciliation,
        "as_of": one.as_of,
        "closed_at": one.closed_at,
        "result_hash": one.result_hash,
        "manifest_digest": one.manifest_digest,
        "lines": [proof_document(line) for line in one.lines],
        "unexplained": any(line.unexplained_minor for line in one.lines),
    }
