"""YAML from outside means what it means to DVC, and cannot hurt."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.serialize import load_yaml

from support.places import ROOT
from verdict3d.errors import Verdict3DError
from verdict3d.records.yaml_files import format_yaml, read_yaml

AMBIGUOUS = {
    "octal of 1.1": ("017", 17),
    "sixty": ("1:30", "1:30"),
    "yes": ("yes", "yes"),
    "off": ("off", "off"),
    "exponent": ("3e-4", 3e-4),
    "octal of 1.2": ("0o17", 15),
    "true": ("true", True),
    "quoted": ("'3e-4'", "3e-4"),
    "infinite": (".inf", float("inf")),
    "nothing": ("~", None),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_a_scalar_is_the_value_that_dvc_sees(name: str, tmp_path: Path) -> None:
    text, value = AMBIGUOUS[name]
    path = tmp_path / "params.yaml"
    path.write_text(f"a: {text}\n")
    found = read_yaml(path)
    assert found == {"a": value} == load_yaml(str(path)) and type(found["a"]) is type(value)


@pytest.mark.parametrize("path", [ROOT / "params.yaml", *sorted((ROOT / "presets").glob("*.yaml"))], ids=str)
def test_our_own_files_are_read_as_dvc_reads_them_and_survive_writing(path: Path, tmp_path: Path) -> None:
    values = read_yaml(path)
    assert values == load_yaml(str(path))
    (tmp_path / "again.yaml").write_text(format_yaml(values))
    assert read_yaml(tmp_path / "again.yaml") == values == load_yaml(str(tmp_path / "again.yaml"))


def test_text_that_looks_like_something_else_stays_text(tmp_path: Path) -> None:
    """A short commit such as 12e4567 is a float to YAML 1.2 unless it is quoted."""
    values: dict[str, Any] = {"b": "12e4567", "a": ["017", "yes", "1:30", "~", "2020-01-01", "", "1_000"]}
    path = tmp_path / "params.yaml"
    path.write_text(format_yaml(values))
    assert read_yaml(path) == values == load_yaml(str(path))
    assert list(read_yaml(path)) == ["b", "a"]


def nine_times(first: str, line: str) -> bytes:
    """Return a document whose lines each name the line before nine times."""
    names = "abcdefghi"
    lines = [line.format(name, ", ".join([f"*{before}"] * 9)) for before, name in pairwise(names)]
    return "\n".join([first, *lines]).encode()


LAUGHS = nine_times("a: &a [x]", "{0}: &{0} [{1}]")
MERGES = nine_times("a: &a {k: 1}", "{0}: &{0} {{<<: [{1}]}}")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a: [1", "line 1 is not YAML"),
        (b"a: 1\nb: 2\na: 3\n", 'line 3 is not YAML: found duplicate key "a"'),
        (b"a: 1\n---\nb: 2\n", "line 2 is not YAML"),
        (b"a: !!python/object/apply:os.system [ls]\n", "could not determine a constructor"),
        (b"a: 2020-99-99\n", "is not YAML: month must be in 1..12"),
        (b"a: " + b"9" * 5000, "is not YAML"),
        (b"a: \xff\n", "is not YAML: 'utf-8' codec"),
        ("a: 1\n".encode("utf-16"), "is not YAML: 'utf-8' codec"),
        (b"[" * 5000, "nested too deeply"),
        (b"[" * 101 + b"]" * 101, "nested too deeply"),
        (b"a: &a [*a]\n", "more than 100,000 values"),
        (LAUGHS, "more than 100,000 values"),
        (MERGES, "more than 100,000 values"),
    ],
)
def test_what_is_no_plain_document_is_refused_in_a_sentence(
    content: bytes, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(Verdict3DError) as caught:
        read_yaml(path)
    assert said in str(caught.value) and str(path) in str(caught.value) and len(str(caught.value)) < 400
