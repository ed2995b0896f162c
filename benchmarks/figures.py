"""Medians, spreads, ratios and growth of what was measured. Seconds and bytes only: no money passes through here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.process import Measurement
from benchmarks.rounds import Series


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of some figures, and the least and greatest of them."""

    median: float
    least: float
    greatest: float


def spread(values: Sequence[float]) -> Spread | None:
    """The spread of some figures; None where there are none."""
    return Spread(median(values), min(values), max(values)) if values else None


def wall(series: Series) -> Spread | None:
    """Seconds of the whole process."""
    return spread([one.wall_seconds for one in series.measured])


def work(series: Series) -> Spread | None:
    """Seconds that a process says it worked, without its start and imports."""
    return spread([one.work_seconds for one in series.measured if one.work_seconds is not None])


def cpu(series: Series) -> Spread | None:
    """CPU seconds, user and system, of all threads."""
    return spread([one.cpu_seconds for one in series.measured])


def peak_bytes(series: Series) -> int | None:
    """The greatest peak of resident memory."""
    return max((one.peak_bytes for one in series.measured), default=None)


def ratios(series: Series, reference: Series, figure: str = "wall_seconds") -> Spread | None:
    """A series as multiples of another, round by round: each figure over the other's of the same round."""
    pairs = zip(series.rounds, reference.rounds, strict=False)
    return spread([_figure(ours, figure) / _figure(theirs, figure) for ours, theirs in pairs if ours and theirs])


def _figure(measurement: Measurement, name: str) -> float:
    value = getattr(measurement, name)
    return math.nan if value is None else float(value)


def growth(seconds_by_rows: Mapping[int, float]) -> float | None:
    """The exponent with which seconds grow with rows: the least-squares slope of their logarithms.

    1 means that ten times the rows take ten times as long. None for fewer than two sizes.
    """
    points = [(math.log(rows), math.log(seconds)) for rows, seconds in seconds_by_rows.items() if seconds > 0]
    if len(points) < 2:
        return None
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / sum((x - middle_x) ** 2 for x, _ in points)
