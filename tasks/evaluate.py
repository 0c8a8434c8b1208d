"""Stage ``evaluate@<arm>``: the arm against the base on held-out assets (``python -m tasks.evaluate <arm>``).

The arm generates from the same pictures and the same noise as the base did in ``data/generate``. The
evaluation judge sees the clean picture and both montages, in both orders; x is the arm and y the base. A pair
with a failed generation is invalid and counted, never a tie. Beside it the same pairs are compared by F-score
and normal consistency against the true mesh.

Writes ``data/evaluate/<arm>/``: what :func:`tasks.making.generation.generated` writes, ``verdicts.jsonl``,
``controls.jsonl`` (two samples of the base from the clean picture), ``training_judge.jsonl`` and, where there
is one, ``third_judge.jsonl`` (what the other judges say of the same pairs), ``texture.jsonl``,
``results.json`` and ``metrics.json``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

from tasks.asking.certificates import require_certificate, with_chosen_panels
from tasks.asking.pairings import Pairing, judge_pairings
from tasks.asking.preferences import adapter_dependencies, search_tools
from tasks.making.arms import arm_from_command_line, arm_params, load_adapted
from tasks.making.generation import TEXTURE_MODE, generated
from tasks.making.meetings import (
    SIDE_MEASURES,
    TRUTH_MEASURES,
    Meeting,
    base_generations,
    plan_arm,
    verdict_row,
)
from tasks.paths import EVALUATE, GENERATE, TRAIN, read_assets, read_generations
from tasks.scoring.champion import questions
from tasks.scoring.measures import (
    in_colour,
    in_mode,
    made_shares,
    over_optimisation_gap,
    side_means,
)
from tasks.scoring.washout import diagnosis, measure_washout
from tasks.stage import run_stage
from verdict3d.config import JudgeParams, Params
from verdict3d.errors import Verdict3DError
from verdict3d.judge.identity import identify, require_different
from verdict3d.randomness import numpy_generator
from verdict3d.records.assets import Asset
from verdict3d.records.files import Row, write_json
from verdict3d.records.generations import Generation
from verdict3d.records.record import write_rows
from verdict3d.records.verdicts import HeldoutVerdict
from verdict3d.stats.agreement import agreement, class_by_truth
from verdict3d.stats.standing import standing
from verdict3d.stats.winrate import Answered, Scored, by_slice, summary
from verdict3d.trellis.pipeline import TrellisPipeline


def run(params: Params, root: Path, arm: str) -> None:
    """Evaluate ``arm`` on what the earlier stages left below ``root``."""
    params = with_chosen_panels(params, root)
    judge = identify(params.judges.evaluation, root)
    require_different(identify(params.judges.training, root), judge)
    certificate = require_certificate(params, root, "evaluation", judge)
    assets = {asset.id: asset for asset in read_assets(root)}
    generations = read_generations(root)
    base = base_generations(params, generations)
    out = EVALUATE / arm
    with generated(
        plan_arm(arm, base, assets, arm_params(params, arm)),
        partial(load_arm, params, root, arm),
        params=params,
        root=root,
        stage=f"evaluate/{arm}",
        out=out,
        adapter=adapter_dependencies(params, root, root / TRAIN / arm),
    ) as adapted:
        pairs = {"controls": pair_controls(generations), arm: list(zip(adapted, base, strict=True))}
        asked = [
            (f"judge {name}", [Pairing(assets[x.asset].condition, x, y) for x, y in pairs[name]])
            for name in pairs
        ]
        colours = in_colour(pairs[arm])
        answers = judge_pairings(asked, params.judges.evaluation, root)
        controls, rows = (
            [verdict_row(x, y, verdict) for (x, y), verdict in zip(pairs[name], verdicts, strict=True)]
            for name, verdicts in zip(pairs, answers, strict=True)
        )
        others = {
            role: other_verdicts(role, settings, pairs[arm], assets, root)
            for role, settings in (("training", params.judges.training), ("third", params.judges.third))
            if settings is not None
        }
        textures = judge_texture(params, root, arm, colours, assets)
        results = {
            "arm": arm,
            "target": params.evaluate.target,
            "judge": {**asdict(judge), "digest": judge.digest},
            "certificate": certificate,
            "failures": dict(sorted(Counter(row.reason for row in rows if row.reason).items())),
            "regimes": {
                name: judge_regime(params, arm, rows, name) | beside(params, arm, others, rows, name)
                for name in params.evaluate.regimes
            },
            "texture": {
                name: _summary(params, [row for row in textures if row.regime == name], arm, name, "texture")
                for name in params.evaluate.regimes
                if textures
            },
            "washout": follow(params, root, arm, assets, pairs[arm], rows),
            "validity": made_shares(rows),
            "holdout_queries": questions(rows, controls, textures),
            "controls": {"base_vs_base": _summary(params, controls, "controls")},
        }
        write_rows(root / out / "verdicts.jsonl", rows)
        write_rows(root / out / "controls.jsonl", controls)
        for role, answered in others.items():
            write_rows(root / out / f"{role}_judge.jsonl", answered)
        write_rows(root / out / "texture.jsonl", textures)
        write_json(root / out / "results.json", results)
        write_json(root / out / "metrics.json", headline_metrics(results))


def load_arm(params: Params, root: Path, arm: str) -> TrellisPipeline:
    """Load the generator with the arm's adapter, and what a search needs."""
    return load_adapted(params, root, arm, search_tools(params, root))


