"""Benchmarks use the project and its tests do not use them, so they can be moved or left out."""

from __future__ import annotations

import ast
from pathlib import Path

from support.places import ROOT, TESTS


def imports_benchmarks(path: Path) -> bool:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return any(name.partition(".")[0] == "benchmarks" for name in names)


def test_only_tests_of_benchmarks_import_them() -> None:
    layers = [TESTS, *(ROOT / name for name in ("verdict3d", "tasks", "flows"))]
    users = {path for layer in layers for path in layer.rglob("*.py") if imports_benchmarks(path)}
    assert {
        path.relative_to(ROOT).as_posix() for path in users if path.parent != TESTS / "benchmarks"
    } == set()
    assert users
