"""The vocabulary of findings: states and their legal transitions, severities, kinds and codes.

The database enforces `TRANSITIONS` by a trigger over a table with the same rows; a test keeps the two equal.
What lives elsewhere: how a break becomes a finding (core/findings), what people do with it (service/findings).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class State(StrEnum):
    """Where a finding stands: `pending` is inside grace, `open` waits for a person."""

    PENDING = "pending"
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    IN_PROGRESS = "in_progress"
    PENDING_APPROVAL = "pending_approval"
    RESOLVED = "resolved"
    IGNORED = "ignored"


class Severity(StrEnum):
    """How much a finding matters, from rule, amount and age; from mild to grave."""

    WARNING = "warning"
    HIGH = "high"
    CRITICAL = "critical"


class Kind(StrEnum):
    """`single`: one break. `group`: many breaks of one cause, listed in a member dataset."""

    SINGLE = "single"
    GROUP = "group"


class Code(StrEnum):
    """What is wrong, as a stable word; `meaning` says it in one line."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> Code:
        """A member whose value is its own word and which carries its meaning."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    MISSING_RECORD = "MISSING_RECORD", "A record that should have arrived on this side did not."
    UNEXPECTED_RECORD = "UNEXPECTED_RECORD", "A record stands on this side that no other side accounts for."
    MISSING_INVOICE = "MISSING_INVOICE", "Money arrived for which no invoice is known."
    AMOUNT_MISMATCH = "AMOUNT_MISMATCH", "Matched records of one currency differ in amount."
    CURRENCY_MISMATCH = "CURRENCY_MISMATCH", "Records under one key are in different currencies."
    DUPLICATE_RECORD = "DUPLICATE_RECORD", "A key that admits one record carries another."
    DUPLICATE_ID = "DUPLICATE_ID", "One file says the same native id twice, with different content."
    BALANCE_GAP = "BALANCE_GAP", "A statement's opening balance plus its lines is not its closing balance."
    UNRESOLVED_CUSTOMER = "UNRESOLVED_CUSTOMER", "A native id that belongs to no canonical customer."
    UNAPPLIED_REFUND = "UNAPPLIED_REFUND", "A refund that no payment or credit note accounts for."


STATES: Final = tuple(State)
SEVERITIES: Final = tuple(Severity)
KINDS: Final = tuple(Kind)

FIRST_STATES: Final = frozenset({State.PENDING, State.OPEN})
"""States in which a finding may be born; every other is reached by a transition."""

TRANSITIONS: Final[Mapping[State, frozenset[State]]] = MappingProxyType(
    {
        State.PENDING: frozenset({State.OPEN, State.RESOLVED, State.IGNORED}),
        State.OPEN: frozenset(
            {
                State.ACKNOWLEDGED,
                State.IN_PROGRESS,
                State.PENDING_APPROVAL,
                State.RESOLVED,
                State.IGNORED,
                State.PENDING,
            }
        ),
        State.ACKNOWLEDGED: frozenset(
            {State.IN_PROGRESS, State.PENDING_APPROVAL, State.RESOLVED, State.IGNORED, State.OPEN}
        ),
        State.IN_PROGRESS: frozenset(
            {State.PENDING_APPROVAL, State.RESOLVED, State.IGNORED, State.OPEN, State.ACKNOWLEDGED}
        ),
        State.PENDING_APPROVAL: frozenset({State.IN_PROGRESS, State.RESOLVED, State.IGNORED, State.OPEN}),
        State.RESOLVED: frozenset({State.OPEN, State.PENDING}),
        State.IGNORED: frozenset({State.OPEN, State.RESOLVED, State.PENDING}),
    }
)
"""From each state, the states a finding may go to. Staying where it is is no transition."""


def may_become(before: str, after: str) -> bool:
    """Whether a finding may go from one state to another. Raises ValueError for a word that is no state."""
    return State(after) in TRANSITIONS[State(before)]
