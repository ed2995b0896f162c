"""Faults of payouts, transfers and bank statements, planted once the money has settled.

Statements keep their true balances: a gap or a dropped line shows as a balance that does not carry on.
"""

from __future__ import annotations

from tieout.simulate import layout
from tieout.simulate.bank_statement import statement_id
from tieout.simulate.book import BankLine, Book, Movement, Payout
from tieout.simulate.settlement import FEE_CODE, PAYOUT_CODE, PROCESSOR, bank_transfer
from tieout.simulate.victims import Victims
from tieout.simulate.world import INVOICES_TO_TRANSFERS, PAYOUT_DETAIL, PAYOUTS_TO_BANK

INVOICES = ("stripe", layout.stripe_file("invoices"))
PAYOUTS = ("stripe", layout.stripe_file("payouts"))
MOVEMENTS = ("stripe", layout.stripe_file("balance_transactions"))
NO_DEPOSIT = ("MISSING_RECORD", PAYOUTS_TO_BANK)
NO_TRANSFER = ("MISSING_RECORD", INVOICES_TO_TRANSFERS)
WIRE_FEE = 150


def plant_transfer_faults(book: Book, victims: Victims) -> None:
    """What goes wrong with invoices that are paid by bank transfer. Call it before `bank_transfers`."""
    _transfer_without_number(book, victims)
    _late_transfer(book, victims)
    _look_alike_number(book, victims)


def plant_bank_faults(book: Book) -> None:
    """What goes wrong between balance, payout and bank. Call it when every bank line is written."""
    payouts = [payout for payout in book.payouts if payout.late_file is None and payout.arrival_day < book.days]
    book.random.shuffle(payouts)
    _gap(book, payouts)
    _late_deposits(book, payouts)
    _detail_residual(book, payouts)
    _detail_without_payout(book, payouts)
    _wire_fee(book, payouts)
    _foreign_payout(book)
    _dropped_line(book)


def _transfer_without_number(book: Book, victims: Victims) -> None:
    """F1: the customer wrote no invoice number."""
    for invoice in victims.take_manual():
        invoice.status = "open"
        day = min(book.day_of(invoice.created) + 7, book.days - 1)
        line = bank_transfer(book, invoice, day, "Payment, thank you")
        book.open_case()
        what = "the transfer names no invoice"
        money = (invoice.amount, invoice.currency)
        action = "match by hand; ask the customer"
        ids = (invoice.id, line.reference)
        book.record("F1", what, INVOICES, ids, money, NO_TRANSFER, action)
        bank = ("bank", layout.bank_file(book, line.currency))
        code = ("MISSING_INVOICE", INVOICES_TO_TRANSFERS)
        book.record("F1", what, bank, (line.reference, invoice.id), money, code, action)


def _late_transfer(book: Book, victims: Victims) -> None:
    """F4: the transfer arrives after the month's statement."""
    for invoice in victims.take_manual():
        invoice.status = "open"
        line = bank_transfer(book, invoice, book.days, invoice.number)
        book.open_case()
        place = ("bank", layout.bank_late(book, line.currency))
        what = "the transfer arrives with the next statement"
        ids = (invoice.id, line.reference)
        money = (invoice.amount, invoice.currency)
        book.record("F4", what, place, ids, money, NO_TRANSFER, "wait for the next statement", resolved_by=2)


def _look_alike_number(book: Book, victims: Victims) -> None:
    """F7: the number written has one digit too many, and so contains a real one."""
    for invoice in victims.take_manual():
        invoice.status = "open"
        day = min(book.day_of(invoice.created) + 7, book.days - 1)
        line = bank_transfer(book, invoice, day, f"{invoice.number}{book.random.randrange(10)}")
        book.open_case()
        what = f"the transfer names {line.about}, which only resembles {invoice.number}"
        money = (invoice.amount, invoice.currency)
        action = "confirm by hand"
        book.record("F7", what, INVOICES, (invoice.id, line.reference), money, NO_TRANSFER, action)
        bank = ("bank", layout.bank_file(book, line.currency))
        code = ("MISSING_INVOICE", INVOICES_TO_TRANSFERS)
        ids = (line.reference, line.about or "", invoice.id)
        book.record("F7", what, bank, ids, money, code, action)


