"""Hashing and verifying the audit: pure functions that the writer, the sealer and every verifier share.

A row's digest is SHA-256 over a canonical, length-delimited encoding of its fields. A seal roots the digests of a
range of rows in a Merkle tree (RFC 6962, section 2.1) and chains that root to the seal before. Nothing here reads a
database or a clock.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from tieout.model.audit import JSON, Actor, AuditRow, Breach, Head, Seal
from tieout.model.clock import parse_instant

INVARIANT: Final = 11
"""The audit's number in the list of invariants."""

GENESIS: Final = "0" * 64
"""What the first seal of a workspace names as the head before it."""

UNSEALED_SECONDS: Final = 5
"""How long a row may stay unsealed before that is a breach."""


def canonical_json(value: JSON) -> str:
    """The one JSON text of a value: sorted keys, no spaces, ASCII. Raises ValueError for a float or an odd key."""
    _refuse_inexact(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _refuse_inexact(value: object) -> None:
    if isinstance(value, Mapping):
        if odd := [key for key in value if not isinstance(key, str)]:
            raise ValueError(f"JSON keys must be text, not {odd[0]!r}")
        for item in value.values():
            _refuse_inexact(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_inexact(item)
    elif not (value is None or isinstance(value, bool | int | str)):
        raise ValueError(f"{value!r} has no exact JSON form; give amounts as integers or decimal text")


def canonical_bytes(purpose: str, fields: Iterable[str | int | None]) -> bytes:
    """Fields as bytes that no other sequence of fields shares: each with its type and its length before it.

    `purpose` separates the uses of one hash function: equal fields for another purpose give other bytes.
    """
    encoded = [_delimited(b"s", purpose.encode())]
    for field in fields:
        if field is None:
            encoded.append(_delimited(b"n", b""))
        elif isinstance(field, int):
            encoded.append(_delimited(b"i", str(field).encode()))
        else:
            encoded.append(_delimited(b"s", field.encode("utf-8", "surrogatepass")))
    return b"".join(encoded)


def _delimited(kind: bytes, content: bytes) -> bytes:
    return kind + len(content).to_bytes(8, "big") + content


def digest_of(purpose: str, fields: Iterable[str | int | None]) -> str:
    """Hex SHA-256 of `canonical_bytes`."""
    return hashlib.sha256(canonical_bytes(purpose, fields)).hexdigest()


def row_digest(row: AuditRow) -> str:
    """The digest that an audit row must carry: over every field but the digest itself."""
    return digest_of(
        "tieout audit row 1",
        (row.workspace, row.seq, row.at, row.actor, row.authentication, row.action, row.subject, row.details),
    )


def audit_row(
    workspace: str, seq: int, at: str, actor: Actor, action: str, subject: str, details: Mapping[str, JSON]
) -> AuditRow:
    """A digested row, ready to be stored. `at` is an ISO instant."""
    text = canonical_json(details)
    row = AuditRow(workspace, seq, at, actor.name, actor.authentication, action, subject, text, "")
    return replace(row, digest=row_digest(row))


def merkle_root(leaves: Sequence[bytes]) -> str:
    """Hex root of the Merkle tree over these leaves, as RFC 6962 section 2.1 defines it."""
    return _subtree(leaves).hex()


def _subtree(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256(b"").digest()
    level = [hashlib.sha256(b"\x00" + leaf).digest() for leaf in leaves]
    while len(level) > 1:
        paired = [
            hashlib.sha256(b"\x01" + level[index] + level[index + 1]).digest() for index in range(0, len(level) - 1, 2)
        ]
        level = [*paired, level[-1]] if len(level) % 2 else paired
    return level[0]


def seal_head(seal: Seal) -> str:
    """The head that a seal must carry: over the head before it and its own other fields."""
    return digest_of(
        "tieout audit seal 1",
        (seal.workspace, seal.previous, seal.seal, seal.first_seq, seal.last_seq, seal.root, seal.sealed_at),
    )


def next_seal(workspace: str, last: Seal | None, rows: Sequence[tuple[int, str]], sealed_at: str) -> Seal | None:
    """The seal over the rows after the last one, given as (seq, digest) in order; None when there are none."""
    if not rows:
        return None
    seal = Seal(
        workspace=workspace,
        seal=1 if last is None else last.seal + 1,
        first_seq=rows[0][0],
        last_seq=rows[-1][0],
        root=merkle_root([digest.encode() for _, digest in rows]),
        previous=GENESIS if last is None else last.head,
        head="",
        sealed_at=sealed_at,
    )
    return replace(seal, head=seal_head(seal))


def head_of(seal: Seal) -> Head:
    """What is exported and signed of a chain that ends with this seal."""
    return Head(seal.workspace, seal.seal, seal.last_seq, seal.head, seal.sealed_at)


def verify_chain(
    rows: Iterable[AuditRow],
    seals: Iterable[Seal],
    signed_head: Head | None = None,
    *,
    now: datetime | None = None,
) -> list[Breach]:
    """Everything wrong with one workspace's audit, naming the row; an empty list when nothing is.

    `rows` and `seals` come in the order of their numbers, from the first on, and are each read once. Without a
    `signed_head` a consistent cut of the tail, or a chain rewritten as a whole, cannot be told from an honest
    shorter one. Rows that no seal covers are a breach once they are older than UNSEALED_SECONDS at `now`;
    without `now`, at once.
    """
    breaches: list[Breach] = []
    checked = _checked_rows(rows, breaches)
    row = next(checked, None)
    last: Seal | None = None
    signed_found = signed_head is None
    for seal in seals:
        leaves: list[bytes] = []
        while row is not None and row.seq <= seal.last_seq:
            leaves.append(row.digest.encode("utf-8", "surrogatepass"))
            row = next(checked, None)
        breaches += _seal_breaches(seal, last, leaves)
        if signed_head is not None and seal.seal == signed_head.seal:
            signed_found = True
            breaches += _signed_breaches(seal, signed_head)
        last = seal
    if signed_head is not None and not signed_found:
        breaches.append(_missing_signed(signed_head, last))
    while row is not None:
        if _overdue(row, now):
            breaches.append(_breach(f"audit/{row.seq}", f"the row of {row.at} is covered by no seal"))
        row = next(checked, None)
    return breaches


def _checked_rows(rows: Iterable[AuditRow], breaches: list[Breach]) -> Iterator[AuditRow]:
    """The rows as they come, noting what is wrong with each by itself and with their numbering."""
    expected = 1
    workspace: str | None = None
    for row in rows:
        subject = f"audit/{row.seq}"
        workspace = row.workspace if workspace is None else workspace
        if row.workspace != workspace:
            breaches.append(_breach(subject, f"the row belongs to workspace {row.workspace}, not {workspace}"))
        if row.seq < expected:
            breaches.append(_breach(subject, "the row is out of order or stands twice"))
        elif row.seq > expected:
            gap = f"audit/{expected}" if row.seq == expected + 1 else f"audit/{expected}..{row.seq - 1}"
            breaches.append(_breach(gap, "missing: the numbering has a gap"))
        if row.digest != row_digest(row):
            breaches.append(_breach(subject, "the row does not have the digest it was written with: edited"))
        expected = max(expected, row.seq + 1)
        yield row


def _seal_breaches(seal: Seal, last: Seal | None, leaves: Sequence[bytes]) -> list[Breach]:
    """What is wrong with one seal, given the one before it and the digests of the rows it covers."""
    subject = f"seals/{seal.seal}"
    number, first, previous = (1, 1, GENESIS) if last is None else (last.seal + 1, last.last_seq + 1, last.head)
    breaches = []
    if seal.seal != number:
        breaches.append(_breach(subject, f"expected seal {number} here: deleted or out of order"))
    if seal.first_seq != first:
        breaches.append(_breach(subject, f"it begins at row {seal.first_seq}, expected {first}"))
    if seal.previous != previous:
        breaches.append(_breach(subject, "it does not continue the head before it"))
    if seal.head != seal_head(seal):
        breaches.append(_breach(subject, "the seal does not have the head it was written with: edited"))
    count = seal.last_seq - seal.first_seq + 1
    if len(leaves) != count:
        message = f"it covers {count} rows, audit/{seal.first_seq}..{seal.last_seq}, of which {len(leaves)} were found"
        breaches.append(_breach(subject, message))
    if seal.root != merkle_root(leaves):
        message = f"rows audit/{seal.first_seq}..{seal.last_seq} are not those that were sealed"
        breaches.append(_breach(subject, message))
    return breaches


def _signed_breaches(seal: Seal, signed: Head) -> list[Breach]:
    if head_of(seal) == signed:
        return []
    return [_breach(f"seals/{seal.seal}", "the chain does not contain the exported head: rewritten")]


def _missing_signed(signed: Head, last: Seal | None) -> Breach:
    end = "the chain is empty" if last is None else f"the chain ends at seal {last.seal}, row {last.last_seq}"
    return _breach(
        f"seals/{signed.seal}", f"the exported head names this seal up to row {signed.last_seq}; {end}: truncated"
    )


def _overdue(row: AuditRow, now: datetime | None) -> bool:
    if now is None:
        return True
    try:
        return now - parse_instant(row.at) > timedelta(seconds=UNSEALED_SECONDS)
    except ValueError:
        return True


def _breach(subject: str, message: str) -> Breach:
    return Breach(INVARIANT, subject, message)
