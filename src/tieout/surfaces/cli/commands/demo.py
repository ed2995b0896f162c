"""`tieout demo`: a made-up company's month, taken in and reconciled: every step is a command that a user could type."""

from __future__ import annotations

import shutil
import time
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from tieout.model.errors import Place, UsageError
from tieout.service.configuration import data_directory, load_configuration
from tieout.service.workspace import initialise, open_workspace
from tieout.simulate.month import MOST_CUSTOMERS, simulate_month
from tieout.simulate.world import World
from tieout.surfaces.cli.commands.deliveries import Delivered, deliver
from tieout.surfaces.cli.commands.options import single_command
from tieout.surfaces.cli.commands.run import print_outcome, print_verdict
from tieout.surfaces.cli.commands.running import run_all
from tieout.surfaces.cli.invocation import Invocation, invocation_of
from tieout.surfaces.cli.output import console, progress, table, text
from tieout.surfaces.cli.render.deliveries import outcomes_text
from tieout.surfaces.cli.render.figures import counted
from tieout.surfaces.cli.render.runs import print_next
from tieout.surfaces.cli.session import Session, current_actor

MARKER = ".tieout-demo"
"""A file that tells an earlier demo's directory, which may be replaced, from anything else."""
SHOWN_FINDINGS = 3
DAYS_AFTER = 5
"""Days after the month's end at which the second delivery has come and all is reconciled."""

app = single_command()


@app.command()
def command(
    context: typer.Context,
    directory: Annotated[Path, typer.Option("--dir", help="Where to write; an earlier demo there is replaced.")] = Path(
        "demo"
    ),
    customers: Annotated[
        int, typer.Option("--customers", min=1, max=MOST_CUSTOMERS, help="How many customers the company has.")
    ] = 200,
    seed: Annotated[int, typer.Option("--seed", help="Equal seeds give equal months.")] = 7,
) -> None:
    """Simulate a month of a software company, with faults; take it in, reconcile it, and show what disagrees."""
    started = time.monotonic()
    prepare(directory)
    out = console()
    world = simulate_month(directory, seed, customers)
    (directory / MARKER).write_text("made by `tieout demo`; replaced by the next one\n", encoding="utf-8")
    _introduce(out, world)
    opened = _open(directory, invocation_of(context))
    try:
        _take_in(out, opened, world, 1, "in time")
        with progress() as tell:
            outcome = run_all(opened, (), tell, as_of=world.end)
        print_verdict(out, outcome)
        _take_in(out, opened, world, 2, "days later")
        with progress() as tell:
            outcome = run_all(opened, (), tell, as_of=world.end + timedelta(days=DAYS_AFTER))
        print_outcome(opened, outcome, f"tieout -C {directory}", dry_run=False, shown_findings=SHOWN_FINDINGS)
    finally:
        opened.unit.close()
    out.print(text(f"All of it in {time.monotonic() - started:.1f} s, in {directory}", "dim"))
    words = f"tieout -C {directory}"
    print_next(out, f"{words} status", f"{words} proof", f"{words} verify")


def prepare(directory: Path) -> None:
    """Make room for a fresh demo. Raises UsageError for a directory that holds anything but an earlier one."""
    if directory.exists() and not directory.is_dir():
        raise UsageError(f"{directory} is not a directory", hint="choose another with --dir")
    if directory.is_dir() and any(directory.iterdir()):
        if not (directory / MARKER).is_file() or directory.is_symlink():
            hint = "choose another with --dir"
            raise UsageError("the directory is not empty, and no earlier demo", hint=hint, place=Place(str(directory)))
        shutil.rmtree(directory)


def _introduce(out: Console, world: World) -> None:
    out.print(Rule(Text("a made-up month", style="bold"), align="left", style="dim"))
    planted = sorted({truth.fault for truth in world.truths}, key=lambda fault: (fault[0], int(fault[1:])))
    cases = len({truth.case for truth in world.truths})
    origins = "Stripe, a bank, a CRM, the product and a ledger"
    out.print(text(f"{world.start} to {world.end}: {counted(len(world.files), 'file')} from {origins}."))
    out.print(
        text(f"{counted(cases, 'fault')} planted ({', '.join(planted)}); the truth is in {world.truth_file}.", "dim")
    )


def _open(directory: Path, invocation: Invocation) -> Session:
    configuration, base = load_configuration(directory)
    where = data_directory(configuration, base)
    actor = current_actor()
    initialise(where, configuration.workspace, invocation.clock, actor=actor)
    return Session(open_workspace(where, configuration.workspace, invocation.clock), configuration, base, actor)


def _take_in(out: Console, opened: Session, world: World, delivery: int, when: str) -> None:
    """One delivery, a line for each file."""
    out.print(Rule(Text(f"delivery {delivery}, {when}", style="bold"), align="left", style="dim"))
    files = [(file.source, file.path) for file in world.delivered(delivery)]
    with progress() as tell:
        done = list(deliver(opened, files, tell))
    expected = {str(world.directory / truth.file) for truth in world.truths if truth.expect == "refused"}
    made = table("!source", "!file", ">batch", "what became of it")
    for one in done:
        shown = text(Path(one.name).relative_to(world.directory))
        batch = "" if one.report is None or one.report.batch is None else str(one.report.batch)
        made.add_row(text(one.source), shown, batch, _outcome(one, expected=one.name in expected))
    out.print(made)


def _outcome(one: Delivered, *, expected: bool) -> Text:
    if one.report is None:
        words = Text("refused", style="bold red")
        words.append(", as it should be" if expected else "", style="not bold green")
        return words if one.error is None else words.append_text(text(f": {one.error.message}", "not bold dim"))
    words = outcomes_text(one.report)
    broken = [statement for statement in one.report.statements if statement.ties is False]
    if one.report.statements:
        words.append(f"; {counted(len(one.report.statements), 'statement')}", style="dim")
    if broken:
        gaps = ", ".join(f"{statement.statement_id} {statement.gap:f}" for statement in broken)
        words.append_text(text(f", off: {gaps}", "red"))
    return words
