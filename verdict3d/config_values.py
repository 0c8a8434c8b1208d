"""What values of the parameters may be: kinds of numbers, names and lists that several sections share."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Sequence
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Section(BaseModel):
    """Base of every section: frozen, no unknown keys, values of their own type, numbers finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


T = TypeVar("T")
H = TypeVar("H", bound=Hashable)


def _each_once(values: Sequence[H]) -> Sequence[H]:
    twice = sorted({str(value) for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} stands there more than once; name each once")
    return values


def within(low: float, high: float) -> AfterValidator:
    """Return the check of a closed range [first, last]: in order, and inside [``low``, ``high``]."""

    def check(values: tuple[float, float]) -> tuple[float, float]:
        first, last = values
        if not low <= first <= last <= high or not math.isfinite(first + last):
            raise ValueError(f"give [low, high] with {low:g} <= low <= high <= {high:g}")
        return values

    return AfterValidator(check)


def fitting(pattern: str, allowed: str) -> AfterValidator:
    """Return the check that text as a whole fits a pattern, which ``allowed`` describes."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"give {allowed}")
        return text

    return AfterValidator(check)


Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0, le=1e9)]
NotNegative = Annotated[float, Field(ge=0.0, le=1e9)]
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
CountFromZero = Annotated[int, Field(ge=0, le=1_000_000_000)]
LONGEST_TEXT = 1000
Text = Annotated[
    str,
    Field(max_length=LONGEST_TEXT),
    fitting(r"(?!\s)[^\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]+(?<!\s)", "one line of text"),
]
NAME = r"[a-z0-9][a-z0-9_]{0,63}"
Name = Annotated[str, fitting(NAME, "a name of lower-case letters, digits and _")]
"""Part of paths, commands and metrics."""
Variable = Annotated[str, fitting(r"[A-Za-z_][A-Za-z0-9_]*", "the name of an environment variable")]
Listed = Annotated[tuple[T, ...], Field(strict=False)]
"""A list in YAML."""
Choices = Annotated[tuple[H, ...], Field(strict=False), AfterValidator(_each_once)]
"""A list in YAML that names nothing twice."""
Range = Annotated[tuple[float, float], Field(strict=False)]
"""[low, high] in YAML; see :func:`within`."""
