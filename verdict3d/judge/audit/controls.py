"""Questions with known answers, and what a judge's answers to them say about it.

Everything here is arithmetic on verdict rows: whoever made the meshes and asked the judge
(``tasks.controls``, ``tasks.audit`` and ``tasks.certify``), these are the rules by which it passes. X is the
better candidate, where one is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from verdict3d.config_judges import AuditThresholds
from verdict3d.judge.audit.bars import Bar
from verdict3d.records.certificates import Curve, Finding, Sureness
from verdict3d.records.numbers import Interval, Summary
from verdict3d.records.pairs import CLEAR_GRADES
from verdict3d.records.verdicts import ControlVerdict
from verdict3d.stats.bootstrap import Array, cluster_bootstrap, divide
from verdict3d.stats.psychometric import fit_curve
from verdict3d.stats.winrate import SCORES, Answered, Scored, measure_win_rate, summarise

Generators = Callable[[str], np.random.Generator]
"""Gives each control a random generator of its own."""


ON_OBJECTS = (
    "null",
    "clear_gap",
    "untaught_gap",
    "clean_but_wrong",
    "reference_shuffled",
    "reference_removed",
    "camera",
    "colour",
)
"""Controls that need the objects alone, in the order in which people should read them."""
ON_GENERATIONS = ("base_vs_base", "position", "generated")
"""Controls that need generations, likewise."""
CONTROLS = (*ON_OBJECTS, *ON_GENERATIONS)
CHANCE = 0.5
HALF, FALL = "half-credit", "fall of half-credit"
SAME_WORD = "same word from other cameras"
DECIDED, FIRST = "share of decided pairs", "share of first-slot answers"


@dataclass(frozen=True)
class Measuring:
    """How controls are summed up.

    Attributes:
        thresholds: What a judge has to reach, shares in [0, 1].
        generators: Gives the bootstrap of each control its random generator.
        resamples: Number of bootstrap resamples.
        confidence: Two-sided level of every interval, in (0, 1).
    """

    thresholds: AuditThresholds
    generators: Generators
    resamples: int
    confidence: float

    def summarise(self, name: str, rows: Sequence[Answered]) -> Summary:
        """Return the win-rate summary of rows, with the bounds of this control's own generator."""
        return summarise(rows, self.generators(name), self.resamples, self.confidence)

    def measure_objects(
        self,
        rows: Sequence[ControlVerdict],
        in_colour: Sequence[ControlVerdict],
        taught: Collection[str],
    ) -> dict[str, Finding]:
        """Return what each control of :data:`ON_OBJECTS` says; ``camera`` needs several view sets.

        Args:
            rows: All verdict rows of the configured panel and mode.
            in_colour: Rows of the configured panel about right and wrong colours.
            taught: Kinds of damage that the judge was taught.
        """
        asked, null = self.thresholds, select(rows, "null")
        clear = select_clear_gaps(rows)
        untaught = [row for row in clear if row.defect not in taught]
        wrong = select(rows, "clean_but_wrong")
        found = {
            "null": self._check_share(
                "null", null, self._measure_decided(null), Bar(DECIDED, most=asked.equal)
            ),
            "clear_gap": self._check_half("clear_gap", clear, Bar(HALF, asked.right)),
            "untaught_gap": self._check_half("untaught_gap", untaught, Bar(HALF, asked.right)),
            "clean_but_wrong": self._check_half("clean_but_wrong", wrong, Bar(HALF, asked.right)),
        }
        for name in ("reference_shuffled", "reference_removed"):
            without = select(rows, name)
            fall = self.measure_fall(name, wrong, without)
            found[name] = self._check_share(name, without, fall, Bar(FALL, asked.reference_drop))
        if any(len(row.sets) > 1 for row in clear):
            # two that err independently, each as often as it is allowed to
            agreed = asked.right**2 + (1 - asked.right) ** 2
            found["camera"] = self._check_share(
                "camera", clear, self._measure_camera(clear), Bar(SAME_WORD, agreed)
            )
        colour = self._check_half("colour", in_colour, Bar(HALF, asked.right))
        return {**found, "colour": colour.model_copy(update={"required": False})}

    def measure_generations(
        self, rows: Sequence[ControlVerdict], far_apart: Sequence[Answered]
    ) -> dict[str, Finding]:
        """Return what each control of :data:`ON_GENERATIONS` says.

        Args:
            rows: All verdict rows on generations.
            far_apart: Those of two meshes of which one should be seen to be better, X the better one.
        """
        asked, even = self.thresholds, select(rows, "base_vs_base")
        return {
            "base_vs_base": self._check_half("base_vs_base", even, make_band(HALF, asked.equal)),
            "position": self._check_share(
                "position", even, self._measure_first_slot(even), make_band(FIRST, asked.equal)
            ),
            "generated": self._check_half("generated", far_apart, Bar(HALF, CHANCE)),
        }

    def fit_curves(self, rows: Sequence[ControlVerdict]) -> dict[str, Curve | None]:
        """Return the psychometric curve of each defect, and of all together, from the ladder's rows."""
        ladder = [row for row in select(rows, "ladder") if row.outcome in SCORES]
        names = sorted({row.defect for row in ladder if row.defect is not None})
        groups = {"all": ladder, **{name: [row for row in ladder if row.defect == name] for name in names}}
        return {
            name: self.fit_curve(name, group, [row.grade or 0 for row in group])
            for name, group in groups.items()
        }

    def fit_curve(self, name: str, rows: Sequence[Answered], severities: Sequence[float]) -> Curve | None:
        """Return the psychometric curve of valid rows over severities; None with fewer than two of these.

        Args:
            name: What the bootstrap's generator is keyed by.
            rows: Valid rows whose X is the better mesh.
            severities: Severity of each row's damage, at least 0; grades are 1 to 5.
        """
        fitted = fit_curve(
            [float(severity) for severity in severities],
            [SCORES[row.outcome] for row in rows],
            [row.object for row in rows],
            self.generators(f"curve {name}"),
            min(self.resamples, 500),
            self.confidence,
        )
        return None if fitted is None else fitted.record()

    def measure_fall(
        self, name: str, before: Sequence[ControlVerdict], after: Sequence[ControlVerdict]
    ) -> Interval:
        """Return by how much half-credit falls from ``before`` to ``after`` on the same pairs, over objects.

        The value is in [-1, 1], above 0 for a fall. Pairs invalid on either side are left out.
        """
        scores = {row.pair: SCORES[row.outcome] for row in after if row.outcome in SCORES}
        falls = [
            (row.object, SCORES[row.outcome] - scores[row.pair])
            for row in before
            if row.outcome in SCORES and row.pair in scores
        ]
        return self._average(f"drop {name}", falls)

    def _check_half(self, name: str, rows: Sequence[Answered], bar: Bar) -> Finding:
        found = self.summarise(name, rows)
        return make_finding(found, found.half_credit, bar)

    def _check_share(self, name: str, rows: Sequence[Answered], quantity: Interval, bar: Bar) -> Finding:
        return make_finding(self.summarise(name, rows), quantity, bar)

    def _measure_decided(self, rows: Sequence[Answered]) -> Interval:
        """Return the share of decided pairs, over objects."""
        decided = [
            Scored(row.object, "win" if row.outcome in ("win", "loss") else "loss")
            for row in rows
            if row.outcome in SCORES
        ]
        rng = self.generators("decided")
        return measure_win_rate(decided, rng, self.resamples, self.confidence).half_credit.record()

    def _measure_first_slot(self, rows: Sequence[Answered]) -> Interval:
        """Return the share of single answers, two a pair, that picked the first slot, over objects."""
        asked = [(row.object, row.m1, row.m2) for row in rows]
        picks = [
            (name, 0.5 + 0.25 * float(np.sign(m1) + np.sign(m2)))
            for name, m1, m2 in asked
            if m1 is not None and m2 is not None
        ]
        return self._average("first slot", picks)

    def _measure_camera(self, rows: Sequence[ControlVerdict]) -> Interval:
        """Return how often two halves of the view sets say the same of a pair; undecided ones count half."""
        said = [(row.object, repeat_word(row)) for row in rows]
        return self._average("camera", [(name, share) for name, share in said if share is not None])

    def _average(self, name: str, values: Iterable[tuple[str, float]]) -> Interval:
        """Return the mean of (object, value) with its bounds over objects."""
        totals: dict[str, Array] = {}
        for key, value in values:
            totals.setdefault(key, np.zeros(2))
            totals[key] += (value, 1.0)
        if not totals:
            return Interval(value=None, low=None, high=None)
        table = np.stack([totals[key] for key in sorted(totals)])
        bounds = cluster_bootstrap(table, divide, self.generators(name), self.resamples, self.confidence)
        low, high = bounds or (None, None)
        return Interval(value=float(table[:, 0].sum() / table[:, 1].sum()), low=low, high=high)