def judge_texture(
    params: Params, root: Path, arm: str, pairs: Sequence[Meeting], assets: Mapping[str, Asset]
) -> list[HeldoutVerdict]:
    """Return the evaluation judge's verdicts on montages in colour: an axis of its own."""
    if not pairs:
        return []
    judge = params.judges.evaluation.model_copy(update={"mode": TEXTURE_MODE})
    asked = [Pairing(assets[x.asset].condition, x, y) for x, y in pairs]
    (answers,) = judge_pairings([(f"judge texture of {arm}", asked)], judge, root)
    return [verdict_row(x, y, one) for (x, y), one in zip(pairs, answers, strict=True)]


def other_verdicts(
    role: str, judge: JudgeParams, pairs: Sequence[Meeting], assets: Mapping[str, Asset], root: Path
) -> list[HeldoutVerdict]:
    """Return the word of a judge that does not decide, on montages in its own mode.

    Raises:
        Verdict3DError: The generations have no such montages.
    """
    shown = in_mode(pairs, judge.mode)
    if pairs and not shown:
        raise Verdict3DError(
            f"the {role} judge looks at {judge.mode} montages, and {GENERATE} has none; rerun generate"
        )
    asked = [Pairing(assets[x.asset].condition, x, y) for x, y in shown]
    (answers,) = judge_pairings([(f"{role} judge", asked)], judge, root)
    return [verdict_row(x, y, one) for (x, y), one in zip(shown, answers, strict=True)]


def beside(
    params: Params,
    arm: str,
    others: Mapping[str, Sequence[HeldoutVerdict]],
    rows: Sequence[HeldoutVerdict],
    regime: str,
) -> Row:
    """Return the other judges' word on one regime, the training judge's distance, and all agreement."""
    said = {
        role: [row for row in answers if row.regime == regime]
        for role, answers in {"evaluation": rows, **others}.items()
    }
    gap = over_optimisation_gap(params, said["training"], said["evaluation"], arm, regime)
    return {
        **{f"{role}_judge": _summary(params, said[role], arm, regime, f"{role}_judge") for role in others},
        "over_optimisation_gap": gap,
        "judge_agreement": {
            f"{one}_{other}": agreement(
                [row.outcome for row in said[one]],
                [row.outcome for row in said[other]],
                [row.object for row in said[one]],
                numpy_generator(params.seed, "evaluate", arm, regime, "agreement", one, other),
                params.evaluate.bootstrap,
                params.evaluate.confidence,
            ).as_dict()
            for one, other in combinations(said, 2)
        },
    }


