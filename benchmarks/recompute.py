"""Numbers of the documents, computed again from verdicts: ``python -m benchmarks.recompute``.

The rows in ``docs/rows`` (:mod:`benchmarks.kept`) are of the default run and its judges, of the runs that say
how often it promotes, of the sweep and of furniture by somebody else (docs/results.md), and of the proof and
its replicate (docs/proof.md).
Prints every number with its interval, and those that its document lacks; ends with status 1 if there are any.
``--keep RUN ROOT`` writes the rows of a run from the folder where it finished; those of ``promotions`` from
the folder of ``python -m benchmarks.promotions``.

The verdicts behind the older sweep and its replicate were not kept; what its table still allows is computed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.certificates import collect_findings, select_shown
from benchmarks.gate_simulation import as_measured
from benchmarks.kept import (
    DEFAULT,
    PROMOTIONS,
    ROLES,
    ROOT,
    RUNS,
    TABLES,
    Kept,
    Run,
    keep,
    locate_controls,
    read_controls,
    read_kept,
    read_promotions,
)
from tasks.asking.comparisons import make_measuring
from tasks.challenge import shuffle_objects
from tasks.scoring.regimes import measure_over_optimisation
from verdict3d.config import Params
from verdict3d.config_judges import JudgeRole
from verdict3d.judge.audit.ordering import order_generations
from verdict3d.randomness import numpy_generator
from verdict3d.records.certificates import Finding, Ordering
from verdict3d.records.files import Row, read_json
from verdict3d.records.numbers import Interval
from verdict3d.records.verdicts import ControlVerdict
from verdict3d.stats.bootstrap import cluster_bootstrap, divide
from verdict3d.stats.claims import state_claims
from verdict3d.stats.conditions import Condition, check_claim
from verdict3d.stats.rule import make_rule
from verdict3d.stats.winrate import summarise

SMALL_GAP = 0.15
"""Of F-scores: below it one verdict from one view set says little."""
SUMMARY = {"clear_gap": "clear gaps", "untaught_gap": "not taught", "generated": "in F-score"}
"""Controls that docs/results.md sums up, and the words before their numbers."""
LACKING = (
    "The tables about the judges are not checked until the next default run is kept "
    "(`--keep default ROOT`), which writes"
)


def recompute(run: Run, rows: Sequence[Kept], params: Params) -> dict[str, str]:
    """Return every number of a run with its interval as its document has it, by what it is."""
    found: dict[str, str] = {}
    for arm in run.arms:
        for regime in ("severe", "clean"):
            numbers = measure_arm(rows, params, arm, regime)
            found |= {f"{arm}, {regime}: {name}": words for name, words in numbers.items()}
    found["base against base"] = _say_controls(rows, params)
    kinds = {"contrastive": ("decisive", "half_credit"), "same_base": ("half_credit",)}
    for kind, measures in kinds.items() if run.whole else ():
        labelled = [row.verdict for row in _select(rows, "label", kind)]
        counted = summarise(labelled, *_find_drawing(params, "label", kind))
        for measure in measures:
            found[f"{kind}: {measure}"] = _say(getattr(counted, measure), 2)
    if run.whole:
        conditions = check_claims(rows, params, params.promotion.arms[0])
        for name in ("truth: gain", "over-optimisation"):
            found[f"gate, {name}"] = _say(_read_interval(conditions[name]))
    found["right where F-scores differ little"] = _count_right(rows)
    return found


def measure_arm(
    rows: Sequence[Kept], params: Params, arm: str, regime: str, digits: int = 3
) -> dict[str, str]:
    """Return the numbers of an arm on inputs of a regime."""
    mine = _select(rows, f"evaluation {arm}", regime)
    verdicts, trained = (
        [row.verdict for row in some] for some in (mine, _select(rows, f"training {arm}", regime))
    )
    judged = summarise(verdicts, *_find_drawing(params, "evaluate", arm, regime))
    sides = [
        (row.verdict.object, row.f_y, row.f_x) for row in mine if row.f_x is not None and row.f_y is not None
    ]
    means = (np.mean([side[place] for side in sides]) for place in (1, 2))
    gains = [(name, f_x - f_y) for name, f_y, f_x in sides]
    return {
        "half-credit": _say(judged.half_credit, digits),
        "decisive": _say(judged.decisive, digits),
        "coverage": f"{judged.coverage:.2f}",
        "F-score": " → ".join(f"{mean:.{digits}f}" for mean in means),
        "gain of F-score": _say(_average(gains, params, arm, regime, "gain"), digits),
        "over-optimisation": _say(measure_over_optimisation(params, trained, verdicts, arm, regime), digits),
    }


def check_claims(rows: Sequence[Kept], params: Params, arm: str) -> dict[str, Condition]:
    """Return what the gate says of each claim about an arm, with its intervals."""
    rule = make_rule(params)
    evidence = as_measured(rows, arm, params.judges.evaluation.views)
    objects = {one.object: one for one in evidence.objects}
    order = [objects[name] for name in shuffle_objects(params, objects)]
    claims = state_claims(evidence.model_copy(update={"objects": order}), rule)
    return {
        claim.name: check_claim(
            claim, rule, len(claims), lambda name: numpy_generator(params.seed, "gate", name)
        )
        for claim in claims
    }


def _read_interval(condition: Condition) -> Interval:
    return Interval(**{end: condition.measured[end] for end in ("value", "low", "high")})


def recompute_promotions(rows: Mapping[int, Sequence[Kept]]) -> dict[str, str]:
    """Return the numbers of every seed's arms, and by how much F-scores fell where that held a candidate."""
    found: dict[str, str] = {}
    for seed, mine in rows.items():
        params = PROMOTIONS.read_params(seed)
        for arm in PROMOTIONS.arms:
            if not _select(mine, f"evaluation {arm}", "severe"):
                continue
            parts = [measure_arm(mine, params, arm, regime) for regime in ("severe", "clean")]
            cells = (part[name] for part in parts for name in ("half-credit", "F-score"))
            found[f"{seed}, {arm}"] = " | ".join(cells)
        fallen = check_claims(mine, params, PROMOTIONS.arms[0])["truth: clean inputs"]
        if fallen.state != "met":
            ends = _read_interval(fallen)
            value, low, high = (None if end is None else -end for end in (ends.value, ends.high, ends.low))
            fall = Interval(value=value, low=low, high=high)
            found[f"{seed}, fall of the F-score on clean inputs"] = _say(fall)
    return found


