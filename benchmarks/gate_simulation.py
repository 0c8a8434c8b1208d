"""Error rates of the gate by simulation, from fixed seeds: ``python -m benchmarks.gate_simulation``.

Populations of objects are made from assumed rates; the gate's conditions are asked about samples of them
(:func:`verdict3d.stats.outlook.decide_drawn`, which a test holds to the real decision). Prints the tables of
docs/results.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.special import ndtri

from benchmarks.kept import RUNS, Kept, Run, read_kept
from tasks.scoring.champion import BASE
from verdict3d.config import load_params
from verdict3d.records.decisions import CertificateState, Counts, Evidence, ObjectEvidence, Rule, Total
from verdict3d.records.holdout import HoldoutUse
from verdict3d.stats.bootstrap import Array
from verdict3d.stats.outlook import Flags, Words, choose_own_categories, decide_drawn, draw_categories
from verdict3d.stats.rule import make_rule
from verdict3d.stats.tally import average_against

SEED = 20260623
POPULATION, SAMPLES = 2000, 4000
CATEGORIES = 10
SIZES = (40, 64, 96, 128, 160, 240, 400)


@dataclass(frozen=True)
class Judged:
    """Half-credit of single verdicts, and the share of them that is decided."""

    credit: float
    coverage: float


@dataclass(frozen=True)
class Candidate:
    """A population of objects: what is true of a candidate.

    Attributes:
        severe: By the evaluation judge, in the regime.
        clean: On clean inputs.
        worst: Half-credit in the regime of one category of ten; None: all are alike.
        gain: Mean gain of F-score in the regime.
        clean_gain: On clean inputs.
        gap: Training judge's half-credit minus the evaluation judge's.
        views: View sets a verdict.
        seeds: Generations of each object.
    """

    severe: Judged = Judged(0.65, 0.8)
    clean: Judged = Judged(0.5, 0.3)
    worst: float | None = None
    gain: float = 0.045
    clean_gain: float = 0.0
    gap: float = 0.0
    views: int = 1
    seeds: int = 1


GOOD = Candidate()
"""About the candidate of the default run."""
SURE = Candidate(Judged(0.85, 0.9), Judged(0.6, 0.3), gain=0.2, clean_gain=0.03, gap=-0.2)
"""Far better than needed in everything, so that one condition alone decides."""
VIEW_RELIABILITY, SEED_RELIABILITY = 0.35, 0.19
"""Assumed correlations of two single verdicts: from two view sets of a pair; of two pairs of an object."""
GAIN_DEVIATION, CLEAN_DEVIATION, GAIN_CORRELATION = 0.24, 0.04, 0.5
"""Assumed deviations of a pair's difference in F-score, and its correlation with what a judge can see."""


