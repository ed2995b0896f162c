"""Joins a `tieout.yaml` with the files it includes into one tree, in which every node knows its own file.

Reading files is the caller's: it hands in a `load`. Names are checked here, on paper: what a symbolic link does
is the loader's to refuse.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from tieout.core.config.shape import quoted
from tieout.core.config.tree import MAX_NODES, Entry, ListNode, MapNode, Node, ScalarNode, read_yaml
from tieout.model.errors import Place, Problem, TieoutError

Loader = Callable[[str], str]
"""Text of an included file, by its path relative to the main file's directory with `/` between folders. May
raise OSError, UnicodeError, LookupError or a TieoutError; each becomes a problem at the including line."""

MAX_INCLUDE_DEPTH = 3
MAX_INCLUDED_FILES = 100
JOINED_SECTIONS = ("sources", "authority", "reconciliations")
"""Sections whose entries may be spread over files; any other stands in one file only."""


@dataclass(frozen=True, slots=True)
class JoinedFiles:
    """The tree of all files (None when the main one cannot be framed) and what is wrong with them as YAML.

    Where it is not `complete`, a file is missing from it: what refers to a name may not be told unknown.
    """

    root: MapNode | None
    complete: bool
    problems: list[Problem]


def read_files(text: str, filename: str, load: Loader | None) -> JoinedFiles:
    """A configuration's main file, joined with what it includes."""
    reader = _Reader(filename, load)
    root = reader.read(text, filename, PurePosixPath(), 0)
    return JoinedFiles(root, not reader.broken, reader.problems)


class _Reader:
    """Carries the problems and the files seen through the recursion, which MAX_INCLUDE_DEPTH bounds."""

    def __init__(self, filename: str, load: Loader | None):
        self.folder = re.match(r"(.*[/\\])?", filename, re.DOTALL)[0]  # type: ignore[index]
        self.load = load
        self.seen: dict[str, Place] = {filename.removeprefix(self.folder): Place(filename)}
        self.problems: list[Problem] = []
        self.broken = False

    def read(self, text: str, file: str, folder: PurePosixPath, depth: int) -> MapNode | None:
        """One file joined with what it includes."""
        node, problems = read_yaml(text, file)
        self.problems += problems
        if isinstance(node, MapNode):
            return self._joined(node, folder, depth)
        self.broken = True
        if node is not None:
            self._say("expected a map of sections", Place(file, node.line), "begin with `workspace: name`")
        return None

    def _joined(self, node: MapNode, folder: PurePosixPath, depth: int) -> MapNode:
        included = node.entries.get("includes")
        if included is None:
            return node
        if not isinstance(included.node, ListNode):
            self._not_names(included.node, "includes", depth)
            return node
        for index, item in enumerate(included.node.items):
            place = Place(item.file, item.line, f"includes[{index}]")
            if not (isinstance(item, ScalarNode) and isinstance(item.value, str)):
                self._not_names(item, f"includes[{index}]", depth)
                continue
            other = self._included(item.value, place, folder, depth + 1)
            if other is not None:
                node = self._join(node, other)
        return node

    def _not_names(self, node: Node, field: str, depth: int) -> None:
        if depth:  # the main file's own list is checked with its schema, this one would be lost in joining
            self._say("expected a list of file names", Place(node.file, node.line, field), "write [other.yaml]")

    def _included(self, name: str, place: Place, folder: PurePosixPath, depth: int) -> MapNode | None:
        fault = _name_fault(name)
        if fault:
            self._lost(f"{quoted(name)} {fault}", place, "name a file below this one's folder")
            return None
        path = folder / name
        earlier = self.seen.get(str(path))
        if earlier is not None:
            self._lost(f"{quoted(name)} is already part of this configuration", place, "remove this line")
            return None
        if depth > MAX_INCLUDE_DEPTH or len(self.seen) > MAX_INCLUDED_FILES:
            message = f"includes nest deeper than {MAX_INCLUDE_DEPTH}"
            if depth <= MAX_INCLUDE_DEPTH:
                message = f"there are more than {MAX_INCLUDED_FILES} included files"
            self._lost(message, place, "include from the main file")
            return None
        self.seen[str(path)] = place
        text = self._text(str(path), place)
        return None if text is None else self.read(text, f"{self.folder}{path}", path.parent, depth)

    def _text(self, path: str, place: Place) -> str | None:
        if self.load is None:
            self._lost("included files cannot be read here", place, "write the sections into this file")
            return None
        try:
            return self.load(path)
        except (OSError, UnicodeError, LookupError, ValueError, TieoutError) as error:
            self._lost(f"cannot read {quoted(path)}: {_reason(error)}", place, "check the name and the file")
            return None

    def _join(self, node: MapNode, other: MapNode) -> MapNode:
        """The first tree with the sections of the second added."""
        entries = dict(node.entries)
        for key, entry in other.entries.items():
            if key == "includes":
                continue
            first = entries.get(key)
            if first is None or _is_empty(first.node):
                entries[key] = entry
            elif key in JOINED_SECTIONS and isinstance(first.node, MapNode) and isinstance(entry.node, MapNode):
                entries[key] = replace(first, node=self._join_section(key, first.node, entry.node))
            elif not (key in JOINED_SECTIONS and _is_empty(entry.node)):
                self._twice(key, first, entry, key)
        size = node.size + other.size
        if size > MAX_NODES:
            self._lost(f"the files together expand to more than {MAX_NODES} values", Place(other.file), "")
        return replace(node, entries=entries, size=size)

    def _join_section(self, section: str, first: MapNode, second: MapNode) -> MapNode:
        entries = dict(first.entries)
        for name, entry in second.entries.items():
            if name in entries:
                self._twice(f"{section}.{name}", entries[name], entry, name)
            else:
                entries[name] = entry
        return replace(first, entries=entries)

    def _twice(self, path: str, first: Entry, second: Entry, name: str) -> None:
        message = f"{quoted(name)} is already defined in {first.file}:{first.line}"
        self._say(message, Place(second.file, second.line, path[:160]), "remove or rename one of them")

    def _lost(self, message: str, place: Place, hint: str) -> None:
        """A problem after which later checks would only repeat that something is missing."""
        self.broken = True
        self._say(message, place, hint)

    def _say(self, message: str, place: Place, hint: str) -> None:
        self.problems.append(Problem(message, place, hint))


def _reason(error: Exception) -> str:
    """Why a loader failed, in short."""
    if isinstance(error, LookupError):
        return "there is no such file"
    if isinstance(error, UnicodeError):
        return "it is not UTF-8 text"
    known = error.strerror if isinstance(error, OSError) else None
    return (known or str(error))[:120]


def _is_empty(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.kind == "null"


def _name_fault(name: str) -> str:
    """Why a name may leave the configuration's folder, or cannot be one; empty when it stays inside."""
    if not name or len(name) > 300 or any(ord(character) < 32 for character in name):
        return "is not a file name"
    if name.startswith(("/", "~")) or "\\" in name or ":" in name:
        return "is not a relative path"
    if ".." in PurePosixPath(name).parts:
        return "leaves the folder"
    return ""
