"""What people read of a run first in MLflow: its name, its description, and about ten numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from verdict3d.records.decisions import Decision
from verdict3d.records.numbers import Interval
from verdict3d.records.results import RegimeResults, Results
from verdict3d.view.content import REGIMES
from verdict3d.view.words import say_interval, say_number, say_outlook

COLUMNS = ("arm", "inputs", "win-rate", "decisive", "mean F-score", "same, flips, close", "pairs")
LEGEND = "A win-rate, against the base, counts a won pair 1, a lost one 0, and one without a winner 1/2."
PLACES = "The report is `report/index.html` among the artifacts; numbers of single stages are in `numbers`."
FIRST = "1_result"
"""Group of the numbers that come first: MLflow shows groups by name, and numbers without one last."""
STEPS = {"PROMOTE": 1.0, "HOLD": 0.0, "REJECT": -1.0}
"""Numbers of decisions, so that runs can be sorted and drawn by them."""


@dataclass(frozen=True)
class RunSummary:
    """What came out of a run.

    Args:
        results: Of every evaluated arm.
        decision: The gate's word; None where it has not decided.
        certified: Whether each judge's certificate passed, by role.
        day: The day, as YYYY-MM-DD.
        preset: Name of the preset, "" for none.
    """

    results: Mapping[str, Results]
    decision: Decision | None
    certified: Mapping[str, bool]
    day: str
    preset: str

    @property
    def leading(self) -> str | None:
        """The arm that is promoted, or else the best one on the hardest inputs; None without any."""
        if self.decision and self.decision.chosen in self.results:
            return self.decision.chosen
        rates = {
            arm: _find_hardest(found).summary.half_credit.value
            for arm, found in self.results.items()
            if found.regimes
        }
        known = {arm: rate for arm, rate in rates.items() if rate is not None}
        return max(sorted(known), key=lambda arm: known[arm]) if known else None

    def say_name(self, key: str) -> str:
        """Return what the run is called: decision, win-rate, arm, preset and day."""
        arm = self.leading
        if arm is None:
            return " ".join(filter(None, [key[:8], self.preset, self.day]))
        rate = _find_hardest(self.results[arm]).summary.half_credit.value
        return " ".join(filter(None, [self._find_word(arm), say_number(rate), arm, self.preset, self.day]))

    def select_numbers(self) -> dict[str, float]:
        """Return the numbers of the run that come first."""
        arm = self.leading
        if arm is None:
            return {}
        word = self._find_word(arm)
        numbers = {} if word is None else {f"{FIRST}/decision": STEPS[word]}
        numbers |= select_numbers(self.results[arm])
        if self.certified:
            numbers[f"{FIRST}/judges_certified"] = float(all(self.certified.values()))
        return numbers

    def describe(self) -> str:
        """Return the run in Markdown."""
        lines = []
        for arm, found in self.decision.arms.items() if self.decision else ():
            lines += [" ".join([f"**{found.decision}**: {arm}.", *say_outlook(found)]), ""]
        lines += [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
        for arm, results in sorted(self.results.items()):
            for regime in sorted(results.regimes, key=_rank, reverse=True):
                lines.append(f"| {arm} | {_say_regime(regime, results.regimes[regime])} |")
        judges = [
            f"{role} {'certified' if done else 'NOT certified'}" for role, done in self.certified.items()
        ]
        lines += ["", f"{LEGEND} Judges: {', '.join(judges) or 'none'}."]
        return "\n".join([*lines, "", PLACES])

    def _find_word(self, arm: str) -> str | None:
        found = self.decision.arms.get(arm) if self.decision else None
        return found.decision if found else None


def select_numbers(results: Results) -> dict[str, float]:
    """Return an arm's numbers that come first: win-rates with their bounds, and F-scores."""
    if not results.regimes:
        return {}
    hardest, clean = _find_hardest(results), results.regimes.get("clean")
    truth = hardest.truth
    half = hardest.summary.half_credit
    gain = None
    if truth.arm_f_score_mean is not None and truth.base_f_score_mean is not None:
        gain = truth.arm_f_score_mean - truth.base_f_score_mean
    numbers = {
        "win_rate": half.value,
        "win_rate.low": half.low,
        "win_rate.high": half.high,
        "decisive": hardest.summary.decisive.value,
        "clean_win_rate": clean.summary.half_credit.value if clean else None,
        "f_score": truth.arm_f_score_mean,
        "f_score_gain": gain,
        "target": results.target,
    }
    return {f"{FIRST}/{name}": value for name, value in numbers.items() if value is not None}


def _find_hardest(results: Results) -> RegimeResults:
    return results.regimes[max(results.regimes, key=_rank)]


def _rank(regime: str) -> int:
    return REGIMES.index(regime) if regime in REGIMES else len(REGIMES)


def _say_regime(regime: str, found: RegimeResults) -> str:
    summary, truth = found.summary, found.truth
    scores = f"{say_number(truth.base_f_score_mean, 3)} → {say_number(truth.arm_f_score_mean, 3)}"
    ties = f"{summary.same}, {summary.flips}, {summary.close}"
    cells = [
        regime,
        _say_rate(summary.half_credit),
        _say_rate(summary.decisive),
        scores,
        ties,
        str(summary.pairs),
    ]
    return " | ".join(cells)


def _say_rate(found: Interval) -> str:
    return f"{say_number(found.value)} ({say_interval(found.low, found.high)})"
