"""A sample file as the beginning of a source: what a reader recognised in it, as it would stand in tieout.yaml.

What was recognised is only written down where reading the file with it gives the very same records; else the source
is left to recognise its files anew each time, as it did here.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tieout.core.starter import StarterSource
from tieout.model.configuration import SourceConfig
from tieout.model.errors import TieoutError
from tieout.model.reading import SourceOptions
from tieout.service.preview import Preview, preview

_TABLES = ("csv", "parquet", "json")
"""Formats whose columns are the user's; the others know their own."""
_PLAIN = re.compile(r"column ('[^']*'|\"[^\"]*\")(, unique in the sample|, decimal comma|)")
_COMPARED = 200


def starter_source(name: str, path: Path, pattern: str) -> StarterSource:
    """A source for files like this one. Raises TieoutError when the file cannot be read."""
    with preview(path, SourceConfig(name=name)) as plain:
        file_format, expected = plain.format, _content(plain)
        kind = plain.inferred.get("kind", "").partition(":")[0] or None
        mapping = _mapping(plain.inferred) if plain.format in _TABLES else {}
    bare = StarterSource(name=name, format=file_format, kind=kind, files=(pattern,))
    if not mapping:
        return bare
    options = SourceOptions(kind=kind, mapping=mapping)
    try:
        with preview(path, SourceConfig(name=name, format=file_format, options=options)) as again:
            same = _content(again) == expected
    except TieoutError:
        same = False
    return StarterSource(name=name, format=file_format, kind=kind, mapping=mapping, files=(pattern,)) if same else bare


def _content(shown: Preview) -> tuple[object, ...]:
    """What must be the same in both readings: counts, totals and the first records."""
    records = tuple(tuple(str(value) for value in record.values()) for record in shown.records(_COMPARED))
    return shown.rows_read, shown.records_count, shown.totals, records


def _mapping(inferred: object) -> dict[str, object]:
    """Record column to file column, of those that one column alone gives as it stands."""
    mapping: dict[str, object] = {}
    assert isinstance(inferred, dict)
    for target, words in inferred.items():
        found = _PLAIN.fullmatch(words)
        if found is None or target in ("balance", "header"):
            continue
        column = str(ast.literal_eval(found[1]))
        mapping[target] = {"from": column, "decimal": ","} if found[2] == ", decimal comma" else column
    return mapping
