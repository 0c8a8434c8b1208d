"""The drill of kills, with one of each kind that differs; ``python -m drills.kills`` goes on for hours."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from drills import kills

ROLES = ("stage", "flow", "DVC", "supervisor", "command line")


@pytest.mark.services
@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("prefect_home")
def test_runs_that_are_killed_end_with_the_same_outputs(tmp_path: Path) -> None:
    found = kills.drill(tmp_path.resolve(), len(ROLES), 1000.0, 6, 0.3, seed=6, roles=ROLES)
    assert not kills.broken(found), found
    assert found["kills"] == len(ROLES) and found["completions compared"] and found["recorded once"], found


def test_what_is_broken_is_called_so() -> None:
    assert kills.broken(Counter({"unequal outputs": 1})) and not kills.broken(Counter({"kills": 9}))