def make_band(of: str, half_width: float) -> Bar:
    """Return the bar of a share that should be 1/2: within ``half_width``, in (0, 1/2), of it."""
    return Bar(of, 0.5 - half_width, 0.5 + half_width)


def make_finding(found: Summary, quantity: Interval, bar: Bar) -> Finding:
    """Return what a control says: the summary of its rows, and its quantity against its bar."""
    shortfall = bar.shortfall(quantity)
    return Finding(
        of=bar.of,
        quantity=quantity,
        requirement=bar.requirement,
        required=True,
        passed=not shortfall,
        shortfall=shortfall,
        **dict(found),
    )


def repeat_word(row: ControlVerdict) -> float | None:
    """Return whether two halves of the view sets say the same: 1, 0, or 1/2 where one is undecided.

    None where a half has no answer, as with a single view set.
    """
    one, other = _find_word(row.sets[::2]), _find_word(row.sets[1::2])
    return None if one is None or other is None else 0.5 + 0.5 * one * other


def _find_word(sets: Sequence[tuple[float, float] | None]) -> int | None:
    """Return what some view sets together prefer: 1 for X, -1 for Y, 0 where the orders disagree."""
    margins = np.array([both for both in sets if both is not None])
    if not len(margins):
        return None
    m1, m2 = margins.mean(axis=0)
    return int(np.sign(m1 - m2)) if abs(m1 - m2) > abs(m1 + m2) else 0


