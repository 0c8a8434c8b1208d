"""Tests of drift: by hand, and how often they cry wolf."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import ks_2samp

from verdict3d.stats.drift import compare_names, compare_values, compute_psi, name_shares


def test_psi_by_hand() -> None:
    psi, by_chance = compute_psi([9, 9], [4, 14])
    shares = (9.5 / 19, 9.5 / 19), (4.5 / 19, 14.5 / 19)
    wanted = sum((new - old) * math.log(new / old) for old, new in zip(*shares, strict=True))
    assert psi == pytest.approx(wanted) and by_chance == pytest.approx(1 / 18 + 1 / 18)
    assert math.isfinite(compute_psi([5, 0], [0, 5])[0])


def test_psi_without_drift_is_what_the_formula_says() -> None:
    rng = np.random.default_rng(1)
    found = [compare_values(rng.normal(size=200), rng.normal(size=100)) for _ in range(200)]
    mean = float(np.mean([one.psi for one in found if one]))
    assert found[0] is not None and mean == pytest.approx(found[0].psi_by_chance, rel=0.2)


def test_equal_populations_seldom_seem_to_differ_and_others_do() -> None:
    rng = np.random.default_rng(2)
    same = [compare_values(rng.normal(size=60), rng.normal(size=30)) for _ in range(200)]
    assert sum(one is not None and one.p_value <= 0.05 for one in same) <= 20
    old, new = rng.normal(size=60), rng.normal(1.5, size=30)
    found = compare_values(old, new)
    assert found is not None and found.p_value == ks_2samp(old, new).pvalue < 1e-4 and found.psi > 1
    for one in (0.5, 2.0):
        moved = compare_values([1.0] * 20, [one] * 10)
        assert moved is not None and moved.psi > 1
    names = compare_names(["bed"] * 30 + ["lamp"] * 30, ["lamp"] * 20, np.random.default_rng(0))
    assert names is not None and names.p_value < 0.001
    alike = compare_names(["bed", "lamp"] * 15, ["bed", "lamp"] * 10, np.random.default_rng(0))
    assert alike is not None and alike.p_value == 1.0


def test_too_few_items_or_one_name_test_nothing() -> None:
    assert compare_values([1.0] * 9, [1.0] * 4) is None
    assert compare_names(["bed"] * 9, ["bed"] * 9, np.random.default_rng(0)) is None
    assert name_shares(["a", "b"], ["b"]) == {"a": (0.5, 0.0), "b": (0.5, 1.0)}
