"""The nouns of the audit: who acted, what was written, how it was sealed, and what a verifier may find wrong.

Hashing and verifying live in core/audit; writing lives in service/unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

JSON: TypeAlias = "bool | int | str | Sequence[JSON] | Mapping[str, JSON] | None"
"""What may be stored as JSON. No float: amounts are integers of minor units or decimal text."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, and how that was established: 'cli', 'system', 'api-key', 'session' …"""

    name: str
    authentication: str


SYSTEM = Actor("tieout", "system")
"""The program itself, where no person asked for what happens."""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One line of the audit as stored: `at` an ISO instant, `details` canonical JSON text, `digest` hex SHA-256."""

    workspace: str
    seq: int
    at: str
    actor: str
    authentication: str
    action: str
    subject: str
    details: str
    digest: str


@dataclass(frozen=True, slots=True)
class Seal:
    """A closed range of audit rows: the Merkle root of their digests, chained to the seal before by `previous`.

    `root`, `previous` and `head` are hex SHA-256; seals count from 1 in each workspace.
    """

    workspace: str
    seal: int
    first_seq: int
    last_seq: int
    root: str
    previous: str
    head: str
    sealed_at: str


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain as exported (and signed) at some time: later chains must still contain it."""

    workspace: str
    seal: int
    last_seq: int
    head: str
    sealed_at: str


@dataclass(frozen=True, slots=True)
class Breach:
    """An invariant that does not hold: its number in the list of invariants, the row it names, and what is wrong."""

    invariant: int
    subject: str
    message: str
