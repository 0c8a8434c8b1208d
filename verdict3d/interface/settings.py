"""Settings that Python code gives: checked as those of ``params.yaml`` are."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from verdict3d.config_values import Section
from verdict3d.errors import Verdict3DError

S = TypeVar("S", bound=Section)


def change(settings: S, changes: Mapping[str, Any], where: str) -> S:
    """Return settings with some values replaced.

    Args:
        settings: A section of the parameters.
        changes: New values by field.
        where: What the message begins with.

    Raises:
        Verdict3DError: A value is not allowed; each is named.
    """
    try:
        return type(settings).model_validate({**dict(settings), **changes})
    except ValidationError as error:
        words = "; ".join(_describe(problem) for problem in error.errors(include_url=False))
        raise Verdict3DError(f"{where}: {words}") from error


def _describe(problem: ErrorDetails) -> str:
    place, given = ".".join(map(str, problem["loc"])), reprlib.repr(problem["input"])
    return f"{place} is {given}: {problem['msg'][:1].lower()}{problem['msg'][1:]}"
