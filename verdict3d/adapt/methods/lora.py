"""Method ``lora``: a LoRA set by others, in PEFT's form, put on the generator. Trains nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from verdict3d.adapt.lora import networks_of, put_on
from verdict3d.adapt.lora_sets import read_lora
from verdict3d.adapt.method import Fit, FitInputs, Method, Tools
from verdict3d.config_arms import LoraParams
from verdict3d.errors import Verdict3DError
from verdict3d.records.adapters import CARD, read_card

if TYPE_CHECKING:
    from verdict3d.trellis.pipeline import TrellisPipeline


class OutsideLora:
    """The method: see the module's description."""

    name = "lora"
    trains = "linear layers of flows or conditioner, elsewhere"

    def fit(self, inputs: FitInputs, params: LoraParams) -> Fit:
        """Return the weights of the set.

        Raises:
            Verdict3DError: It cannot be read, is not plain LoRA, or is for another generator.
        """
        folder = inputs.sets / params.folder
        found = read_lora(folder, networks_of(inputs.pipeline), params.network)
        if (folder / CARD).is_file() and (made_on := read_card(folder).base_digest) != inputs.pipeline.digest:
            raise Verdict3DError(
                f"{folder} was trained on the generator with digest {made_on}, but the configured one has "
                f"{inputs.pipeline.digest}; name that generator in `generator` of params.yaml"
            )
        measures = {
            "parameters": sum(tensor.numel() for tensor in found.tensors.values()),
            "layers": len(found.tensors) // 2,
            "networks": list(found.networks),
            "named_base": found.base,
        }
        return Fit(found.tensors, [], 0, measures)

    def wrap(
        self,
        pipeline: TrellisPipeline,
        params: LoraParams,
        tensors: Mapping[str, Tensor],
        tools: Tools,
    ) -> TrellisPipeline:
        """Return a copy of ``pipeline`` with the set on."""
        return put_on(pipeline, tensors)


METHOD: Method = OutsideLora()
