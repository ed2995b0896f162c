"""Runs: the manifest that determines one, its proof, and the head that the next opens on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date

from tieout.model.money import decimal_text


@dataclass(frozen=True, slots=True)
class BatchRef:
    """A batch as a manifest names it: number, rows kept and their logical digest (order-free)."""

    batch: int
    source: str
    rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """All that a run's result depends on. Equal manifests give equal result hashes on every engine.

    `accepted` are all batches that count, `changed` those accepted or withdrawn since the opening run;
    `key_map_version` 0 means that no key map was loaded.
    """

    reconciliation: str
    rules_digest: str
    opening_run: int | None
    accepted: tuple[BatchRef, ...]
    changed: tuple[int, ...]
    as_of: date
    key_map_version: int
    code_version: str
    settings: Mapping[str, object] = field(default_factory=dict)

    def as_json(self) -> str:
        """Canonical JSON: sorted keys, no white space."""
        content = asdict(self)
        content["as_of"] = self.as_of.isoformat()
        return json.dumps(content, sort_keys=True, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.as_json().encode()).hexdigest()

    @staticmethod
    def from_json(text: str) -> Manifest:
        """The inverse of `as_json`."""
        content = json.loads(text)
        content["as_of"] = date.fromisoformat(content["as_of"])
        content["accepted"] = tuple(BatchRef(**batch) for batch in content["accepted"])
        content["changed"] = tuple(content["changed"])
        return Manifest(**content)


@dataclass(frozen=True, slots=True)
class ProofLine:
    """One line of a run's proof, in minor units: opening + new + amended + reopened - withdrawn - matched -
    written off = closing; whatever is left over is unexplained and must be 0."""

    side: str
    currency: str
    opening_minor: int
    new_minor: int
    amended_minor: int
    reopened_minor: int
    withdrawn_minor: int
    matched_minor: int
    written_off_minor: int
    closing_minor: int
    opening_count: int
    new_count: int
    matched_count: int
    closing_count: int

    @property
    def unexplained_minor(self) -> int:
        """What the movements do not explain. Anything but 0 is a breach of invariant 2."""
        came = self.opening_minor + self.new_minor + self.amended_minor + self.reopened_minor
        went = self.withdrawn_minor + self.matched_minor + self.written_off_minor
        return came - went - self.closing_minor

    def as_text(self) -> dict[str, str]:
        """Every figure as decimal text in major units, for people and JSON."""
        figures = ("opening", "new", "amended", "reopened", "withdrawn", "matched", "written_off", "closing",
                   "unexplained")  # fmt: skip
        shown = {name: decimal_text(getattr(self, f"{name}_minor"), self.currency) for name in figures}
        return {"side": self.side, "currency": self.currency, **shown}
