"""Stage ``challenge``: every candidate against the current champion on held-out assets.

The champion (:mod:`tasks.scoring.champion`) generates from the same pictures and the same noise as the
candidates did in ``data/evaluate``; when the base is the champion, these meshes are there already. The
evaluation judge is asked about geometry in the pre-registered regime and on clean inputs, and about texture
where montages in colour exist.

The objects are looked at in an order shuffled beforehand: all at once, or in batches until a sequential test
has decided (``promotion.test``).

Writes ``data/challenge/``: ``champion/`` (its generations), ``<arm>/verdicts.jsonl`` and
``<arm>/texture.jsonl`` (``arm`` is the candidate, ``base`` the champion), ``challenge.json`` and
``metrics.json``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tasks.making.generation import choose_texture_judge, generating
from tasks.making.meetings import (
    Meeting,
    make_heldout_verdict,
    plan_arm,
    select_base_generations,
    select_in_colour,
)
from tasks.paths import CHALLENGE, CHAMPION, EVALUATE, read_assets, read_generations, start_folder
from tasks.scoring.champion import find_champion_generator, read_champion
from tasks.scoring.holdout import describe_this_use
from tasks.stage import run_stage
from verdict3d.asking.certificates import may_judge_colour, with_chosen_panels
from verdict3d.asking.pairings import Pairing, judge_pairings
from verdict3d.asking.preferences import find_adapter_dependencies, make_search_tools
from verdict3d.config import Params
from verdict3d.generators.generator import Generator
from verdict3d.judge.identity import identify
from verdict3d.judge.verdict import Verdict
from verdict3d.project import TRAIN
from verdict3d.randomness import numpy_generator
from verdict3d.records.adapters import adapter_identity
from verdict3d.records.assets import Asset
from verdict3d.records.decisions import Challenge, Challenger, Champion
from verdict3d.records.files import write_json
from verdict3d.records.generations import Generation
from verdict3d.records.names import Regime
from verdict3d.records.record import write_record, write_rows
from verdict3d.records.verdicts import HeldoutVerdict
from verdict3d.render.rig import Rig
from verdict3d.stats.tally import count_half_credit, tally_sets


def run(params: Params, root: Path) -> None:
    """Let every candidate below ``root`` challenge the champion."""
    params = with_chosen_panels(params, root)
    champion, assets = read_champion(root), read_assets(root)
    regimes: list[Regime] = list(dict.fromkeys((params.promotion.regime, "clean")))
    base = [row for row in select_base_generations(params, read_generations(root)) if row.regime in regimes]
    order = shuffle_objects(params, {row.asset for row in base})
    with make_champion_generations(params, root, champion, base, assets) as theirs:
        arms = {arm: challenge(params, root, arm, theirs, order, assets) for arm in params.promotion.arms}
        judge = identify(params.judges.evaluation, root).digest
        document = Challenge(
            champion=champion,
            regimes=regimes,
            holdout=describe_this_use(params, root, assets, champion, judge),
            judge=judge,
            arms=arms,
        )
        write_record(root / CHALLENGE / "challenge.json", document)
        write_json(
            root / CHALLENGE / "metrics.json",
            {arm: {"objects": len(found.objects), "looks": found.looks} for arm, found in arms.items()},
        )


def shuffle_objects(params: Params, objects: Collection[str]) -> list[str]:
    """Return the held-out objects in the order in which they are looked at."""
    names = sorted(objects)
    rng = numpy_generator(params.seed, "order of a challenge")
    return [names[place] for place in rng.permutation(len(names))]


@contextmanager
def make_champion_generations(
    params: Params, root: Path, champion: Champion, base: Sequence[Generation], assets: Sequence[Asset]
) -> Iterator[list[Generation]]:
    """Yield the champion's side: the base's own generations, or new ones with the champion's adapter."""
    start_folder(root / CHALLENGE)
    if champion.version is None:
        yield list(base)
        return
    with generating(
        plan_arm("champion", base, {asset.id: asset for asset in assets}),
        partial(load_champion, params, root, champion),
        params=params,
        root=root,
        stage="challenge",
        out=CHALLENGE / "champion",
        adapter=find_adapter_dependencies(params, root, root / CHAMPION),
        outside=find_champion_generator(root),
    ) as rows:
        yield rows