def draw_population(found: Candidate, rng: np.random.Generator) -> tuple[Evidence, Array]:
    """Return objects of a candidate, and the chance with which each is drawn.

    The chances are tilted a little so that the mean of every quantity is what the candidate says.
    """
    pairs = (POPULATION, found.seeds)
    shared, own = rng.normal(size=(POPULATION, 1)), rng.normal(size=pairs)
    latent = np.sqrt(SEED_RELIABILITY) * shared + np.sqrt(VIEW_RELIABILITY - SEED_RELIABILITY) * own
    preference = latent / np.sqrt(VIEW_RELIABILITY)

    def counts(judged: Judged, behind: Array) -> Array:
        noise = rng.normal(size=(*pairs, found.views)) * np.sqrt(1 - VIEW_RELIABILITY)
        said = behind[..., None] + noise
        wins = judged.credit - (1 - judged.coverage) / 2
        won = (said > ndtri(1 - wins)).sum(axis=(1, 2))
        lost = (said < ndtri(judged.coverage - wins)).sum(axis=(1, 2))
        return np.stack([won, lost, found.views * found.seeds - won - lost], axis=1)

    def other() -> Array:
        return np.sqrt(SEED_RELIABILITY) * rng.normal(size=(POPULATION, 1)) + np.sqrt(
            VIEW_RELIABILITY - SEED_RELIABILITY
        ) * rng.normal(size=pairs)

    category = np.arange(POPULATION) % CATEGORIES
    severe = counts(found.severe, latent)
    if found.worst is not None:
        bad = counts(Judged(found.worst, found.severe.coverage), latent)
        severe = np.where((category == 0)[:, None], bad, severe)
    trained = counts(
        replace(found.severe, credit=found.severe.credit + found.gap), (latent + other()) / np.sqrt(2)
    )
    clean = counts(found.clean, other())
    gain = GAIN_CORRELATION * preference + np.sqrt(1 - GAIN_CORRELATION**2) * rng.normal(size=pairs)
    gains = (found.gain + GAIN_DEVIATION * gain).sum(axis=1)
    clean_gains = (found.clean_gain + CLEAN_DEVIATION * rng.normal(size=pairs)).sum(axis=1)
    verdicts = found.views * found.seeds
    gaps = (_compute_credit(trained) - _compute_credit(severe)) * found.seeds
    met = CertificateState(state="met", words="its certificate is valid", digest=None)
    evidence = Evidence(
        champion=BASE,
        adapter="candidate",
        objects=[
            ObjectEvidence(
                object=f"{number:04d}",
                category=f"category {category[number]}",
                primary=_read_counts(severe[number]),
                clean=_read_counts(clean[number]),
                texture=(0, 0, 0),
                validity=(0, 0, verdicts),
                f_score=(float(gains[number]), found.seeds),
                clean_f_score=(float(clean_gains[number]), found.seeds),
                gap=(float(gaps[number]), found.seeds),
            )
            for number in range(POPULATION)
        ],
        untested={"texture": "no judge is certified for colour"},
        people=None,
        certificates={"training": met, "evaluation": met},
        holdout=HoldoutUse(candidates=1, queries=1, looks=1),
    )
    worst = found.severe.credit if found.worst is None else found.worst
    rest = category > 0
    quantities = [
        (_compute_credit(severe) * ~rest, worst / CATEGORIES),
        (_compute_credit(severe) * rest, found.severe.credit * (1 - 1 / CATEGORIES)),
        (1.0 * rest, 1 - 1 / CATEGORIES),
        (_compute_credit(clean), found.clean.credit),
        (gains / found.seeds, found.gain),
        (clean_gains / found.seeds, found.clean_gain),
        (gaps / found.seeds, found.gap),
    ]
    return evidence, _tilt(
        np.stack([values for values, _ in quantities], axis=1), [mean for _, mean in quantities]
    )


def _read_counts(row: Array) -> Counts:
    wins, losses, ties = (int(number) for number in row)
    return wins, losses, ties


def _compute_credit(counts: Array) -> Array:
    return (counts[:, 0] + 0.5 * counts[:, 2]) / counts.sum(axis=1)


def _tilt(values: Array, means: Sequence[float]) -> Array:
    """Return (N,) chances nearest to equal ones (in Kullback and Leibler's sense) with these (K,) means."""
    centred = values - np.array(means)
    direction = np.zeros(values.shape[1])
    for _ in range(50):  # Newton's method on the dual
        chances = np.exp(centred @ direction)
        chances /= chances.sum()
        slope = chances @ centred
        direction -= np.linalg.solve((centred * chances[:, None]).T @ centred - np.outer(slope, slope), slope)
    assert np.abs(chances @ centred).max() < 1e-9
    return chances


def as_measured(rows: Sequence[Kept], arm: str, views: int) -> Evidence:
    """Return what a kept run says of an arm against the base, by the first ``views`` view sets."""

    def single(row: Kept) -> Counts:
        if row.verdict.outcome == "same":
            return 0, 0, views
        if not row.sets:  # a mesh is missing, which is a loss of its side, or both are
            return {"win": (views, 0, 0), "loss": (0, views, 0)}.get(row.verdict.outcome, (0, 0, 0))
        sets = [one for one in row.sets[:views] if one is not None]
        won, lost = sum(m1 > 0 > m2 for m1, m2 in sets), sum(m1 < 0 < m2 for m1, m2 in sets)
        return won, lost, len(sets) - won - lost

    def of(source: str, regime: str) -> dict[str, list[Kept]]:
        found: dict[str, list[Kept]] = {}
        for row in rows:
            if (row.source, row.slice) == (f"{source} {arm}", regime):
                found.setdefault(row.verdict.object, []).append(row)
        return found

    def counted(mine: Sequence[Kept]) -> Counts:
        won, lost, tied = np.sum([single(row) for row in mine], axis=0).tolist()
        return won, lost, tied

    def gain(mine: Sequence[Kept]) -> Total:
        known = [row.f_x - row.f_y for row in mine if row.f_x is not None and row.f_y is not None]
        return sum(known), len(known)

    severe, clean, trained = of("evaluation", "severe"), of("evaluation", "clean"), of("training", "severe")
    met = CertificateState(state="met", words="its certificate is valid", digest=None)
    return Evidence(
        champion=BASE,
        adapter="candidate",
        objects=[
            ObjectEvidence(
                object=name,
                category=mine[0].category,
                primary=counted(mine),
                clean=counted(clean[name]),
                texture=(0, 0, 0),
                validity=(0, 0, len(mine) + len(clean[name])),
                f_score=gain(mine),
                clean_f_score=gain(clean[name]),
                gap=_measure_gap(counted(trained[name]), counted(mine)),
            )
            for name, mine in severe.items()
        ],
        untested={"texture": "no judge is certified for colour"},
        people=None,
        certificates={"training": met, "evaluation": met},
        holdout=HoldoutUse(candidates=1, queries=1, looks=1),
    )


