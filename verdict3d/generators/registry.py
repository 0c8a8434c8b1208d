"""The kinds of generators by name: each is a module of this package and ends with its ``load``.

A module is imported when its kind is asked for and named nowhere else, so meshes depend on the code of the
kind that made them, and on no other.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from verdict3d.config_generators import AnyGenerator
from verdict3d.generators.generator import Generator
from verdict3d.generators.identity import describe_generator


def name_kind_module(kind: str) -> str:
    """Return the module of a kind."""
    return f"verdict3d.generators.{kind}"


def load_generator(settings: AnyGenerator, root: Path) -> Generator:
    """Return a generator that is ready to be asked.

    Args:
        settings: Its parameters.
        root: The project's folder, which paths in them are relative to.

    Raises:
        Verdict3DError: It is not there, or cannot be reached.
    """
    generator: Generator = import_module(name_kind_module(settings.kind)).load(
        settings, describe_generator(settings, root), root
    )
    return generator
