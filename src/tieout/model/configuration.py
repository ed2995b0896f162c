"""What `tieout.yaml` declares, once it has been checked: plain data that core and service work from.

Parsing, defaults that need context and error places live in core/config; this module is only the shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tieout.model.reading import SourceOptions

PassType = Literal["exact", "grouped"]
AmountColumn = Literal["amount", "net", "fee"]


@dataclass(frozen=True, slots=True)
class Contract:
    """What a delivery must satisfy to be accepted; otherwise the batch is refused whole, and says why.

    `required` draft columns must be present in every row; `kinds` and `currencies` list what may occur (empty:
    anything); `quarantine_limit_percent` is the share of quarantined rows (0 to 100) that is still accepted.
    """

    required: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    currencies: tuple[str, ...] = ()
    quarantine_limit_percent: int = 100


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """One outside system. `format` None means: detect it for each file."""

    name: str
    options: SourceOptions = field(default_factory=SourceOptions)
    format: str | None = None
    files: tuple[str, ...] = ()
    declares_customers: bool = False
    contract: Contract = Contract()


@dataclass(frozen=True, slots=True)
class SideConfig:
    """One side of a match: which records, which of their amounts, and with which sign.

    `where` and `where_not` map a record column to the values that are let in or kept out; `sign` -1 turns the
    side's amounts round so that agreeing sides have equal sums.
    """

    name: str
    source: str
    kinds: tuple[str, ...]
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    where_not: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    amount: AmountColumn = "amount"
    sign: Literal[1, -1] = 1


@dataclass(frozen=True, slots=True)
class PassConfig:
    """One keyed pass. `on` maps every side to the record column that holds its key.

    exact: one record to one record of equal amount and currency under a shared key; where a side is listed in
    `unique`, its key admits one record and the rest are duplicates. grouped: N:M records under a shared key whose
    sums tie out; what does not tie is allocated oldest first and the residual stays open. `fee` names a side
    whose fee may make up the difference (gross = net + fee), kept as a typed residual.
    """

    name: str
    type: PassType
    on: Mapping[str, str]
    unique: tuple[str, ...] = ()
    fee: str | None = None


@dataclass(frozen=True, slots=True)
class SeverityThresholds:
    """Money at risk from which a finding is high or critical, in major units of its currency."""

    high: int = 1_000
    critical: int = 10_000


@dataclass(frozen=True, slots=True)
class ReconciliationConfig:
    """One match reconciliation: its sides in order (the first is what is expected), passes and clocks."""

    name: str
    sides: tuple[SideConfig, ...]
    passes: tuple[PassConfig, ...]
    grace_days: int = 0
    window_days: int = 30
    group_over: int = 1_000
    severity: SeverityThresholds = SeverityThresholds()
    disputes: str | None = None
    threshold: int = 0


@dataclass(frozen=True, slots=True)
class IdentityConfig:
    """Where canonical customers come from: the source whose customer ids are canonical, and a key-map file.

    `key_map` is a CSV with columns customer_id, source, native_id, beside tieout.yaml.
    """

    canonical_source: str | None = None
    key_map: str | None = None


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Bounds for the engine: memory as DuckDB writes it ("4GB"), threads (None: as many as the machine has)."""

    memory: str | None = None
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """The whole of one checked `tieout.yaml`."""

    workspace: str
    sources: Mapping[str, SourceConfig]
    reconciliations: Mapping[str, ReconciliationConfig]
    identity: IdentityConfig = IdentityConfig()
    authority: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    engine: EngineConfig = EngineConfig()
    data_directory: str = ".tieout"
    database_url: str | None = None
    digest: str = ""
