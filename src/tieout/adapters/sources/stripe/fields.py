"""How the fields of a Stripe object are read: texts, ids that may be expanded, amounts, seconds since 1970.

Which field means what is `objects`' business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tieout.adapters.sources.stripe.currency import major_text
from tieout.adapters.sources.stripe.framing import Json, canonical, excerpt

_EPOCH = datetime.fromisoformat("1970-01-01")


@dataclass(frozen=True, slots=True)
class Context:
    """What an object may be missing: a default currency, and the currencies of the document's payouts by id."""

    currency: str | None = None
    payout_currencies: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fault:
    """An object that cannot be a draft: its field, the reason, and an excerpt."""

    field: str
    reason: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Extras:
    """Fields of a kind that its attributes keep: as they stand, as ids, as amounts, as instants."""

    plain: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    money: tuple[str, ...] = ()
    instants: tuple[str, ...] = ()


class UnreadableFieldError(Exception):
    """Carries a Fault out of the readers of single fields."""

    def __init__(self, fault: Fault):
        super().__init__(fault.reason)
        self.fault = fault


class StripeObject:
    """One Stripe object and how its fields are read."""

    def __init__(self, value: Json, context: Context):
        self.value = value
        self._context = context
        self.currency = self._currency()

    def _currency(self) -> str | None:
        """Its own currency, else that of the payout it names, else the source's default; upper case."""
        own = self.text("currency")
        if own is None:
            own = self._context.payout_currencies.get(self.id_of("payout") or "")
        return own.upper() if own else self._context.currency

    def at(self, path: str) -> object:
        """The value at a dotted path; None where it ends early."""
        value: object = self.value
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        return value

    def listed(self, path: str) -> list[object]:
        """The list at a path; empty when there is none."""
        value = self.at(path)
        return value if isinstance(value, list) else []

    def text(self, *paths: str) -> str | None:
        """The first text or number that is not empty."""
        for path in paths:
            value = self.at(path)
            if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
                return str(value)
        return None

    def id_of(self, *paths: str) -> str | None:
        """The first id: the text itself, or the id of the object that Stripe expanded it to."""
        for path in paths:
            found = self.text(f"{path}.id") if isinstance(self.at(path), dict) else self.text(path)
            if found:
                return found
        return None

    def money(self, path: str, sign: int = 1) -> str | None:
        """An amount as decimal text in major units; the integer as it is when no currency is known.

        Raises UnreadableFieldError when it is no integer: which unit it is in could only be guessed, and 10.5 would
        pass for ten and a half where Stripe would mean ten cents and a half.
        """
        value = self.at(path)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            reason = "not a whole number: the unit it is in cannot be told"
            raise UnreadableFieldError(Fault(path, reason, excerpt(str(value))))
        return major_text(sign * value, self.currency) if self.currency else str(sign * value)

    def instant(self, *paths: str) -> str | None:
        """The first of these times, in seconds since 1970, as an instant; a text that is none unchanged."""
        for path in paths:
            value = self.at(path)
            if isinstance(value, int) and not isinstance(value, bool):
                try:
                    return (_EPOCH + timedelta(seconds=value)).isoformat() + "Z"
                except OverflowError:
                    return str(value)
            if isinstance(value, str) and value:
                return str(value)
        return None

    def day(self, *paths: str) -> str | None:
        """The UTC date of the first of these times; a text that is no time unchanged."""
        moment = self.instant(*paths)
        return moment[:10] if moment is not None and moment.endswith("Z") and "T" in moment else moment

    @property
    def customer(self) -> str | None:
        """The customer's id, from the object or its metadata."""
        names = ("workspace_id", "customer", "customer_id")
        return self.id_of("customer", *(f"metadata.{name}" for name in names))

    @property
    def invoice(self) -> str | None:
        """The invoice's id, from the object or its metadata."""
        return self.id_of("invoice", "metadata.invoice_id")

    def attributes(self, extras: Extras, more: Mapping[str, object]) -> str | None:
        """Canonical JSON of the metadata, the kind's extras and `more`, without what is null or empty."""
        found: dict[str, object] = {"metadata": self.value.get("metadata")}
        found |= {name: self.value.get(name) for name in extras.plain}
        found |= {name: self.id_of(name) for name in extras.ids}
        found |= {name: self.instant(name) for name in extras.instants}
        found |= {name if self.currency else f"{name}_minor": self.money(name) for name in extras.money}
        found |= more
        kept = {name: value for name, value in found.items() if value is not None and value not in ("", {}, [])}
        return canonical(kept) if kept else None
