"""A file on its way in: read by its source, normalised by the engine, measured and checked against its contract.

Ground for `intake` (which keeps what is staged) and `preview` (which only shows it). Nothing here is committed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from tieout.adapters.engine.duckdb import DuckEngine
from tieout.adapters.sources.catalogue import source_for
from tieout.adapters.spool import as_query, rejections_query
from tieout.core.normalise import DRAFTS, missing_plan, normalise_plan, staged_measures
from tieout.core.versions import QUARANTINE_COLUMNS, quarantine_plan
from tieout.model.clock import instant_text, parse_instant
from tieout.model.configuration import Contract, EngineConfig, SourceConfig
from tieout.model.errors import InputError, Place, TieoutError
from tieout.model.reading import Reading, SourceOptions
from tieout.model.record import Rejection, Statement

_HELD_BYTES = 256_000_000
"""Files below this size are read into memory before they are normalised; larger ones stream."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Total:
    """Rows and sum of minor units of one currency ("" where rows have none)."""

    currency: str
    rows: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Staged:
    """One file, normalised into `path` (STAGED_COLUMNS) beside the rejections of its reader.

    `rows` are the normalised rows, faulty ones among them; `identities` the distinct ids of those without fault.
    `violations` say in words what the contract does not allow; empty when the delivery may be accepted.
    """

    path: Path
    format: str
    rows: int
    faulty: int
    identities: int
    totals: tuple[Total, ...]
    faulty_totals: tuple[Total, ...]
    digests: tuple[int, int]
    rejections: tuple[Rejection, ...]
    statements: tuple[Statement, ...]
    inferred: Mapping[str, str]
    violations: tuple[str, ...]

    @property
    def read(self) -> int:
        """Rows read: normalised ones and those that the reader could not split."""
        return self.rows + len(self.rejections)

    @property
    def quarantined(self) -> int:
        """Rows that cannot be read: faulty ones and rejections."""
        return self.faulty + len(self.rejections)


def engine_for(settings: EngineConfig, spill_directory: Path | None = None) -> DuckEngine:
    """An engine bounded as the configuration says."""
    return DuckEngine(memory=settings.memory, threads=settings.threads, spill_directory=spill_directory)


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """All that decides how a file is read besides its bytes; kept with the batch, so that it can be read again.

    `observed_at` is the version of rows that their source does not version.
    """

    source: SourceConfig
    declared_format: str | None = None
    observed_at: datetime | None = None

    def as_json(self) -> str:
        """Canonical JSON."""
        observed = None if self.observed_at is None else instant_text(self.observed_at)
        content = {"source": asdict(self.source), "format": self.declared_format, "observed_at": observed}
        return json.dumps(content, sort_keys=True, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.as_json().encode()).hexdigest()

    @staticmethod
    def from_json(text: str) -> ReadingOptions:
        """The inverse of `as_json`."""
        content = json.loads(text)
        source = content["source"]
        contract = {
            name: tuple(value) if isinstance(value, list) else value for name, value in source["contract"].items()
        }
        source |= {
            "options": SourceOptions(**source["options"]),
            "contract": Contract(
                required=tuple(contract["required"]),
                kinds=tuple(contract["kinds"]),
                currencies=tuple(contract["currencies"]),
                quarantine_limit_percent=int(str(contract["quarantine_limit_percent"])),
            ),
            "files": tuple(source["files"]),
        }
        observed = None if content["observed_at"] is None else parse_instant(content["observed_at"])
        return ReadingOptions(SourceConfig(**source), content["format"], observed)


def stage_file(
    engine: DuckEngine, options: ReadingOptions, path: Path, *, shown_name: str, batch: int, directory: Path
) -> Staged:
    """Read and normalise one file into `directory`. Raises InputError naming `shown_name` when it is refused."""
    source = options.source
    observed_us = 0 if options.observed_at is None else (options.observed_at - _EPOCH) // timedelta(microseconds=1)
    try:
        reader = source_for(path, options.declared_format or source.format, name=shown_name)
        reading = reader.read(path, source.options)
        query, present = as_query(reading, directory / "spool.jsonl")
        present = present if present is not None else engine.columns(query)
        plan = normalise_plan(source.name, batch, present, derived_ids=reading.derived_ids, observed_us=observed_us)
        staged_path = directory / "staged.parquet"
        small = path.stat().st_size < _HELD_BYTES
        engine.run(plan, {}, {"staged": staged_path}, {DRAFTS: query}, hold=small)
    except InputError as error:
        raise _renamed(error, shown_name) from error
    except UnicodeDecodeError as error:
        place = Place(shown_name)
        hint = "declare settings.encoding"
        raise InputError("the text is not in the declared encoding", hint=hint, place=place) from error
    finally:
        (directory / "spool.jsonl").unlink(missing_ok=True)
    return _measured(engine, source.contract, staged_path, reading)