def select(rows: Sequence[ControlVerdict], control: str) -> list[ControlVerdict]:
    """Return the rows of one control."""
    return [row for row in rows if row.control == control]


def select_clear_gaps(rows: Sequence[ControlVerdict]) -> list[ControlVerdict]:
    """Return the rows of the defect ladder whose damage nobody overlooks."""
    return [row for row in select(rows, "ladder") if row.grade in CLEAR_GRADES]


def measure_sureness(rows: Sequence[ControlVerdict]) -> Sureness:
    """Return how large preferences are where a judge is right and where not, and what large ones are worth.

    Preferences are |d| in nats; *large* is at least their median over all decided pairs. A number is None
    where no pair tells it.

    Args:
        rows: Pairs whose X is the better mesh.
    """
    sizes = {
        outcome: [abs(row.d) for row in rows if row.outcome == outcome and row.d is not None]
        for outcome in ("win", "loss")
    }
    decided = sizes["win"] + sizes["loss"]
    large = float(np.median(decided)) if decided else None
    right, wrong = (
        [size for size in sizes[outcome] if large is not None and size >= large] for outcome in sizes
    )
    return Sureness(
        right=float(np.median(sizes["win"])) if sizes["win"] else None,
        wrong=float(np.median(sizes["loss"])) if sizes["loss"] else None,
        right_when_large=len(right) / len(right + wrong) if right + wrong else None,
    )
