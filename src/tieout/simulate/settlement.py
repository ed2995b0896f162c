"""Where the money goes: balance transactions with fees, daily payouts, bank lines. Sums tie by construction.

The fee table is illustrative; each fee is rounded half up to the minor unit, as one amount per charge.
"""

from __future__ import annotations

from tieout.simulate.book import CURRENCIES, BankLine, Book, Charge, Invoice, Movement, Payout

FEES = {"USD": (290, 30), "EUR": (150, 25), "GBP": (150, 20), "JPY": (360, 0)}
"""Per currency: hundredths of a percent of the amount, and a fixed part in minor units."""
DISPUTE_FEES = {"USD": 1500, "EUR": 2000, "GBP": 2000, "JPY": 1500}
PAYOUT_DELAY_DAYS = 2
PROCESSOR = "STRIPE"
PAYOUT_CODE = "PMNT-RCDT-DMCT"
TRANSFER_CODE = "PMNT-RCDT-ESCT"
FEE_CODE = "ACMT-MDOP-CHRG"
SUPPLIER_CODE = "PMNT-ICDT-ESCT"
SUPPLIERS = (("Cloud hosting", 184_250), ("Office rent", 420_000), ("Design agency", 96_000))


def processing_fee(amount: int, currency: str) -> int:
    """The processor's fee of a charge, in minor units: 2.9% + 0.30 in USD."""
    rate, fixed = FEES[currency]
    return (amount * rate + 5_000) // 10_000 + fixed


def record_movements(book: Book) -> None:
    """One balance transaction for each succeeded charge, each refund and each dispute."""
    for charge in book.charges:
        if charge.status == "succeeded":
            charge.transaction = _move(book, charge, "charge", charge.id, charge.amount, charge.created)
    for refund in book.refunds:
        refund.transaction = _move(book, refund.charge, "refund", refund.id, -refund.amount, refund.created)
    for dispute in book.disputes:
        dispute.transaction = _move(book, dispute.charge, "adjustment", dispute.id, -dispute.amount, dispute.created)
    book.movements.sort(key=lambda movement: (movement.created, movement.id))


def _move(book: Book, charge: Charge, kind: str, source: str, amount: int, created: int) -> str:
    fees = {"charge": processing_fee(amount, charge.currency), "adjustment": DISPUTE_FEES[charge.currency]}
    movement = Movement(
        id=book.new_id("txn_3", 23),
        type=kind,
        source=source,
        amount=amount,
        fee=fees.get(kind, 0),
        currency=charge.currency,
        created=created,
        available=None if charge.pending else book.day_of(created) + PAYOUT_DELAY_DAYS,
        late_file=charge.late_money,
    )
    book.movements.append(movement)
    return movement.id


def pay_out(book: Book) -> None:
    """Daily payouts per currency of what became available; a day that nets to nothing waits for the next.

    The payout's own balance transaction takes exactly what its movements brought. Movements that are never paid
    out inside the horizon stay pending.
    """
    by_currency: dict[tuple[str, str], list[Movement]] = {}
    for movement in book.movements:
        if movement.available is not None:
            by_currency.setdefault((movement.late_file or "", movement.currency), []).append(movement)
    for key in sorted(by_currency):
        _pay_out_account(book, by_currency[key])


def _pay_out_account(book: Book, movements: list[Movement]) -> None:
    """Payouts of one currency's movements, which share the file that carries them."""
    by_day: dict[int, list[Movement]] = {}
    for movement in movements:
        by_day.setdefault(movement.available or 0, []).append(movement)
    waiting: list[Movement] = []
    for day in sorted(by_day):
        waiting += by_day[day]
        if sum(movement.net for movement in waiting) > 0:
            _payout(book, day, waiting)
            waiting = []
    for movement in waiting:
        movement.available = None


def _payout(book: Book, day: int, movements: list[Movement]) -> None:
    total = sum(movement.net for movement in movements)
    payout = Payout(
        id=book.new_id("po_1", 23),
        amount=total,
        currency=movements[0].currency,
        created=book.epoch(day, 1_800),
        arrival_day=day + 1,
        transaction=book.new_id("txn_1", 23),
        late_file=movements[0].late_file,
    )
    for movement in movements:
        movement.payout = payout.id
    book.payouts.append(payout)
    own = Movement(payout.transaction, "payout", payout.id, -total, 0, payout.currency, payout.created)
    own.payout, own.available, own.late_file = payout.id, day, payout.late_file
    book.movements.append(own)


def bank_payouts(book: Book) -> None:
    """Each payout reaches the bank on its arrival day, carrying its id as end-to-end reference."""
    for payout in book.payouts:
        book.bank_lines.append(
            BankLine(
                currency=payout.currency,
                day=payout.arrival_day,
                amount=payout.amount,
                reference=book.new_id("B", 12).upper(),
                end_to_end=payout.id,
                text=f"STRIPE PAYOUT {payout.id}",
                counterparty=PROCESSOR,
                code=PAYOUT_CODE,
                about=payout.id,
            )
        )


def bank_transfer(book: Book, invoice: Invoice, day: int, reference: str) -> BankLine:
    """A customer's transfer for an invoice, entered in the book; `reference` is what it wrote.

    An invoice number travels as end-to-end reference or, now and then, as structured creditor reference.
    """
    named = reference.startswith("INV-")
    structured = named and book.random.randrange(3) == 0
    line = BankLine(
        currency=invoice.currency,
        day=day,
        amount=invoice.amount,
        reference=book.new_id("B", 12).upper(),
        end_to_end=reference if named and not structured else None,
        text=f"Invoice {reference}" if named else reference,
        counterparty=invoice.customer.name,
        code=TRANSFER_CODE,
        about=reference,
        creditor_reference=reference if structured else None,
    )
    book.bank_lines.append(line)
    return line


def bank_transfers(book: Book) -> None:
    """Every manual invoice is paid by transfer inside the month."""
    for invoice in book.invoices:
        if invoice.reason == "manual" and invoice.status == "paid":
            day = book.day_of(invoice.created) + book.random.randrange(2, 15)
            bank_transfer(book, invoice, min(day, book.days - 1), invoice.number)


def bank_own_business(book: Book) -> None:
    """What else moves on the accounts and is nobody's invoice: account fees, and suppliers from the first one."""
    last = book.days - 1
    for currency in CURRENCIES:
        fee = 2_500 if currency != "JPY" else 2_000
        _outgoing(book, currency, last, fee, "Account maintenance fee", FEE_CODE, "")
    for position, (supplier, amount) in enumerate(SUPPLIERS):
        _outgoing(book, CURRENCIES[0], min(3 + 7 * position, last), amount, supplier, SUPPLIER_CODE, supplier)


def _outgoing(book: Book, currency: str, day: int, amount: int, text: str, code: str, counterparty: str) -> None:
    reference = book.new_id("B", 12).upper()
    line = BankLine(currency, day, -amount, reference, None, text, counterparty, code)
    book.bank_lines.append(line)
