"""Win-rates: hand-derived values, published tables, and a slow second definition of everything."""

from fractions import Fraction
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap

from support.rows import filled
from verdict3d.records.numbers import Decisive, Interval
from verdict3d.records.verdicts import HeldoutVerdict
from verdict3d.stats.standing import standing
from verdict3d.stats.winrate import Answered, Scored, measure_win_rate, summarise, summarise_slices, turn


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def pair(m1: float, m2: float, obj: str, se: float = 0.0, **more: object) -> HeldoutVerdict:
    """A verdict row as the protocol defines it."""
    d, b = (m1 - m2) / 2, (m1 + m2) / 2
    r = abs(d) - abs(b)
    outcome = "flip" if r <= 0 else "close" if abs(d) < se else ("win" if d > 0 else "loss")
    return filled(HeldoutVerdict, outcome=outcome, m1=m1, m2=m2, d=d, b=b, r=r, object=obj, **more)


def plain(outcome: str, obj: str) -> Scored:
    return Scored(obj, outcome)


def invalid(obj: str) -> Scored:
    return Scored(obj, "invalid")


def test_hand_derived_numbers() -> None:
    rows = [
        pair(2.0, -1.0, "a"),  # X twice: win, b = 0.5
        pair(3.0, -3.0, "b"),  # win, b = 0
        pair(-1.0, 2.0, "c"),  # Y twice: loss, b = 0.5
        pair(1.0, 0.5, "d"),  # first slot twice: flip, b = 0.75
        pair(1.0, -0.8, "e", se=1.0),  # agrees, d = 0.9 is within its error: close, no flip; b = 0.1
        invalid("f"),
    ]
    got = summarise(rows, generator())
    assert (got.pairs, got.invalid, got.objects, got.same, got.flips, got.close) == (6, 1, 5, 0, 1, 1)
    assert got.half_credit.value == pytest.approx((2 + 0.5 * 2) / 5)
    assert got.decisive.value == pytest.approx(2 / 3)
    assert (got.decisive.wins, got.decisive.losses) == (2, 1)
    assert got.coverage == pytest.approx(3 / 5)
    assert got.flip_rate == pytest.approx(1 / 5)
    assert got.position_bias.value == pytest.approx((0.5 + 0 + 0.5 + 0.75 + 0.1) / 5)
    # answers for the first slot: a 1 of 2, b 1, c 1, d 2, e 1
    assert got.first_slot_share == pytest.approx(6 / 10)


def test_pairs_that_were_not_asked_are_ties_and_no_flips() -> None:
    rows = [pair(1.0, 0.5, "a"), plain("same", "b"), plain("same", "c"), pair(2.0, -1.0, "d")]
    got = summarise(rows, generator())
    assert (got.same, got.flips, got.coverage) == (2, 1, 1 / 4)
    assert got.half_credit.value == (1 + 3 * 0.5) / 4
    assert got.flip_rate == 1 / 2  # of the two that were asked
    assert got.position_bias.value == pytest.approx((0.75 + 0.5) / 2)


def test_equal_answers_in_both_orders_score_exactly_one_half() -> None:
    got = summarise([pair(0.3 + i / 50, 0.3 + i / 50, f"o{i}") for i in range(40)], generator())
    assert got.half_credit.value == 0.5
    assert got.decisive == Decisive(value=None, low=None, high=None, wins=0, losses=0)
    assert (got.coverage, got.flip_rate, got.first_slot_share, got.p_value) == (0, 1, 1, 1)
    assert got.half_credit.low < 0.5 < got.half_credit.high


def test_undefined_is_none() -> None:
    for rows in ([], [invalid("a"), invalid("b")]):
        got = summarise(rows, generator())
        assert (got.pairs, got.invalid) == (len(rows), len(rows))
        assert got.half_credit == got.position_bias == Interval(value=None, low=None, high=None)
        assert got.decisive.value is None
        assert got.coverage is got.flip_rate is got.first_slot_share is got.p_value is None
    alone = summarise([pair(1.0, -1.0, "a"), pair(1.0, -1.0, "a")], generator())
    assert alone.half_credit == Interval(value=1.0, low=None, high=None)
    assert alone.decisive.low is None  # two pairs of one object say nothing about other objects


