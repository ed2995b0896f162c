"""Configurations: what is accepted becomes exactly this; what is not is told with place and fix, and quickly."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tieout.core.config import check as config_check
from tieout.core.config.parsing import parse_configuration, rules_digest
from tieout.core.config.shape import MAX_PROBLEMS
from tieout.core.config.tree import MAX_ALIASES, MAX_DEPTH, MAX_NODES
from tieout.core.matching import columns
from tieout.core.starter import starter_configuration
from tieout.model.configuration import (
    Configuration,
    Contract,
    EngineConfig,
    IdentityConfig,
    PassConfig,
    ReconciliationConfig,
    SeverityThresholds,
    SideConfig,
    SourceConfig,
)
from tieout.model.errors import ConfigError, InputError, Problem
from tieout.model.reading import SourceOptions

CASES = sorted((Path(__file__).parent / "cases" / "config").glob("*.yaml"))

WHOLE = """\
workspace: acme
data_directory: data
database_url: file:secrets/database-url
engine: {memory: 4GB, threads: 2}
sources:
  billing:
    format: csv
    files: ["invoices-*.csv"]
    kind: invoice
    currency: EUR
    zone: Europe/Berlin
    customers: true
    mapping:
      native_id: number
      date: {from: issued, format: "%d.%m.%Y"}
      amount: {from: total, decimal: ",", negate: true}
      attributes: [tier]
    settings: {delimiter: ";", skip: 2, token: env:TOKEN}
    contract: {required: [native_id, amount], currencies: [EUR], quarantine_limit_percent: 5}
  stripe: {format: stripe}
identity: {canonical_source: billing, key_map: customers.csv}
authority: {email: [stripe, billing], tier: billing}
reconciliations:
  invoices-to-payments:
    kind: match
    sides:
      invoices: {source: billing, where: {status: [open, paid]}, where_not: {category: draft}}
      payments: {source: stripe, kind: [charge, refund], amount: net, sign: -1}
    passes:
      - {name: by-invoice, type: exact, on: {invoices: native_id, payments: invoice_ref}, unique: invoices}
      - {name: sums, type: grouped, on: {invoices: native_id, payments: invoice_ref}, fee: payments}
    grace_days: 3
    window_days: 60
    group_over: 500
    severity: {high: 50}
    disputes: stripe
    threshold: 7
