"""What a source says of one thing: kinds, the draft a reader makes of it, and the canonical record's columns.

A *draft* is a record as text, before anything is believed: every reader produces drafts, and one normaliser
(core/normalise) turns them into canonical records or rejections, whatever the file's format was.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

KINDS: Final = (
    "invoice", "payment", "refund", "dispute", "payout", "balance_transaction", "bank_line", "ledger_entry",
    "credit_note", "subscription", "entitlement", "usage", "customer", "order", "purchase_order", "receipt",
    "event", "charge", "payment_intent", "product", "price",
)  # fmt: skip
"""Kinds that Tieout knows. A source may declare others; an unknown one is kept raw, never dropped."""

MONEY_KINDS: Final = (
    "invoice", "payment", "refund", "dispute", "payout", "balance_transaction", "bank_line", "ledger_entry",
    "credit_note", "charge",
)  # fmt: skip
"""Kinds whose record must carry an amount and a currency: without them the row is quarantined."""

RAW_KIND: Final = "raw"
"""Kind of an object whose type Tieout does not know: identity and content are kept, nothing is derived."""

LINK_COLUMNS: Final = (
    "reference", "invoice_ref", "payment_ref", "payout_ref", "subscription_ref", "order_ref", "customer_ref",
    "account",
)  # fmt: skip
"""Columns that can join records of different sources. All text; match passes name them."""

DRAFT_COLUMNS: Final = (
    "kind", "native_id", "version", "date", "time", "amount", "fee", "net", "currency", "description",
    "counterparty", "status", "category", *LINK_COLUMNS, "attributes",
)  # fmt: skip
"""Text columns of a draft, besides its integer `line`. What a reader does not know is None.

    kind          one of KINDS, a declared kind, or RAW_KIND
    native_id     the source's own id; None for lines that have none (bank statement lines): the normaliser
                  then derives one from account, date, amount, text and ordinal within the day
    version       the source's own version: an integer, or an instant like `time`; None where it has none
    date          booking or effective date, ISO 8601 `YYYY-MM-DD`; stays a date
    time          instant, ISO 8601 UTC `YYYY-MM-DDTHH:MM:SS[.ffffff]Z`; None where only a date is known
    amount        signed plain decimal in *major* units with a point ("-1234.5"), money towards the company
                  positive; also gross where a fee is known. `fee` and `net` likewise
    currency      ISO 4217 code in upper case
    status        the source's word, lower case; `category` its type within the kind (for example a balance
                  transaction's `charge`, `refund`, `payout`; an invoice's billing reason)
    attributes    a JSON object of whatever else should be kept, keys sorted; None when empty
A reader that cannot turn a text into the asked form passes the text through unchanged: the normaliser then
quarantines the row and names the field and the text.
"""

RECORD_COLUMNS: Final = (
    ("kind", "VARCHAR"),
    ("native_id", "VARCHAR"),
    ("occurrence", "INTEGER"),
    ("id_hash", "BIGINT"),
    ("version", "BIGINT"),
    ("digest_a", "BIGINT"),
    ("digest_b", "BIGINT"),
    ("line", "BIGINT"),
    ("batch", "INTEGER"),
    ("effective_date", "DATE"),
    ("occurred_at", "TIMESTAMP"),
    ("amount_minor", "BIGINT"),
    ("fee_minor", "BIGINT"),
    ("net_minor", "BIGINT"),
    ("currency", "VARCHAR"),
    ("description", "VARCHAR"),
    ("counterparty", "VARCHAR"),
    ("status", "VARCHAR"),
    ("category", "VARCHAR"),
    *((column, "VARCHAR") for column in LINK_COLUMNS),
    ("attributes", "VARCHAR"),
)
"""Columns and types of a record part (Parquet). `digest_a` and `digest_b` are two 63-bit lanes of the MD5 of the
record's canonical, length-delimited content; `id_hash` is one such lane of its identity. `batch` and `line` are
lineage and belong to no digest."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that could not be read: kept, counted and shown, never dropped.

    `line` counts from 1 in the file (the element's line for XML, the ordinal for JSON lists); `text` is a short
    excerpt of what stood there.
    """

    line: int | None
    field: str
    reason: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """One bank statement of one account as its bank framed it. Amounts are decimal text in major units.

    `ties` is None when the statement does not carry both balances; `lines` counts its booked entries.
    """

    statement_id: str
    account: str
    currency: str
    opening: str | None
    closing: str | None
    sum: str
    lines: int
    sequence: str | None = None
    from_date: str | None = None
    to_date: str | None = None

    @property
    def ties(self) -> bool | None:
        """Whether opening + sum of lines = closing; None when a balance is missing."""
        return None if self.gap is None else self.gap == 0

    @property
    def gap(self) -> Decimal | None:
        """closing - (opening + sum), in major units; None when a balance is missing."""
        if self.opening is None or self.closing is None:
            return None
        return Decimal(self.closing) - Decimal(self.opening) - Decimal(self.sum)
