"""Held-out pairs of an arm and the base, made from the same noise, and their rows once they are judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tasks.making.generation import GenerationItem
from verdict3d.config import Params
from verdict3d.config_arms import AnyArm, ControlParams
from verdict3d.errors import Verdict3DError
from verdict3d.judge.modes import TEXTURE_MODE
from verdict3d.judge.verdict import Verdict
from verdict3d.randomness import seed_for
from verdict3d.records.assets import Asset
from verdict3d.records.generations import Generation
from verdict3d.records.verdicts import Contender, HeldoutVerdict

Meeting = tuple[Generation, Generation]
"""Of the arm and of what it is compared with."""
TRUTH_MEASURES = ("f_score", "normal_consistency")
SIDE_MEASURES = (*TRUTH_MEASURES, "floating_share")


def select_base_generations(params: Params, generations: Sequence[Generation]) -> list[Generation]:
    """Return the base's held-out generations of the evaluated regimes, in their order.

    Raises:
        Verdict3DError: The generate stage made none for a regime, or none at all.
    """
    heldout = [row for row in generations if row.role == "heldout"]
    missing = set(params.evaluate.regimes) - {row.regime for row in heldout}
    if missing:
        raise Verdict3DError(
            f"the base has no held-out generations for {sorted(missing)}; add these regimes to "
            "generate.heldout_regimes, and at least one asset to the held-out split"
        )
    return [row for row in heldout if row.regime in params.evaluate.regimes]


def plan_arm(
    arm: str, base: Sequence[Generation], assets: Mapping[str, Asset], settings: AnyArm | None = None
) -> list[GenerationItem]:
    """Return the arm's generations: the base's, with the same pictures, seeds and budgets.

    A control may be shown the clean picture in either stage, and have noise of its own.
    """
    control = settings if isinstance(settings, ControlParams) else None

    def picture(row: Generation, shown: str) -> str:
        return assets[row.asset].condition if shown == "clean" else row.condition

    return [
        GenerationItem(
            id=f"{row.asset}-{arm}-{row.regime}-{row.number}",
            asset=row.asset,
            category=row.category,
            split=row.split,
            regime=row.regime,
            role=arm,
            number=row.number,
            seed=seed_for(row.seed, "fresh_noise") if control and control.fresh_noise else row.seed,
            picture=picture(row, control.structure_input if control else "given"),
            latents_picture=picture(row, control.latents_input if control else "given"),
            truth=assets[row.asset].mesh,
            steps=row.steps,
            sample=row.number,
        )
        for row in base
    ]


def select_in_colour(pairs: Sequence[Meeting]) -> list[Meeting]:
    """Return the pairs with their montages in colour; none when a mesh has no such montage."""
    return select_in_mode(pairs, TEXTURE_MODE)


def select_in_mode(pairs: Sequence[Meeting], mode: str) -> list[Meeting]:
    """Return the pairs with their montages in ``mode``; none when a mesh has no such montage."""
    shown = [(_show_in(x, mode), _show_in(y, mode)) for x, y in pairs]
    lacking = any(made.montage is None and made.failure is None for pair in shown for made in pair)
    return [] if lacking else shown


def _show_in(made: Generation, mode: str) -> Generation:
    return made.model_copy(update={"montage": (made.montages or {}).get(mode)})


def make_heldout_verdict(x: Generation, y: Generation, verdict: Verdict) -> HeldoutVerdict:
    """Return one row of ``verdicts.jsonl``; x is the arm (in controls, the second sample).

    A mesh that is missing is a loss of its side: a generator that fails on hard photos must not gain by it.
    Where both are missing there is nothing to compare.
    """
    row = HeldoutVerdict(
        object=x.asset,
        category=x.category,
        regime=x.regime,
        seed=x.number,
        arm=_describe_contender(x),
        base=_describe_contender(y),
        **verdict.row(),
    )
    if (x.failure is None) == (y.failure is None):
        return row
    return row.model_copy(update={"outcome": "win" if x.failure is None else "loss"})


def _describe_contender(generation: Generation) -> Contender:
    truth = generation.truth
    return Contender(
        generation=generation.id,
        mesh=generation.mesh,
        mesh_digest=generation.mesh_digest,
        montage=generation.montage,
        failure=generation.failure,
        f_score=truth.f_score if truth else None,
        normal_consistency=truth.normal_consistency if truth else None,
        floating_share=truth.floating_share if truth else None,
    )
