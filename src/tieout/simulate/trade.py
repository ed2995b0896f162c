"""A month of trade without faults: customers, what they subscribed to, what they were invoiced and what they paid.

Everything a card paid is charged, corrected and paid out inside the month, so that the clean world ties.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from tieout.simulate.book import CURRENCIES, Book, Charge, CreditNote, Customer, Entitlement, Invoice, Refund
from tieout.simulate.names import billing_address, company_name

LAST_BILLING_DAYS = 6
"""Nothing is billed in the last days of the month: two days of follow-up, two to the payout, one to the bank."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A price list entry: prices in minor units per currency, weight in percent of customers."""

    name: str
    tier: str
    interval: str
    seats: int
    weight: int
    prices: dict[str, int]


PLANS = (
    Plan("Starter", "standard", "month", 3, 26, {"USD": 4900, "EUR": 4900, "GBP": 3900, "JPY": 6800}),
    Plan("Team", "standard", "month", 10, 30, {"USD": 19900, "EUR": 19900, "GBP": 16900, "JPY": 28800}),
    Plan("Business", "priority", "month", 25, 20, {"USD": 49900, "EUR": 49900, "GBP": 42900, "JPY": 72800}),
    Plan("Team yearly", "standard", "year", 10, 10, {"USD": 118800, "EUR": 118800, "GBP": 98800, "JPY": 172800}),
    Plan(
        "Business yearly",
        "priority",
        "year",
        25,
        6,
        {"USD": 478800, "EUR": 478800, "GBP": 410800, "JPY": 698800},
    ),
    Plan(
        "Enterprise",
        "enterprise",
        "quarter",
        120,
        8,
        {"USD": 960000, "EUR": 960000, "GBP": 840000, "JPY": 1428000},
    ),
)
SEAT_PRICES = {"USD": 1200, "EUR": 1200, "GBP": 1000, "JPY": 1700}
CURRENCY_WEIGHTS = (58, 23, 14, 5)
COUNTRIES = {"USD": ("US", "CA"), "EUR": ("DE", "FR", "NL", "ES"), "GBP": ("GB",), "JPY": ("JP",)}


def trade_month(book: Book, customers: int) -> None:
    """Fill the book with `customers` customers and the month's invoices, charges, refunds and credit notes."""
    taken: set[str] = set()
    for number in range(1, customers + 1):
        customer = _customer(book, number, taken)
        book.customers.append(customer)
        book.entitlements.append(_entitlement(customer, number))
        _bill(book, customer)


def _customer(book: Book, number: int, taken: set[str]) -> Customer:
    random = book.random
    currency = random.choices(CURRENCIES, CURRENCY_WEIGHTS)[0]
    plan = random.choices(PLANS, [plan.weight for plan in PLANS])[0]
    name = company_name(number, currency, random, taken)
    extra_seats = random.choice((0, 0, 0, 1, 2, 4, 5)) if plan.interval == "month" else 0
    return Customer(
        account=f"ACC-{1000 + number}",
        stripe=book.new_id("cus_", 14),
        product=f"org-{20000 + 7 * number}",
        subscription=book.new_id("sub_1", 23),
        name=name,
        email=billing_address(name),
        country=random.choice(COUNTRIES[currency]),
        currency=currency,
        tier=plan.tier,
        plan=plan.name,
        interval=plan.interval,
        price_minor=plan.prices[currency] + extra_seats * SEAT_PRICES[currency],
        seats=plan.seats + extra_seats,
        created=book.epoch(-random.randrange(40, 900), random.randrange(28_800, 72_000)),
        status="canceled" if random.randrange(100) < 4 else "active",
    )


def _entitlement(customer: Customer, number: int) -> Entitlement:
    status = "active" if customer.status == "active" else "ended"
    return Entitlement(f"ent-{50000 + number}", customer.product, customer.plan, customer.seats, status)


