"""Method ``preference``: Flow-DPO, ORPO or fine-tuning on the preferred samples, on either flow or both.

The pairs are the training judge's decisive verdicts. A sample is not stored: its seed, picture and steps
make it again, its prior noise included (``stored_noise`` trains along the very path it was generated on).
Both samples of a pair are trained under one condition: the preferred sample's picture, or the other's. With
contrastive pairs (clean against degraded input) the second makes "what the clean picture gives" preferred
under the degraded one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from verdict3d.adapt.flow_losses import (
    dpo_logits,
    flow_dpo,
    orpo,
    safeguard,
    velocity_error,
    with_gradient_share,
)
from verdict3d.adapt.method import Fit, FitInputs, Method, Sample, Tools
from verdict3d.adapt.parallel import ALONE, Processes
from verdict3d.adapt.student import Student, load_student, make_student
from verdict3d.adapt.targets import STAGES, Targets
from verdict3d.adapt.training import Schedule, train
from verdict3d.config_arms import PreferenceParams
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.randomness import numpy_generator, torch_generator
from verdict3d.trellis.losses import compute_velocity, diffuse, drop_conditions, sample_times
from verdict3d.trellis.sampler import get_values

if TYPE_CHECKING:
    from verdict3d.trellis.pipeline import TrellisPipeline

UNCONDITIONAL_SHARE = 0.1


@dataclass(frozen=True)
class SideTargets:
    """One side of all pairs: latents and prior noise by stage."""

    latents: Mapping[str, Targets]
    noise: Mapping[str, Targets]


@dataclass(frozen=True)
class Errors:
    """Velocity errors of one side in one step, and the velocities they come from."""

    trained: Tensor
    frozen: Tensor
    predicted: Tensor
    target: Tensor


class PreferenceTraining:
    """The method: see the module's description."""

    name = "preference"
    trains = "flows"

    def fit(self, inputs: FitInputs, params: PreferenceParams) -> Fit:
        """Train on pairs; without pairs to hold back, the last weights are kept."""
        pairs = [pair for pair in inputs.preferences if pair.kind in params.kinds]
        if not pairs:
            raise Verdict3DError(
                f"no decisive verdict of the training judge on {', '.join(params.kinds)} pairs: "
                "there is no preference to learn from"
            )
        student = make_student(
            inputs.pipeline, inputs.seed, structure=params.structure, latents=params.latents
        )
        stages = [stage for stage in STAGES if student.trains(stage)]
        sides = [
            resample(inputs.pipeline, [getattr(pair, side) for pair in pairs], stages)
            for side in ("chosen", "rejected")
        ]
        pictures = [inputs.pipeline.preprocess(getattr(pair, params.condition).picture) for pair in pairs]
        tokens = torch.cat([inputs.pipeline.encode([picture]) for picture in pictures])
        course = PairCourse(
            inputs.pipeline, params, student, inputs.seed, tokens, sides, stages, inputs.processes
        )
        state = train(
            student.parameters,
            course.loss,
            dict,
            Schedule(params.steps, params.learning_rate, params.checkpoint_every),
            inputs.checkpoints,
            f"train {params.objective}",
            inputs.processes,
        )
        measures = {
            "parameters": sum(weight.numel() for weight in student.parameters.values()),
            "pairs": len(pairs),
            **course.measures(),
        }
        return Fit(dict(student.parameters), state.losses, state.best_step, measures)

    def wrap(
        self,
        pipeline: TrellisPipeline,
        params: PreferenceParams,
        tensors: Mapping[str, Tensor],
        tools: Tools,
    ) -> TrellisPipeline:
        """Return a copy of ``pipeline`` with the trained flows in it."""
        return load_student(pipeline, tensors, structure=params.structure, latents=params.latents)


@torch.no_grad()
def resample(pipeline: TrellisPipeline, samples: Sequence[Sample], stages: Sequence[str]) -> SideTargets:
    """Make samples again from their seeds: latents and prior noise, one at a time.

    Raises:
        Verdict3DError: A sample has no voxels.
    """
    latents: dict[str, list[Any]] = {stage: [] for stage in stages}
    noises: dict[str, list[Any]] = {stage: [] for stage in stages}
    for sample in samples:
        tokens = pipeline.encode([pipeline.preprocess(sample.picture)])
        generators = [torch.Generator().manual_seed(sample.seed)]
        noise = pipeline.draw_structure_noise(generators)
        steps = pipeline.structure.model_copy(update={"steps": sample.structure_steps})
        structure = pipeline.sample_structure_latents(tokens, noise, steps)
        if "structure" in stages:
            latents["structure"].append(structure[0])
            noises["structure"].append(noise[0])
        if "latents" in stages:
            (voxels,) = pipeline.decode_structure(structure)
            if isinstance(voxels, ItemFailure):
                raise Verdict3DError(f"a preferred sample cannot be made again: {voxels}")
            start = pipeline.draw_latents_noise([voxels], generators)
            steps = pipeline.latents.model_copy(update={"steps": sample.latents_steps})
            latents["latents"] += pipeline.sample_normalized_latents(tokens, start, steps).split()
            noises["latents"] += start.split()
    return SideTargets(
        {stage: Targets(stage, latents[stage]) for stage in stages},  # type: ignore[arg-type]
        {stage: Targets(stage, noises[stage]) for stage in stages},  # type: ignore[arg-type]
    )


