"""What a table's columns mean when nobody declared it: by their headers (headers) and by their cells.

Every conclusion is said in plain words in `inferred`. A guess that could cost money is not made: an amount's
direction comes from signs, from debit and credit columns or from words that are all known; a currency that is not
written anywhere stays unknown.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tieout.adapters.sources.tabular.forms import Hints, amount_form, clock_format, date_form
from tieout.adapters.sources.tabular.headers import (
    CREDIT_WORDS,
    DEBIT_WORDS,
    fold,
    header_currency,
    languages_of,
    rank,
    roles_of,
)
from tieout.adapters.sources.tabular.mapping import DeclaredMapping, Origin, TableColumn
from tieout.model.errors import InputError, Place
from tieout.model.money import EXPONENTS

FLOAT_HINT = "amounts must be decimal, integer or text: a floating-point column has already lost digits"
_PLAIN_ROLES = (
    "invoice_ref", "payment_ref", "payout_ref", "subscription_ref", "customer_ref", "order_ref", "reference",
    "status", "account", "description", "counterparty", "category",
)  # fmt: skip
_PREFIXES: Mapping[str, str] = {
    "ch": "charge", "py": "charge", "txn": "balance_transaction", "po": "payout", "re": "refund", "pyr": "refund",
    "in": "invoice", "dp": "dispute", "du": "dispute", "pi": "payment_intent", "sub": "subscription",
    "cus": "customer",
}  # fmt: skip
_OPAQUE_ID = re.compile(r"(?i)[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(slots=True)
class Inference:
    """Origins that were concluded, the balance column, the kind, and the reasons in plain words."""

    origins: dict[str, Origin] = field(default_factory=dict)
    balance: TableColumn | None = None
    kind: str | None = None
    said: dict[str, str] = field(default_factory=dict)


def hints_of(columns: Sequence[TableColumn], delimiter: str, currency: str | None, order: str | None) -> Hints:
    """What headers and currencies say of the file's origin."""
    languages = languages_of([column.name for column in columns])
    if currency is None:
        seen = Counter(cell.strip().upper() for column in _by_role(columns, "currency") for cell in column.filled)
        currency = seen.most_common(1)[0][0] if seen else None
    return Hints(delimiter, frozenset(languages), currency, order)


def infer(
    columns: Sequence[TableColumn], declared: DeclaredMapping, hints: Hints, kind: str | None, file: str
) -> Inference:
    """Origins for what the mapping leaves open, from the columns it does not use."""
    return _Search(columns, declared, hints, file).run(kind)


def _by_role(columns: Sequence[TableColumn], role: str) -> list[TableColumn]:
    found = [column for column in columns if role in roles_of(column.name)]
    return sorted(found, key=lambda column: rank(role, column.name))


