"""`tieout init`: write a first tieout.yaml, from sample files where there are any, and create the workspace."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from tieout.core.starter import StarterSource, starter_configuration
from tieout.model.errors import TieoutError, UsageError
from tieout.service.configuration import FILE_NAME, data_directory, load_configuration
from tieout.service.starting import starter_source
from tieout.service.workspace import initialise
from tieout.surfaces.cli.commands.options import existing, single_command
from tieout.surfaces.cli.failures import say, shown_path
from tieout.surfaces.cli.invocation import invocation_of
from tieout.surfaces.cli.output import console, progress, text
from tieout.surfaces.cli.render.runs import print_next
from tieout.surfaces.cli.session import current_actor

app = single_command()


@app.command()
def command(
    context: typer.Context,
    directory: Annotated[
        Path, typer.Argument(help="Where to write tieout.yaml; created where it is missing.")
    ] = Path(),
    workspace: Annotated[
        str | None, typer.Option("--workspace", "-w", help="The workspace's name; default: the directory's.")
    ] = None,
    samples: Annotated[
        list[Path] | None,
        typer.Option("--from", help="A sample file, of which a source is made; may be given several times."),
    ] = None,
) -> None:
    """Write a commented tieout.yaml and create the workspace it names.

    With --from each sample file becomes a source, with the columns that were recognised in it. Where a tieout.yaml
    is there already it is kept as it is, and only the workspace is created; repeating the call changes nothing.
    """
    invocation = invocation_of(context)
    directory = invocation.directory or directory
    target = directory / FILE_NAME
    out = console()
    if target.exists():
        if samples:
            hint = "remove it first, or add the source by hand"
            raise UsageError(f"{target} is there already", hint=hint)
        say(f"{target} is there already and stays as it is")
    else:
        with progress() as tell:
            content = starter_configuration(workspace or _name_of(directory), _sources(directory, samples or [], tell))
        _write(target, content)
        out.print(text(f"wrote {target}", "green"))
    configuration, base = load_configuration(directory)
    initialise(data_directory(configuration, base), configuration.workspace, invocation.clock, actor=current_actor())
    where = configuration.data_directory
    out.print(text(f"workspace {configuration.workspace} is ready in {directory / where}", "green"))
    place = "" if directory == Path() else f" -C {shown_path(directory)}"
    print_next(out, f"edit {target}", f"tieout{place} check", f"tieout{place} ingest", f"tieout{place} run")


def _write(target: Path, content: str) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as file:
            file.write(content)
    except FileExistsError:
        raise UsageError(f"{target} is there already", hint="another call has just written it") from None
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror}", hint="choose another directory") from error


def _name_of(directory: Path) -> str:
    """A workspace's name from its directory's: what is left of it in lower-case letters, digits and hyphens."""
    return _slug(directory.absolute().name) or "workspace"


def _slug(words: str) -> str:
    return re.sub("[^a-z0-9]+", "-", words.lower()).strip("-")[:63].strip("-")


def _sources(directory: Path, samples: list[Path], tell: object) -> list[StarterSource]:
    """One source for each sample file, named after it."""
    sources: list[StarterSource] = []
    for path in existing(samples):
        assert callable(tell)
        tell(f"reading {path} …")
        name = _slug(re.sub("[0-9_.-]+$", "", path.stem)) or f"source-{len(sources) + 1}"
        taken = {source.name for source in sources}
        if name in taken:
            name = next(f"{name}-{number}" for number in range(2, 1_000) if f"{name}-{number}" not in taken)
        try:
            sources.append(starter_source(name, path, _pattern(directory, path)))
        except TieoutError as error:
            raise UsageError(f"{path} cannot serve as a sample: {error.message}", hint=error.hint) from error
    return sources


def _pattern(directory: Path, path: Path) -> str:
    """The file relative to the configuration where it lies below it, else in full."""
    absolute, base = path.absolute(), directory.absolute()
    return absolute.relative_to(base).as_posix() if absolute.is_relative_to(base) else absolute.as_posix()
