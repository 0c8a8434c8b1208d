"""What a result was made from: content digests, which code that is, and its commit."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import subprocess
from collections.abc import Collection
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).parents[1]
"""The folder that holds the packages of this project."""
PACKAGES = ("tasks", "verdict3d")
"""Packages whose code decides results; ``flows`` only starts them."""
VALUES = (
    "verdict3d/config.py",
    "verdict3d/config_arms.py",
    "verdict3d/config_generators.py",
    "verdict3d/config_inputs.py",
    "verdict3d/config_judges.py",
    "verdict3d/config_promotion.py",
    "verdict3d/config_values.py",
)
"""Files that hold values and refuse wrong ones: their values, defaults among them, stand beside the code."""


def digest_bytes(content: bytes) -> str:
    """Return the SHA-256 of ``content`` in hex."""
    return hashlib.sha256(content).hexdigest()


def digest_json(value: Any) -> str:
    """Return the SHA-256 of ``value`` as canonical JSON (sorted keys, no spaces)."""
    return digest_bytes(json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode())


def digest_file(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_directory(directory: str | Path) -> str:
    """Return one SHA-256 over the relative names and contents of all files below ``directory``."""
    root = Path(directory)
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return digest_json([[path.relative_to(root).as_posix(), digest_file(path)] for path in files])


@cache
def digest_sources(sources: Path = SOURCES) -> str:
    """Return one SHA-256 over all of this project's code that decides results."""
    files = sorted(
        {file for each in _files_by_module(sources).values() for file in each if file.endswith(".py")}
    )
    return digest_json([[file, digest_file(sources / file)] for file in files])


def code_of(*modules: str, sources: Path = SOURCES) -> dict[str, str]:
    """Return what a result of ``modules`` depends on of this project's code: a digest a file, by path.

    Left out are ``VALUES``; whoever records code records the values that it was given.

    Args:
        *modules: Dotted names, such as ``tasks.label``.
        sources: Folder that holds the packages.
    """
    files = imported_files(*modules, sources=sources, without=VALUES)
    return {name: digest_file(sources / name) for name in files}


def imported_files(*modules: str, sources: Path = SOURCES, without: Collection[str] = ()) -> list[str]:
    """Return the files of ``modules`` and of all they import of this project, at once or later, sorted.

    Imports inside functions count, those for type checkers do not. Beside modules stand the files of their
    folders that are no Python, such as templates. What is imported by a computed name is not seen: the
    methods of arms (:func:`verdict3d.adapt.registry.modules_of`) are to be named.

    Args:
        *modules: Dotted names.
        sources: Folder that holds the packages.
        without: Files that are left out, with what only they import.
    """
    files = _files_by_module(sources)
    found: set[str] = set()
    seen: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in seen or name.partition(".")[0] not in PACKAGES:
            continue
        seen.add(name)
        waiting += [name.rpartition(".")[0]]  # a package's own file, and the module of an imported name
        for path in set(files.get(name, ())).difference(without):
            found.add(path)
            if path.endswith(".py"):
                waiting += _imports((sources / path).read_bytes())
    return sorted(found)


def _files_by_module(sources: Path) -> dict[str, list[str]]:
    """Return the files that belong to each module: itself, or of a package ``__init__`` and no Python."""
    files: dict[str, list[str]] = {}
    for package in PACKAGES:
        for folder, names, here in os.walk(sources / package):
            names[:] = [name for name in names if name != "__pycache__"]
            place = Path(folder).relative_to(sources)
            for file in here:
                if file.startswith("."):
                    continue
                owner = place / file
                if owner.suffix == ".py" and file != "__init__.py":
                    module = owner.with_suffix("")
                else:
                    module = next(up for up in owner.parents if (sources / up / "__init__.py").is_file())
                files.setdefault(".".join(module.parts), []).append((place / file).as_posix())
    return files


@lru_cache(maxsize=2048)
def _imports(source: bytes) -> tuple[str, ...]:
    """Return the dotted names that a module imports; ``from a import b`` is ``a.b``, b a module or not."""
    names: list[str] = []
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)
    return tuple(names)


def ask_git(folder: Path, *arguments: str) -> str:
    """Return what git says of ``folder``; "" where git refuses, hangs for a minute or is not installed."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=60
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
