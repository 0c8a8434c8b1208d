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
  samples agree there is nothing to choose: the first one stays, and with it what the base makes;
* by majority: the voxels that at least half of the samples occupy, each voxel's own most likely state. That
  need not be one of the samples, so it can be nearer to all of them than any is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from verdict3d.adapt.conditioners import UnlessClean
from verdict3d.adapt.method import Fit, FitInputs, Method, Tools
from verdict3d.adapt.tokens import as_input
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
            Verdict3DError: Nobody gave it a judge, or no repair says which pictures it leaves alone.
        """
        if params.unless_clean and not isinstance(pipeline.conditioner, UnlessClean):
            raise Verdict3DError("unless_clean is for a later part of a stack, behind leave_clean")
        if params.pick == "judge" and tools.prefers is None:
            raise Verdict3DError("a search by the training judge needs that judge; none is configured here")
        return SearchingPipeline(pipeline, params, tools)


class SearchingPipeline(TrellisPipeline):
    """A pipeline that keeps one of several samples: of structures by their agreement, else of meshes.

    Args:
        pipeline: What samples; everything is shared with it.
        search: How many samples, and who picks.
        tools: The judge, for a search that asks it.
    """

    def __init__(self, pipeline: TrellisPipeline, search: SearchParams, tools: Tools) -> None:
        super().__init__(**pipeline.parts())
        self.once = pipeline
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
        if self.search.unless_clean:
            return self._generate_changed(images, seeds, structure, latents, latents_images)
        if self.search.picks_structures:
            return super().generate(images, seeds, structure, latents, latents_images=latents_images)
        rounds: list[list[MeshOrFailure]] = []
        for number in range(self.search.samples):
            own = [seed if number == 0 else seed_for(seed, "search", number) for seed in seeds]
            rounds.append(super().generate(images, own, structure, latents, latents_images=latents_images))
        return [
            self.picker.pick(image, seed, [made[place] for made in rounds])
            for place, (image, seed) in enumerate(zip(images, seeds, strict=True))
        ]

    def _generate_changed(
        self,
        images: Sequence[Image.Image],
        seeds: Sequence[int],
        structure: SamplerParams | None,
        latents: SamplerParams | None,
        latents_images: Sequence[Image.Image] | None,
    ) -> list[MeshOrFailure]:
        """Sample once where the repair leaves the picture alone, several times where not."""
        changed = self._find_changed(images)
        made: dict[int, MeshOrFailure] = {}
        for several, generate in ((False, self.once.generate), (True, super().generate)):
            places = [place for place, one in enumerate(changed) if one is several]
            others = latents_images and [latents_images[place] for place in places]
            mine = [images[place] for place in places], [seeds[place] for place in places]
            made |= zip(places, generate(*mine, structure, latents, latents_images=others), strict=True)
        return [made[place] for place in range(len(images))]

    def _find_changed(self, images: Sequence[Image.Image]) -> list[bool]:
        """Say of each photo whether the repair changes its tokens; one without an object has none."""
        pictures = {}
        for place, image in enumerate(images):
            with suppress(ItemFailure):
                pictures[place] = np.array(self.preprocess(image).convert("RGB"))
        if not pictures:
            return [False] * len(images)
        pixels = as_input(torch.from_numpy(np.stack(list(pictures.values()))), self.device)
        with torch.no_grad():
            changed = dict(zip(pictures, self.conditioner.find_changed(pixels).tolist(), strict=True))
        return [changed.get(place, False) for place in range(len(images))]

    def sample_structure(
        self, tokens: Tensor, generators: Sequence[torch.Generator], params: SamplerParams | None = None
    ) -> list[Tensor | ItemFailure]:
        """Sample the kept structure of each item; arguments and results as of the base."""
        first = super().sample_structure(tokens, generators, params)
        if not self.search.picks_structures:
            return first
        rounds = [first]
        for number in range(1, self.search.samples):
            own = [
                torch.Generator().manual_seed(seed_for(generator.initial_seed(), "search", number))
                for generator in generators
            ]
            rounds.append(super().sample_structure(tokens, own, params))
        resolution = self.networks.latent_flow.config["resolution"]
        choose = vote_on_voxels if self.search.pick == "majority" else choose_most_agreed
        return [
            choose(structures, resolution, self.search.agreed) for structures in zip(*rounds, strict=True)
        ]


Structure = Tensor | ItemFailure
"""Voxels (T, 3) of a sample, or why there are none."""


def choose_most_agreed(structures: Sequence[Structure], resolution: int, agreed: float = 1.0) -> Structure:
    """Return the structure with the highest mean IoU with the others, the earliest of equals.

    Args:
        structures: One of each sample; the first is returned if all failed.
        resolution: Voxels along an axis.
        agreed: The first that did not fail is returned when the mean IoU of all pairs is at least this.
    """
    whole = [voxels for voxels in structures if isinstance(voxels, Tensor)]
    if not whole:
        return structures[0]
    agreement = _measure_agreement(_fill_grids(whole, resolution))
    if _agree(agreement, agreed):
        return whole[0]
    return whole[int(agreement.sum(1).argmax())]


def vote_on_voxels(structures: Sequence[Structure], resolution: int, agreed: float = 1.0) -> Structure:
    """Return the voxels, x slowest, that at least half of the structures have.

    Arguments are as of :func:`choose_most_agreed`. Where the structures share so little that no voxel has a
    majority, the first is returned.
    """
    whole = [voxels for voxels in structures if isinstance(voxels, Tensor)]
    if not whole:
        return structures[0]
    grids = _fill_grids(whole, resolution)
    chosen = (2 * grids.sum(0) >= len(whole)).reshape((resolution,) * 3).nonzero()
    if _agree(_measure_agreement(grids), agreed) or not len(chosen):
        return whole[0]
    return chosen.to(whole[0])


def _fill_grids(structures: Sequence[Tensor], resolution: int) -> Tensor:
    """Return occupancies (N, R^3), 0 or 1, of voxels (T, 3)."""
    grids = torch.zeros(len(structures), resolution**3)
    for grid, voxels in zip(grids, structures, strict=True):
        x, y, z = voxels.long().cpu().unbind(1)
        grid[(x * resolution + y) * resolution + z] = 1
    return grids


def _measure_agreement(grids: Tensor) -> Tensor:
    """Return the IoU (N, N) of occupancies (N, R^3)."""
    shared, sizes = grids @ grids.T, grids.sum(1)
    return shared / (sizes[:, None] + sizes - shared)


def _agree(agreement: Tensor, agreed: float) -> bool:
    """Say whether the mean IoU of all pairs is at least ``agreed``; one structure agrees with itself."""
    others = len(agreement) * (len(agreement) - 1)
    return not others or float((agreement.sum() - len(agreement)) / others) >= agreed


METHOD: Method = Search()