class _Search:
    """One table's search for meaning; each column is used once."""

    def __init__(self, columns: Sequence[TableColumn], declared: DeclaredMapping, hints: Hints, file: str):
        self.columns = [column for column in columns if column.type != "opaque"]
        self.declared = declared
        self.hints = hints
        self.file = file
        self.found = Inference()
        self.has_no_names = all(re.fullmatch("column_[0-9]+", column.name) for column in columns)
        used = [column for origin in declared.origins.values() for column in origin.all_columns]
        self.used = {column.name for column in used}

    def run(self, kind: str | None) -> Inference:
        """All conclusions, those with the strongest evidence first."""
        self._dates()
        self._amount()
        self._money("fee", "fee")
        self._money("net", "net")
        self._balance()
        self._currency()
        self._native_id()
        for role in _PLAIN_ROLES:
            self._plain(role)
        self._text_by_content()
        if kind is None and "kind" not in self.declared.origins:
            self.found.kind, why = self._kind()
            self.found.said["kind"] = f"{self.found.kind}: {why}"
        self._say_if_all_positive(kind or self.found.kind)
        return self.found

    def _say_if_all_positive(self, kind: str | None) -> None:
        """A statement without any minus may well list payments made: the reader cannot know, so it says so."""
        origin = self.found.origins.get("amount")
        if kind != "bank_line" or origin is None or origin.sign is not None or not origin.columns:
            return
        form = amount_form(origin.columns[0].filled, self.hints)
        if form is not None and "-" not in form.signs:
            self.found.said["amount"] += "; none is negative: if money went out, declare negate: true"

    def _is_open(self, name: str) -> bool:
        is_taken = name in self.declared.origins or name in self.declared.empty
        return not is_taken and name not in self.found.origins

    def _free(self, role: str) -> list[TableColumn]:
        return [column for column in _by_role(self.columns, role) if column.name not in self.used]

    def _take(self, name: str, origin: Origin, said: str) -> None:
        self.found.origins[name] = origin
        self.found.said[name] = said
        self.used |= {column.name for column in origin.all_columns}

    def _dates(self) -> None:
        if not self._is_open("date") and not self._is_open("time"):
            return
        named = self._free("date") + self._free("value_date")
        column = next((one for one in named if date_form(one.filled, self.hints)), None)
        if column is None and not _has_dates(self.declared):
            column = self._sole([one for one in self._unnamed() if date_form(one.filled, self.hints)])
        form = date_form(column.filled, self.hints) if column is not None else None
        if column is None or form is None:
            return
        note = f", {form.note}" if form.note else ""
        origin = Origin(columns=(column,))
        if self._is_open("date"):
            self._take("date", origin, f"column {column.name!r}{note}")
        if self._is_open("time") and form.has_clock:
            self._take("time", origin, f"column {column.name!r}")
        elif self._is_open("time"):
            self._clock(column)

    def _clock(self, day: TableColumn) -> None:
        zones = {cell.strip().upper() for zone in self._free("zone_name") for cell in zone.filled}
        clock = next((one for one in self._free("clock") if clock_format(one.filled)), None)
        if clock is None or not zones <= {"UTC", "GMT", "Z"}:
            return
        self._take("time", Origin(columns=(day, clock)), f"columns {day.name!r} and {clock.name!r}")

    def _amount(self) -> None:
        if not self._is_open("amount"):
            return
        credit, debit = (self._numeric(role, blank=True) for role in ("credit", "debit"))
        if credit is not None and debit is not None:
            form = amount_form(debit.filled, self.hints)
            is_signed = form is not None and form.signs == {"-"}
            said = f"{credit.name!r} {'plus' if is_signed else 'less'} {debit.name!r}"
            said += " (debits carry a minus)" if is_signed else ""
            self._take("amount", Origin(credit=credit, debit=debit, is_debit_signed=is_signed), said)
            return
        column = self._numeric("amount") or self._numeric_by_content()
        if column is None:
            return
        form = amount_form(column.filled, self.hints)
        said = f"column {column.name!r}"
        if form is not None and form.decimal == ",":
            said += ", decimal comma"
        if form is not None and form.note:
            said += f", {form.note}"
        sign = self._sign(column)
        if sign is None:
            self._take("amount", Origin(columns=(column,)), said)
            return
        negative, positive = tuple(sorted(DEBIT_WORDS)), tuple(sorted(CREDIT_WORDS))
        origin = Origin(columns=(column,), sign=sign, negative=negative, positive=positive)
        self._take("amount", origin, f"{said}, negative where {sign.name!r} says debit")

    def _numeric(self, role: str, *, blank: bool = False) -> TableColumn | None:
        for column in self._free(role):
            if amount_form(column.filled, self.hints) is None and not (blank and not column.filled):
                continue
            if column.type == "float":
                place = Place(self.file, field=column.name)
                raise InputError(f"column {column.name!r} is floating point", hint=FLOAT_HINT, place=place)
            return column
        return None

    def _numeric_by_content(self) -> TableColumn | None:
        """A column of decimals under an unknown header, or of whole numbers where there are no headers at all."""
        free = [one for one in self._unnamed() if one.type == "text" and amount_form(one.filled, self.hints)]
        free = [one for one in free if not date_form(one.filled, self.hints)]
        decimals = [one for one in free if any(re.search(r"[0-9][.,][0-9]{2}\b", cell) for cell in one.filled)]
        return self._sole(decimals or (free if self.has_no_names else []))

    def _unnamed(self) -> list[TableColumn]:
        """Columns that are not used yet and whose header says nothing."""
        return [one for one in self.columns if one.name not in self.used and not roles_of(one.name)]

    def _sole(self, found: list[TableColumn]) -> TableColumn | None:
        """The first of some columns where there are no headers; where there are, only if there is no other."""
        return found[0] if found and (self.has_no_names or len(found) == 1) else None

    def _sign(self, amount: TableColumn) -> TableColumn | None:
        form = amount_form(amount.filled, self.hints)
        if form is None or "-" in form.signs:
            return None
        for column in self._free("sign") + self._unnamed():
            words = Counter(cell.strip().lower() for cell in column.filled)
            known = sum(count for word, count in words.items() if word in DEBIT_WORDS | CREDIT_WORDS)
            if column is amount or not known or known * 2 < words.total():
                continue
            if any(word in DEBIT_WORDS for word in words):
                return column
        return None

    def _money(self, name: str, role: str) -> None:
        column = next((one for one in self._free(role) if amount_form(one.filled, self.hints)), None)
        if self._is_open(name) and column is not None and column.type != "float":
            self._take(name, Origin(columns=(column,)), f"column {column.name!r}")

    def _balance(self) -> None:
        found = [one for one in self._free("balance") if amount_form(one.filled, self.hints)]
        if found and found[0].type != "float" and "attributes" not in self.declared.empty:
            self.found.balance = found[0]
            self.found.said["balance"] = f"column {found[0].name!r}, kept as an attribute"
            self.used.add(found[0].name)

    def _currency(self) -> None:
        if not self._is_open("currency"):
            return
        for column in self._free("currency"):
            known = sum(cell.strip().upper() in EXPONENTS for cell in column.filled)
            if known * 2 > len(column.filled):
                self._take("currency", Origin(columns=(column,)), f"column {column.name!r}")
                return
        amounts = self._amount_columns()
        named = {code for column in amounts if (code := header_currency(column.name)[0])}
        forms = [form for column in amounts if (form := amount_form(column.filled, self.hints))]
        codes = {code for form in forms for code in form.codes if code in EXPONENTS}
        symbols = {symbol for form in forms for symbol in form.symbols}
        if len(named) == 1:
            code = named.pop()
            self._take("currency", Origin(value=code), f"{code}, from the amount's header")
        elif codes and len(amounts) == 1:
            origin = Origin(columns=tuple(amounts), pattern="([A-Z]{3})")
            self._take("currency", origin, f"written beside the amount in {amounts[0].name!r}")
        elif symbols == {"€"}:
            self._take("currency", Origin(value="EUR"), "EUR, as amounts carry €")
        else:
            why = f"; {', '.join(sorted(symbols))} names no one currency" if symbols else ""
            self.found.said["currency"] = f"not in the file{why}: declare currency"

    def _amount_columns(self) -> list[TableColumn]:
        origin = self.declared.origins.get("amount") or self.found.origins.get("amount")
        if origin is None:
            return []
        return [*origin.columns, *(one for one in (origin.credit, origin.debit) if one is not None)]

    def _native_id(self) -> None:
        if not self._is_open("native_id"):
            return
        opaque = [one for one in self._unnamed() if one.cells and all(_OPAQUE_ID.fullmatch(cell) for cell in one.cells)]
        for column in self._free("native_id") + opaque:
            if _is_unique(column) and not (fold(column.name) == "row" and column.cells[0].isdigit()):
                self._take("native_id", Origin(columns=(column,)), f"column {column.name!r}, unique in the sample")
                return
        numbers = self._free("invoice_number")
        if numbers and _is_unique(numbers[0]) and not self._is_statement():
            origin = Origin(columns=(numbers[0],))
            self._take("native_id", origin, f"column {numbers[0].name!r}, unique in the sample")
            if self._is_open("reference"):
                self._take("reference", origin, f"column {numbers[0].name!r}")
            return
        self.found.said["native_id"] = "none: identity is derived from account, date, amount and text"

    def _plain(self, name: str) -> None:
        if not self._is_open(name):
            return
        columns = [column for column in self._free(name) if column.filled]
        if name == "invoice_ref":
            columns += self._free("invoice_number")
        if not columns:
            return
        chosen = [columns[0]]
        if name == "description":
            # "VWZ1" to "VWZ14", "Description 1" to "Description 3": one text in numbered columns.
            stem = _stem(columns[0])
            chosen = [column for column in self.columns if column in columns and _stem(column) == stem]
        said = " ".join(repr(column.name) for column in chosen[:4]) + (" …" if len(chosen) > 4 else "")
        self._take(name, Origin(columns=tuple(chosen)), f"column{'s' if len(chosen) > 1 else ''} {said}")

    def _text_by_content(self) -> None:
        """Where no header names the description: the unnamed column with the longest words."""
        if not self._is_open("description"):
            return
        unnamed = self._unnamed()
        lengths = {one.name: sum(sum(map(str.isalpha, cell)) for cell in one.cells) for one in unnamed}
        column = max(unnamed, key=lambda one: lengths[one.name], default=None)
        if column is not None and lengths[column.name] >= 8 * len(column.cells):
            self._take("description", Origin(columns=(column,)), f"column {column.name!r}, the longest text")

    def _is_statement(self) -> bool:
        origin = self.found.origins.get("amount") or self.declared.origins.get("amount")
        has_two = origin is not None and origin.credit is not None
        has_words = any(self._has_role(role) for role in ("value_date", "account"))
        return self.found.balance is not None or has_two or has_words

    def _has_role(self, role: str) -> bool:
        return any(role in roles_of(column.name) for column in self.columns)

    def _kind(self) -> tuple[str, str]:
        origin = self.found.origins.get("native_id") or self.declared.origins.get("native_id")
        if origin is not None and origin.columns:
            column = origin.columns[0]
            prefixes = Counter(cell.split("_")[0] for cell in column.filled if "_" in cell)
            prefix = prefixes.most_common(1)[0][0] if prefixes else ""
            if prefix in _PREFIXES and prefixes[prefix] * 2 > len(column.filled):
                return _PREFIXES[prefix], f"ids begin with {prefix}_"
            if fold(column.name) in ("order id", "order number"):
                return "order", f"column {column.name!r}"
            if "invoice_number" in roles_of(column.name):
                return "invoice", f"column {column.name!r}"
        if self._has_role("journal"):
            return "ledger_entry", "a journal column"
        if self._is_statement():
            return "bank_line", "looks like an account statement"
        if origin is None and not any(name in self.found.origins for name in ("customer_ref", "order_ref")):
            return "bank_line", "no ids"
        return "payment", "ids, and nothing else that tells"


def _has_dates(declared: DeclaredMapping) -> bool:
    return any(name in declared.origins for name in ("date", "time"))


def _is_unique(column: TableColumn) -> bool:
    cells = [cell.strip() for cell in column.cells]
    return bool(cells) and all(cells) and len(set(cells)) == len(cells)


def _stem(column: TableColumn) -> str:
    return fold(column.name).rstrip("0123456789 ")