def recompute_table(run: Run) -> dict[str, str]:
    """Return the line of each arm in the table of a run, and the base against itself."""
    rows, params = read_kept(run.rows), run.read_params()
    found: dict[str, str] = {}
    for arm in run.arms:
        parts = {name: measure_arm(rows, params, arm, name, digits=2) for name in params.evaluate.regimes}
        severe = parts["severe"]
        cells = [part["half-credit"] for part in parts.values()]
        cells += [
            f"{severe['decisive']}, {severe['coverage']}",
            severe["F-score"],
            severe["over-optimisation"],
        ]
        found[arm] = f"| `{arm}` | {' | '.join(cells)} |"
    return found | {"base against base": _say_controls(rows, params)}


def measure_controls(
    rows: Sequence[ControlVerdict], params: Params, role: JudgeRole
) -> tuple[dict[str, Finding], Ordering]:
    """Return what each control says of a judge, and what it orders among generations."""
    measuring = make_measuring(params, role)
    found = collect_findings(measuring, rows, params, role)
    return found, order_generations(measuring, select_shown(rows))


def recompute_controls(rows: Mapping[JudgeRole, Sequence[ControlVerdict]], params: Params) -> dict[str, str]:
    """Return the cells of both tables about the judges, and what the text says of these."""
    measured = {role: measure_controls(rows[role], params, role) for role in ROLES}
    findings, orderings = zip(*measured.values(), strict=True)
    found: dict[str, str] = {}
    for name in findings[0]:
        both = [one[name] for one in findings]
        said = [_say(one.quantity, 2) + ("" if one.passed else ", not passed") for one in both]
        found[f"control {name}"] = _join_cells([one.pairs for one in both], said)
    for strata in zip(*(one.by_f_score_gap for one in orderings), strict=True):
        low, high = strata[0].gap
        said = [_say(one.half_credit, 2) for one in strata]
        found[f"gap {low:g} to {high:g}"] = _join_cells([one.pairs for one in strata], said)
    thresholds = {
        role: ordering.curve.threshold for role, (_, ordering) in measured.items() if ordering.curve
    }
    found["smallest gap"] = " and ".join(
        f"{_say(threshold, 2)} for the {role} judge" for role, threshold in thresholds.items()
    )
    said = [f"{threshold.value:.2f}" for threshold in thresholds.values()]
    found["summary, smallest gap"] = f"from a gap of {' and '.join(said)} on"
    for name, words in SUMMARY.items():
        said = [f"{one[name].quantity.value:.2f}" for one in findings]
        found[f"summary, {name}"] = f"{words} {' and '.join(said)}"
    return found


def _join_cells(pairs: Sequence[int], said: Sequence[str]) -> str:
    return " | ".join([" and ".join(dict.fromkeys(map(str, pairs))), *said])


