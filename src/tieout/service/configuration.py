"""Finding and reading a workspace's configuration from disk: `tieout.yaml` and what it includes.

What the text means is core/config's; here are only the files, and that an included one stays in its folder.
"""

from __future__ import annotations

import os
from pathlib import Path

from tieout.core.config.parsing import parse_configuration
from tieout.model.configuration import Configuration
from tieout.model.errors import InputError, Place, UsageError

FILE_NAME = "tieout.yaml"
MAX_READ_BYTES = 1_048_577
"""One byte more than a configuration file may have: enough to tell that it is too large."""


def find_directory(start: Path) -> Path:
    """The nearest directory, from `start` upwards, that holds a tieout.yaml. Raises UsageError when none does."""
    absolute = start.absolute()
    for directory in (absolute, *absolute.parents):
        if (directory / FILE_NAME).is_file():
            return directory
    raise UsageError(
        f"there is no {FILE_NAME} in {start} or above it",
        hint="run `tieout init` to write one, or name its directory with --directory",
    )


def load_configuration(directory: Path, file: Path | None = None) -> tuple[Configuration, Path]:
    """The checked configuration of a directory (or of a file, whatever its name), and its base directory.

    Relative names in the configuration (files, key map, data directory, includes) start at the base directory, the
    one in which the file lies. Raises UsageError when there is no such file, ConfigError with every problem in it.
    """
    path = file if file is not None else directory / FILE_NAME
    if not path.is_file():
        hint = "run `tieout init` to write one" if file is None else "check the path given to --config"
        raise UsageError(f"there is no file {path}", hint=hint)
    base = path.absolute().parent
    configuration = parse_configuration(_text(path, _shown(path)), _shown(path), lambda name: _included(base, name))
    return configuration, base


def data_directory(configuration: Configuration, base: Path) -> Path:
    """Where the workspace's database and parts lie."""
    return base / configuration.data_directory


def _included(base: Path, name: str) -> str:
    """The text of an included file. Raises OSError for one that is missing or that a symbolic link leads elsewhere."""
    resolved = Path(os.path.realpath(base / name))
    if not resolved.is_relative_to(os.path.realpath(base)):
        raise InputError("a symbolic link leads out of the folder", hint="copy the file into the folder")
    if resolved.exists() and not resolved.is_file():
        raise InputError("it is not a file", hint="name a YAML file")
    return _text(resolved, name)


def _text(path: Path, shown: str) -> str:
    """The file's text, at most a byte more than is allowed, so that no huge file is read to be refused."""
    with path.open("rb") as file:
        content = file.read(MAX_READ_BYTES)
    try:
        return content.decode("utf-8-sig" if content.startswith(b"\xef\xbb\xbf") else "utf-8")
    except UnicodeDecodeError as error:
        if len(content) == MAX_READ_BYTES:
            return content.decode("utf-8", "replace")
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError("it is not UTF-8 text", hint="save it as UTF-8", place=Place(shown, line)) from error


def _shown(path: Path) -> str:
    """The path as problems name it: relative to the current directory where it lies below it."""
    absolute, here = path.absolute(), Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(path)