"""

ON = {"invoices": "native_id", "payments": "invoice_ref"}


def problems_of(text: str, **options: Any) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        parse_configuration(text, "tieout.yaml", **options)
    return caught.value.problems


def test_every_key_arrives() -> None:
    billing = SourceConfig(
        name="billing",
        options=SourceOptions(
            kind="invoice",
            mapping={
                "native_id": "number",
                "date": {"from": "issued", "format": "%d.%m.%Y"},
                "amount": {"from": "total", "decimal": ",", "negate": True},
                "attributes": ["tier"],
            },
            currency="EUR",
            zone="Europe/Berlin",
            settings={"delimiter": ";", "skip": 2, "token": "env:TOKEN"},
        ),
        format="csv",
        files=("invoices-*.csv",),
        declares_customers=True,
        contract=Contract(required=("native_id", "amount"), currencies=("EUR",), quarantine_limit_percent=5),
    )
    invoices = SideConfig("invoices", "billing", ("invoice",), {"status": ("open", "paid")}, {"category": ("draft",)})
    payments = SideConfig("payments", "stripe", ("charge", "refund"), amount="net", sign=-1)
    reconciliation = ReconciliationConfig(
        name="invoices-to-payments",
        sides=(invoices, payments),
        passes=(
            PassConfig("by-invoice", "exact", ON, unique=("invoices",)),
            PassConfig("sums", "grouped", ON, fee="payments"),
        ),
        grace_days=3,
        window_days=60,
        group_over=500,
        severity=SeverityThresholds(high=50),
        disputes="stripe",
        threshold=7,
    )
    parsed = parse_configuration(WHOLE, "tieout.yaml")
    assert parsed == Configuration(
        workspace="acme",
        sources={"billing": billing, "stripe": SourceConfig("stripe", format="stripe")},
        reconciliations={"invoices-to-payments": reconciliation},
        identity=IdentityConfig("billing", "customers.csv"),
        authority={"email": ("stripe", "billing"), "tier": ("billing",)},
        engine=EngineConfig("4GB", 2),
        data_directory="data",
        database_url="file:secrets/database-url",
        digest=parsed.digest,
    )


def test_least_configuration() -> None:
    parsed = parse_configuration("workspace: acme\nsources:\nreconciliations: {}\n", "tieout.yaml")
    assert parsed == Configuration("acme", {}, {}, digest=parsed.digest)


def test_on_is_short_for_an_exact_and_a_grouped_pass() -> None:
    text = WHOLE[: WHOLE.index("    passes:")] + "    on: {invoices: native_id, payments: invoice_ref}\n"
    (reconciliation,) = parse_configuration(text, "tieout.yaml").reconciliations.values()
    assert reconciliation.passes == (PassConfig("exact", "exact", ON), PassConfig("grouped", "grouped", ON))


def test_declared_kinds_are_known() -> None:
    text = WHOLE.replace("    kind: invoice\n", "    kind: invoices\n").replace(
        "required:", "kinds: [invoices], required:"
    )
    (reconciliation,) = parse_configuration(text, "tieout.yaml").reconciliations.values()
    assert reconciliation.sides[0].kinds == ("invoices",)


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_bad_example(case: Path) -> None:
    """Exactly the expected problems: a mistake is told once, and nothing follows from it."""
    data = YAML(typ="safe", pure=True).load(case.read_text("utf-8"))
    load = data.get("included", {}).__getitem__ if "included" in data or case.stem == "include_missing" else None
    told = [
        {
            "line": problem.place.line,
            "file": problem.place.file,
            "field": problem.place.field or None,
            "message": problem.message,
            "hint": problem.hint,
        }
        for problem in problems_of(data["bad"], load=load)
    ]
    assert told == [{"file": "tieout.yaml", **expected} for expected in data["problems"]]


def test_there_are_bad_examples() -> None:
    assert len(CASES) >= 100


def test_problems_read_as_place_message_and_hint() -> None:
    text = WHOLE.replace("payments: invoice_ref}, unique", "payments: invoce_ref}, unique")
    with pytest.raises(ConfigError) as caught:
        parse_configuration(text, "conf/tieout.yaml")
    assert str(caught.value) == (
        "conf/tieout.yaml:30 (reconciliations.invoices-to-payments.passes[0].on.payments): "
        "no column 'invoce_ref' in a record that can be a key\n"
        "  hint: did you mean invoice_ref?"
    )


@pytest.mark.parametrize(
    "line",
    [
        "database_url: postgresql://tieout:hunter2@db/tieout",
        "database_url: postgresql://db/tieout?password=hunter2",
        "database_url: postgresql://tieout:hunter2/x@db/tieout",
        "database_url: 'sqlite://[hunter2'",
        "database_url: [hunter2]",
        "sources: {a: {settings: {client_secret: hunter2}}}",
        "sources: {a: {settings: {apiKey: [hunter2]}}}",
        "sources: {a: {settings: {password: {value: hunter2}}}}",
        "sources: {a: {settings: {url: 'https://me:hunter2@api.example'}}}",
    ],
)
def test_a_secret_is_refused_and_never_repeated(line: str) -> None:
    problems = problems_of(f"workspace: acme\n{line}\n")
    assert "env:NAME" in str(problems[0])
    assert "hunter2" not in str(problems)


@pytest.mark.parametrize("secret", ["471147114711", "4711.4711"])
def test_a_secret_number_is_refused_and_never_repeated(secret: str) -> None:
    problems = problems_of(f"workspace: acme\nsources: {{a: {{settings: {{pin_token: {secret}}}}}}}\n")
    assert secret not in str(problems)


@pytest.mark.parametrize(
    "url", ["sqlite:///a.db", "postgresql://db.example/tieout", "env:URL", "file:/run/secrets/url"]
)
def test_database_urls_without_a_password_are_kept(url: str) -> None:
    assert parse_configuration(f"workspace: acme\ndatabase_url: {url}\n", "x").database_url == url


@pytest.mark.parametrize("word", ["no", "on", "12:30", "2026-01-01", "1_000", "0b1", "01:02:03", "=", "%YAML"[1:]])
def test_words_of_old_yaml_are_text(word: str) -> None:
    text = f"%YAML 1.1\n---\nworkspace: acme\nsources: {{a: {{mapping: {{status: {word}}}}}}}\n"
    assert parse_configuration(text, "x").sources["a"].options.mapping["status"] == word


def test_aliases_and_comments_are_plain_yaml() -> None:
    text = "workspace: acme\nsources:\n  a: &csv {format: csv}  # one\n  b: *csv\n"
    assert parse_configuration(text, "x").sources["b"].format == "csv"


def test_byte_order_mark_and_line_ends_do_not_matter() -> None:
    plain = parse_configuration(WHOLE, "x")
    assert parse_configuration("\ufeff" + WHOLE.replace("\n", "\r\n"), "x") == plain


# Digests


def test_digest_ignores_comments_layout_and_order() -> None:
    plain = parse_configuration(WHOLE, "x")
    moved = WHOLE.replace("workspace: acme\n", "# ours\n") + "workspace:   'acme'  # at the end\n"
    assert parse_configuration(moved, "other.yaml").digest == plain.digest
    assert len(plain.digest) == 64


def test_digest_ignores_how_files_are_split() -> None:
    start, stop = WHOLE.index("  stripe: {format"), WHOLE.index("identity:")
    main = WHOLE[:start] + WHOLE[stop:] + "includes: [more/stripe.yaml]\n"
    files = {"more/stripe.yaml": "sources:\n" + WHOLE[start:stop]}
    parsed = parse_configuration(main, "conf/tieout.yaml", files.__getitem__)
    assert parsed.digest == parse_configuration(WHOLE, "x").digest


@pytest.mark.parametrize(("before", "after"), [("acme", "acme2"), ("%d.%m.%Y", "%m.%d.%Y"), ("[open, paid]", "open")])
def test_digest_follows_content(before: str, after: str) -> None:
    assert parse_configuration(WHOLE.replace(before, after), "x").digest != parse_configuration(WHOLE, "x").digest


def test_rules_digest_is_of_one_reconciliation() -> None:
    def digest(text: str) -> str:
        return rules_digest(parse_configuration(text, "x").reconciliations["invoices-to-payments"])

    lines = WHOLE.splitlines(keepends=True)
    first = next(index for index, line in enumerate(lines) if line.startswith("      invoices:"))
    swapped = "".join([*lines[:first], lines[first + 1], lines[first], *lines[first + 2 :]])
    assert digest(WHOLE) == digest(WHOLE.replace("acme", "other").replace("threads: 2", "threads: 3"))
    assert digest(WHOLE) != digest(swapped), "the first side is what is expected"
    assert digest(WHOLE) != digest(WHOLE.replace("grace_days: 3", "grace_days: 4"))


# Includes


@pytest.mark.parametrize("error", [OSError(13, "Permission denied"), UnicodeError(), KeyError("x"), InputError("no")])
def test_what_a_loader_raises_becomes_a_problem(error: Exception) -> None:
    def load(_: str) -> str:
        raise error

    (problem,) = problems_of("workspace: acme\nincludes: [a.yaml]\nidentity: {canonical_source: b}\n", load=load)
    assert problem.message.startswith("cannot read 'a.yaml': ")


def test_includes_need_a_loader() -> None:
    (problem,) = problems_of("workspace: acme\nincludes: [a.yaml]\n")
    assert problem.message == "included files cannot be read here"


@pytest.mark.parametrize(
    "name", ["/a", "../a", "b/../../a", "~/a", "C:/a", "..\\a", "\\\\host\\a", "file:a", "", "a\n"]
)
def test_a_loader_is_never_asked_for_what_lies_outside(name: str) -> None:
    asked: list[str] = []
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n")
    problems_of(f'workspace: acme\nincludes: ["{escaped}"]\n', load=lambda path: asked.append(path) or "")
    assert asked == []


# Bounds


BOMBS = {
    "aliases": "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 9)}]\n" for i in range(11)
    ),
    "many aliases": "a: &a 1\nb: [" + "*a, " * (MAX_ALIASES + 1) + "]\n",
    "alias depth": "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, MAX_DEPTH + 10)),
    "flow depth": "[" * 9_000,
    "flow map depth": "{a: " * 2_000,
    "block depth": "".join(" " * i + "a:\n" for i in range(1_000)),
    "dash depth": "- " * 4_000,
    "width": "- a\n" * (MAX_NODES * 2),
    "keys": "".join(f"k{i}: 1\n" for i in range(MAX_NODES * 2)),
    "bytes": "workspace: acme\n#" + "é" * 600_000,
    "line": "workspace: " + "a" * 100_000,
    "tag": "workspace: !" + "a" * 1_000_000 + " x",
    "newlines": "\n" * 1_000_000,
    "comments": "#\n" * 500_000,
    "digits": "workspace: acme\nengine: {threads: " + "9" * 9_000 + "}",
    "repetition": "workspace: acme\nsources: {a: {mapping: {status: {from: x, pattern: '(((a{999}){999}){999})'}}}}",
    "escapes": 'workspace: "' + "\\U99999999" * 100 + '"',
    "unknown names": "workspace: acme\nsources: {" + "".join(f"s{i}: {{}}, " for i in range(3_000)) + "}\nauthority: {"
    + "".join(f"a{i}: t{i}, " for i in range(3_000)) + "}",
    "unknown keys": "workspace: acme\nsources:\n" + "".join(f"  s{i}: {{x{i}: y}}\n" for i in range(4_000)),
    "zones": "workspace: acme\nsources:\n" + "".join(f"  s{i}: {{zone: Europe/Z{i}}}\n" for i in range(4_000)),
}  # fmt: skip


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_refused_quickly(text: str) -> None:
    began = time.process_time()
    problems = problems_of(text)
    assert time.process_time() - began < 5
    assert len(problems) <= MAX_PROBLEMS
    assert max(len(str(problem)) for problem in problems) < 2_000


def test_reading_loads_nothing_heavy_and_is_quick() -> None:
    """Every command reads the configuration first."""
    program = (
        "import sys, time; began = time.process_time()\n"
        "from tieout.core.config.parsing import parse_configuration\n"
        "parse_configuration(sys.stdin.read() * 1, 'tieout.yaml')\n"
        "heavy = {'pydantic', 'sqlalchemy', 'duckdb', 'numpy', 'pyarrow'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert time.process_time() - began < 0.25, time.process_time() - began\n"
    )
    done = subprocess.run([sys.executable, "-c", program], input=WHOLE, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_matching_provides_the_stages_that_are_accepted() -> None:
    assert config_check.MAX_STAGES == columns.MAX_STAGES


# Whatever people type: a configuration or its problems, never another exception


SCALARS = [
    "",
    "~",
    "no",
    "1.5",
    "-3",
    "99999999999999999999",
    "*a",
    "&a",
    "!!str x",
    "[",
    "{",
    "'",
    '"',
    "|",
    ">",
    "a: b",
]
SCALARS += [
    "- a",
    "? a",
    "env:",
    "%",
    "@",
    "\x00",
    "\t",
    "\ud800",
    "\x85",
    "[]",
    "{}",
    "<<",
    "'\\'",
    "é",
    "#",
    "..",
    "\\",
]


def mutated(text: str, seed: int) -> str:
    """A text after a few slips of the hand."""
    chance = random.Random(seed)
    lines = text.splitlines()
    for _ in range(chance.randint(1, 3)):
        spot = chance.randrange(len(lines))
        line = lines[spot]
        action = chance.randrange(7)
        if action == 0 and len(lines) > 1:
            del lines[spot]
        elif action == 1:
            lines.insert(chance.randrange(len(lines)), line)
        elif action == 2:
            lines[spot] = line.replace(chance.choice("aeiou"), chance.choice(["", "x", "\U0001f4b6", " "]), 1)
        elif action == 3:
            lines[spot] = line.partition(":")[0] + ": " + chance.choice(SCALARS)
        elif action == 4:
            lines[spot] = " " * chance.randrange(9) + line.lstrip()
        elif action == 5:
            cut = chance.randrange(len(line) + 1)
            lines[spot] = line[:cut] + chance.choice(SCALARS) + line[cut:]
        else:
            words = line.split(" ")
            words[chance.randrange(len(words))] = chance.choice(SCALARS)
            lines[spot] = " ".join(words)
    return "\n".join(lines) + "\n"


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([WHOLE, starter_configuration("acme", [])]), st.integers(0, 2**32))
def test_slips_give_a_configuration_or_problems(text: str, seed: int) -> None:
    attempt(mutated(text, seed))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200) | st.text(alphabet="ab:-[]{}&*!|>'\"#%@,?~\n\t <=", max_size=200))
def test_any_text_gives_a_configuration_or_problems(text: str) -> None:
    attempt(text)
    attempt("workspace: acme\n" + text)


def attempt(text: str) -> None:
    try:
        assert parse_configuration(text, "tieout.yaml", {}.__getitem__).digest
    except ConfigError as error:
        problems = error.problems
    else:
        return
    assert problems
    for problem in problems:
        assert problem.message
        assert problem.place.file == "tieout.yaml"
        assert str(problem).encode()
