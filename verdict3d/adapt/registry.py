"""The methods by name: a new one is a module with a ``Method``, its parameters and one line here."""

from __future__ import annotations

from collections.abc import Mapping

from verdict3d.adapt.conditioner_repair import ConditionerRepair
from verdict3d.adapt.control import Control
from verdict3d.adapt.degraded_inputs import DegradedInputs
from verdict3d.adapt.method import Method
from verdict3d.adapt.preference import PreferenceTraining
from verdict3d.adapt.search import Search
from verdict3d.adapt.stack import Stack
from verdict3d.adapt.token_flow import GenerativeRepair
from verdict3d.errors import Verdict3DError

METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (
        ConditionerRepair(),
        DegradedInputs(),
        PreferenceTraining(),
        GenerativeRepair(),
        Search(),
        Control(),
        Stack(lambda name: METHODS[name]),
    )
}


def find_method(name: str) -> Method:
    """Return the method called ``name``.

    Raises:
        Verdict3DError: There is no such method; the known ones are named.
    """
    try:
        return METHODS[name]
    except KeyError:
        raise Verdict3DError(f"unknown method {name!r}; known: {', '.join(sorted(METHODS))}") from None