def follow(
    params: Params,
    root: Path,
    arm: str,
    assets: Mapping[str, Asset],
    pairs: Sequence[Meeting],
    rows: Sequence[HeldoutVerdict],
) -> Row:
    """Return, by regime, where the arm's change gets lost, and what became of it by the judge's word."""
    found: Row = {}
    for regime in params.evaluate.regimes:
        mine = [pair for pair in pairs if pair[0].regime == regime]
        way = measure_washout(params, root, arm, assets, mine, search_tools(params, root))
        judged = [row for row in rows if row.regime == regime]
        found[regime] = {**way, "diagnosis": diagnosis(way, _summary(params, judged, arm, regime))}
    return found


def pair_controls(generations: Sequence[Generation]) -> list[Meeting]:
    """Return pairs of two clean samples of the base that differ in nothing but the seed."""
    second = {row.asset: row for row in generations if row.role == "heldout_control"}
    return [
        (second[row.asset], row)
        for row in generations
        if row.role == "heldout" and row.regime == "clean" and row.number == 0
    ]


def judge_regime(params: Params, arm: str, rows: Sequence[HeldoutVerdict], regime: str) -> Row:
    """Summarise one regime: the judge's word, by category, beside the truth's, and their agreement."""
    mine = [row for row in rows if row.regime == regime]
    by_truth = {
        measure: [
            Scored(row.object, class_by_truth(getattr(row.arm, measure), getattr(row.base, measure)))
            for row in mine
        ]
        for measure in TRUTH_MEASURES
    }
    judged = _summary(params, mine, arm, regime)
    return {
        "summary": judged,
        "standing": standing(judged, params.evaluate.target),
        "by_category": by_slice(
            mine,
            lambda row: row.category,
            lambda category: numpy_generator(params.seed, "evaluate", arm, regime, "category", category),
            params.evaluate.bootstrap,
            params.evaluate.confidence,
        ),
        "truth": {
            **{
                measure: _summary(params, outcomes, arm, regime, measure)
                for measure, outcomes in by_truth.items()
            },
            **side_means(mine, SIDE_MEASURES),
        },
        "kappa_judge_truth": agreement(
            [row.outcome for row in mine],
            [row.outcome for row in by_truth["f_score"]],
            [row.object for row in mine],
            numpy_generator(params.seed, "evaluate", arm, regime, "kappa"),
            params.evaluate.bootstrap,
            params.evaluate.confidence,
        ).as_dict(),
    }


def headline_metrics(results: Row) -> Row:
    """Return the numbers that runs are compared by."""
    regimes = {}
    for regime, part in results["regimes"].items():
        judged = part["summary"]
        regimes[regime] = {
            "half_credit": judged["half_credit"],
            "decisive": judged["decisive"]["value"],
            "coverage": judged["coverage"],
            "flip_rate": judged["flip_rate"],
            "invalid": judged["invalid"],
            "f_score_half_credit": part["truth"]["f_score"]["half_credit"]["value"],
            "arm_f_score_mean": part["truth"]["arm_f_score_mean"],
            "base_f_score_mean": part["truth"]["base_f_score_mean"],
            "kappa_judge_truth": part["kappa_judge_truth"]["value"],
            "judge_agreement": {name: found["value"] for name, found in part["judge_agreement"].items()},
        }
    control = results["controls"]["base_vs_base"]
    return {
        "regimes": regimes,
        "base_vs_base": {key: control[key] for key in ("half_credit", "flip_rate", "coverage")},
        "failures": results["failures"],
    }


def _summary(params: Params, rows: Sequence[Answered], *name: str) -> dict[str, Any]:
    rng = numpy_generator(params.seed, "evaluate", *name)
    return summary(rows, rng, params.evaluate.bootstrap, params.evaluate.confidence)


def _main(params: Params, root: Path) -> None:
    run(params, root, arm_from_command_line(params))


if __name__ == "__main__":
    run_stage(_main)
