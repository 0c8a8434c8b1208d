"""The numbers of the recipe: rows, steps, batches, learning rates and seeds.

The shipped judges were made by these numbers (commit bdf35e5). The shipped generator was made by a recipe
that counted seconds (``data/checkpoints/generator/card.json``); its numbers below repeat what that run came
to on two H100 and 32 cores:

* Steps: a card holds the last logged step, so the number of steps is known to one logging interval. Its upper
  end is taken here: at least as many steps as then.
* Rows of grids: all that were asked for. Rows of furniture: what 30 processes render in 110 s at 0.2 s a row;
  no card tells their number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from verdict3d.furniture.catalogue import World
from verdict3d.pretrain.training import CHECKPOINT_EVERY, Schedule

FEWEST_ROWS = 4
"""A judge needs two objects to learn from and two that are held out."""


@dataclass(frozen=True)
class JudgeRecipe:
    """What one judge learns from.

    Attributes:
        folder: Name of its checkpoint.
        seed: Seed of its data, weights and batches.
        measure: What labels its rows (:data:`verdict3d.pretrain.quality.MEASURES`).
        defects: Damage to meshes that it is shown.
        edits: Edits of parts that it is shown.
        schedule: Length and speed of its training.
        damaged: Rows of damaged meshes; a tenth is held out, as of the others.
        generated: Rows of generations.
        coloured: Rows of wrong colours.
    """

    folder: str
    seed: int
    measure: str
    defects: tuple[str, ...]
    edits: tuple[str, ...]
    schedule: Schedule
    damaged: int
    generated: int
    coloured: int


TRAININGS = {
    "structure_vae": Schedule(steps=1400, batch=256, peak=2e-3, log_every=200),
    "structure_flow": Schedule(steps=4000, batch=1024, peak=6e-4, log_every=250),
    "mesh_decoder": Schedule(steps=1750, batch=16, peak=1.2e-3, log_every=50),
    "latent_encoder": Schedule(steps=40, batch=8, peak=1e-3, log_every=20),
    "latent_flow": Schedule(steps=1650, batch=32, peak=1e-3, log_every=50),
}
JUDGES = {
    "qwen2_5_vl": JudgeRecipe(
        "judge-train",
        1203,
        "closeness",
        ("dropped_faces", "moved_parts", "over_smoothed", "inverted_normals"),
        ("moved", "turned"),
        Schedule(10400, 512, 1e-3, 100),
        damaged=5200,
        generated=5200,
        coloured=1300,
    ),
    "internvl": JudgeRecipe(
        "judge-eval",
        5081,
        "likeness",
        ("missing_parts", "floaters", "wrong_proportions", "rough_surface"),
        ("resized", "removed"),
        Schedule(10400, 512, 1e-3, 100),
        damaged=5200,
        generated=5200,
        coloured=1300,
    ),
}
"""The training judge and the evaluation judge. Nothing that one learns from is shown to the other: other
objects, other damage, other labels. Damage of the audit that is in neither list was taught to none."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights, besides the code and ``params.yaml``.

    Attributes:
        seed: Seed of the generator's data, weights and batches.
        trainings: Schedules of the generator's trainings by name.
        judges: Judges by family.
        furniture: Objects that the structure and latent networks learn from.
        feature_rows: How many of these, the first ones, have pictures for the latent encoder.
        grids: Objects that the mesh decoder learns from.
        world: World of furniture that all objects come from.
        checkpoint_every: Steps between two checkpoints of a training; it decides no weights.
    """

    seed: int = 71
    trainings: Mapping[str, Schedule] = field(default_factory=lambda: TRAININGS)
    judges: Mapping[str, JudgeRecipe] = field(default_factory=lambda: JUDGES)
    furniture: int = 16_000
    feature_rows: int = 1_000
    grids: int = 3_000
    world: World = "usual"
    checkpoint_every: int = CHECKPOINT_EVERY

    def scale(self, factor: float) -> Recipe:
        """Return the recipe with steps and rows multiplied by ``factor``, rounded, and never too few."""

        def rows(count: int) -> int:
            return max(FEWEST_ROWS, round(factor * count))

        def shorter(schedule: Schedule) -> Schedule:
            return replace(schedule, steps=max(1, round(factor * schedule.steps)))

        return replace(
            self,
            trainings={name: shorter(schedule) for name, schedule in self.trainings.items()},
            judges={
                family: replace(
                    judge,
                    schedule=shorter(judge.schedule),
                    damaged=rows(judge.damaged),
                    generated=rows(judge.generated),
                    coloured=rows(judge.coloured),
                )
                for family, judge in self.judges.items()
            },
            furniture=rows(self.furniture),
            feature_rows=rows(self.feature_rows),
            grids=rows(self.grids),
        )