class PairCourse:
    """The losses of one training.

    Args:
        pipeline: The frozen generator.
        params: The arm.
        student: What is trained.
        seed: Base seed.
        tokens: (N, L, C) condition of each pair.
        sides: Preferred samples, other samples.
        stages: Flows that are trained.
        processes: Those that train together.
    """

    def __init__(
        self,
        pipeline: TrellisPipeline,
        params: PreferenceParams,
        student: Student,
        seed: int,
        tokens: Tensor,
        sides: Sequence[SideTargets],
        stages: Sequence[str],
        processes: Processes = ALONE,
    ) -> None:
        self.pipeline, self.params, self.student, self.seed = pipeline, params, student, seed
        self.tokens, self.sides, self.stages, self.processes = tokens, sides, stages, processes

    def loss(self, step: int) -> Tensor:
        """Return the loss of the own share of a training step, summed over the stages."""
        rng = numpy_generator(self.seed, "train", self.params.objective, step)
        rows = rng.integers(len(self.tokens), size=self.params.batch_size).tolist()
        generator = torch_generator(self.seed, "train_noise", self.params.objective, step)
        total = torch.zeros((), device=self.tokens.device)
        for stage in self.stages:
            total = total + self._compute_stage_loss(stage, rows, generator)
        return total

    def _compute_stage_loss(self, stage: str, rows: list[int], generator: torch.Generator) -> Tensor:
        params, together = self.params, self.processes
        t = sample_times(len(rows), generator)
        tokens = self.tokens[rows]
        if params.objective == "sft":
            tokens = drop_conditions(tokens.cpu(), UNCONDITIONAL_SHARE, generator).to(tokens)
            return self.errors(stage, 0, rows, tokens, t, generator, together).trained.mean()
        winner = self.errors(stage, 0, rows, tokens, t, generator, together)
        loser = self.errors(stage, 1, rows, tokens, t, generator, together)
        if params.objective == "orpo":
            return orpo(
                winner.trained, loser.trained, params.odds_weight, params.odds_slope, params.odds_temperature
            )
        lost = loser.trained
        if params.safeguard is not None:
            share = safeguard(
                winner.predicted, winner.target, loser.predicted, loser.target, params.safeguard
            )
            lost = with_gradient_share(lost, share)
        loss = flow_dpo(winner.trained, lost, winner.frozen, loser.frozen, params.beta)
        return loss + params.winner_weight * winner.trained.mean()

    def errors(
        self,
        stage: str,
        side: int,
        rows: list[int],
        tokens: Tensor,
        t: Tensor,
        generator: torch.Generator,
        processes: Processes = ALONE,
    ) -> Errors:
        """Return the errors of the trained and the frozen flow on one side, for the own share of the items.

        Args:
            stage: Which flow.
            side: 0 is preferred, 1 is not.
            rows: Pairs of the whole batch.
            tokens: (B, L, C) their conditions.
            t: (B,) their times.
            generator: Draws the noise of the whole batch.
            processes: Who shares it.
        """
        latents = self.sides[side].latents[stage]
        noise = latents.noise(rows, generator, processes)
        rows, tokens, t = processes.own(rows), processes.own(tokens), processes.own(t)
        clean = latents.batch(rows)
        values = get_values(clean)
        noise, times = noise.to(values), t.to(values)
        if self.params.stored_noise:
            noise = get_values(self.sides[side].noise[stage].batch(rows))
        state, target = diffuse(clean, noise, times), compute_velocity(clean, noise)
        predicted = get_values(self.student.flows[stage](state, 1000 * times, tokens)).float()
        with torch.no_grad():
            frozen = get_values(self.pipeline.networks.get_flow(stage)(state, 1000 * times, tokens))
        reduction = self.params.reduction
        return Errors(
            velocity_error(state, predicted, target, reduction),
            velocity_error(state, frozen, target, reduction),
            predicted,
            target,
        )

    @torch.no_grad()
    def measures(self) -> dict[str, float]:
        """Return, over all pairs at fixed noise: median |logit|, ordered share, and how errors have moved."""
        found: dict[str, float] = {}
        rows = list(range(len(self.tokens)))
        for stage in self.stages:
            generator = torch_generator(self.seed, "measure_noise", stage)
            winners, losers = [], []
            for start in range(0, len(rows), 16):
                block = rows[start : start + 16]
                t, tokens = sample_times(len(block), generator), self.tokens[block]
                winners.append(self.errors(stage, 0, block, tokens, t, generator))
                losers.append(self.errors(stage, 1, block, tokens, t, generator))
            won, won_base, lost, lost_base = (
                torch.cat([getattr(part, name) for part in side])
                for side in (winners, losers)
                for name in ("trained", "frozen")
            )
            logits = dpo_logits(won, lost, won_base, lost_base, self.params.beta)
            found |= {
                f"{stage}_logit_median": logits.abs().median().item(),
                f"{stage}_ordered_share": (logits > 0).float().mean().item(),
                f"{stage}_winner_error_change": (won - won_base).mean().item(),
                f"{stage}_loser_error_change": (lost - lost_base).mean().item(),
            }
        return found


METHOD: Method = PreferenceTraining()
