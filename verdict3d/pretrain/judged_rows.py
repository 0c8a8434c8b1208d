"""Rows of the judges' training pools: damaged copies, generations, and colours, of known quality.

A row is one object: its picture and :data:`CANDIDATES` candidates, each seen from several sets of views. Its
arrays are ``references`` (sets, S, S, 3) and ``montages`` (sets, candidates, S, S, 3) uint8, ``quality``
(candidates,) float32 in [0, 1], 0 where a candidate could not be made, and ``f_score`` (candidates,) float32,
which no judge learns from: it is measured in the held-out rows and NaN in the others. The first candidate is
the true mesh, measured like the others, so that all gaps are on one scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from verdict3d.config_inputs import RegimeParams
from verdict3d.degrade.regimes import degrade_by_regime
from verdict3d.errors import ItemFailure
from verdict3d.furniture.catalogue import CATEGORIES, World, make_furniture, mesh_from_parts
from verdict3d.mesh.accuracy import compare_meshes, sample_true_surface
from verdict3d.mesh.damage import damage
from verdict3d.mesh.mesh import Mesh
from verdict3d.mesh.sampling import draw_faces
from verdict3d.pretrain.objects import edit_parts, make_training_object
from verdict3d.pretrain.pool import MakeRow, Pool, PoolRow
from verdict3d.pretrain.quality import LIKENESS_RIG, MEASURES
from verdict3d.pretrain.rows import CONDITION_PX, draw_camera, draw_condition, resize
from verdict3d.randomness import numpy_generator, seed_for
from verdict3d.render.renderer import Renderer
from verdict3d.trellis.pipeline import TrellisPipeline
from verdict3d.trellis.preprocess import preprocess_image
from verdict3d.view_sets import VIEW_SETS, ViewSet

CANDIDATES = 8
SETS = 3
"""Sets of views of each row."""
USUAL_SHARE = 1 / 3
"""So many sets are the first that judges look from; the others are drawn."""
POINTS = 4000
"""Points of an F-score."""

Pictures = list[np.ndarray]


@dataclass(frozen=True)
class Shown:
    """What one judge is shown.

    Attributes:
        seed: Data seed of this judge.
        size_px: Side of the pictures.
        view_px: Side of one of the four views before the montage is resized to ``size_px``.
        measure: What its rows are labelled by, a name in :data:`MEASURES`.
        defects: Damage to meshes that it learns.
        edits: Edits of parts that it learns.
        held_out_from: First held-out row.
        world: World of furniture that the objects come from.
    """

    seed: int
    size_px: int
    view_px: int
    measure: str
    defects: tuple[str, ...]
    edits: tuple[str, ...]
    held_out_from: int
    world: World = "usual"


class Booth:
    """Draws the pictures of a row and measures its candidates.

    Args:
        shown: What the judge is shown.
        truth: The true mesh.
        mode: What the montages show.
        index: Number of the row.
        rng: Decides the views.
    """

    def __init__(
        self, shown: Shown, renderer: Renderer, truth: Mesh, mode: str, index: int, rng: np.random.Generator
    ) -> None:
        self.shown, self.renderer, self.mode, self.rng = shown, renderer, mode, rng
        self.sets = [draw_view_set(rng) for _ in range(SETS)]
        self.montages: list[Pictures] = []
        self.quality: list[float] = []
        self.f_score: list[float] = []
        self.measured = MEASURES[shown.measure](truth, renderer, rng)
        self.surface = sample_true_surface(truth, index, POINTS) if index >= shown.held_out_from else None
        self.index = index
        self.add(truth)

    def add(self, mesh: Mesh | None, quality: float | None = None) -> float:
        """Add a candidate and return its quality; None, or a mesh that cannot be drawn, is of quality 0."""
        pictures, found, score = self._draw_blank(), 0.0, float("nan")
        if mesh is not None:
            try:
                pictures = [self._draw(mesh, view_set) for view_set in self.sets]
                found = self.measured.measure(mesh) if quality is None else quality
                if self.surface is not None:
                    score = float(compare_meshes(mesh, self.surface, self.index, POINTS).f_score)
            except ItemFailure:
                pictures, found = self._draw_blank(), 0.0
        self.montages.append(pictures)
        self.quality.append(found)
        self.f_score.append(score)
        return found

    def make_row(self, references: Sequence[np.ndarray]) -> PoolRow:
        """Return the row."""
        montages = [np.stack(candidate) for candidate in self.montages]
        return {
            "references": np.stack(references),
            "montages": np.stack(montages, axis=1),
            "quality": np.array(self.quality, dtype=np.float32),
            "f_score": np.array(self.f_score, dtype=np.float32),
        }

    def _draw(self, mesh: Mesh, view_set: ViewSet) -> np.ndarray:
        picture = self.renderer.montage(mesh, self.mode, self.shown.view_px, view_set)
        return resize(picture, self.shown.size_px)

    def _draw_blank(self) -> Pictures:
        return [np.full((self.shown.size_px, self.shown.size_px, 3), 255, dtype=np.uint8)] * SETS


def draw_view_set(rng: np.random.Generator) -> ViewSet:
    """Draw from where a montage looks: the first view set of judges, or one turned and raised by chance."""
    turn, elevation, usual = rng.uniform(-45.0, 45.0), rng.uniform(-20.0, 55.0), rng.random() < USUAL_SHARE
    first = VIEW_SETS[0]
    return first if usual else ViewSet(first.yaw_deg + turn, elevation)


def pick_references(renderer: Renderer, mesh: Mesh, size_px: int, rng: np.random.Generator) -> Pictures:
    """Draw a picture of the object for each set of views, recoloured."""
    return [recolour(draw_condition(renderer, mesh, draw_camera(rng), size_px), rng) for _ in range(SETS)]


def recolour(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Scale brightness and swap colour channels: colour says nothing about shape."""
    mixed = picture[..., rng.permutation(3)].astype(np.float32) * rng.uniform(0.75, 1.25)
    return mixed.clip(0, 255).astype(np.uint8)


