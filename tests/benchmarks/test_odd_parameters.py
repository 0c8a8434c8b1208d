"""Odd parameters are refused with their place, and files of all kinds in a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import odd_parameters
from support.places import ROOT
from verdict3d.records.yaml_files import read_yaml

SECTIONS = ("assets", "generator", "judges", "promotion", "schedule")


def test_odd_files_are_refused_in_a_sentence() -> None:
    outcomes = {name: outcome for _, name, outcome in odd_parameters.try_files()}
    assert outcomes == dict.fromkeys(odd_parameters.ODD_FILES, "refused")


@pytest.mark.parametrize("section", SECTIONS)
def test_odd_values_are_refused_with_their_place_or_allowed(
    section: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command tries all places; here, those of one section."""
    whole = read_yaml(ROOT / "params.yaml")
    steps = [found for found in odd_parameters.list_places(whole) if found[0] == section]
    monkeypatch.setattr(odd_parameters, "list_places", lambda values: steps)
    found = list(odd_parameters.try_values(whole))
    assert len(found) > 20 * len(steps)
    assert {outcome for _, _, outcome in found} <= {"refused", "allowed"}
    allowed: list[Any] = [case for case in found if case[2] == "allowed"]
    assert len(allowed) < len(found) / 5
    assert not [case for case in allowed if case[1] in ("nan", "inf", repr(10**30), repr("\ud800"))]


def test_a_message_that_names_nothing_is_called_wrong() -> None:
    assert odd_parameters.judge_message("params.yaml does not fit", "seed").startswith("the place is not")
    assert odd_parameters.judge_message("seed: no", "seed") == "refused"
    assert odd_parameters.judge_message("seed: \ud800", "seed") == "a message that cannot be printed"
