"""Paths below ``data`` are spelled in two modules, and the library is handed data, not paths."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from support.places import ROOT

EXCEPTIONS = {
    "verdict3d/hub.py": "a folder named data is nobody's name on a hub",
    "verdict3d/view/hub_card.py": "what readers of a card on a hub are told to do",
    "verdict3d/view/pairs/bundle.py": "files of a page in a folder of its own",
    "verdict3d/view/pairs/server.py": "addresses of a page",
    "verdict3d/view/vote/server.py": "addresses of a page",
    "verdict3d/pretrain/__main__.py": "the default of a command of the library, which imports no stage",
}
MODULES = sorted(
    path.relative_to(ROOT).as_posix()
    for layer in ("verdict3d", "tasks", "flows")
    for path in (ROOT / layer).rglob("*.py")
    if path not in (ROOT / "verdict3d/project.py", ROOT / "tasks/paths.py")
)


def spelled_paths(source: str) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of strings that spell ``data`` as a folder; docstrings and comments may."""
    tree = ast.parse(source)
    prose = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    joined = {
        id(side) for node in ast.walk(tree) if isinstance(node, ast.BinOp) for side in (node.left, node.right)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in prose:
            continue
        if "data/" in node.value or (node.value == "data" and id(node) in joined):
            yield node.lineno, node.value


@pytest.mark.parametrize(
    "source", ['p = root / "data/audit"', 'p = root / "data" / "audit"', 'p = f"data/{stage}/metrics.json"']
)
def test_a_spelled_path_is_found(source: str) -> None:
    assert list(spelled_paths(source))


@pytest.mark.parametrize("source", ['"""Writes ``data/audit``."""', 'row = {"data": 1}', "# data/audit"])
def test_prose_may_name_folders(source: str) -> None:
    assert not list(spelled_paths(source))


def test_paths_below_data_are_spelled_in_two_modules() -> None:
    found = {name: list(spelled_paths((ROOT / name).read_text(encoding="utf-8"))) for name in MODULES}
    assert {name for name, places in found.items() if places} == set(EXCEPTIONS), {
        name: places for name, places in found.items() if places and name not in EXCEPTIONS
    }
