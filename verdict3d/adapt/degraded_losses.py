"""How far a student that sees degraded pictures is from the base that sees clean ones: its losses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from verdict3d.adapt.flow_losses import guidance_weights, velocity_error
from verdict3d.adapt.method import FitInputs
from verdict3d.adapt.parallel import ALONE, Processes
from verdict3d.adapt.student import Student
from verdict3d.adapt.targets import STAGES, Targets, encode_structures, sample_targets
from verdict3d.adapt.tokens import PictureSet, as_input, encode_pictures, gather_pictures
from verdict3d.config_arms import DegradedInputsParams
from verdict3d.randomness import numpy_generator, torch_generator
from verdict3d.trellis.losses import compute_velocity, diffuse, sample_times
from verdict3d.trellis.sampler import get_values, sample_steps

if TYPE_CHECKING:
    from verdict3d.trellis.pipeline import TrellisPipeline


_AT_ONCE = 32
EARLY = 0.3
"""Early times reach from 1 down to 1 - this."""


@dataclass(frozen=True)
class Material:
    """Pictures with the clean tokens and, by stage, the clean latents of their assets.

    Attributes:
        pictures: Clean and degraded pictures.
        clean: (V, L, C) tokens of the clean views by the frozen conditioner.
        targets: Clean latents by stage.
        target_row: Row of the targets for each clean view.
    """

    pictures: PictureSet
    clean: Tensor
    targets: Mapping[str, Targets]
    target_row: tuple[int, ...]


def list_stages(student: Student, params: DegradedInputsParams) -> tuple[str, ...]:
    """Return the flows whose velocities are compared: the trained ones, else the structure flow."""
    if not (params.loss.velocity or params.loss.flow_matching):
        return ()
    return tuple(stage for stage in STAGES if student.trains(stage)) or ("structure",)


def gather_material(
    inputs: FitInputs, params: DegradedInputsParams, student: Student, examples: Any, what: str
) -> Material | None:
    """Encode clean views and make the clean latents of their assets; None without examples."""
    pictures = gather_pictures(examples)
    if pictures is None:
        return None
    pipeline = inputs.pipeline
    clean = encode_pictures(pipeline, pictures.clean, f"encode {what} pictures")
    assets = tuple(dict.fromkeys(pictures.assets))
    row_of = {asset: row for row, asset in enumerate(assets)}
    stages = list(list_stages(student, params))
    targets: dict[str, Targets] = {}
    if "structure" in stages and params.targets == "assets":
        targets["structure"] = encode_structures(pipeline, [inputs.meshes[asset] for asset in assets])
        stages.remove("structure")
    if stages:
        first = [pictures.assets.index(asset) for asset in assets]
        targets |= sample_targets(pipeline, clean[first], assets, stages, inputs.seed)
    return Material(pictures, clean, targets, tuple(row_of[asset] for asset in pictures.assets))


class TrainingLosses:
    """The losses of one training.

    Args:
        pipeline: The frozen generator, the teacher.
        params: The arm.
        student: What is trained.
        seed: Base seed; every draw is keyed by the step.
        processes: Those that train together.
    """

    def __init__(
        self,
        pipeline: TrellisPipeline,
        params: DegradedInputsParams,
        student: Student,
        seed: int,
        processes: Processes = ALONE,
    ) -> None:
        self.pipeline, self.params, self.student, self.seed = pipeline, params, student, seed
        self.processes = processes
        self.stages = list_stages(student, params)
        self.trains_flow = any(student.trains(stage) for stage in STAGES)

    def loss(self, material: Material, step: int) -> Tensor:
        """Return the loss of the own share of a training step."""
        params, rng = self.params, numpy_generator(self.seed, "train", "degraded_inputs", step)
        chosen = torch.from_numpy(rng.integers(len(material.pictures.degraded), size=params.batch_size))
        stays_clean = torch.from_numpy(rng.random(params.batch_size) < params.clean_share)
        own = self.processes.own
        whole, chosen, stays_clean = material.pictures.clean_row[chosen], own(chosen), own(stays_clean)
        view = own(whole)
        pictures = torch.where(
            stays_clean[:, None, None, None],
            material.pictures.clean[view],
            material.pictures.degraded[chosen],
        )
        tokens, clean = self._encode_tokens(pictures), material.clean[view.to(material.clean.device)]
        total = params.loss.tokens * F.mse_loss(tokens, clean)
        if self.trains_flow:
            kept = torch.from_numpy(rng.random(params.batch_size) >= params.unconditional_share)
            mask = own(kept).to(tokens)[:, None, None]
            tokens, clean = tokens * mask, clean * mask
        on_policy = bool(rng.random() < params.on_policy_share)
        generator = torch_generator(self.seed, "train_noise", "degraded_inputs", step)
        rows = [material.target_row[row] for row in whole.tolist()]
        for stage in self.stages:
            errors = self._measure_errors(
                stage, material.targets[stage], rows, tokens, clean, generator, on_policy
            )
            total = total + errors.mean()
        return total

    def validate(self, material: Material | None) -> dict[str, float]:
        """Return the distance to what the base does on the clean pictures, by regime, at fixed noise."""
        if material is None:
            return {}
        pictures = material.pictures
        losses = {
            "clean": self._measure_distance(material, pictures.clean, torch.arange(len(pictures.clean)))
        }
        for regime in sorted(set(pictures.regimes) - {"clean"}):
            rows = pictures.rows_of(regime)
            losses[regime] = self._measure_distance(
                material, pictures.degraded[rows], pictures.clean_row[rows]
            )
        return losses

    def _encode_tokens(self, pictures: Tensor) -> Tensor:
        tokens: Tensor = self.student.conditioner(as_input(pictures, self.pipeline.device))
        return tokens.float()

    def _measure_errors(
        self,
        stage: str,
        targets: Targets,
        rows: list[int],
        tokens: Tensor,
        clean: Tensor,
        generator: torch.Generator,
        on_policy: bool,
    ) -> Tensor:
        """Return the weighted errors of one stage for the own share of the items.

        Args:
            stage: Which flow.
            targets: Clean latents.
            rows: Those of the whole batch.
            tokens: The student's tokens, for the on-policy share.
            clean: The teacher's tokens, for the on-policy share.
            generator: Draws for the whole batch.
            on_policy: Start from states of the student's own sampler.
        """
        weights, flow, own = self.params.loss, self.student.flows[stage], self.processes.own
        target = targets.batch(own(rows))
        values = get_values(target)
        noise = targets.noise(rows, generator, self.processes).to(values)
        times = self._draw_times(len(rows), generator).to(values)
        state = diffuse(target, noise, own(times))
        if on_policy:
            state, reached = self._walk_own_sampler(stage, target, noise, tokens, generator)
            times = torch.full_like(times, reached)
        t = own(times)
        predicted = get_values(flow(state, 1000 * t, tokens))
        total = torch.zeros_like(t)
        if weights.velocity:
            with torch.no_grad():
                wanted = get_values(self.pipeline.networks.get_flow(stage)(state, 1000 * t, clean))
            error = velocity_error(state, predicted, wanted)
            sampler = getattr(self.pipeline, stage)
            if self.params.guided:
                error = error * own(guidance_weights(times, sampler.guidance, sampler.guidance_interval))
            total = total + weights.velocity * error
        if weights.flow_matching and not on_policy:
            wanted = compute_velocity(target, noise)
            total = total + weights.flow_matching * velocity_error(state, predicted, wanted)
        return total

    def _draw_times(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw times (B,)."""
        if self.params.times == "trained":
            return sample_times(count, generator)
        return 1 - EARLY * torch.rand(count, generator=generator) ** 1.5

    @torch.no_grad()
    def _walk_own_sampler(
        self, stage: str, target: Any, noise: Tensor, tokens: Tensor, generator: torch.Generator
    ) -> tuple[Any, float]:
        """Walk the student's own sampler from noise to a drawn step; return the state and its time."""
        sampler = getattr(self.pipeline, stage)
        start = target.replace(noise) if stage == "latents" else noise
        last = int(torch.randint(sampler.steps, (1,), generator=generator))
        state, t = start, 1.0
        if last:
            for number, step in enumerate(sample_steps(self.student.flows[stage], start, tokens, sampler), 1):
                state, t = step.state, step.t_next
                if number == last:
                    break
        return state, t

    @torch.no_grad()
    def _measure_distance(self, material: Material, pictures: Tensor, views: Tensor) -> float:
        """Return the mean distance of some pictures: of velocities, or of tokens where none are compared."""
        total = 0.0
        generator = torch_generator(self.seed, "validation_noise", "degraded_inputs")
        for part, rows in zip(pictures.split(_AT_ONCE), views.split(_AT_ONCE), strict=True):
            tokens, clean = self._encode_tokens(part), material.clean[rows.to(material.clean.device)]
            if not self.stages:
                total += F.mse_loss(tokens, clean).item() * len(part)
            for stage in self.stages:
                target = material.targets[stage].batch([material.target_row[row] for row in rows.tolist()])
                values = get_values(target)
                noise = torch.randn(values.shape, generator=generator).to(values)
                t = sample_times(len(part), generator).to(values)
                state = diffuse(target, noise, t)
                predicted = get_values(self.student.flows[stage](state, 1000 * t, tokens))
                wanted = get_values(self.pipeline.networks.get_flow(stage)(state, 1000 * t, clean))
                total += velocity_error(state, predicted, wanted).sum().item()
        return total / len(pictures)
