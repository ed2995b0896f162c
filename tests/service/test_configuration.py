"""Finding and reading `tieout.yaml` from disk; an included file stays in its folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tieout.model.errors import ConfigError, InputError, UsageError
from tieout.service.configuration import data_directory, find_directory, load_configuration

SOURCES = "sources:\n  billing: {format: csv, kind: invoice}\n"


def test_a_directory_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "tieout.yaml").write_text("workspace: acme\ndata_directory: data\n")
    (tmp_path / "other.yaml").write_text("workspace: other\n")
    configuration, base = load_configuration(tmp_path)
    assert (configuration.workspace, base) == ("acme", tmp_path)
    assert data_directory(configuration, base) == tmp_path / "data"
    assert load_configuration(tmp_path, tmp_path / "other.yaml")[0].workspace == "other"


def test_the_nearest_directory_upwards(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    with pytest.raises(UsageError, match=r"no tieout\.yaml"):
        find_directory(deep)
    (tmp_path / "tieout.yaml").write_text("workspace: acme\n")
    assert find_directory(deep) == tmp_path
    (tmp_path / "a" / "tieout.yaml").write_text("workspace: nearer\n")
    assert find_directory(deep) == tmp_path / "a"


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as missing:
        load_configuration(tmp_path)
    assert "tieout init" in missing.value.hint
    with pytest.raises(UsageError) as named:
        load_configuration(tmp_path, tmp_path / "x.yaml")
    assert "--config" in named.value.hint


def test_includes_are_read_from_below(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "sources.yaml").write_text("\ufeff" + SOURCES, encoding="utf-8")
    (tmp_path / "tieout.yaml").write_text("workspace: acme\nincludes: [parts/sources.yaml]\n")
    assert list(load_configuration(tmp_path)[0].sources) == ["billing"]


def test_a_link_inside_the_folder_is_followed_and_one_out_of_it_refused(tmp_path: Path) -> None:
    outside = tmp_path / "secret.yaml"
    outside.write_text(SOURCES)
    base = tmp_path / "base"
    (base / "real").mkdir(parents=True)
    (base / "real" / "inside.yaml").write_text(SOURCES)
    (base / "link.yaml").symlink_to(base / "real" / "inside.yaml")
    (base / "tieout.yaml").write_text("workspace: acme\nincludes: [link.yaml]\n")
    assert list(load_configuration(base)[0].sources) == ["billing"]
    (base / "out.yaml").symlink_to(outside)
    (base / "folder").symlink_to(tmp_path)
    (base / "chain.yaml").symlink_to(base / "out.yaml")
    for name in ("out.yaml", "folder/secret.yaml", "chain.yaml"):
        (base / "tieout.yaml").write_text(f"workspace: acme\nincludes: [{name}]\n")
        with pytest.raises(ConfigError) as refused:
            load_configuration(base)
        assert "leads out of the folder" in str(refused.value)
        assert refused.value.problems[0].place.line == 2


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (real / "sources.yaml").write_text(SOURCES)
    (real / "tieout.yaml").write_text("workspace: acme\nincludes: [sources.yaml]\n")
    (tmp_path / "link").symlink_to(real)
    assert list(load_configuration(tmp_path / "link")[0].sources) == ["billing"]


@pytest.mark.parametrize("name", ["nowhere.yaml", "folder", "loop.yaml", "pipe", "latin.yaml"])
def test_an_include_that_cannot_be_read_is_told_with_its_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"sources:\n  b\xe4nk: {}\n")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "tieout.yaml").write_text(f"workspace: acme\n\nincludes: [{name}]\n")
    with pytest.raises(ConfigError) as refused:
        load_configuration(tmp_path)
    assert refused.value.problems[0].place.line == 3


def test_files_that_are_too_large_or_no_text(tmp_path: Path) -> None:
    path = tmp_path / "tieout.yaml"
    path.write_bytes(b"workspace: acme\n" + b"# filler\n" * 2_000_000)
    with pytest.raises(ConfigError, match="larger than 1 MiB"):
        load_configuration(tmp_path)
    path.write_bytes(b"workspace: acme\nsources: {}\nx: \xff\n")
    with pytest.raises(InputError) as refused:
        load_configuration(tmp_path)
    assert refused.value.place.line == 3
    path.write_bytes(b"")
    with pytest.raises(ConfigError):
        load_configuration(tmp_path)


def test_problems_name_the_file_as_it_is_seen_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "tieout.yaml").write_text("workspace: 7x!\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as refused:
        load_configuration(Path("books"))
    assert refused.value.problems[0].place.file == str(Path("books") / "tieout.yaml")