def _bill(book: Book, customer: Customer) -> None:
    """Invoice a customer if anything falls due this month, and let it pay."""
    random = book.random
    if customer.status != "active" or not _due(customer, random):
        return
    created = book.epoch(random.randrange(0, book.days - LAST_BILLING_DAYS), random.randrange(18_000, 79_200))
    manual = customer.interval == "quarter"
    invoice = Invoice(
        id=book.new_id("in_1", 23),
        customer=customer,
        amount=customer.price_minor,
        currency=customer.currency,
        created=created,
        reason="manual" if manual else "subscription_cycle",
    )
    if not manual and random.randrange(100) < 12:
        _prorate(book, invoice)
    book.invoices.append(invoice)
    if random.randrange(100) < 3:
        book.invoices.append(_voided_draft(book, invoice))
    if not manual:
        _pay(book, invoice)


def _due(customer: Customer, random: Random) -> bool:
    if customer.interval == "year":
        return random.randrange(100) < 45
    return customer.interval == "month" or random.randrange(100) < 90


def _prorate(book: Book, invoice: Invoice) -> None:
    """Seats added in mid-cycle: an uneven amount, as upgrades make them."""
    seats, days = book.random.randrange(1, 6), book.random.randrange(3, 28)
    invoice.prorated = SEAT_PRICES[invoice.currency] * seats * days // 30
    invoice.amount += invoice.prorated
    invoice.reason = "subscription_update"


def _voided_draft(book: Book, invoice: Invoice) -> Invoice:
    """An invoice issued wrongly and voided at once: it owes nothing and is out of every reconciliation."""
    return Invoice(
        id=book.new_id("in_1", 23),
        customer=invoice.customer,
        amount=invoice.amount,
        currency=invoice.currency,
        created=invoice.created - 900,
        reason=invoice.reason,
        status="void",
    )


def new_charge(book: Book, invoice: Invoice, amount: int, delay_seconds: int) -> Charge:
    """A card charge for an invoice, entered in the book, some seconds after the invoice."""
    charge = Charge(
        id=book.new_id("ch_3", 23),
        customer=invoice.customer,
        invoice=invoice.id,
        amount=amount,
        currency=invoice.currency,
        created=invoice.created + delay_seconds,
    )
    book.charges.append(charge)
    return charge


def _pay(book: Book, invoice: Invoice) -> None:
    """Pay by card: mostly at once, sometimes after a failed attempt, in two parts, or corrected by a refund."""
    random, way = book.random, book.random.randrange(100)
    delay = random.randrange(2, 90)
    if way < 5:
        new_charge(book, invoice, invoice.amount, delay).status = "failed"
        new_charge(book, invoice, invoice.amount, 86_400 + delay)
    elif way < 9:
        first = invoice.amount * random.randrange(3, 7) // 10
        new_charge(book, invoice, first, delay)
        new_charge(book, invoice, invoice.amount - first, 86_400 + delay)
    elif way < 13:
        _overcharge(book, invoice, delay)
    else:
        charge = new_charge(book, invoice, invoice.amount, delay)
        if way < 16:
            _credit(book, invoice, charge)


def _overcharge(book: Book, invoice: Invoice, delay: int) -> None:
    """Charged at the old price and corrected the next day: the refund brings it to the invoice's amount."""
    surplus = SEAT_PRICES[invoice.currency]
    charge = new_charge(book, invoice, invoice.amount + surplus, delay)
    new_refund(book, charge, invoice.id, surplus, 86_400, "requested_by_customer")


def new_refund(book: Book, charge: Charge, invoice: str | None, amount: int, delay_seconds: int, reason: str) -> Refund:
    """A refund of a charge, entered in the book."""
    refund = Refund(book.new_id("re_3", 23), charge, invoice, amount, charge.created + delay_seconds, reason)
    charge.refunded += amount
    book.refunds.append(refund)
    return refund


def _credit(book: Book, invoice: Invoice, charge: Charge) -> None:
    """A tenth is credited and refunded the next day: what is owed and what was paid go down together."""
    number = f"CN-{book.start:%Y%m}-{len(book.credit_notes) + 1:03d}"
    amount = max(1, invoice.amount // 10)
    note = CreditNote(book.new_id("cn_1", 23), number, invoice, amount, invoice.created + 86_400)
    book.credit_notes.append(note)
    new_refund(book, charge, invoice.id, amount, 86_400, "requested_by_customer")