def _renamed(error: InputError, shown_name: str) -> InputError:
    """The same error, placed in the file as the user named it rather than in its kept copy."""
    place = Place(shown_name, error.place.line, error.place.field)
    return InputError(error.message, hint=error.hint, place=place, code=error.code)


def _measured(engine: DuckEngine, contract: Contract, path: Path, reading: Reading) -> Staged:
    measured = engine.run(staged_measures(), {"staged": [path]}, {}).measured
    totals: dict[bool, list[Total]] = {False: [], True: []}
    for faulty, currency, rows, amount in measured["totals"]:
        totals[bool(faulty)].append(Total(str(currency or ""), int(str(rows)), int(Decimal(str(amount)))))
    good, distinct = (int(str(value)) for value in measured["identities"][0])
    first, second = (int(Decimal(str(value))) for value in measured["digests"][0])
    faulty_rows = sum(total.rows for total in totals[True])
    kinds = [str(row[0]) for row in measured["kinds"]]
    missing = _missing(engine, contract, path)
    violations = _violations(contract, kinds, totals[False], missing, good, faulty_rows + len(reading.rejections))
    return Staged(
        path=path,
        format=reading.format,
        rows=good + faulty_rows,
        faulty=faulty_rows,
        identities=distinct,
        totals=tuple(totals[False]),
        faulty_totals=tuple(totals[True]),
        digests=(first, second),
        rejections=tuple(reading.rejections),
        statements=tuple(reading.statements),
        inferred=dict(reading.inferred),
        violations=violations,
    )


def _missing(engine: DuckEngine, contract: Contract, path: Path) -> dict[str, int]:
    if not contract.required:
        return {}
    (counts,) = engine.run(missing_plan(contract.required), {"staged": [path]}, {}).measured["missing"]
    return {name: int(str(count)) for name, count in zip(contract.required, counts, strict=True)}


def _violations(
    contract: Contract, kinds: Sequence[str], totals: Sequence[Total], missing: Mapping[str, int], good: int, bad: int
) -> tuple[str, ...]:
    """What the contract does not allow of this delivery, in words."""
    found = []
    if contract.kinds:
        found += [f"kind {kind} is not in the contract" for kind in kinds if kind not in contract.kinds]
    if contract.currencies:
        found += [
            f"currency {total.currency} is not in the contract ({total.rows} rows)"
            for total in totals
            if total.currency and total.currency not in contract.currencies
        ]
    found += [f"{count} rows lack the required {name}" for name, count in missing.items() if count]
    if bad * 100 > contract.quarantine_limit_percent * (good + bad):
        limit = contract.quarantine_limit_percent
        found.append(f"{bad} of {good + bad} rows are unreadable, more than the {limit}% that the contract accepts")
    return tuple(found)


def write_quarantine(engine: DuckEngine, staged: Staged, batch: int, directory: Path) -> tuple[Path, int]:
    """All unreadable rows of a staged file as one part (QUARANTINE_COLUMNS); returns its path and rows."""
    path = directory / "quarantine.parquet"
    queries = {"rejections": rejections_query(staged.rejections, directory / "rejections.jsonl")}
    results = engine.run(quarantine_plan(batch), {"staged": [staged.path]}, {"quarantine": path}, queries)
    (directory / "rejections.jsonl").unlink(missing_ok=True)
    return path, results.written["quarantine"]


def quarantine_rows(engine: DuckEngine, paths: Sequence[Path], limit: int) -> list[Rejection]:
    """The first unreadable rows of some quarantine parts, in file order."""
    rows = engine.rows(paths, QUARANTINE_COLUMNS, order=("line",), limit=limit)
    return [
        Rejection(None if line is None else int(str(line)), str(field), str(reason), str(text or ""))
        for line, field, reason, text, *_ in rows
    ]


def refusal(error: TieoutError) -> str:
    """Why a file was refused, on one line, for the batch's reason."""
    return str(error).splitlines()[0]
