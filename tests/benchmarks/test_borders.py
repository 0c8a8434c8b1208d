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


def test_only_their_tests_and_drills_import_benchmarks() -> None:
    layers = [TESTS, *(ROOT / name for name in ("verdict3d", "tasks", "flows"))]
    users = {path for layer in layers for path in layer.rglob("*.py") if imports_benchmarks(path)}
    allowed = {TESTS / "benchmarks", TESTS / "drills"}
    assert {path.relative_to(ROOT).as_posix() for path in users if path.parent not in allowed} == set()
    assert users