def load_champion(params: Params, root: Path, champion: Champion) -> Generator:
    """Load the generator that the champion is, with what a search needs."""
    from verdict3d.making.arms import load_adapted
    from verdict3d.making.base import load_base

    if champion.arm is None:
        return load_base(params, root)
    return load_adapted(params, root, root / CHAMPION, champion.arm, make_search_tools(params, root))


def challenge(
    params: Params,
    root: Path,
    arm: str,
    theirs: Sequence[Generation],
    order: Sequence[str],
    assets: Sequence[Asset],
) -> Challenger:
    """Judge one candidate against the champion; write its verdicts and return what the gate has to know."""
    conditions = {asset.id: asset.condition for asset in assets}
    mine = {_key(row): row for row in read_generations(root, EVALUATE / arm)}
    pairs = [(mine[_key(row)], row) for row in theirs]
    batches = _cut_batches(params, pairs, order)
    rig = Rig(view_px=params.judges.view_px)
    answers = judge_pairings(
        [
            (f"judge {arm}, batch {number}", _make_pairings(batch, conditions))
            for number, batch in enumerate(batches, 1)
        ],
        params.judges.evaluation,
        rig,
        root,
        lambda found: is_decided(params, _collect_rows(batches, found), order),
    )
    rows = _collect_rows(batches, answers)
    seen = {row.object for row in rows}
    write_rows(root / CHALLENGE / arm / "verdicts.jsonl", rows)
    colours = select_in_colour(
        [(x, y) for x, y in pairs if x.asset in seen and x.regime == params.promotion.regime]
    )
    asked = bool(colours) and may_judge_colour(root)
    if asked:
        pairings = [(f"judge texture of {arm}", _make_pairings(colours, conditions))]
        verdicts = judge_pairings(pairings, choose_texture_judge(params.judges.evaluation), rig, root)
        write_rows(root / CHALLENGE / arm / "texture.jsonl", _collect_rows([colours], verdicts))
    return Challenger(
        adapter=adapter_identity(root / TRAIN / arm),
        objects=[name for name in order if name in seen],
        looks=len(answers),
        texture=asked,
    )


def _cut_batches(params: Params, pairs: Sequence[Meeting], order: Sequence[str]) -> list[list[Meeting]]:
    """Cut the pairs by objects in their order; a test at a fixed number has one batch of all."""
    sequential = params.promotion.test == "sequential"
    size = params.promotion.batch_objects if sequential else len(order)
    chosen = [set(order[start : start + size]) for start in range(0, len(order), size)]
    return [[pair for pair in pairs if pair[0].asset in names] for names in chosen]


def _collect_rows(
    batches: Sequence[Sequence[Meeting]], answers: Sequence[Sequence[Verdict]]
) -> list[HeldoutVerdict]:
    """Return the verdict rows of the batches that have been asked."""
    return [
        make_heldout_verdict(x, y, verdict)
        for batch, verdicts in zip(batches, answers, strict=False)
        for (x, y), verdict in zip(batch, verdicts, strict=True)
    ]


def is_decided(params: Params, rows: Sequence[HeldoutVerdict], order: Sequence[str]) -> bool:
    """Tell whether a sequential test may stop: lost in the regime, or won there and no worse on clean inputs.

    A test at a fixed number never stops early.
    """
    if params.promotion.test == "fixed":
        return False

    def side(regime: str, null: float) -> str:
        tally = tally_sets(
            [row for row in rows if row.regime == regime], order, params.judges.evaluation.views
        )
        rng = numpy_generator(params.seed, "unused")  # betting draws nothing
        promotion = params.promotion
        return count_half_credit(
            tally,
            null,
            alpha=promotion.alpha / len(promotion.arms),
            method="sequential",
            rng=rng,
            resamples=0,
        ).side

    first = side(params.promotion.regime, 0.5)
    return first == "below" or (
        first == "above" and side("clean", 0.5 - params.promotion.margins.clean) == "above"
    )


def _key(row: Generation) -> tuple[str, str, int]:
    return row.asset, row.regime, row.number


def _make_pairings(pairs: Sequence[Meeting], conditions: dict[str, str]) -> list[Pairing]:
    return [Pairing(conditions[x.asset], x, y) for x, y in pairs]


if __name__ == "__main__":
    run_stage(run)
