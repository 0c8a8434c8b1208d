"""Stage ``evaluate@<arm>``: the arm against the base on held-out assets (``python -m tasks.evaluate <arm>``).

The arm generates from the same pictures and the same noise as the base did in ``data/generate``. The
evaluation judge sees the clean picture and both montages, in both orders; x is the arm and y the base. A mesh
that is missing is a loss of its side; where both are missing, the pair is invalid and counted, never a tie.
Beside it the same pairs are compared by F-score and normal consistency against the true mesh.

Writes ``data/evaluate/<arm>/``: what :func:`tasks.making.generation.generating` writes, ``verdicts.jsonl``,
``controls.jsonl`` (two samples of the base from the clean picture), ``training_judge.jsonl`` and, where there
is one, ``third_judge.jsonl`` (what the other judges say of the same pairs), ``texture.jsonl``,
``results.json`` and ``metrics.json``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from tasks.making.arms import read_arm
from tasks.making.generation import choose_texture_judge, generating
from tasks.making.meetings import (
    Meeting,
    make_heldout_verdict,
    plan_arm,
    select_base_generations,
    select_in_colour,
    select_in_mode,
)
from tasks.paths import EVALUATE, GENERATE, read_assets, read_generations
from tasks.scoring.regimes import judge_regime, measure_made_shares, select_headline_metrics, summarise_rows
from tasks.scoring.washout import measure_washout
from tasks.stage import run_stage
from verdict3d.asking.certificates import may_judge_colour, require_certified_judge, with_chosen_panels
from verdict3d.asking.pairings import Pairing, judge_pairings
from verdict3d.asking.preferences import find_adapter_dependencies, make_search_tools
from verdict3d.config import Params
from verdict3d.config_judges import JudgeParams
from verdict3d.errors import Verdict3DError
from verdict3d.generators.generator import Generator
from verdict3d.making.arms import find_outside_generator, load_arm, select_arm_params
from verdict3d.project import TRAIN
from verdict3d.records.assets import Asset
from verdict3d.records.files import write_json
from verdict3d.records.generations import Generation
from verdict3d.records.names import Regime
from verdict3d.records.record import write_record, write_rows
from verdict3d.records.results import ControlResults, Results, Washout
from verdict3d.records.verdicts import HeldoutVerdict
from verdict3d.render.rig import Rig


def run(params: Params, root: Path, arm: str) -> None:
    """Evaluate ``arm`` on what the earlier stages left below ``root``."""
    params = with_chosen_panels(params, root)
    judge = require_certified_judge(params, root, "evaluation")
    assets = {asset.id: asset for asset in read_assets(root)}
    generations = read_generations(root)
    base = select_base_generations(params, generations)
    out, rig = EVALUATE / arm, Rig(view_px=params.judges.view_px)
    with generating(
        plan_arm(arm, base, assets, select_arm_params(params, arm)),
        partial(load_contender, params, root, arm),
        params=params,
        root=root,
        stage=f"evaluate/{arm}",
        out=out,
        adapter=find_adapter_dependencies(params, root, root / TRAIN / arm),
        outside=find_outside_generator(select_arm_params(params, arm)),
    ) as adapted:
        pairs = list(zip(adapted, base, strict=True))
        asked = {"judge controls": pair_controls(generations), f"judge {arm}": pairs}
        controls, rows = ask(asked, judge.settings, assets, rig, root)
        colours = select_in_colour(pairs) if may_judge_colour(root) else []
        textures = judge_texture(params, root, arm, colours, assets)  # while its weights are loaded
        others = {
            role: ask_other_judge(role, settings, pairs, assets, rig, root)
            for role, settings in (("training", params.judges.training), ("third", params.judges.third))
            if settings is not None
        }
        said = {"evaluation": rows, **others}
        results = Results(
            arm=arm,
            target=params.evaluate.target,
            judge=judge.identity.record(),
            certificate=judge.certificate,
            failures=dict(sorted(Counter(row.reason for row in rows if row.reason).items())),
            regimes={name: judge_regime(params, arm, said, name) for name in params.evaluate.regimes},
            texture={
                name: summarise_rows(
                    params, [row for row in textures if row.regime == name], arm, name, "texture"
                )
                for name in params.evaluate.regimes
                if textures
            },
            washout=follow_change(params, root, arm, assets, pairs, rows),
            validity=measure_made_shares(rows),
            controls=ControlResults(base_vs_base=summarise_rows(params, controls, "controls")),
        )
        write_rows(root / out / "verdicts.jsonl", rows)
        write_rows(root / out / "controls.jsonl", controls)
        for role, answered in others.items():
            write_rows(root / out / f"{role}_judge.jsonl", answered)
        write_rows(root / out / "texture.jsonl", textures)
        write_record(root / out / "results.json", results)
        write_json(root / out / "metrics.json", select_headline_metrics(results))


def load_contender(params: Params, root: Path, arm: str) -> Generator:
    """Load the generator that the arm is, with what a search needs."""
    return load_arm(params, root, arm, make_search_tools(params, root))


def judge_texture(
    params: Params, root: Path, arm: str, pairs: Sequence[Meeting], assets: Mapping[str, Asset]
) -> list[HeldoutVerdict]:
    """Return the evaluation judge's verdicts on montages in colour: an axis of its own."""
    if not pairs:
        return []
    judge = choose_texture_judge(params.judges.evaluation)
    rig = Rig(view_px=params.judges.view_px)
    (found,) = ask({f"judge texture of {arm}": pairs}, judge, assets, rig, root)
    return found


