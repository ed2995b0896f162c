"""`tieout`: the table of commands, and `main()`. A command's module is imported only when that command is asked for.

So `tieout --help` loads no database, engine or parser. What a command does lives in `commands`; what becomes of
errors in `failures`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tieout import __version__
from tieout.model.errors import TieoutError, UsageError
from tieout.surfaces.cli import failures
from tieout.surfaces.cli.invocation import Invocation

PROGRAM = "tieout"


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """One command: its name, the module below `commands` that offers it, and one line of help."""

    name: str
    module: str
    help: str


TABLE: dict[str, tuple[CommandEntry, ...]] = {
    "Begin": (
        CommandEntry("demo", "demo", "A made-up company's month, taken in and reconciled."),
        CommandEntry("init", "init", "Write a tieout.yaml and create the workspace."),
        CommandEntry("check", "check", "Check tieout.yaml; tell every problem with file, line and fix."),
    ),
    "Every day": (
        CommandEntry("parse", "parse", "Read files and show what they say; nothing is kept."),
        CommandEntry("ingest", "ingest", "Take in files: one batch each, accepted or refused whole."),
        CommandEntry("plan", "plan", "Show what a run would do; nothing is written."),
        CommandEntry("run", "run", "Reconcile what has arrived, and prove the result."),
        CommandEntry("findings", "findings", "List disagreements; `findings show ID` tells all of one."),
    ),
    "Look": (
        CommandEntry("status", "status", "Where every source and reconciliation stands."),
        CommandEntry("proof", "proof", "Opening + movements = closing, per side and currency."),
        CommandEntry("batches", "batches", "What was delivered, and what became of it."),
        CommandEntry("runs", "runs", "What was run, and with what result."),
        CommandEntry("export", "export", "Write matches, open items, findings … to a file."),
    ),
    "Correct and prove": (
        CommandEntry("supersede", "supersede", "Withdraw a faulty batch; what it hid comes back."),
        CommandEntry("verify", "verify", "Check every invariant; name the row that breaks one."),
        CommandEntry("replay", "replay", "Compute a closed run again and compare the hashes."),
    ),
    "More": (
        CommandEntry("simulate", "simulate", "Write a made-up month or a benchmark, with its truth."),
        CommandEntry("version", "version", "The version of Tieout and of what it stands on."),
    ),
}
"""All commands by section, in the order of the help."""

ENTRIES = {entry.name: entry for section in TABLE.values() for entry in section}


class CommandGroup(TyperGroup):
    """The group of all commands, of which each is loaded when it is needed."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Every name, without loading anything."""
        return list(ENTRIES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name, loaded now; None when there is none."""
        entry = ENTRIES.get(cmd_name)
        if entry is None:
            return None
        if cmd_name not in self.commands:
            module = import_module(f"tieout.surfaces.cli.commands.{entry.module}")
            command = typer.main.get_command(module.app)
            command.name = cmd_name
            self.commands[cmd_name] = command
        return self.commands[cmd_name]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the words begin with. Raises UsageError, naming the likely one, when there is none."""
        if args and args[0] not in ENTRIES and not args[0].startswith("-"):
            near = get_close_matches(args[0], ENTRIES, n=1)
            hint = f"did you mean `{PROGRAM} {near[0]}`?" if near else f"`{PROGRAM} --help` lists them"
            raise UsageError(f"there is no command {args[0]!r}", hint=hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The table by section, from its own lines of help."""
        for section, entries in TABLE.items():
            with formatter.section(section):
                formatter.write_dl([(f"{entry.name:<10}", entry.help) for entry in entries])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run, and end the process with the exit code that the outcome asks for."""
        words = list(sys.argv[1:] if args is None else args)
        as_json = "--json" in words
        try:
            code = super().main(
                args=words,
                prog_name=prog_name or PROGRAM,
                complete_var=complete_var,
                standalone_mode=False,
                windows_expand_args=windows_expand_args,
                **extra,
            )
            sys.stdout.flush()
        except SystemExit as stop:
            code = _stopped(stop)
        except Exception as error:
            code = _outcome(error, as_json=as_json)
        if code == failures.INTERRUPTED:
            failures.say("interrupted: what was reported as done is kept, the rest has not happened")
        sys.exit(code if isinstance(code, int) else failures.CLEAN)


def _stopped(stop: SystemExit) -> int:
    """The exit code of a call that the parser's library ended by itself: it says 1 when our reader has gone away."""
    if isinstance(stop.__context__, BrokenPipeError):
        _drop_output()
        return failures.INCOMPLETE
    return stop.code if isinstance(stop.code, int) else failures.USAGE


def _outcome(error: Exception, *, as_json: bool) -> int:
    """The exit code of a call that ended in an exception, which is shown in the way its kind asks for."""
    try:
        if isinstance(error, TieoutError):
            return failures.tell(error, as_json=as_json)
        if isinstance(error, typer.Abort):
            return failures.INTERRUPTED
        if isinstance(error, RuntimeError) and str(error) == "Query interrupted":  # DuckDB's words for Ctrl-C
            return failures.INTERRUPTED
        if isinstance(error, BrokenPipeError):
            _drop_output()
            return failures.INCOMPLETE
        if isinstance(error, typer.TyperException) or hasattr(error, "format_message"):
            return _tell_usage(error, as_json=as_json)
        return failures.tell_internal(error, as_json=as_json)
    except BrokenPipeError:
        _drop_output()
        return failures.INCOMPLETE


def _tell_usage(error: Any, *, as_json: bool) -> int:
    """A call that the parser refused. Asking for nothing shows the help, as a question rather than a mistake."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError" and context is not None:
        failures.say(context.get_help())
        return failures.USAGE
    usage = f"{context.get_usage()}\n  hint: {context.command_path} --help" if context is not None else ""
    return failures.tell_usage(error.format_message(), usage, as_json=as_json)


def _drop_output() -> None:
    """Whoever read our output has gone: write the rest to nowhere, so that the interpreter's exit stays quiet."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, sys.stdout.fileno())


app = typer.Typer(
    cls=CommandGroup,
    name=PROGRAM,
    add_completion=True,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 clean, 1 findings over threshold, 2 usage or config, 3 incomplete.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit


@app.callback()
def _globals(
    context: typer.Context,
    directory: Annotated[
        Path | None,
        typer.Option("--directory", "-C", help="Where tieout.yaml is; default: the nearest parent that has it."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="The configuration file itself, whatever its name.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """The reconciliation control plane for revenue systems."""
    given = context.obj if isinstance(context.obj, Invocation) else Invocation()
    context.obj = Invocation(directory or given.directory, config or given.config, given.clock)


def main() -> None:
    """The console script. Ends the process."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    app()