def _measure_gap(trained: Counts, evaluated: Counts) -> Total:
    """Return how much half-credit the training judge gives more, unless a judge said nothing."""
    if not (sum(trained) and sum(evaluated)):
        return 0.0, 0
    return _credit_one(trained) - _credit_one(evaluated), 1


def _credit_one(counts: Counts) -> float:
    return (counts[0] + 0.5 * counts[2]) / sum(counts)


def measure_chances(evidence: Evidence, rule: Rule, objects: int, certain: bool) -> Words:
    """Return the gate's words on new objects like those of a kept run.

    Args:
        evidence: What was measured.
        rule: The rule.
        objects: How many new ones.
        certain: Take what was measured for the truth; else allow for its error, as the gate does.
    """
    rng = np.random.default_rng([SEED, objects, certain])
    seen = len(evidence.objects)
    chances = np.full(seen, 1 / seen) if certain else rng.dirichlet(np.ones(seen), size=SAMPLES)
    times = rng.multinomial(objects, chances, size=SAMPLES)
    rule = rule.model_copy(update={"objects": min(rule.objects, objects)})
    return decide_drawn(evidence, rule, times, draw_categories(evidence, times, rng))


def count_promoted(found: Candidate, rule: Rule, objects: int, name: str) -> Flags:
    """Return (SAMPLES,) whether the gate promotes the candidate on so many objects."""
    rng = np.random.default_rng([SEED, *name.encode(), objects])
    evidence, chances = draw_population(found, rng)
    times = rng.multinomial(objects, chances, size=SAMPLES)
    own = choose_own_categories(evidence)
    rule = rule.model_copy(update={"objects": min(rule.objects, objects)})
    return decide_drawn(evidence, rule, times, {key: times * mine for key, mine in own.items()}).promoted


def count_false(candidates: Sequence[Candidate], false: int, rule: Rule, objects: int) -> Flags:
    """Return (SAMPLES,) whether any of the first ``false`` candidates is promoted beside the others.

    They share the level as in :func:`verdict3d.stats.gate.decide_all`: who is promoted frees its share.
    """
    numbers = range(len(candidates))
    at = np.array(
        [
            [
                count_promoted(one, rule.model_copy(update={"alpha": rule.alpha / (left + 1)}), objects, name)
                for one, name in zip(candidates, (f"candidate {number}" for number in numbers), strict=True)
            ]
            for left in numbers
        ]
    )
    waiting = np.ones(at.shape[1:], dtype=bool)
    for _ in numbers:
        left = np.maximum(waiting.sum(axis=0), 1) - 1
        waiting &= ~np.take_along_axis(at, np.broadcast_to(left, (1, *waiting.shape)), axis=0)[0]
    return np.any(~waiting[:false], axis=0)


def measure_coverage(judged: Judged, objects: int, samples: int = 2000) -> tuple[float, float, float]:
    """Return the share of intervals that hold the truth, and of those above and below it."""
    rng = np.random.default_rng([SEED, objects, round(1000 * judged.credit), round(1000 * judged.coverage)])
    wins = judged.credit - (1 - judged.coverage) / 2
    scores = rng.choice(
        [1.0, 0.0, 0.5], p=[wins, judged.coverage - wins, 1 - judged.coverage], size=(samples, objects)
    )
    above = below = 0
    for one in scores:
        totals = np.stack([one, np.ones(objects)], axis=1)
        found = average_against(totals, judged.credit, alpha=0.025, method="fixed", rng=rng, resamples=1000)
        above, below = above + (found.side == "above"), below + (found.side == "below")
    return 1 - (above + below) / samples, above / samples, below / samples


