"""Which invoices a fault may befall: each at most one, so that every planted fault shows by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from tieout.simulate.book import Book, Charge, Invoice

Plain = tuple[Invoice, Charge]


class Victims:
    """Invoices with one succeeded charge of their amount and nothing else, drawn without return, in seeded order."""

    def __init__(self, book: Book) -> None:
        charges: dict[str, list[Charge]] = {}
        for charge in book.charges:
            charges.setdefault(charge.invoice or "", []).append(charge)
        noted = {note.invoice.id for note in book.credit_notes}
        self._day_of = book.day_of
        self._left: list[Plain] = []
        for invoice in book.invoices:
            own = charges.get(invoice.id, [])
            if len(own) == 1 and own[0].amount == invoice.amount and invoice.id not in noted:
                self._left.append((invoice, own[0]))
        book.random.shuffle(self._left)
        self._manual = [invoice for invoice in book.invoices if invoice.reason == "manual"]
        book.random.shuffle(self._manual)

    def take(self, fits: Callable[[Invoice], bool] = lambda _: True) -> list[Plain]:
        """One invoice with its charge, as a list that is empty when none is left."""
        return self._take(fits, 1)

    def take_all(self, fits: Callable[[Invoice], bool]) -> list[Plain]:
        """Every invoice left that fits."""
        return self._take(fits, len(self._left))

    def take_manual(self) -> list[Invoice]:
        """One invoice that is paid by transfer, as a list that is empty when none is left."""
        return [self._manual.pop()] if self._manual else []

    def take_pair(self) -> tuple[Plain, Plain] | None:
        """Two invoices of different customers, equal in amount and currency; None when there are none."""
        seen: dict[tuple[int, str], Plain] = {}
        for plain in self._left:
            key = (plain[0].amount, plain[0].currency)
            if key in seen:
                first = seen[key]
                self._left.remove(first)
                self._left.remove(plain)
                return first, plain
            seen[key] = plain
        return None

    def busiest_day(self) -> int:
        """The day offset on which most of those left were invoiced (the first of equals); 0 when none is left."""
        days = Counter(self._day_of(invoice.created) for invoice, _ in self._left)
        return min(days, key=lambda day: (-days[day], day), default=0)

    def _take(self, fits: Callable[[Invoice], bool], most: int) -> list[Plain]:
        taken = [plain for plain in self._left if fits(plain[0])][:most]
        ids = {invoice.id for invoice, _ in taken}
        self._left = [plain for plain in self._left if plain[0].id not in ids]
        return taken