def ask_other_judge(
    role: str,
    judge: JudgeParams,
    pairs: Sequence[Meeting],
    assets: Mapping[str, Asset],
    rig: Rig,
    root: Path,
) -> list[HeldoutVerdict]:
    """Return the word of a judge that does not decide, on montages in its own mode.

    Raises:
        Verdict3DError: The generations have no such montages.
    """
    shown = select_in_mode(pairs, judge.mode)
    if pairs and not shown:
        raise Verdict3DError(
            f"the {role} judge looks at {judge.mode} montages, and {GENERATE} has none; rerun generate"
        )
    (found,) = ask({f"{role} judge": shown}, judge, assets, rig, root)
    return found


def ask(
    pairs: Mapping[str, Sequence[Meeting]],
    judge: JudgeParams,
    assets: Mapping[str, Asset],
    rig: Rig,
    root: Path,
) -> list[list[HeldoutVerdict]]:
    """Return a judge's verdicts on each list of pairs; lists are named by what the progress bar says."""
    asked = [
        (name, [Pairing(assets[x.asset].condition, x, y) for x, y in those]) for name, those in pairs.items()
    ]
    answers = judge_pairings(asked, judge, rig, root)
    return [
        [make_heldout_verdict(x, y, verdict) for (x, y), verdict in zip(those, verdicts, strict=True)]
        for those, verdicts in zip(pairs.values(), answers, strict=True)
    ]


def follow_change(
    params: Params,
    root: Path,
    arm: str,
    assets: Mapping[str, Asset],
    pairs: Sequence[Meeting],
    rows: Sequence[HeldoutVerdict],
) -> dict[Regime, Washout]:
    """Return, by regime, where the arm's change gets lost, and what became of it by the judge's word."""
    found = {}
    for regime in params.evaluate.regimes:
        mine = [pair for pair in pairs if pair[0].regime == regime]
        judged = summarise_rows(params, [row for row in rows if row.regime == regime], arm, regime)
        found[regime] = measure_washout(
            params, root, arm, assets, mine, judged, make_search_tools(params, root)
        )
    return found


def pair_controls(generations: Sequence[Generation]) -> list[Meeting]:
    """Return pairs of two clean samples of the base that differ in nothing but the seed."""
    second = {row.asset: row for row in generations if row.role == "heldout_control"}
    return [
        (second[row.asset], row)
        for row in generations
        if row.role == "heldout" and row.regime == "clean" and row.number == 0
    ]


def _main(params: Params, root: Path) -> None:
    run(params, root, read_arm(params))


if __name__ == "__main__":
    run_stage(_main)
