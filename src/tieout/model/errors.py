"""The one family of errors that may reach a person: what happened, where, and what to do about it.

Faults in users' *data* are values (`Rejection`, findings), never exceptions; an exception here means that a
command as a whole could not do its work.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where a problem lies. `line` counts from 1; `field` is a dotted path or a column name."""

    file: str | None = None
    line: int | None = None
    field: str | None = None

    def __str__(self) -> str:
        file = self.file or ""
        spot = f"{file}:{self.line}" if self.line is not None else file
        return f"{spot} ({self.field})" if self.field and spot else spot or (self.field or "")


class TieoutError(Exception):
    """A command could not do its work. `code` is stable, `hint` says what to do, `exit_code` is the CLI's."""

    exit_code = 2
    default_code = "error"

    def __init__(self, message: str, *, hint: str = "", place: Place | None = None, code: str | None = None):
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.place = place or Place()
        self.code = code or self.default_code

    def __str__(self) -> str:
        where = str(self.place)
        text = f"{where}: {self.message}" if where else self.message
        return f"{text}\n  hint: {self.hint}" if self.hint else text


class UsageError(TieoutError):
    """The call's words are off: an unknown name, a wrong option, a missing workspace."""

    default_code = "usage"


class ConfigError(TieoutError):
    """`tieout.yaml` cannot be accepted. Carries every problem found, not only the first."""

    default_code = "config"

    def __init__(self, problems: list[Problem]):
        first = problems[0]
        super().__init__(first.message, hint=first.hint, place=first.place)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class InputError(TieoutError):
    """A file cannot be framed at all (not a row of it: those are quarantined) and is refused whole."""

    default_code = "input"


class IncompleteError(TieoutError):
    """The work did not finish or could not be proven: try again, or look at what is named."""

    exit_code = 3
    default_code = "incomplete"


class ConflictError(IncompleteError):
    """Another process moved the same thing first: nothing was written, and the same call may be repeated."""

    default_code = "conflict"


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault found in a configuration or a rule: message, place and the likely fix."""

    message: str
    place: Place
    hint: str = ""

    def __str__(self) -> str:
        where = str(self.place)
        text = f"{where}: {self.message}" if where else self.message
        return f"{text}\n  hint: {self.hint}" if self.hint else text