def make_damaged_rows(shown: Shown) -> MakeRow:
    """Rows of damaged meshes and of meshes with edited parts, of all kinds of objects."""
    renderer = Renderer(LIKENESS_RIG)

    def make(index: int) -> PoolRow:
        rng = numpy_generator(shown.seed, "judged", index)
        parts, warp = make_training_object(index, rng, shown.world)
        truth = warp.mesh(parts)
        booth = Booth(shown, renderer, truth, "normal", index, rng)
        while len(booth.montages) < CANDIDATES:
            mesh, kind = truth, rng.random()
            if kind < 0.45:
                mesh = warp.mesh(edit_parts(parts, shown.edits, rng))
            if kind > 0.3:
                mesh = hurt(mesh, shown.defects, (1, 6), rng)
            booth.add(mesh)
        return booth.make_row(pick_references(renderer, truth, shown.size_px, rng))

    return make


GENERATED = (("clean", False, 2), ("medium", False, 1), ("severe", False, 1), ("severe", True, 1))
"""The generations in a row: regime of the input, whether the budget is low, and how many."""


def make_generated_rows(
    shown: Shown, generator: str, regimes: dict[str, dict[str, Any]], low_budget_steps: int
) -> MakeRow:
    """Rows with generations of an unseen object, and damaged copies of two of them.

    Args:
        shown: What the judge is shown.
        generator: Directory of the generator.
        regimes: Degradation regimes by name, as in ``params.yaml``.
        low_budget_steps: Steps of a generation with the low budget.
    """
    renderer, pipeline = Renderer(LIKENESS_RIG), TrellisPipeline.from_pretrained(generator)
    mixtures = {name: RegimeParams.model_validate(values) for name, values in regimes.items()}
    full = (pipeline.structure, pipeline.latents)
    low = tuple(settings.model_copy(update={"steps": low_budget_steps}) for settings in full)

    def generate(clean: Image.Image, index: int, rng: np.random.Generator) -> list[Mesh | None]:
        made: list[Mesh | None] = []
        for budget in (False, True):
            wanted = [
                (regime, copy)
                for regime, is_low, copies in GENERATED
                for copy in range(copies)
                if is_low == budget
            ]
            pictures = [degrade_by_regime(clean, mixtures.get(regime), rng)[0] for regime, _ in wanted]
            seeds = [seed_for(shown.seed, "generation", index, regime, copy) for regime, copy in wanted]
            found = pipeline.generate(pictures, seeds, *(low if budget else full))
            made += [None if isinstance(mesh, ItemFailure) else mesh for mesh in found]
        return made

    def make(index: int) -> PoolRow:
        rng = numpy_generator(shown.seed, "generated", index)
        truth = mesh_from_parts(make_furniture(CATEGORIES[index % len(CATEGORIES)], rng, shown.world))
        clean = Image.fromarray(renderer.condition(truth, draw_camera(rng), CONDITION_PX))
        booth = Booth(shown, renderer, truth, "normal", index, rng)
        made = generate(clean, index, rng)
        for mesh in made:
            booth.add(mesh)
        whole = [mesh for mesh in made if mesh is not None]
        while len(booth.montages) < CANDIDATES:
            mesh = whole[int(rng.integers(len(whole)))] if whole else None
            booth.add(None if mesh is None else hurt(mesh, shown.defects, (1, 6), rng))
        picture = np.asarray(preprocess_image(clean, shown.size_px))
        return booth.make_row([recolour(picture, rng) for _ in range(SETS)])

    return make