def share(flags: Flags) -> str:
    """Return how many of the samples, as a share."""
    return f"{flags.mean():.3f}"


def write_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Print all tables."""
    rule = make_rule(load_params(Path("params.yaml")))
    print(f"\nIntervals, {64} objects, 2000 samples each:\n")
    mixes = [Judged(0.5, 0.95), Judged(0.5, 0.78), Judged(0.66, 0.78), Judged(0.4, 0.23), Judged(0.4, 0.92)]
    print(
        write_table(
            ["half-credit, coverage", "holds the truth", "false *above*", "false *below*"],
            [
                [f"{one.credit}, {one.coverage}", *(f"{x:.3f}" for x in measure_coverage(one, 64))]
                for one in mixes
            ],
        )
    )
    print(f"\nP(PROMOTE) where one condition is false, {SAMPLES} samples each:\n")
    at = {
        "half-credit in the regime exactly 1/2": replace(SURE, severe=Judged(0.5, 0.8)),
        "clean inputs exactly 0.40, coverage 0.3": replace(SURE, clean=Judged(0.4, 0.3)),
        "clean inputs exactly 0.40, coverage 0.9": replace(SURE, clean=Judged(0.4, 0.9)),
        "F-score on clean inputs exactly -0.02": replace(SURE, clean_gain=-0.02),
        "over-optimisation gap exactly 0.15": replace(SURE, severe=Judged(0.75, 0.9), gap=0.15),
        "one category of ten exactly 0.15": replace(SURE, worst=0.15),
        "one category of ten exactly 0.30": replace(SURE, worst=0.3),
        "equal to the champion in everything": Candidate(Judged(0.5, 0.8), Judged(0.5, 0.8), gain=0.0),
        "no gain of F-score": replace(SURE, gain=0.0),
        "`sft_on_best` of the sweep as measured": Candidate(
            Judged(0.595, 0.83), Judged(0.571, 0.907), gain=0.0007, clean_gain=0.0002, gap=-0.025
        ),
    }
    sizes = (64, 128, 240, 400)
    print(
        write_table(
            ["truth", *map(str, sizes)],
            [
                [name, *(share(count_promoted(one, rule, size, name)) for size in sizes)]
                for name, one in at.items()
            ],
        )
    )
    clean = at["clean inputs exactly 0.40, coverage 0.9"]
    any_of, any_beside = (
        count_false([clean, clean, one], false, rule, 64) for one, false in ((clean, 3), (SURE, 2))
    )
    print(f"\nAny of three candidates, all at the margin of clean inputs, 64 objects: {share(any_of)}")
    print(f"Any of two such, beside one that is far better than needed: {share(any_beside)}\n")
    print(f"P(PROMOTE) of a good candidate, {SAMPLES} samples each:\n")
    rows = []
    for views, seeds in ((1, 1), (2, 1), (4, 1), (8, 1), (1, 2), (1, 4), (8, 2)):
        one = replace(GOOD, views=views, seeds=seeds)
        chances = (f"{count_promoted(one, rule, size, 'good').mean():.2f}" for size in SIZES)
        rows.append([f"{views}, {seeds}", *chances])
    print(write_table(["view sets, seeds", *map(str, SIZES)], rows))
    for run in RUNS.values():
        print(
            f"\nP(PROMOTE) of {run.arms[0]}, measured in {run.name}, and what is in the way at 64 objects:\n"
        )
        print_measured(run, rule)


def print_measured(run: Run, rule: Rule) -> None:
    """Print the chances of a run's first arm, by the view sets that its judges saw."""
    kept, rows = read_kept(run.rows), []
    for views in (1, 2):
        evidence = as_measured(kept, run.arms[0], views)
        for certain in (True, False):
            words = {size: measure_chances(evidence, rule, size, certain) for size in SIZES}
            unmet = {found.name: (~found.met).mean() for found in words[64].conditions}
            most_often = sorted(unmet, key=lambda one: -unmet[one])[:3]
            way = ", ".join(f"{one} {unmet[one]:.2f}" for one in most_often)
            rows.append(
                [
                    f"{views}, {'as the truth' if certain else 'with its error'}",
                    *(f"{words[size].promoted.mean():.2f}" for size in SIZES),
                    way,
                ]
            )
    print(write_table(["view sets", *map(str, SIZES), "not met at 64"], rows))


if __name__ == "__main__":
    main()
