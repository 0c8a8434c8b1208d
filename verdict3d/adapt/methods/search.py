"""Method ``search``: several samples, and one of them is kept; trains nothing.

The first sample is the one the generator would have made without the search; the others have noise of their
own. What is kept is decided

* by the training judge: a single-elimination tournament in which every match is asked in both orders; a match
  without a decision goes to the earlier sample. The judge sees the photo that was given, degraded or not, and
  never the clean one;
* by consensus: the structure that the others agree with most, by mean intersection over union of voxels. If
  the object is distributed as the samples are, this one has the highest expected IoU with it (the sampled
  minimum Bayes risk decision, Eikema and Aziz 2020, there for translation). A damaged photo leaves much open,
  and the consensus avoids unlikely readings of it; it asks nobody, and makes latents and mesh once. Where the
  samples agree there is nothing to choose: the first one stays, and with it what the base makes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from PIL import Image
from torch import Tensor

from verdict3d.adapt.method import Fit, FitInputs, Method, Tools
from verdict3d.config_arms import SearchParams
from verdict3d.config_generators import SamplerParams
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.generators.search import Picker
from verdict3d.mesh.mesh import MeshOrFailure
from verdict3d.randomness import seed_for
from verdict3d.trellis.pipeline import TrellisPipeline


class Search:
    """The method: see the module's description."""

    name = "search"
    trains = "nothing"

    def fit(self, inputs: FitInputs, params: SearchParams) -> Fit:
        """Return no weights."""
        return Fit({}, [], 0, {"parameters": 0})

    def wrap(
        self, pipeline: TrellisPipeline, params: SearchParams, tensors: Mapping[str, Tensor], tools: Tools
    ) -> TrellisPipeline:
        """Return a pipeline that generates several samples and keeps one.

        Raises:
            Verdict3DError: Nobody gave it a judge.
        """
        if params.pick == "judge" and tools.prefers is None:
            raise Verdict3DError("a search by the training judge needs that judge; none is configured here")
        return SearchingPipeline(pipeline, params, tools)


class SearchingPipeline(TrellisPipeline):
    """A pipeline that keeps one of several samples: of structures by consensus, else of meshes.

    Args:
        pipeline: What samples; everything is shared with it.
        search: How many samples, and who picks.
        tools: The judge, for a search that asks it.
    """

    def __init__(self, pipeline: TrellisPipeline, search: SearchParams, tools: Tools) -> None:
        super().__init__(**pipeline.parts())
        self.search, self.picker = search, Picker(search, tools.prefers)

    def generate(
        self,
        images: Sequence[Image.Image],
        seeds: Sequence[int],
        structure: SamplerParams | None = None,
        latents: SamplerParams | None = None,
        *,
        latents_images: Sequence[Image.Image] | None = None,
    ) -> list[MeshOrFailure]:
        """Generate the kept sample for each photo; arguments and results as of the base."""
        if self.search.pick == "consensus":
            return super().generate(images, seeds, structure, latents, latents_images=latents_images)
        rounds: list[list[MeshOrFailure]] = []
        for number in range(self.search.samples):
            own = [seed if number == 0 else seed_for(seed, "search", number) for seed in seeds]
            rounds.append(super().generate(images, own, structure, latents, latents_images=latents_images))
        return [
            self.picker.pick(image, seed, [made[place] for made in rounds])
            for place, (image, seed) in enumerate(zip(images, seeds, strict=True))
        ]

    def sample_structure(
        self, tokens: Tensor, generators: Sequence[torch.Generator], params: SamplerParams | None = None
    ) -> list[Tensor | ItemFailure]:
        """Sample the kept structure of each item; arguments and results as of the base."""
        first = super().sample_structure(tokens, generators, params)
        if self.search.pick != "consensus":
            return first
        rounds = [first]
        for number in range(1, self.search.samples):
            own = [
                torch.Generator().manual_seed(seed_for(generator.initial_seed(), "search", number))
                for generator in generators
            ]
            rounds.append(super().sample_structure(tokens, own, params))
        resolution = self.networks.latent_flow.config["resolution"]
        agreed = self.search.agreed
        return [
            choose_most_agreed(structures, resolution, agreed) for structures in zip(*rounds, strict=True)
        ]


def choose_most_agreed(
    structures: Sequence[Tensor | ItemFailure], resolution: int, agreed: float = 1.0
) -> Tensor | ItemFailure:
    """Return the structure with the highest mean IoU with the others, the earliest of equals.

    Args:
        structures: Voxels (T, 3) of each sample, or why there are none; the first is returned if all failed.
        resolution: Voxels along an axis.
        agreed: The first that did not fail is returned when the mean IoU of all pairs is at least this.
    """
    whole = [voxels for voxels in structures if isinstance(voxels, Tensor)]
    if not whole:
        return structures[0]
    grids = torch.zeros(len(whole), resolution**3)
    for grid, voxels in zip(grids, whole, strict=True):
        x, y, z = voxels.long().cpu().unbind(1)
        grid[(x * resolution + y) * resolution + z] = 1
    shared, sizes = grids @ grids.T, grids.sum(1)
    agreement = shared / (sizes[:, None] + sizes - shared)
    others = len(whole) * (len(whole) - 1)
    if not others or (agreement.sum() - len(whole)) / others >= agreed:
        return whole[0]
    return whole[int(agreement.sum(1).argmax())]


METHOD: Method = Search()