def _select(rows: Sequence[Kept], source: str, part: str) -> list[Kept]:
    return [row for row in rows if (row.source, row.slice) == (source, part)]


def _find_drawing(params: Params, *name: str) -> tuple[np.random.Generator, int, float]:
    """Return what a stage draws the resamples of this number from, their number, and the level."""
    evaluate = params.evaluate
    return numpy_generator(params.seed, *name), evaluate.bootstrap, evaluate.confidence


def _average(values: Sequence[tuple[str, float]], params: Params, *name: str) -> Interval:
    """Return the mean of (object, value) with its BCa interval over objects."""
    names = sorted({one for one, _ in values})
    totals = np.zeros((len(names), 2))
    for one, value in values:
        totals[names.index(one)] += (value, 1.0)
    low, high = cluster_bootstrap(totals, divide, *_find_drawing(params, "evaluate", *name)) or (None, None)
    return Interval(value=float(totals[:, 0].sum() / totals[:, 1].sum()), low=low, high=high)


def _say_controls(rows: Sequence[Kept], params: Params) -> str:
    """Return the half-credit of the base against itself."""
    controls = [row.verdict for row in _select(rows, "controls", "clean")]
    return _say(summarise(controls, *_find_drawing(params, "evaluate", "controls")).half_credit, 2)


def _say(found: Interval, digits: int = 3) -> str:
    ends = (found.value, found.low, found.high)
    value, low, high = ("–" if end is None else f"{end:.{digits}f}" for end in ends)
    return "–" if found.value is None else f"{value} [{low}, {high}]"


def _count_right(rows: Sequence[Kept]) -> str:
    """Return how often the evaluation judge names the mesh with the higher F-score where it decides."""
    right = total = 0
    for row in rows:
        if (
            row.source.startswith("evaluation")
            and row.f_x is not None
            and row.f_y is not None
            and row.verdict.outcome in ("win", "loss")
        ):
            gap = row.f_x - row.f_y
            if 0.01 <= abs(gap) < SMALL_GAP:
                right, total = right + ((gap > 0) == (row.verdict.outcome == "win")), total + 1
    return f"{right} of {total}"


def correlate_sweep(table: Row) -> str:
    """Return Pearson's r between half-credit and gain of F-score at severe over the arms of the sweep."""
    cells = [cell["severe"] for cell in table["cells"].values()]
    credit = [cell["half_credit"]["value"] for cell in cells]
    gain = [cell["arm_f_score_mean"] - cell["base_f_score_mean"] for cell in cells]
    return f"r {np.corrcoef(credit, gain)[0, 1]:.2f}"


def recompute_all() -> dict[Run, dict[str, str]]:
    """Return every number that can be computed again, by run."""
    found = {run: recompute(run, read_kept(run.rows), run.read_params()) for run in RUNS.values()}
    table = read_json(ROOT / "docs/sweep/table.json")
    found[DEFAULT]["sweep, half-credit and F-score"] = correlate_sweep(table)
    if not list_lacking_controls():
        answers = {role: read_controls(role) for role in ROLES}
        found[DEFAULT] |= recompute_controls(answers, DEFAULT.read_params())
    found[PROMOTIONS] = recompute_promotions(read_promotions())
    return found | {run: recompute_table(run) for run in TABLES}


def list_lacking_controls() -> list[str]:
    """Return the files of the default run's controls that are not there."""
    return [str(path.relative_to(ROOT)) for path in map(locate_controls, ROLES) if not path.is_file()]


def list_missing(run: Run, found: dict[str, str]) -> list[str]:
    """Return what the document of a run does not have."""
    text = " ".join((ROOT / run.document).read_text().split())
    return [name for name, words in found.items() if words not in text]


def main() -> int:
    """Print every number; return 1 if a document lacks one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--keep", nargs=2, metavar=("RUN", "ROOT"), help="Finished run whose rows to keep first."
    )
    given = parser.parse_args()
    if given.keep:
        name, root = given.keep
        known = {**RUNS, **{run.name: run for run in (PROMOTIONS, *TABLES)}}
        if name not in known:
            parser.error(f"RUN is {name!r}; one of {', '.join(known)}")
        keep(known[name], Path(root))
    if lacking := list_lacking_controls():
        print(f"{LACKING} {', '.join(lacking)}", file=sys.stderr)
    status = 0
    for run, found in recompute_all().items():
        print(json.dumps({run.name: found}, indent=2, ensure_ascii=False))
        for name in list_missing(run, found):
            print(f"not in {run.document}: {run.name}: {name}: {found[name]}", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
