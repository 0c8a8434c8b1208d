"""The measurement of view sets, on margins whose agreement is known."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.view_sets import (
    Asked,
    collect_preferences,
    count_right,
    describe,
    describe_multiples,
    make_verdicts,
    measure_halves,
    read_asked,
    save_asked,
)

PAIRS, SETS = 4000, 8


def simulated(share: float, seed: int = 0) -> Asked:
    """Margins whose variance between pairs is ``share`` of all, with a bias; gaps are the pairs' own part."""
    rng = np.random.default_rng(seed)
    true = share**0.5 * rng.normal(size=(PAIRS, 1))
    sides = [true + (1 - share) ** 0.5 * rng.normal(size=(PAIRS, SETS)) for _ in range(2)]
    margins, turned = (np.stack([0.3 + d, 0.3 - d], axis=2) for d in sides)
    return Asked("judge/arm/severe", margins, turned, true[:, 0] / 10)


@pytest.mark.parametrize("share", [0.1, 0.35])
def test_halves_agree_as_spearman_and_brown_say(share: float) -> None:
    d = collect_preferences(simulated(share).margins)
    raw, whole = measure_halves(d)
    assert raw == pytest.approx(4 * share / (1 + 3 * share), abs=0.03)
    assert whole == pytest.approx(8 * share / (1 + 7 * share), abs=0.03)


def test_pairs_of_one_mesh_are_known_and_left_out() -> None:
    asked = simulated(0.3)
    asked.margins[:10] = np.nan
    assert [verdict.outcome for verdict in make_verdicts(asked.margins[:10])] == ["same"] * 10
    assert len(collect_preferences(asked.margins)) == PAIRS - 10


def test_right_counts_decided_pairs_that_differ() -> None:
    margins = np.array([[[2.0, -2.0]], [[-2.0, 2.0]], [[2.0, -2.0]], [[1.0, 1.0]]])
    assert count_right(make_verdicts(margins), np.array([0.1, 0.1, 0.001, 0.2])) == (1, 2)


def test_what_is_kept_is_read_and_described(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = [simulated(0.3)]
    save_asked(tmp_path / "rows.npz", asked)
    (kept,) = read_asked(tmp_path / "rows.npz")
    assert kept.name == asked[0].name
    np.testing.assert_allclose(kept.margins, asked[0].margins, atol=1e-6)
    describe(kept)
    describe_multiples([kept])
    printed = capsys.readouterr().out
    assert "judge/arm/severe (4000 pairs)" in printed and "halves" in printed
