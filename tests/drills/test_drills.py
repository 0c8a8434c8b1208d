"""The drills, each for some seconds: that they find nothing, and that they find what is there."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

import pytest

from drills import recording, services, turns
from flows.service.services import find_postgres
from verdict3d.errors import Verdict3DError

pytestmark = pytest.mark.services


@pytest.fixture(autouse=True)
def own_address() -> Iterator[None]:
    """Give the process its own store back: the drills name theirs in the environment."""
    before = os.environ.pop("MLFLOW_TRACKING_URI", None)
    yield
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    if before:
        os.environ["MLFLOW_TRACKING_URI"] = before


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_one_at_a_time_means_one(store: str) -> None:
    try:
        find_postgres()
    except Verdict3DError as error:
        if store == "postgres":
            pytest.skip(str(error))
    found = turns.drill(store, seconds=5, processes=3, seed=1, least=10)
    assert not turns.broken(found), found
    assert found[turns.ADDED] >= 10


def test_the_same_results_of_two_checkouts_are_recorded_once() -> None:
    found = recording.drill("server", seconds=5, checkouts=2, seed=1)
    assert not recording.broken(found), found
    assert found["recorded once"] == found["results sent"] > 0


def test_a_server_that_misbehaves_loses_nothing_and_keeps_nothing_open() -> None:
    problems = {row[0]: wrong for row, wrong in services.drill(short=True, limit_s=20.0)}
    assert len(problems) == len(services.faults(short=True))
    assert {fault: wrong for fault, wrong in problems.items() if wrong} == {}


def test_what_is_broken_is_called_so() -> None:
    assert turns.broken(Counter({"two in at once": 1})) and not turns.broken(Counter({"turns taken": 9}))
    assert recording.broken(Counter({"lost": 1})) and not recording.broken(Counter({"recorded once": 9}))
