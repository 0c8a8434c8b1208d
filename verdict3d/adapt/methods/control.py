"""Method ``control``: no adaptation. What each stage is shown, and the noise, are set by the evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from verdict3d.adapt.method import Fit, FitInputs, Method, Tools
from verdict3d.config_arms import ControlParams

if TYPE_CHECKING:
    from verdict3d.trellis.pipeline import TrellisPipeline


class Control:
    """The method: see the module's description."""

    name = "control"
    trains = "nothing"

    def fit(self, inputs: FitInputs, params: ControlParams) -> Fit:
        """Return no weights."""
        return Fit({}, [], 0, {"parameters": 0})

    def wrap(
        self, pipeline: TrellisPipeline, params: ControlParams, tensors: Mapping[str, Tensor], tools: Tools
    ) -> TrellisPipeline:
        """Return the pipeline itself."""
        return pipeline


METHOD: Method = Control()
