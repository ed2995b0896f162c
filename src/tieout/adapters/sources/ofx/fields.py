"""How OFX writes amounts, days and instants.

Amounts: a point or a comma before the decimals, no grouping (OFX 1.6 and 2.2, section 3.2.9). Moments:
`YYYYMMDDHHMMSS.XXX[offset:name]`, from the date alone to all of it (section 3.2.8). A text that is none of these is
handed on unchanged, so that its row is quarantined with the text.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal

from tieout.adapters.sources.drafting import AMOUNT_CHARACTERS

_PLAIN = re.compile(r"[+-]?(?:[0-9]+[.,]?[0-9]*|[.,][0-9]+)")
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(?:(?:,[0-9]{3})+\.[0-9]+|(?:\.[0-9]{3})+,[0-9]+)")
_MOMENT = re.compile(
    r"(?P<day>[0-9]{8})(?:(?P<clock>[0-9]{4}(?:[0-9]{2})?)(?:[.,:](?P<fraction>[0-9]{1,9}))?)?"
    r"\s*(?:\[(?P<offset>[^\[\]]{0,40})\])?"
)
_OFFSET = re.compile(r"(?P<sign>[+-]?)(?P<hours>[0-9]{1,2})(?:[.](?P<part>[0-9]{1,2}))?(?:\s*:.*)?")
_PARTS = {"0": 0, "00": 0, "5": 30, "50": 30, "30": 30, "25": 15, "15": 15, "75": 45, "45": 45}
"""Minutes of an offset's part behind the point: a fraction by the standard ([-3.5:NST]), minutes as some write."""

_LARGEST_OFFSET = timedelta(hours=14)


def amount_of(text: str | None) -> Decimal | None:
    """The amount as written, sign included; None when it cannot be read.

    A lone comma is a decimal comma, as the standard says; both marks together are read where their grouping leaves
    no choice.
    """
    if text is None or len(text) > AMOUNT_CHARACTERS:
        return None
    if _PLAIN.fullmatch(text):
        return Decimal(text.replace(",", "."))
    if _GROUPED.fullmatch(text):
        decimal = max(text.rfind("."), text.rfind(","))
        return Decimal(re.sub("[.,]", "", text[:decimal]) + "." + text[decimal + 1 :])
    return None


def day_of(text: str | None) -> str | None:
    """The date of a moment, as written there (never moved by its zone); a text that is no moment unchanged."""
    match = _MOMENT.fullmatch(text) if text else None
    if text is None or match is None:
        return text
    day = match["day"]
    try:
        return date(int(day[:4]), int(day[4:6]), int(day[6:])).isoformat()
    except ValueError:
        return text


def has_clock(text: str | None) -> bool:
    """Whether a moment says more than a date."""
    return text is not None and len(text) > 8


def instant_of(text: str | None, zone: tzinfo) -> str | None:
    """A moment with a time of day as UTC; None where there is none; an impossible one unchanged.

    Without an offset it is in `zone` (UTC by the standard), and midnight then only fills up a date. An offset that
    has a name but no number is not guessed: None.
    """
    match = _MOMENT.fullmatch(text) if text else None
    if text is None or match is None or not match["clock"]:
        return None
    clock = match["clock"].ljust(6, "0")
    fraction = (match["fraction"] or "").ljust(6, "0")[:6]
    if match["offset"] is None and not (clock + fraction).strip("0"):
        return None
    try:
        local = _local(match["day"], clock, fraction)
        offset = zone if match["offset"] is None else _offset(match["offset"])
        return None if offset is None else _utc_text(local, offset, text)
    except (ValueError, OverflowError):
        return text


def _local(day: str, clock: str, fraction: str) -> datetime:
    """A local time from its digits. Raises ValueError for one that does not exist."""
    hour, minute, second = int(clock[:2]), int(clock[2:4]), int(clock[4:])
    return datetime(int(day[:4]), int(day[4:6]), int(day[6:]), hour, minute, second, int(fraction))  # noqa: DTZ001


def _utc_text(local: datetime, zone: tzinfo, text: str) -> str:
    """The instant of a local time, or the text unchanged where clocks skip that time."""
    instant = local.replace(tzinfo=zone).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) != local:
        return text
    return instant.replace(tzinfo=None).isoformat() + "Z"


def _offset(text: str) -> timezone | None:
    """The offset of `-5:EST`, `+5.30` or `0:GMT`; None where no number is given. Raises ValueError beyond 14 hours."""
    match = _OFFSET.fullmatch(text.strip())
    if match is None:
        return None
    minutes = _PARTS.get(match["part"] or "0")
    if minutes is None:
        return None
    offset = timedelta(hours=int(match["hours"]), minutes=minutes)
    if offset > _LARGEST_OFFSET:
        raise ValueError("no zone is so far from UTC")
    return timezone(-offset if match["sign"] == "-" else offset)
