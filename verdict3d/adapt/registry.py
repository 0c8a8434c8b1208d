"""The methods by name: each is a module in ``verdict3d.adapt.methods`` and ends with its ``METHOD``.

A method is imported when it is asked for and named nowhere else, so an arm depends on the code of its own
methods, and a new method concerns no arm of another one.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from verdict3d.config_arms import AnyArm, OutsideArmParams, StackParams
from verdict3d.errors import Verdict3DError
from verdict3d.generators.registry import name_kind_module

if TYPE_CHECKING:
    from verdict3d.adapt.method import Method

PACKAGE = "verdict3d.adapt.methods"


def list_methods() -> list[str]:
    """Return the names of all methods, sorted."""
    return sorted(found.name for found in pkgutil.iter_modules([str(Path(__file__).with_name("methods"))]))


def find_method(name: str) -> Method:
    """Return the method called ``name``.

    Raises:
        Verdict3DError: There is no such method; the known ones are named.
    """
    if name not in list_methods():
        raise Verdict3DError(f"unknown method {name!r}; known: {', '.join(list_methods())}")
    method: Method = import_module(module_of(name)).METHOD
    return method


def module_of(name: str) -> str:
    """Return the module of the method called ``name``."""
    return f"{PACKAGE}.{name}"


def parts_of(settings: AnyArm) -> Sequence[AnyArm]:
    """Return the arms that an arm is made of: the parts of a stack, else itself."""
    return settings.parts if isinstance(settings, StackParams) else (settings,)


def modules_of(settings: AnyArm) -> list[str]:
    """Return the modules of the methods that an arm uses, each once; of an outside arm that of its kind."""
    if isinstance(settings, OutsideArmParams):
        return [name_kind_module(settings.generator.kind)]
    return [module_of(name) for name in sorted({part.method for part in (settings, *parts_of(settings))})]
