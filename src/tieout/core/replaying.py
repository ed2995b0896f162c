"""Recomputing what closed runs did: their rules as data again. Pure; loading and executing is the services' work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tieout.model.configuration import PassConfig, ReconciliationConfig, SeverityThresholds, SideConfig
from tieout.model.errors import IncompleteError


def reconciliation_from(data: Mapping[str, object]) -> ReconciliationConfig:
    """The rules of one reconciliation from their JSON: the inverse of `dataclasses.asdict` and `json.loads`.

    Raises IncompleteError when the data has fields that this version does not know, or lacks some that it needs.
    """
    fields: dict[str, Any] = {name: _frozen(value) for name, value in data.items()}
    try:
        fields["sides"] = tuple(SideConfig(**side) for side in fields["sides"])
        fields["passes"] = tuple(PassConfig(**one) for one in fields["passes"])
        fields["severity"] = SeverityThresholds(**fields["severity"])
        return ReconciliationConfig(**fields)
    except (KeyError, TypeError) as error:
        hint = "use the version of Tieout that closed the run"
        raise IncompleteError("the stored rules are not of the shape that this version reads", hint=hint) from error


def _frozen(value: object) -> object:
    """JSON's lists as tuples, at every depth: the shape that the configuration's dataclasses hold."""
    if isinstance(value, Mapping):
        return {name: _frozen(item) for name, item in value.items()}
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    return value