def test_outcomes_without_a_judge_have_no_flips() -> None:
    got = summarise([plain("win", "a"), plain("loss", "b"), plain("same", "c")], generator())
    assert got.half_credit.value == 0.5
    assert got.flip_rate is got.first_slot_share is got.position_bias.value is None


def test_unknown_outcome_is_named() -> None:
    with pytest.raises(ValueError, match="'draw' is unknown; allowed: win, same, flip, close, loss, invalid"):
        summarise([plain("draw", "a")], generator())


rows_strategy = st.lists(
    st.one_of(
        st.builds(
            pair,
            st.integers(-8, 8).map(lambda n: n / 4),
            st.integers(-8, 8).map(lambda n: n / 4),
            st.sampled_from("abcdefgh"),
            st.sampled_from([0.0, 0.5]),
        ),
        st.builds(invalid, st.sampled_from("abcdefgh")),
    ),
    max_size=30,
)


def slow_numbers(rows: list[Answered]) -> dict[str, Fraction | None]:
    """Every rate straight from its definition, in exact fractions."""
    valid = [row for row in rows if row.outcome != "invalid"]
    score = sum((Fraction({"win": 2, "loss": 0}.get(row.outcome, 1), 2) for row in valid), Fraction())
    wins = sum(row.outcome == "win" for row in valid)
    losses = sum(row.outcome == "loss" for row in valid)
    flips = first = Fraction()
    for row in valid:
        with_x_first = "X" if row.m1 > 0 else "Y" if row.m1 < 0 else None
        with_y_first = "Y" if row.m2 > 0 else "X" if row.m2 < 0 else None
        flips += with_x_first is None or with_x_first != with_y_first
        for margin in (row.m1, row.m2):
            first += Fraction(1, 2) if margin == 0 else Fraction(margin > 0)
    n = len(valid)
    return {
        "half_credit": score / n if n else None,
        "decisive": Fraction(wins, wins + losses) if wins + losses else None,
        "coverage": Fraction(wins + losses, n) if n else None,
        "flip_rate": flips / n if n else None,
        "first_slot_share": first / (2 * n) if n else None,
        "position_bias": sum(Fraction(row.b) for row in valid) / n if n else None,
    }


@settings(max_examples=60, deadline=None)
@given(rows_strategy, st.randoms(use_true_random=False))
def test_against_the_slow_definition(rows: list[Answered], random) -> None:
    got = summarise(rows, generator(3), resamples=60)
    for name, expected in slow_numbers(rows).items():
        value = getattr(got, name)
        value = value.value if isinstance(value, Interval) else value
        assert value == (None if expected is None else pytest.approx(float(expected), abs=1e-12)), name
    for name in ("half_credit", "decisive"):
        low, value, high = (getattr(getattr(got, name), key) for key in ("low", "value", "high"))
        if low is not None:
            assert 0 <= low <= value + 1e-9 and value - 1e-9 <= high <= 1
    shuffled = random.sample(rows, len(rows))
    assert summarise(shuffled, generator(3), resamples=60) == got


@settings(max_examples=40, deadline=None)
@given(rows_strategy)
def test_swapping_the_candidates_mirrors_everything(rows: list[Answered]) -> None:
    """X against Y is Y against X with the two orders exchanged."""
    swapped = [turn(row) for row in rows]
    one, other = (
        measure_win_rate(rows, generator(), resamples=2),
        measure_win_rate(swapped, generator(), resamples=2),
    )
    assert (one.wins, one.losses) == (other.losses, other.wins)
    assert (one.same, one.flips, one.close) == (other.same, other.flips, other.close)
    assert (one.coverage, one.flip_rate, one.p_value) == (other.coverage, other.flip_rate, other.p_value)
    if one.half_credit.value is not None and other.half_credit.value is not None:
        assert one.half_credit.value + other.half_credit.value == pytest.approx(1)


def test_bootstrap_agrees_with_scipy() -> None:
    """One pair an object: our clustered BCa is the ordinary one."""
    scores = np.array([1.0] * 30 + [0.5] * 12 + [0.0] * 18)
    outcome = {1.0: "win", 0.5: "flip", 0.0: "loss"}
    rows = [plain(outcome[score], f"o{i}") for i, score in enumerate(scores)]
    ours = measure_win_rate(rows, generator(1), resamples=20_000).half_credit
    theirs = bootstrap((scores,), np.mean, n_resamples=20_000, method="BCa", rng=generator(2))
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.012)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.012)


