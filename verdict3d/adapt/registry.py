"""The arms by name: a new one is a module with a ``Method`` and one line here."""

from __future__ import annotations

from collections.abc import Mapping

from verdict3d.adapt.conditioner_repair import ConditionerRepair
from verdict3d.adapt.method import Method
from verdict3d.errors import Verdict3DError

ARMS: Mapping[str, Method] = {method.name: method for method in (ConditionerRepair(),)}


def find_arm(name: str) -> Method:
    """Return the arm called ``name``.

    Raises:
        Verdict3DError: There is no such arm; the known ones are named.
    """
    try:
        return ARMS[name]
    except KeyError:
        raise Verdict3DError(f"unknown arm {name!r}; known arms: {', '.join(sorted(ARMS))}") from None
