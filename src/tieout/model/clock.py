"""Time as an input. Nothing below the surfaces asks the operating system what time it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

Clock = Callable[[], datetime]
"""Returns an aware instant in UTC."""


def system_clock() -> datetime:
    """The machine's clock; surfaces inject it, tests inject another."""
    return datetime.now(UTC)


def instant_text(moment: datetime) -> str:
    """Canonical text of an instant: UTC, microseconds, trailing Z. Sorts as time does."""
    if moment.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_instant(text: str) -> datetime:
    """The inverse of `instant_text`."""
    return datetime.fromisoformat(text)


def parse_day(text: str) -> date:
    """A booking date, `YYYY-MM-DD`."""
    return date.fromisoformat(text)
