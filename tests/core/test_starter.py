"""The first configuration: always valid, commented, and exactly what was inferred."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tieout.core.config.parsing import parse_configuration
from tieout.core.starter import EXAMPLE_SOURCES, StarterSource, starter_configuration
from tieout.model.errors import UsageError
from tieout.model.record import DRAFT_COLUMNS

INVOICES = StarterSource("billing", "csv", "invoice", {"native_id": "No.", "amount": "total"}, files=("a b.csv",))
CHARGES = StarterSource("shop", "json", "charge", {"amount": "x", "invoice_ref": "meta.invoice"})
BANK = StarterSource("bank", "camt", "bank_line")


def test_example_names_two_files_and_reconciles_them() -> None:
    parsed = parse_configuration(starter_configuration("acme", []), "tieout.yaml")
    assert [source.files for source in parsed.sources.values()] == [("invoices.csv",), ("payments.csv",)]
    assert list(parsed.reconciliations) == ["invoices-to-payments"]
    assert list(parsed.sources) == [source.name for source in EXAMPLE_SOURCES]


def test_what_settles_what_stands_ready() -> None:
    parsed = parse_configuration(starter_configuration("acme", [BANK, CHARGES, INVOICES]), "tieout.yaml")
    reconciliation = parsed.reconciliations["invoices-to-charges"]
    assert [(side.name, side.source) for side in reconciliation.sides] == [("invoices", "billing"), ("charges", "shop")]
    assert reconciliation.passes[0].on == {"invoices": "native_id", "charges": "invoice_ref"}


def test_what_cannot_be_told_is_a_comment() -> None:
    text = starter_configuration("acme", [INVOICES, BANK])
    assert parse_configuration(text, "tieout.yaml").reconciliations == {}
    assert "#    on: {invoices: native_id" in text


@pytest.mark.parametrize("sources", [[], [INVOICES, CHARGES], [StarterSource("x")]])
def test_every_line_is_explained(sources: list[StarterSource]) -> None:
    text = starter_configuration("acme", sources)
    assert all("#" in line for line in text.splitlines() if line.strip())


@pytest.mark.parametrize("workspace", ["", "Acme", "a_b", "a" * 64, "-a", "acme\n"])
def test_a_workspace_needs_a_name(workspace: str) -> None:
    with pytest.raises(UsageError):
        starter_configuration(workspace, [])


def test_sources_need_names_of_their_own() -> None:
    with pytest.raises(UsageError, match="twice"):
        starter_configuration("acme", [BANK, BANK])


NAMES = st.text(alphabet=string.ascii_lowercase + string.digits, min_size=1, max_size=10)
TEXTS = st.text(min_size=1, max_size=30).filter(
    lambda text: not any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text)
)
COLUMNS = st.sampled_from([column for column in DRAFT_COLUMNS if column != "attributes"])
SETTINGS = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | TEXTS,
    lambda below: st.lists(below, max_size=3),
    max_leaves=5,
)


@settings(max_examples=200, deadline=None)
@given(
    NAMES,
    st.dictionaries(COLUMNS, TEXTS | st.fixed_dictionaries({"from": TEXTS, "map": st.just({"yes": "no"})}), max_size=5),
    st.dictionaries(NAMES, SETTINGS, max_size=3),
    st.lists(TEXTS, max_size=3),
)
def test_whatever_was_inferred_arrives(
    name: str, mapping: dict[str, object], options: dict[str, object], files: list[str]
) -> None:
    mapping = {column: entry for column, entry in mapping.items() if isinstance(entry, str)}
    source = StarterSource(name, "csv", "invoice", mapping, options, tuple(files))
    parsed = parse_configuration(starter_configuration("acme", [source]), "tieout.yaml").sources[name]
    assert parsed.options.mapping == mapping
    assert parsed.options.settings == options
    assert parsed.files == tuple(files)


def test_what_yaml_cannot_hold_becomes_a_pattern() -> None:
    text = starter_configuration("acme", [StarterSource("x", files=("caf\udce9.csv",))])
    assert parse_configuration(text, "tieout.yaml").sources["x"].files == ("caf?.csv",)
