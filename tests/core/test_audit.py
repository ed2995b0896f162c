"""The audit's hashing against published vectors, and its verifier against every single tampering."""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieout.core.audit import (
    GENESIS,
    audit_row,
    canonical_bytes,
    canonical_json,
    head_of,
    merkle_root,
    next_seal,
    row_digest,
    seal_head,
    verify_chain,
)
from tieout.model.audit import Actor, AuditRow, Seal
from tieout.model.clock import instant_text

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
Chain = tuple[list[AuditRow], list[Seal]]


def build_chain(sizes: list[int]) -> Chain:
    """A well-formed chain whose seals cover that many rows each."""
    rows: list[AuditRow] = []
    seals: list[Seal] = []
    for number, size in enumerate(sizes):
        at = instant_text(START + timedelta(minutes=number))
        sealed = []
        for _ in range(size):
            seq = len(rows) + len(sealed) + 1
            sealed.append(audit_row("acme", seq, at, Actor("ada", "cli"), "act", f"batch/{seq}", {"n": seq}))
        rows += sealed
        seal = next_seal("acme", seals[-1] if seals else None, [(row.seq, row.digest) for row in sealed], at)
        assert seal is not None
        seals.append(seal)
    return rows, seals


def subjects(*arguments: object, **options: object) -> list[str]:
    return [breach.subject for breach in verify_chain(*arguments, **options)]  # type: ignore[arg-type]


RFC_6962_LEAVES = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
RFC_6962_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""The Certificate Transparency project's reference tree: the roots over its first 0 to 8 leaves."""


@pytest.mark.parametrize("size", range(9))
def test_merkle_root_equals_the_reference(size: int) -> None:
    assert merkle_root(RFC_6962_LEAVES[:size]) == RFC_6962_ROOTS[size]


@given(st.lists(st.binary(max_size=4), min_size=1, max_size=40))
def test_merkle_root_follows_the_recursive_definition(leaves: list[bytes]) -> None:
    def tree(part: list[bytes]) -> bytes:
        if len(part) == 1:
            return hashlib.sha256(b"\x00" + part[0]).digest()
        split = 1 << ((len(part) - 1).bit_length() - 1)
        return hashlib.sha256(b"\x01" + tree(part[:split]) + tree(part[split:])).digest()

    assert merkle_root(leaves) == tree(leaves).hex()


FIELDS = st.lists(st.one_of(st.text(max_size=5), st.integers(), st.none()), max_size=5)


@given(FIELDS, FIELDS)
def test_canonical_bytes_are_unambiguous(left: list[str | int | None], right: list[str | int | None]) -> None:
    assert (canonical_bytes("p", left) == canonical_bytes("p", right)) == (left == right)
    assert canonical_bytes("p", left) != canonical_bytes("q", left)


def test_canonical_bytes_do_not_join() -> None:
    assert canonical_bytes("p", ("ab", "c")) != canonical_bytes("p", ("a", "bc"))
    assert canonical_bytes("p", ("1",)) != canonical_bytes("p", (1,))
    assert canonical_bytes("p", (None,)) != canonical_bytes("p", ("",))


def test_canonical_json_is_one_text() -> None:
    assert canonical_json({"b": [1, None], "a": "ü\ud800\0"}) == '{"a":"\\u00fc\\ud800\\u0000","b":[1,null]}'


@pytest.mark.parametrize("value", [1.0, float("nan"), {1: "x"}, {"when": START}, b"x", {"deep": [[0.5]]}])
def test_canonical_json_refuses_what_is_not_exact(value: object) -> None:
    with pytest.raises(ValueError, match=r"JSON"):
        canonical_json(value)  # type: ignore[arg-type]


def test_digests_do_not_change_between_releases() -> None:
    """A stored chain must verify for ever: these values may never change."""
    rows, seals = build_chain([1, 2])
    assert row_digest(rows[0]) == "1d6d257b49e1466ac0ed4fb49bcb8417c860abd91fd9caeec190dbe2d6184c0d"
    assert seals[1].head == "482a9bc188f355bbe36fb4f48fd220ccf4b44b3c85c714a45a5ce7670848b955"
    assert seals[0].previous == GENESIS


@given(st.lists(st.integers(1, 5), max_size=6))
def test_an_honest_chain_has_no_breach(sizes: list[int]) -> None:
    rows, seals = build_chain(sizes)
    assert verify_chain(rows, seals) == []
    for seal in seals:
        assert verify_chain(iter(rows), iter(seals), head_of(seal)) == []


CHAINS = st.lists(st.integers(1, 4), min_size=1, max_size=5).map(build_chain)


def altered(value: str | int) -> str | int:
    return value + 1 if isinstance(value, int) else value + "0"


