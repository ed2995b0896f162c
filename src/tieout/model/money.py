"""Exact money: integer minor units and a currency with its exponent. No float comes near this module.

The exponents are ISO 4217's (list one), plus currencies withdrawn since 1999 that old statements still carry.
What lives elsewhere: vectorised parsing of amounts (core/normalise), display in a locale (surfaces).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from tieout.model.errors import InputError

MAX_MINOR = 10**15
"""Largest absolute amount of one record in minor units (INVARIANTS 16)."""

_CODES = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF BYR ESP ITL BEF LUF PTE",
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE "
        "CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD "
        "HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK "
        "MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD "
        "RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH "
        "USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG "
        "ANG ATS BGN CUC CYP DEM EEK FIM FRF GRD HRK IEP LTL LVL MRO MTL NLG ROL SIT SKK SLL STD TRL VEF ZWL"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}

EXPONENTS: dict[str, int] = {code: exponent for exponent, codes in _CODES.items() for code in codes.split()}
"""Currency code to number of decimals of its minor unit."""

_DECIMAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount of one currency in minor units (cents, yen, fils). Arithmetic refuses to mix currencies."""

    amount_minor: int
    currency: str

    def __add__(self, other: Money) -> Money:
        self._same_currency(other)
        return Money(self.amount_minor + other.amount_minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same_currency(other)
        return Money(self.amount_minor - other.amount_minor, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.amount_minor, self.currency)

    def _same_currency(self, other: Money) -> None:
        if other.currency != self.currency:
            raise ValueError(f"cannot combine {self.currency} with {other.currency}")

    def __str__(self) -> str:
        return f"{decimal_text(self.amount_minor, self.currency)} {self.currency}"


def exponent(currency: str) -> int:
    """Decimals of a currency's minor unit. Raises InputError for a code that is not a currency."""
    try:
        return EXPONENTS[currency]
    except KeyError:
        raise InputError(f"unknown currency {currency!r}", hint="use an ISO 4217 code such as EUR") from None


def decimal_text(amount_minor: int, currency: str) -> str:
    """Plain decimal text in major units: (-49108, "EUR") gives "-491.08". Never groups digits."""
    digits = exponent(currency)
    sign = "-" if amount_minor < 0 else ""
    whole, part = divmod(abs(amount_minor), 10**digits)
    return f"{sign}{whole}.{part:0{digits}d}" if digits else f"{sign}{whole}"


def parse_decimal(text: str, currency: str) -> int:
    """Minor units of a plain decimal text in major units ("491.08", "EUR"); the inverse of `decimal_text`.

    Raises InputError when the text is not a plain decimal, carries more precision than the currency has, or
    exceeds the largest amount: excess precision is refused, never rounded.
    """
    if not _DECIMAL.fullmatch(text) or len(text) > 40:
        raise InputError(f"{text[:40]!r} is not a plain decimal number", hint="write it like -1234.56")
    scaled = Decimal(text).scaleb(exponent(currency))
    if scaled != scaled.to_integral_value():
        raise InputError(f"{text} has more decimals than {currency} allows")
    if abs(scaled) > MAX_MINOR:
        raise InputError(f"{text} {currency} is larger than Tieout accepts for one record")
    return int(scaled)


def total_minor(text: str, currency: str) -> int | None:
    """Minor units of a total or balance, which may exceed what one record may hold; None where a 64-bit integer or
    the currency's exponent cannot hold it."""
    if not _DECIMAL.fullmatch(text) or len(text) > 40:
        return None
    scaled = Decimal(text).scaleb(exponent(currency))
    return int(scaled) if scaled == scaled.to_integral_value() and abs(scaled) < 2**63 else None


def allocate(total_minor: int, weights: list[int]) -> list[int]:
    """Split a total by non-negative weights so that the parts sum to it exactly (largest remainder).

    Ties go to the earlier part. Raises ValueError when no weight is positive.
    """
    weight_sum = sum(weights)
    if weight_sum <= 0 or min(weights) < 0:
        raise ValueError("weights must be non-negative and not all zero")
    sign = -1 if total_minor < 0 else 1
    shares = [divmod(abs(total_minor) * weight, weight_sum) for weight in weights]
    left = abs(total_minor) - sum(share for share, _ in shares)
    by_remainder = sorted(range(len(weights)), key=lambda index: (-shares[index][1], index))
    extra = set(by_remainder[:left])
    return [sign * (share + (index in extra)) for index, (share, _) in enumerate(shares)]
