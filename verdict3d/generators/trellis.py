"""Kind ``trellis``: our own pipeline, with or without the adapter of an arm on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from verdict3d.config_generators import TrellisParams
from verdict3d.generators.generator import Request
from verdict3d.generators.identity import find_network_directories
from verdict3d.mesh.mesh import MeshOrFailure
from verdict3d.records.generators import GeneratorRecord
from verdict3d.trellis.pipeline import TrellisPipeline

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class TrellisGenerator:
    """Our pipeline behind the interface of generators.

    Attributes:
        pipeline: What makes the meshes.
        settings: Its samplers; their steps are replaced by those of a request that names some.
        record: What the generator is.
    """

    pipeline: TrellisPipeline
    settings: TrellisParams
    record: GeneratorRecord

    def generate(self, requests: Sequence[Request]) -> list[MeshOrFailure]:
        """Make one mesh for each request; all have the same steps, those of the first."""
        if not requests:
            return []
        structure, latents = self.settings.structure, self.settings.latents
        if steps := requests[0].steps:
            structure = structure.model_copy(update={"steps": steps.structure})
            latents = latents.model_copy(update={"steps": steps.latents})
        own = any(request.latents_image is not None for request in requests)
        return self.pipeline.generate(
            [request.image for request in requests],
            [request.seed for request in requests],
            structure,
            latents,
            latents_images=[request.latents_image or request.image for request in requests] if own else None,
        )


def load_pipeline(
    settings: TrellisParams, root: Path, dtype: torch.dtype | None = None, extra: tuple[str, ...] = ()
) -> TrellisPipeline:
    """Load our pipeline; ``dtype`` and ``extra`` as :meth:`TrellisPipeline.from_pretrained`."""
    places = dict(find_network_directories(settings, root))
    return TrellisPipeline.from_pretrained(
        places["generator"],
        device=settings.device,
        dtype=dtype,
        conditioner=places.get("conditioner"),
        extra=extra,
        compiled=settings.compiled,
    )


def load(settings: TrellisParams, record: GeneratorRecord, root: Path) -> TrellisGenerator:
    """Return our generator."""
    return TrellisGenerator(load_pipeline(settings, root), settings, record)
