"""Stripe API objects as JSON: exports, list responses, event streams, fixtures.

What lives here: recognising a file and streaming its drafts. Framing and strictness are in `framing`, the
meaning of each object in `objects` (see its table), Stripe's minor units in `currency`.

Accepted: one object, a list response, an array, JSON lines (of any of these), `{"resources": {name: object}}` and
objects of named lists (`{"payouts": [...], "balance_transactions": [...]}`). JSON lines are read line by line, of
any size; other documents whole, up to 256 MB.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tieout.adapters.sources.drafting import chunks
from tieout.adapters.sources.stripe.fields import Context, Fault
from tieout.adapters.sources.stripe.framing import Found, find_objects
from tieout.adapters.sources.stripe.objects import ID_PREFIXES, READERS, Columns, drafts_of, type_of
from tieout.model.reading import Reading, SourceOptions
from tieout.model.record import Rejection

Draft = tuple[int, Columns]

OTHER_TYPES = (
    "account", "balance", "bank_account", "card", "checkout.session", "coupon", "discount", "invoiceitem", "line_item",
    "payment_link", "payment_method", "plan", "price", "product", "promotion_code", "quote", "setup_intent",
    "shipping_rate", "source", "subscription_item", "subscription_schedule", "tax_code", "tax_id", "tax_rate", "topup",
    "transfer", "usage_record_summary", "webhook_endpoint",
)  # fmt: skip
"""Types by which a file is recognised besides those that are read."""

_TYPE = re.compile(r'"object"\s*:\s*"(' + "|".join(map(re.escape, (*READERS, *OTHER_TYPES))) + r')"')
_LIST = re.compile(r'"url"\s*:\s*"/v1/')
_GROUP = re.compile(r'"(' + "|".join(READERS) + r')s"\s*:\s*[\[{]')
_ID = re.compile(r'"id"\s*:\s*"(' + "|".join(ID_PREFIXES) + r")_[A-Za-z0-9]")
_LONG_ID = re.compile(r'"id"\s*:\s*"(ch|cus|pi|py|pyr|dp|du|cn)_[A-Za-z0-9]{14}')


class StripeSource:
    """The `stripe` format."""

    name = "stripe"

    def sniff(self, head: bytes, filename: str) -> int:
        """How surely a file holds Stripe objects.

        95 with a known type and an id of Stripe's form, 85 with a known type or a list of Stripe's API. Without
        types: 75 for such ids in lists that are named like Stripe's types, 60 for a long id whose prefix is Stripe's
        alone, 30 for one that other systems use too (`sub_`, `txn_`, `po_`). 5 for other JSON, else 0.
        """
        text = head.removeprefix(b"\xef\xbb\xbf").decode("latin-1").lstrip()
        if not text.startswith(("{", "[")):
            return 0
        has_id = _ID.search(text) is not None
        if _TYPE.search(text):
            return 95 if has_id else 85
        if '"data"' in text and _LIST.search(text):
            return 85
        if has_id and _GROUP.search(text):
            return 75
        if _LONG_ID.search(text):
            return 60
        return 30 if has_id else 5

    def read(self, path: Path, options: SourceOptions) -> Reading:
        """Drafts of Stripe's objects, of their own kinds or raw; none is left out.

        `options.currency` serves objects that name none. Lazily raises InputError when a document cannot be framed;
        a line or object that is not strict JSON, holds a card number or has an amount that is no whole number
        becomes a Rejection. `inferred` says how the file was framed, and whether it is only one page of a list.
        """
        reading = Reading(format=self.name, drafts=iter(()))
        reading.drafts = chunks(_drafts(path, options, reading))
        return reading


def _drafts(path: Path, options: SourceOptions, reading: Reading) -> Iterator[Draft]:
    """Every object's drafts with their lines, appending to the reading's rejections."""
    currencies: dict[str, str] = {}
    context = Context(options.currency.upper() if options.currency else None, currencies)
    for found in _with_payouts(find_objects(path, reading.inferred), reading.inferred, currencies):
        if isinstance(found, Rejection):
            reading.rejections.append(found)
            continue
        for draft in drafts_of(found.value, found.hint, context):
            if isinstance(draft, Fault):
                reading.rejections.append(Rejection(found.line, draft.field, draft.reason, draft.text))
            else:
                yield found.line, draft


def _with_payouts(
    objects: Iterator[Found | Rejection], notes: dict[str, str], currencies: dict[str, str]
) -> Iterator[Found | Rejection]:
    """The same objects, once the currencies of the payouts among them are known.

    Exports by hand leave out a balance transaction's currency, which is that of its payout. Only a document, which
    is in memory anyway, is looked through for them; JSON lines would have to be read twice.
    """
    held: list[Found | Rejection] = []
    for found in objects:
        if notes.get("framing") == "JSON lines":
            yield found
            continue
        held.append(found)
        if isinstance(found, Found) and type_of(found.value, found.hint) == "payout":
            identifier, currency = found.value.get("id"), found.value.get("currency")
            if isinstance(identifier, str) and isinstance(currency, str):
                currencies[identifier] = currency
    yield from held


SOURCE = StripeSource()