def make_coloured_rows(shown: Shown) -> MakeRow:
    """Rows in colour: copies of wrong colour, and two of wrong shape. The picture keeps its colours."""
    renderer = Renderer(LIKENESS_RIG)

    def make(index: int) -> PoolRow:
        rng = numpy_generator(shown.seed, "coloured", index)
        parts, warp = make_training_object(index, rng, shown.world)
        truth = warp.mesh(parts)
        booth = Booth(shown, renderer, truth, "rgb", index, rng)
        while len(booth.montages) < CANDIDATES:
            if len(booth.montages) < CANDIDATES - 2:
                painted = repaint(truth, rng)
                booth.add(painted, booth.quality[0] * colour_quality(truth, painted, rng))
            else:
                booth.add(hurt(truth, shown.defects, (2, 6), rng))
        references = [draw_condition(renderer, truth, draw_camera(rng), shown.size_px) for _ in range(SETS)]
        return booth.make_row(references)

    return make


def hurt(mesh: Mesh, defects: Sequence[str], grades: tuple[int, int], rng: np.random.Generator) -> Mesh:
    """Return a damaged copy: one defect of the mix, sometimes two; grades from first to before last."""
    for _ in range(1 if rng.random() < 0.75 else 2):
        mesh = damage(mesh, defects[int(rng.integers(len(defects)))], int(rng.integers(*grades)), rng)
    return mesh


def repaint(mesh: Mesh, rng: np.random.Generator) -> Mesh:
    """Return a copy in other colours: channels swapped, inverted, greyed, tinted or taken from elsewhere."""
    assert mesh.colors is not None
    colors = mesh.colors.astype(np.float32)
    palette, part = np.unique(mesh.colors, axis=0, return_inverse=True)
    kind = int(rng.integers(5))
    if kind == 0:
        other = colors[:, rng.permutation(3)]
    elif kind == 1:
        other = 255.0 - colors
    elif kind == 2:
        other = np.repeat(colors.mean(axis=1, keepdims=True), 3, axis=1)
    elif kind == 3:
        other = np.broadcast_to(rng.uniform(0, 255, size=3).astype(np.float32), colors.shape)
    else:
        other = rng.permutation(palette).astype(np.float32)[part.reshape(-1)]
    strength = float(rng.uniform(0.25, 1.0))
    mixed = (1 - strength) * colors + strength * other
    return replace(mesh, colors=mixed.round().clip(0, 255).astype(np.uint8))


def colour_quality(truth: Mesh, painted: Mesh, rng: np.random.Generator) -> float:
    """Return 1 - 2 · the mean difference of colour over the surface (1: black to white), at least 0.01."""
    assert truth.colors is not None and painted.colors is not None
    faces = truth.faces[draw_faces(truth, 500, rng)[2], 0]
    difference = np.abs(truth.colors[faces].astype(np.float32) - painted.colors[faces]).mean() / 255.0
    return max(0.01, 1.0 - 2.0 * float(difference))


def measure_generator(pool: Pool) -> dict[str, dict[str, float]]:
    """Return F-scores and shares of non-empty meshes of held-out generations, by regime and budget."""
    scores = pool.arrays["f_score"]
    held_out = scores[np.isfinite(scores[:, 0])]
    found, column = {}, 1
    for regime, low, copies in GENERATED:
        mine = np.nan_to_num(held_out[:, column : column + copies])
        column += copies
        found[f"{regime}, {'low' if low else 'full'} budget"] = {
            "meshes": float(mine.size),
            "f_score": round(float(mine.mean()), 4),
            "non_empty": round(float((mine > 0).mean()), 4),
        }
    return found
