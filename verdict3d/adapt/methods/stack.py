"""Method ``stack``: arms on top of each other, each trained on the generator with the earlier ones on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import Tensor

from verdict3d.adapt.layers import under_prefix, with_prefix
from verdict3d.adapt.method import Fit, FitInputs, Method, Tools
from verdict3d.adapt.registry import find_method
from verdict3d.config_arms import StackParams
from verdict3d.records.losses import StepLosses

if TYPE_CHECKING:
    from verdict3d.trellis.pipeline import TrellisPipeline


class Stack:
    """The method: see the module's description. Weights are named ``part<number>.<name>``."""

    name = "stack"
    trains = "parts in order"

    def fit(self, inputs: FitInputs, params: StackParams) -> Fit:
        """Fit part after part; the losses stand one after another, with the number of their part."""
        tensors: dict[str, Tensor] = {}
        losses: list[StepLosses] = []
        measures: dict[str, Any] = {"parameters": 0}
        pipeline, best_step = inputs.pipeline, 0
        for number, part in enumerate(params.parts):
            method, place = find_method(part.method), f"part{number}"
            folder = inputs.checkpoints / place
            folder.mkdir(exist_ok=True)
            fit = method.fit(replace(inputs, pipeline=pipeline, checkpoints=folder), part)
            tensors |= with_prefix(place, fit.tensors)
            before = len(losses)
            losses += [{**row, "step": before + (row["step"] or 0), "part": number} for row in fit.losses]
            measures["parameters"] += fit.measures["parameters"]
            measures[place] = {**fit.measures, "best_step": fit.best_step}
            best_step += fit.best_step
            if fit.tensors:
                pipeline = method.wrap(pipeline, part, fit.tensors, Tools(seed=inputs.seed))
        return Fit(tensors, losses, best_step, measures)

    def wrap(
        self, pipeline: TrellisPipeline, params: StackParams, tensors: Mapping[str, Tensor], tools: Tools
    ) -> TrellisPipeline:
        """Put the parts on, one after another."""
        for number, part in enumerate(params.parts):
            weights = under_prefix(f"part{number}", tensors)
            pipeline = find_method(part.method).wrap(pipeline, part, weights, tools)
        return pipeline


METHOD: Method = Stack()