@given(CHAINS, st.data())
def test_any_edit_of_a_row_is_detected_and_named(chain: Chain, data: st.DataObject) -> None:
    rows, seals = chain
    index = data.draw(st.integers(0, len(rows) - 1))
    name = data.draw(st.sampled_from([field.name for field in fields(AuditRow)]))
    row = rows[index]
    rows[index] = replace(row, **{name: altered(getattr(row, name))})
    breaches = verify_chain(rows, seals)
    assert breaches
    assert all(breach.invariant == 11 for breach in breaches)
    assert any(breach.subject.startswith((f"audit/{row.seq}", f"audit/{row.seq + 1}")) for breach in breaches)


@given(CHAINS, st.data())
def test_an_edit_with_a_matching_digest_is_detected_by_its_seal(chain: Chain, data: st.DataObject) -> None:
    rows, seals = chain
    index = data.draw(st.integers(0, len(rows) - 1))
    edited = replace(rows[index], details='{"n":0}')
    rows[index] = replace(edited, digest=row_digest(edited))
    covering = next(seal for seal in seals if seal.first_seq <= edited.seq <= seal.last_seq)
    assert subjects(rows, seals) == [f"seals/{covering.seal}"]


@given(CHAINS, st.data())
def test_any_edit_of_a_seal_is_detected(chain: Chain, data: st.DataObject) -> None:
    rows, seals = chain
    index = data.draw(st.integers(0, len(seals) - 1))
    name = data.draw(st.sampled_from([field.name for field in fields(Seal)]))
    seals[index] = replace(seals[index], **{name: altered(getattr(seals[index], name))})
    assert verify_chain(rows, seals)


@given(CHAINS, st.data())
def test_any_deleted_row_is_detected(chain: Chain, data: st.DataObject) -> None:
    rows, seals = chain
    gone = rows.pop(data.draw(st.integers(0, len(rows) - 1)))
    breaches = verify_chain(rows, seals)
    assert breaches
    assert any(f"audit/{gone.seq}" in breach.subject or breach.subject.startswith("seals/") for breach in breaches)


@given(CHAINS, st.data())
def test_any_deleted_seal_is_detected(chain: Chain, data: st.DataObject) -> None:
    rows, seals = chain
    seals.pop(data.draw(st.integers(0, len(seals) - 1)))
    assert verify_chain(rows, seals)


@given(st.lists(st.integers(1, 4), min_size=2, max_size=5).map(build_chain), st.data(), st.booleans())
def test_any_swap_is_detected(chain: Chain, data: st.DataObject, renumber: bool) -> None:
    rows, seals = chain
    first = data.draw(st.integers(0, len(rows) - 2))
    second = data.draw(st.integers(first + 1, len(rows) - 1))
    one, other = rows[first], rows[second]
    if renumber:
        one, other = replace(one, seq=other.seq), replace(other, seq=one.seq)
        one, other = replace(one, digest=row_digest(one)), replace(other, digest=row_digest(other))
    rows[first], rows[second] = other, one
    assert verify_chain(rows, seals)


@given(st.lists(st.integers(1, 4), min_size=2, max_size=5).map(build_chain), st.data())
def test_a_consistent_truncation_is_detected_against_the_exported_head(chain: Chain, data: st.DataObject) -> None:
    rows, seals = chain
    head = head_of(seals[-1])
    kept = seals[: data.draw(st.integers(0, len(seals) - 1))]
    last_seq = kept[-1].last_seq if kept else 0
    short = [row for row in rows if row.seq <= last_seq]
    assert verify_chain(short, kept) == []
    assert subjects(short, kept, head) == [f"seals/{head.seal}"]


def test_a_chain_rewritten_as_a_whole_is_detected_against_the_exported_head() -> None:
    rows, seals = build_chain([2, 2])
    forged_rows, forged = build_chain([1, 3])
    assert verify_chain(forged_rows, forged, head_of(seals[0])) != []
    assert verify_chain(rows, seals, head_of(forged[0])) != []


def test_rows_of_another_workspace_do_not_belong() -> None:
    rows, seals = build_chain([1])
    other = audit_row("other", 2, rows[0].at, Actor("ada", "cli"), "act", "batch/2", {})
    assert "audit/2" in subjects([*rows, other], seals, now=START)


@pytest.mark.parametrize(("age_seconds", "expected"), [(5, []), (5.001, ["audit/2"])])
def test_rows_may_stay_unsealed_for_five_seconds(age_seconds: float, expected: list[str]) -> None:
    rows, seals = build_chain([1])
    late = audit_row("acme", 2, instant_text(START), Actor("ada", "cli"), "act", "batch/2", {})
    now = START + timedelta(seconds=age_seconds)
    assert subjects([*rows, late], seals, now=now) == expected
    assert subjects([*rows, late], seals) == ["audit/2"]


def test_heads_cover_every_other_field() -> None:
    _, seals = build_chain([1])
    assert seal_head(seals[0]) == seals[0].head


def test_nothing_to_seal_gives_no_seal() -> None:
    assert next_seal("acme", None, [], "") is None