def _deposit(book: Book, payout: Payout) -> BankLine:
    return next(line for line in book.bank_lines if line.about == payout.id)


def _gap(book: Book, payouts: list[Payout]) -> None:
    """F9: the bank's interface was down for a day; that day's statement comes with delivery 2."""
    candidates = sorted(payout.arrival_day for payout in payouts if payout.currency == "USD")
    planted = {native_id for truth in book.truths for native_id in truth.native_ids}
    touched = {line.day for line in book.bank_lines if line.reference in planted}
    candidates = [day for day in candidates if 0 < day < book.days - 1 and day not in touched]
    if not candidates:
        return
    day = candidates[len(candidates) // 2]
    book.missing_statements.append(("USD", day))
    book.open_case()
    bank = ("bank", layout.bank_file(book, "USD"))
    ids: tuple[str, ...] = (statement_id(book, "USD", day + 1), statement_id(book, "USD", day - 1))
    moved = sum(line.amount for line in book.bank_lines if (line.currency, line.day) == ("USD", day))
    what = f"the statement of {book.date_of(day)} is missing: the balances do not carry on"
    action = "fetch the missing statement"
    code = ("BALANCE_GAP", "source:bank")
    book.record("F9", what, bank, ids, (abs(moved), "USD"), code, action, resolved_by=2)
    for payout in [payout for payout in payouts if (payout.currency, payout.arrival_day) == ("USD", day)]:
        payouts.remove(payout)
        ids = (payout.id, _deposit(book, payout).reference)
        money = (payout.amount, payout.currency)
        late = ("bank", layout.bank_gap(book, "USD", day))
        book.record("F9", what, late, ids, money, NO_DEPOSIT, action, resolved_by=2)
    _transfers_in_gap(book, day, what, action)


def _transfers_in_gap(book: Book, day: int, what: str, action: str) -> None:
    """Transfers booked on the missing day are missing with it."""
    by_number = {invoice.number: invoice for invoice in book.invoices}
    for line in book.bank_lines:
        if (line.currency, line.day) == ("USD", day) and line.about in by_number:
            invoice = by_number[line.about]
            late = ("bank", layout.bank_gap(book, "USD", day))
            ids = (invoice.id, line.reference)
            money = (invoice.amount, invoice.currency)
            book.record("F9", what, late, ids, money, NO_TRANSFER, action, resolved_by=2)


def _late_deposits(book: Book, payouts: list[Payout]) -> None:
    """F4: payouts of the last days reach the bank in the next month."""
    for payout in sorted(payouts, key=lambda payout: (-payout.arrival_day, payout.id))[:2]:
        payouts.remove(payout)
        line = _deposit(book, payout)
        line.day = book.days + 1
        book.open_case()
        place = ("bank", layout.bank_late(book, line.currency))
        what = "the payout reached the bank in the next month"
        ids = (payout.id, line.reference)
        money = (payout.amount, payout.currency)
        book.record("F4", what, place, ids, money, NO_DEPOSIT, "wait for the next statement", resolved_by=2)


def _own_movement(book: Book, payout: Payout) -> Movement:
    return next(movement for movement in book.movements if movement.id == payout.transaction)


def _paid_out(book: Book, payout: Payout) -> list[Movement]:
    """The movements that a payout paid out, without its own."""
    inside = (movement for movement in book.movements if movement.payout == payout.id)
    return [movement for movement in inside if movement.type != "payout"]


def _only_charges(book: Book, payout: Payout) -> bool:
    """Whether nothing was taken back in it: what does not add up is then one residual, not a question of signs."""
    return all(movement.type == "charge" for movement in _paid_out(book, payout))


def _detail_residual(book: Book, payouts: list[Payout]) -> None:
    """F3: the payout is two minor units less than its transactions."""
    payout = next((payout for payout in payouts if _only_charges(book, payout)), None)
    if payout is None:
        return
    payouts.remove(payout)
    payout.amount += 2
    _own_movement(book, payout).amount -= 2
    _deposit(book, payout).amount += 2
    book.open_case()
    what = "the payout is two minor units more than the transactions it pays out"
    code = ("AMOUNT_MISMATCH", PAYOUT_DETAIL)
    book.record("F3", what, PAYOUTS, (payout.id,), (2, payout.currency), code, "post the residual as rounding")


def _detail_without_payout(book: Book, payouts: list[Payout]) -> None:
    """F1: one transaction of a payout lost the payout's id; what is left does not add up to the payout."""
    for payout in payouts:
        charged = [movement for movement in _paid_out(book, payout) if movement.type == "charge"]
        if len(charged) < 2 or not _only_charges(book, payout):
            continue
        payouts.remove(payout)
        lost = charged[0]
        lost.payout = None
        book.open_case()
        what = "a balance transaction carries no payout id"
        money = (abs(lost.net), lost.currency)
        code = ("MISSING_RECORD", PAYOUT_DETAIL)
        action = "fetch the payout's transactions again"
        book.record("F1", what, MOVEMENTS, (lost.id, payout.id), money, code, action)
        code = ("AMOUNT_MISMATCH", PAYOUT_DETAIL)
        book.record("F1", what, PAYOUTS, (payout.id, lost.id), money, code, action)
        return


def _wire_fee(book: Book, payouts: list[Payout]) -> None:
    """F3: the receiving bank kept a fee, so the deposit is less than the payout."""
    fitting = [payout for payout in payouts if payout.currency in ("EUR", "GBP")] or payouts
    if not fitting:
        return
    payout = fitting[0]
    payouts.remove(payout)
    line = _deposit(book, payout)
    line.amount -= WIRE_FEE
    book.open_case()
    code = ("AMOUNT_MISMATCH", PAYOUTS_TO_BANK)
    what = "the bank kept a fee of the deposit"
    ids = (payout.id, line.reference)
    book.record("F3", what, PAYOUTS, ids, (WIRE_FEE, payout.currency), code, "post the bank fee")


def _foreign_payout(book: Book) -> None:
    """F7: a deposit of the very amount and day of one of ours, whose payout id is not ours."""
    ours = next((line for line in book.bank_lines if _plain_deposit(book, line)), None)
    if ours is None:
        return
    foreign = book.new_id("po_1", 23)
    reference = book.new_id("B", 12).upper()
    text = f"STRIPE PAYOUT {foreign}"
    line = BankLine(ours.currency, ours.day, ours.amount, reference, foreign, text, PROCESSOR, PAYOUT_CODE, foreign)
    book.bank_lines.append(line)
    book.open_case()
    bank = ("bank", layout.bank_file(book, line.currency))
    money = (line.amount, line.currency)
    what = "a second deposit of the same day and amount names a payout that is not ours"
    code = ("UNEXPECTED_RECORD", PAYOUTS_TO_BANK)
    book.record("F7", what, bank, (reference, foreign), money, code, "ask the bank whose money it is")
    same = "the true deposit names the payout: the look-alike must not take it"
    silent = (None, PAYOUTS_TO_BANK)
    ids = (ours.about or "", ours.reference)
    book.record("F7", same, bank, ids, money, silent, "none", expect="silent")


def _plain_deposit(book: Book, line: BankLine) -> bool:
    """A deposit inside the month to which nothing else was done."""
    planted = {native_id for truth in book.truths for native_id in truth.native_ids}
    in_gap = (line.currency, line.day) in book.missing_statements
    return line.code == PAYOUT_CODE and line.day < book.days and not in_gap and line.about not in planted


def _dropped_line(book: Book) -> None:
    """F9: the bank's export dropped a line of a statement whose balances still know of it."""
    line = next(line for line in book.bank_lines if line.code == FEE_CODE and line.currency == "EUR")
    line.on_statement = False
    book.open_case()
    bank = ("bank", layout.bank_file(book, line.currency))
    what = "a statement's lines do not add up to its closing balance: one is missing"
    code = ("BALANCE_GAP", "source:bank")
    money = (abs(line.amount), line.currency)
    ids = (statement_id(book, line.currency, line.day),)
    book.record("F9", what, bank, ids, money, code, "fetch the statement again")
