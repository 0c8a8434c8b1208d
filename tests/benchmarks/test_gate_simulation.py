"""The error of a whole run with several candidates, by a short simulation of the gate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import benchmarks.gate_simulation as simulation
from benchmarks.gate_simulation import SURE, Judged, count_false, count_promoted
from support.gate_evidence import RULE


@pytest.mark.slow
def test_several_candidates_are_promoted_falsely_no_more_often_than_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two at the margin of clean inputs beside one that is promoted, and so frees its share of the level."""
    monkeypatch.setattr(simulation, "SAMPLES", 2000)
    monkeypatch.setattr(simulation, "POPULATION", 500)
    at_margin = replace(SURE, clean=Judged(0.4, 0.9))
    error = count_false([at_margin, at_margin, SURE], 2, RULE, 64).mean()
    alone = [count_promoted(at_margin, RULE, 64, f"candidate {number}") for number in range(2)]
    assert error <= RULE.alpha + 0.01 < np.any(alone, axis=0).mean()  # three standard errors
    assert count_promoted(SURE, RULE, 64, "candidate 2").mean() > 0.95
