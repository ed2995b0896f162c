"""Stripe's minor units as decimal text in major units.

Stripe's amounts are integers in *its own* smallest unit, which is not ISO 4217's for every currency
(https://docs.stripe.com/currencies, "Minor units in API amounts" and "Special cases"):

- zero-decimal: the amount is in whole units. MGA is one of them although ISO gives it two decimals.
- three-decimal: thousandths.
- ISK and UGX have no decimals in ISO, and Stripe takes no fractions of them, but for compatibility it still counts
  in hundredths: 500 is 5 ISK. All others count in hundredths as well.
"""

from __future__ import annotations

from tieout.model.money import EXPONENTS

ZERO_DECIMAL = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"}
)
THREE_DECIMAL = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})


def stripe_exponent(currency: str) -> int:
    """Decimals of Stripe's smallest unit of a currency (upper-case code)."""
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


def major_text(amount: int, currency: str) -> str:
    """Decimal text in major units of an amount in Stripe's smallest unit: (1050, "EUR") gives "10.50".

    Zeros beyond the ISO decimals are dropped, (500, "ISK") gives "5", and nothing else is: a fraction that the
    currency cannot hold stays visible, so that the row is quarantined instead of rounded.
    """
    digits = stripe_exponent(currency)
    sign = "-" if amount < 0 else ""
    whole, part = divmod(abs(amount), 10**digits)
    decimals = f"{part:0{digits}d}" if digits else ""
    while len(decimals) > EXPONENTS.get(currency, digits) and decimals.endswith("0"):
        decimals = decimals[:-1]
    return f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}"
