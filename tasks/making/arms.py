"""The arm that a stage is run for."""

from __future__ import annotations

import sys

from verdict3d.config import Params
from verdict3d.errors import Verdict3DError
from verdict3d.making.arms import select_arm_params


def read_arm(params: Params) -> str:
    """Return the one argument of ``python -m tasks.<stage> <arm>``.

    Raises:
        Verdict3DError: There is not one argument, or it is no arm.
    """
    if len(sys.argv) != 2:
        raise Verdict3DError(f"name one arm, such as {params.train.arms[0]!r}; got {sys.argv[1:]}")
    select_arm_params(params, sys.argv[1])
    return sys.argv[1]
