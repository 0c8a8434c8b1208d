"""Method ``degraded_inputs``: make of a degraded picture what the base makes of the clean one.

Three losses can be weighed against each other. With d a degraded picture, c its clean original, v the frozen
flow and v' the student, at a noisy state x_t of the object:

* velocity distillation, |v'(x_t, t, g'(d)) - v(x_t, t, g(c))|^2: weighs errors of tokens by what the flow
  makes of them, where token regression weighs all alike;
* flow matching on the object itself under d: the paper's "SFT on clean under degraded inputs";
* token regression, as a small help.

A repair also changes the tokens of clean pictures a little, which need none. With ``leave_clean`` a picture
whose tokens it hardly changes keeps the base's, bit for bit.

Training starts at the base, or goes on from weights that were trained before (``start``).

The settings choose what is trained: the conditioner's encoder, a transformer over its tokens, the structure
flow, the latent flow, or several of them. A conditioner repair that reads d alone can only aim at an average
of what d may show; a flow that is trained under d also sees x_t, and can follow the one among these objects
that x_t is about to become.

States are noised objects at times that are drawn as in the flow's own training (logit-normal). A share of the
batches can take its states from the student's own sampler instead: these it will meet in use.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from verdict3d.adapt.adapter import load_adapter
from verdict3d.adapt.conditioners import UnlessClean, measure_token_change
from verdict3d.adapt.degraded_losses import Material, TrainingLosses, gather_material
from verdict3d.adapt.layers import load_into
from verdict3d.adapt.method import Fit, FitInputs, Method, Tools
from verdict3d.adapt.student import Student, load_student, make_student
from verdict3d.adapt.tokens import as_input
from verdict3d.adapt.training import Schedule, collect_validated, train
from verdict3d.config_arms import DegradedInputsParams
from verdict3d.errors import Verdict3DError
from verdict3d.records.adapters import read_card

if TYPE_CHECKING:
    from verdict3d.trellis.pipeline import TrellisPipeline

_AT_ONCE = 32
LIMIT = "limit"
"""Name of the change of tokens up to which a picture keeps the base's."""


class DegradedInputs:
    """The method: see the module's description."""

    name = "degraded_inputs"
    trains = "conditioner and flows"

    def fit(self, inputs: FitInputs, params: DegradedInputsParams) -> Fit:
        """Train on pictures and on clean latents of the training assets."""
        student = make_student(inputs.pipeline, inputs.seed, **_read_parts(params))
        material = gather_material(inputs, params, student, inputs.train, "training")
        if material is None:
            raise Verdict3DError(f"{self.name} needs training pictures, but no asset is in the train split")
        held_back = gather_material(inputs, params, student, inputs.validation, "validation")
        losses = TrainingLosses(inputs.pipeline, params, student, inputs.seed, inputs.processes)
        base = None
        if params.start is not None:
            with torch.no_grad():
                base = losses.validate(held_back)
            load_into(student.parameters, _read_start(inputs.starts / params.start, inputs.pipeline.digest))
        state = train(
            student.parameters,
            lambda step: losses.loss(material, step),
            lambda: losses.validate(held_back),
            Schedule(params.steps, params.learning_rate, params.checkpoint_every),
            inputs.checkpoints,
            f"train {self.name}",
            inputs.processes,
            base,
        )
        measures = collect_validated(state, student.parameters, base)
        tensors: dict[str, Tensor] = dict(student.parameters)
        if params.leave_clean is not None:
            tensors[LIMIT] = _measure_clean_limit(student, held_back or material, params.leave_clean)
            measures["leave_clean_limit"] = tensors[LIMIT].item()
        return Fit(tensors, state.losses, state.best_step, measures)

    def wrap(
        self,
        pipeline: TrellisPipeline,
        params: DegradedInputsParams,
        tensors: Mapping[str, Tensor],
        tools: Tools,
    ) -> TrellisPipeline:
        """Return a copy of ``pipeline`` with the trained copies in it."""
        trained = {name: tensor for name, tensor in tensors.items() if name != LIMIT}
        wrapped = load_student(pipeline, trained, **_read_parts(params))
        if LIMIT in tensors:
            limit = float(tensors[LIMIT])
            wrapped.conditioner = UnlessClean(pipeline.conditioner, wrapped.conditioner, limit).eval()
        return wrapped


def _read_start(folder: Path, base_digest: str) -> dict[str, Tensor]:
    """Read weights to go on from.

    Raises:
        Verdict3DError: There are none, they are not those of their card, or belong to another generator.
    """
    found = load_adapter(folder, arm=read_card(folder).arm, base_digest=base_digest)
    return {name: tensor for name, tensor in found.tensors.items() if name != LIMIT}


@torch.no_grad()
def _measure_clean_limit(student: Student, material: Material, share: float) -> Tensor:
    """Return the change (1,) of tokens that a share of the clean pictures stays below.

    Pictures that were trained on change less than others: with a limit from 0.95 of them, 0.83 of unseen ones
    were left alone.
    """
    parts = zip(material.pictures.clean.split(_AT_ONCE), material.clean.split(_AT_ONCE), strict=True)
    changes = [
        measure_token_change(clean, student.conditioner(as_input(part, clean.device)).float())
        for part, clean in parts
    ]
    return torch.quantile(torch.cat(changes), share).reshape(1).cpu()


def _read_parts(params: DegradedInputsParams) -> dict[str, Any]:
    return {part: getattr(params, part) for part in ("encoder", "tokens", "structure", "latents")}


METHOD: Method = DegradedInputs()