def test_interval_covers_as_often_as_it_says() -> None:
    rng = generator(7)
    hits = 0
    for _ in range(200):
        drawn = rng.choice(["win", "close", "loss"], p=[0.5, 0.3, 0.2], size=64)
        interval = measure_win_rate(
            [plain(o, f"{i}") for i, o in enumerate(drawn)], rng, resamples=300
        ).half_credit
        hits += interval.low <= 0.65 <= interval.high
    assert 0.90 <= hits / 200 <= 0.99


def test_repeats_of_an_object_do_not_narrow_the_interval() -> None:
    """Asking each object four times adds pairs, not objects."""
    once = [plain("win" if i % 3 else "loss", f"o{i}") for i in range(30)]
    single, fourfold = (
        measure_win_rate(once, generator(), 2000),
        measure_win_rate(once * 4, generator(), 2000),
    )
    assert fourfold.half_credit.low == pytest.approx(single.half_credit.low, abs=0.03)
    assert fourfold.half_credit.high == pytest.approx(single.half_credit.high, abs=0.03)
    width = fourfold.decisive.high - fourfold.decisive.low
    assert width > 0.85 * (single.half_credit.high - single.half_credit.low)


def test_unanimous_objects_keep_an_honest_interval() -> None:
    got = measure_win_rate([plain("win", f"o{i}") for i in range(8)], generator())
    assert got.half_credit.low == pytest.approx(0.025 ** (1 / 8))  # Clopper-Pearson of 8 in 8
    assert got.half_credit.low == pytest.approx(got.decisive.low)
    assert got.half_credit.high == 1


def test_slices_do_not_depend_on_each_other() -> None:
    rng = generator(5)
    rows = [
        pair(*rng.normal(size=2), f"o{i}", category="chair" if i % 2 else "bed", regime="severe")
        for i in range(60)
    ]
    slices = summarise_slices(rows, lambda row: row.category, lambda name: generator(len(name)))
    assert list(slices) == ["bed", "chair"]
    beds = [row for row in rows if row.category == "bed"]
    alone = summarise_slices(beds, lambda row: row.category, lambda name: generator(len(name)))
    assert alone["bed"] == slices["bed"]
    assert slices["bed"].pairs + slices["chair"].pairs == 60


@pytest.mark.parametrize(
    ("wins", "losses", "ties", "expected"),
    [
        (60, 4, 0, "clears"),
        (41, 23, 0, "beats"),  # the fewest wins of 64 whose exact interval leaves out 1/2; short of 0.65
        (44, 20, 0, "reaches"),
        (24, 6, 70, "beats"),  # 0.8 decisive, but coverage 0.3
        (4, 60, 0, "loses"),
        (32, 32, 0, "undecided"),
        (0, 0, 0, "undefined"),
    ],
)
def test_standing(wins: int, losses: int, ties: int, expected: str) -> None:
    outcomes = ["win"] * wins + ["loss"] * losses + ["flip"] * ties
    got = summarise([plain(outcome, f"o{i}") for i, outcome in enumerate(outcomes)], generator())
    assert standing(got, 0.65) == expected


@pytest.mark.parametrize(
    ("bias", "decisive", "coverage"),
    [(0.0, 0.60, 1.0), (0.5, 0.64, 0.63), (1.0, 0.68, 0.33), (2.0, 0.77, 0.05)],
)
def test_dropping_flips_inflates_the_decisive_rate(bias: float, decisive: float, coverage: float) -> None:
    """Preferences d ~ N(mu, 1), 60% of them positive, one position bias for all."""
    d = NormalDist(NormalDist().inv_cdf(0.6), 1.0)
    rows = [pair(d.inv_cdf(q) + bias, -d.inv_cdf(q) + bias, f"{q}") for q in (np.arange(4000) + 0.5) / 4000]
    got = measure_win_rate(rows, generator(), resamples=1)
    assert got.decisive.value == pytest.approx(decisive, abs=0.005)
    assert got.coverage == pytest.approx(coverage, abs=0.005)
    assert 0.5 < got.half_credit.value < 0.605
    assert got.position_bias.value == pytest.approx(bias)
