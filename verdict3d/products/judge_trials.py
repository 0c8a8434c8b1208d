"""Questions with known answers from a user's own meshes: copies, damage, wrong colours, other objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from verdict3d.asking.questions import ANOTHER_MODE, Question, ask
from verdict3d.config import Params
from verdict3d.errors import ItemFailure
from verdict3d.judge.audit.planted import AuditedJudge
from verdict3d.judge.audit.trials import COLOUR, COPIES, DAMAGE, OTHERS, TURNED, sum_up
from verdict3d.judge.modes import TEXTURE_MODE
from verdict3d.judge.store import VerdictStore
from verdict3d.mesh.damage import KINDS, damage
from verdict3d.mesh.equivalents import EQUIVALENTS
from verdict3d.mesh.mesh import Mesh, normalize
from verdict3d.mesh.recolouring import recolour
from verdict3d.products.drawn_meshes import DrawnMeshes
from verdict3d.randomness import numpy_generator
from verdict3d.records.comparisons import Trial
from verdict3d.records.pairs import ControlPair, Shown
from verdict3d.render.rig import Rig

TRIED_MESHES = 16
"""Meshes that a judge is tried on, of different photos where there are enough."""
TRIED_GRADES = (1, 3, 5)
CLOTHES = {COPIES: "reordered", TURNED: "turned"}
"""What the same mesh is shown as, by trial."""


@dataclass(frozen=True)
class Sample:
    """A mesh that a judge can be tried on.

    Attributes:
        object: Stem of its photo.
        reference: Picture of the photo's object.
        file: The mesh file.
    """

    object: str
    reference: Path
    file: Path


@dataclass(frozen=True)
class _Tried:
    """A sample that could be drawn, and its name among the trials."""

    name: str
    sample: Sample
    shown: Shown

    @property
    def object(self) -> str:
        return self.sample.object


@dataclass(frozen=True)
class TrialRules:
    """How trials are drawn and counted.

    Attributes:
        seed: Of the choice of meshes, of the damage and of the bootstraps.
        resamples: Bootstrap resamples.
        confidence: Level of the intervals.
        certain: What the lower bound on right colours must reach.
    """

    seed: int
    resamples: int
    confidence: float
    certain: float

    @classmethod
    def of(cls, params: Params, seed: int) -> TrialRules:
        """Return those of the parameters, with another seed."""
        evaluate = params.evaluate
        return cls(seed, evaluate.bootstrap, evaluate.confidence, params.audit.thresholds.right)


def try_judge(
    judge: AuditedJudge,
    store: VerdictStore,
    samples: Sequence[Sequence[Sample]],
    meshes: DrawnMeshes,
    rig: Rig,
    root: Path,
    rules: TrialRules,
) -> list[Trial]:
    """Try a judge on some of the meshes, as copies, damaged, and beside those of other photos.

    Args:
        judge: Who is tried.
        store: Answers on record.
        samples: For each photo, a mesh of each side that has one.
        meshes: Reads and draws.
        rig: Where the judge looks from.
        root: What relative paths are relative to.
        rules: How the trials are drawn and counted.

    Returns:
        A trial for each control that could be asked; none where no mesh could be read and drawn.
    """
    mode, panel = judge.identity.mode, judge.identity.panel
    pairs = plan_trials(choose_samples(samples, rules.seed), meshes, mode, rules.seed)
    questions = [Question(pair, panel, ANOTHER_MODE.get(pair.control, mode)) for pair in pairs]
    return sum_up(
        ask(judge, store, questions, rig, root),
        lambda name: numpy_generator(rules.seed, "compare_trial", name),
        rules.resamples,
        rules.confidence,
        rules.certain,
    )


def choose_samples(samples: Sequence[Sequence[Sample]], seed: int) -> Iterator[Sample]:
    """Yield samples of as many photos as there are, sides in turn, then further ones of the same photos.

    Args:
        samples: For each photo, a mesh of each side that has one.
        seed: Of the order of the photos.
    """
    order = numpy_generator(seed, "tried_photos").permutation(len(samples))
    for turn in range(max(map(len, samples), default=0)):
        for number, place in enumerate(order):
            mine = samples[place]
            if turn < len(mine):
                yield mine[(number + turn) % len(mine)]


def plan_trials(samples: Iterable[Sample], meshes: DrawnMeshes, mode: str, seed: int) -> list[ControlPair]:
    """Draw the first meshes that can be drawn, as copies and damaged, and return the questions about them.

    Args:
        samples: Where they are taken from.
        meshes: Reads and draws.
        mode: Of the montages.
        seed: Of the damage.
    """
    tried: list[_Tried] = []
    pairs: list[ControlPair] = []
    for sample in tqdm(samples, desc="meshes for trials", unit="mesh", mininterval=1.0):
        if len(tried) == TRIED_MESHES:
            break
        try:
            mesh = meshes.read(sample.file)
        except ItemFailure:
            continue  # it counts as a loss where it is compared
        shown = _show(meshes, mode, lambda mesh: mesh, mesh)
        if shown.failure is None:
            one = _Tried(f"{len(tried):02d}-{sample.object}", sample, shown)
            pairs += _spoil(one, mesh, tuple(KINDS)[len(tried) % len(KINDS)], meshes, mode, seed)
            pairs += _recoloured(one, mesh, meshes)
            tried.append(one)
    for place, one in enumerate(tried):
        others = [other for other in tried[place + 1 :] + tried[:place] if other.sample.object != one.object]
        if others:
            pairs.append(_make_pair(OTHERS, one, others[0].shown))
    return pairs


def _spoil(
    one: _Tried, mesh: Mesh, defect: str, meshes: DrawnMeshes, mode: str, seed: int
) -> Iterator[ControlPair]:
    for control, clothes in CLOTHES.items():
        rng = numpy_generator(seed, "tried_clothes", one.name)
        shown = _show(meshes, mode, EQUIVALENTS[clothes], mesh, rng)
        yield _make_pair(control, one, shown, clothes)
    for grade in TRIED_GRADES:
        # all grades draw the same random numbers, so that a defect grows instead of moving about
        rng = numpy_generator(seed, "tried_damage", one.name)
        shown = _show(meshes, mode, _damaged, mesh, defect, grade, rng)
        yield _make_pair(DAMAGE, one, shown, defect, grade)


def _recoloured(one: _Tried, mesh: Mesh, meshes: DrawnMeshes) -> Iterator[ControlPair]:
    """Yield the question about its colours, of a mesh that has a surface."""
    if mesh.colors is not None or mesh.texture is not None:
        right = _show(meshes, TEXTURE_MODE, lambda mesh: mesh, mesh)
        wrong = _show(meshes, TEXTURE_MODE, recolour, mesh)
        yield _make_pair(COLOUR, replace(one, shown=right), wrong)


def _damaged(mesh: Mesh, defect: str, grade: int, rng: np.random.Generator) -> Mesh:
    return damage(normalize(mesh), defect, grade, rng)


def _show(meshes: DrawnMeshes, mode: str, make: Callable[..., Mesh], *given: Any) -> Shown:
    try:
        digest, montage = meshes.draw(make(*given), mode)
    except ItemFailure as failure:
        return Shown(mesh_digest=None, montages={}, failure=failure.reason, truth=None)
    return Shown(mesh_digest=digest, montages={mode: str(montage)}, failure=None, truth=None)


def _make_pair(
    control: str, one: _Tried, other: Shown, defect: str | None = None, grade: int | None = None
) -> ControlPair:
    return ControlPair(
        id=f"{control}-{one.name}" + (f"-{grade}" if grade else ""),
        control=control,
        pair=one.name,
        object=one.object,
        category="",
        reference=str(one.sample.reference),
        x=one.shown,
        y=other,
        defect=defect,
        grade=grade,
    )
