"""The drills, each for some seconds: that they find nothing, and that they find what is there."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from drills import recording, services, turns
from drills.stores import mlflow_store, open_folder
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


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, Path]]:
    """MLflow's server, for every drill that needs one, and a folder for their checkouts."""
    with open_folder() as folder, mlflow_store("server", folder) as uri:
        yield uri, folder


def test_one_at_a_time_means_one() -> None:
    """In the store of teams; ``tests/tasks/tracking/test_lease.py`` has the embedded one."""
    try:
        find_postgres()
    except Verdict3DError as error:
        pytest.skip(str(error))
    found = turns.drill("postgres", seconds=4, processes=3, seed=1, least=8)
    assert not turns.broken(found), found
    assert found[turns.ADDED] >= 8


def test_the_same_results_of_two_checkouts_are_recorded_once(server: tuple[str, Path]) -> None:
    found = recording.send_for(*server, seconds=4, checkouts=2, seed=1)
    assert not recording.broken(found), found
    assert found["recorded once"] == found["results sent"] > 0


def test_a_server_that_misbehaves_loses_nothing_and_keeps_nothing_open(
    server: tuple[str, Path], tmp_path: Path
) -> None:
    problems = {
        row[0]: wrong for row, wrong in services.misbehave(server[0], tmp_path, short=True, limit_s=8.0)
    }
    assert len(problems) == len(services.faults(short=True))
    assert {fault: wrong for fault, wrong in problems.items() if wrong} == {}


def test_what_is_broken_is_called_so() -> None:
    assert turns.broken(Counter({"two in at once": 1})) and not turns.broken(Counter({"turns taken": 9}))
    assert recording.broken(Counter({"lost": 1})) and not recording.broken(Counter({"recorded once": 9}))
