"""Win-rates of pairwise verdicts: three numbers that always stand together, with object-clustered intervals.

What is counted is whatever has the fields of :class:`Answered`: verdicts on record, and :class:`Scored` pairs
that no judge decided.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from verdict3d.records.names import TIES, Outcome
from verdict3d.records.numbers import Decisive, Summary
from verdict3d.stats.bootstrap import Array, cluster_bootstrap, divide
from verdict3d.stats.intervals import Estimate, clopper_pearson, compute_sign_flip_p_value, unanimous_interval

SCORES: dict[Outcome, float] = {"win": 1.0, **dict.fromkeys(TIES, 0.5), "loss": 0.0}
"""Half-credit of each valid class."""


COLUMNS: dict[Outcome, int] = {"win": 0, "loss": 1}
"""Places of wins and losses in counts of three; the third holds the valid verdicts without a winner."""


class Answered(Protocol):
    """One compared pair."""

    @property
    def object(self) -> str:
        """The asset that the pair is about (the cluster)."""

    @property
    def outcome(self) -> Outcome:
        """From the side of candidate X."""

    @property
    def m1(self) -> float | None:
        """Margin for the first slot with X first; None for invalid pairs and where no judge was asked."""

    @property
    def m2(self) -> float | None:
        """Margin for the first slot with Y first, likewise."""


@dataclass(frozen=True)
class Scored:
    """A compared pair and nothing else, as :class:`Answered`."""

    object: str
    outcome: Outcome
    m1: float | None = None
    m2: float | None = None


A = TypeVar("A", bound=Answered)
_TURNED: dict[Outcome, Outcome] = {"win": "loss", "loss": "win"}


def turn(row: Answered) -> Scored:
    """Return the pair seen from Y."""
    return Scored(row.object, _TURNED.get(row.outcome, row.outcome), row.m2, row.m1)


@dataclass(frozen=True)
class WinRate:
    """What a set of verdicts says about X against Y.

    Attributes:
        pairs: All rows, invalid ones too.
        invalid: Pairs without a verdict (a mesh, a render or the judge failed). Never counted as ties.
        objects: Objects with at least one valid pair.
        wins: Valid pairs that X won.
        losses: Valid pairs that Y won.
        same: Valid pairs of one mesh, or of two that look the same.
        flips: Valid pairs whose two orders do not name the same candidate.
        close: Valid pairs whose preference is within its error.
        half_credit: Mean over valid pairs of win 1, loss 0 and 1/2 for the three others; BCa interval over
            objects.
        decisive: wins / (wins + losses). Clopper-Pearson bounds; when objects have several pairs these are
            widened to also hold the object bootstrap's.
        coverage: (wins + losses) / valid pairs: the decisive share of the valid pairs.
        flip_rate: Share of flips among the valid pairs that a judge was asked about, those with margins.
        position_bias: Mean of b over the valid pairs with margins; > 0 favours the first slot; BCa interval.
        first_slot_share: Share of single answers (two a pair) that picked the first slot; margin 0 is 1/2.
        p_value: Exact two-sided sign-flip test of "no preference" over objects.
    """

    pairs: int
    invalid: int
    objects: int
    wins: int
    losses: int
    same: int
    flips: int
    close: int
    half_credit: Estimate
    decisive: Estimate
    coverage: float | None
    flip_rate: float | None
    position_bias: Estimate
    first_slot_share: float | None
    p_value: float | None

    def record(self) -> Summary:
        """Return it as it is written."""
        decisive = self.decisive
        return Summary(
            pairs=self.pairs,
            invalid=self.invalid,
            objects=self.objects,
            same=self.same,
            flips=self.flips,
            close=self.close,
            half_credit=self.half_credit.record(),
            decisive=Decisive(
                value=decisive.value, low=decisive.low, high=decisive.high, wins=self.wins, losses=self.losses
            ),
            coverage=self.coverage,
            flip_rate=self.flip_rate,
            position_bias=self.position_bias.record(),
            first_slot_share=self.first_slot_share,
            p_value=self.p_value,
        )


def measure_win_rate(
    rows: Sequence[Answered], rng: np.random.Generator, resamples: int = 2000, confidence: float = 0.95
) -> WinRate:
    """Estimate the win-rate of X over Y.

    The order of the rows does not matter. Intervals over objects need two objects; with fewer they are None.

    Args:
        rows: What is counted (see the module's description).
        rng: Generator for the bootstrap; the same generator state gives the same bounds.
        resamples: Bootstrap resamples.
        confidence: Two-sided level in (0, 1).

    Raises:
        ValueError: A row has an unknown outcome.
    """
    for row in rows:
        if row.outcome != "invalid" and row.outcome not in SCORES:
            raise ValueError(f"outcome {row.outcome!r} is unknown; allowed: {', '.join(SCORES)}, invalid")
    valid = sorted(
        (row for row in rows if row.outcome != "invalid"),
        key=lambda row: (row.object, row.outcome, row.m1 or 0.0, row.m2 or 0.0),
    )
    counts = {outcome: sum(row.outcome == outcome for row in valid) for outcome in SCORES}
    wins, losses = counts["win"], counts["loss"]
    clusters = _sum_by_object(valid)
    asked = [row for row in valid if row.m1 is not None and row.m2 is not None]
    margins = np.array([(row.m1, row.m2) for row in asked], dtype=np.float64).reshape(-1, 2)
    return WinRate(
        pairs=len(rows),
        invalid=len(rows) - len(valid),
        objects=len(clusters),
        wins=wins,
        losses=losses,
        same=counts["same"],
        flips=counts["flip"],
        close=counts["close"],
        half_credit=_measure_half_credit(clusters, rng, resamples, confidence),
        decisive=_measure_decisive(clusters, rng, resamples, confidence),
        coverage=(wins + losses) / len(valid) if valid else None,
        flip_rate=counts["flip"] / len(asked) if asked else None,
        position_bias=_measure_position_bias(asked, margins, rng, resamples, confidence),
        first_slot_share=float((0.5 + 0.5 * np.sign(margins)).mean()) if asked else None,
        p_value=compute_sign_flip_p_value([round(won - lost) for won, lost, _ in clusters]),
    )


def summarise(
    rows: Sequence[Answered], rng: np.random.Generator, resamples: int = 2000, confidence: float = 0.95
) -> Summary:
    """Return the win-rate of X over Y as stages write it.

    See :func:`win_rate` for the arguments and errors.
    """
    return measure_win_rate(rows, rng, resamples, confidence).record()


def summarise_slices(
    rows: Sequence[A],
    slice_of: Callable[[A], str],
    generator_for: Callable[[str], np.random.Generator],
    resamples: int = 2000,
    confidence: float = 0.95,
) -> dict[str, Summary]:
    """Return a :func:`summary` for each slice (such as a category or a regime), sorted.

    Args:
        rows: What is counted.
        slice_of: Gives the name of a pair's slice.
        generator_for: Gives each slice its own generator, so that no slice depends on the others.
        resamples: Bootstrap resamples.
        confidence: Two-sided level in (0, 1).
    """
    names = sorted({slice_of(row) for row in rows})
    return {
        name: summarise(
            [row for row in rows if slice_of(row) == name], generator_for(name), resamples, confidence
        )
        for name in names
    }


def _sum_by_object(valid: Sequence[Answered]) -> Array:
    """Return (N, 3) wins, losses and all other verdicts of each object, objects sorted by name."""
    names = sorted({row.object for row in valid})
    index = {name: number for number, name in enumerate(names)}
    totals = np.zeros((len(names), 3))
    for row in valid:
        totals[index[row.object], COLUMNS.get(row.outcome, 2)] += 1
    return totals


def _measure_half_credit(
    clusters: Array, rng: np.random.Generator, resamples: int, confidence: float
) -> Estimate:
    if not len(clusters):
        return Estimate()
    totals = np.stack([clusters[:, 0] + 0.5 * clusters[:, 2], clusters.sum(axis=1)], axis=1)
    value = float(totals[:, 0].sum() / totals[:, 1].sum())
    means = totals[:, 0] / totals[:, 1]
    bounds: tuple[float, float] | None
    if len(clusters) > 1 and np.ptp(means) == 0:
        bounds = unanimous_interval(value, len(clusters), confidence)
    else:
        bounds = cluster_bootstrap(totals, divide, rng, resamples, confidence)
    return Estimate(value, *(bounds or (None, None)))


def _measure_decisive(
    clusters: Array, rng: np.random.Generator, resamples: int, confidence: float
) -> Estimate:
    wins, losses = (int(total) for total in clusters[:, :2].sum(axis=0))
    exact = clopper_pearson(wins, wins + losses, confidence)
    if exact is None:
        return Estimate()
    value = wins / (wins + losses)
    if (clusters.sum(axis=1) <= 1).all():
        return Estimate(value, *exact)
    totals = np.stack([clusters[:, 0], clusters[:, 0] + clusters[:, 1]], axis=1)
    clustered = cluster_bootstrap(totals, divide, rng, resamples, confidence)
    if clustered is None:
        return Estimate(value)
    return Estimate(value, min(exact[0], clustered[0]), max(exact[1], clustered[1]))


def _measure_position_bias(
    asked: Sequence[Answered], margins: Array, rng: np.random.Generator, resamples: int, confidence: float
) -> Estimate:
    if not asked:
        return Estimate()
    objects = [row.object for row in asked]
    names = sorted(set(objects))
    index = {name: number for number, name in enumerate(names)}
    totals = np.zeros((len(names), 2))
    for name, bias in zip(objects, margins.mean(axis=1), strict=True):
        totals[index[name]] += (bias, 1.0)
    bounds = cluster_bootstrap(totals, divide, rng, resamples, confidence)
    return Estimate(float(margins.mean()), *(bounds or (None, None)))
