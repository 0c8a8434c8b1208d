"""Method ``search``: several samples, and the one that the training judge prefers; trains nothing.

A single-elimination tournament in which every match is asked in both orders; a match without a decision goes
to the earlier sample. The judge sees the photo that was given, degraded or not, and never the clean one. The
first sample is the one the generator would have made without the search; the others have noise of their own.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from torch import Tensor

from verdict3d.adapt.method import Fit, FitInputs, Prefers, Tools
from verdict3d.assets.mesh import Mesh
from verdict3d.config import SamplerParams
from verdict3d.config_arms import SearchParams
from verdict3d.errors import Verdict3DError
from verdict3d.randomness import numpy_generator, seed_for
from verdict3d.trellis.mesh_decoding import Outcome
from verdict3d.trellis.pipeline import TrellisPipeline

if TYPE_CHECKING:
    from collections.abc import Callable


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
        return SearchingPipeline.over(pipeline, params, tools)


class SearchingPipeline(TrellisPipeline):
    """A pipeline whose :meth:`generate` keeps the best of several samples."""

    search: SearchParams
    tools: Tools
    judge: Prefers | None = None

    @classmethod
    def over(cls, pipeline: TrellisPipeline, search: SearchParams, tools: Tools) -> SearchingPipeline:
        """Make one that shares everything with ``pipeline``."""
        made = copy.copy(pipeline)
        made.__class__ = cls
        assert isinstance(made, SearchingPipeline)
        made.search, made.tools = search, tools
        return made

    def generate(
        self,
        images: Sequence[Image.Image],
        seeds: Sequence[int],
        structure: SamplerParams | None = None,
        latents: SamplerParams | None = None,
        *,
        latents_images: Sequence[Image.Image] | None = None,
    ) -> list[Outcome]:
        """Generate the kept sample for each photo; arguments and results as of the base."""
        rounds: list[list[Outcome]] = []
        for number in range(self.search.samples):
            own = [seed if number == 0 else seed_for(seed, "search", number) for seed in seeds]
            rounds.append(super().generate(images, own, structure, latents, latents_images=latents_images))
        return [
            self._pick(image, seed, [made[place] for made in rounds])
            for place, (image, seed) in enumerate(zip(images, seeds, strict=True))
        ]

    def _pick(self, image: Image.Image, seed: int, outcomes: list[Outcome]) -> Outcome:
        meshes = [outcome for outcome in outcomes if isinstance(outcome, Mesh)]
        if not meshes:
            return outcomes[0]
        if self.search.pick == "random":
            return meshes[int(numpy_generator(seed, "random_pick").integers(len(meshes)))]
        if self.judge is None:
            assert self.tools.prefers is not None
            self.judge = self.tools.prefers()
        prefers = self.judge
        return tournament(meshes, lambda matches: prefers([(image, x, y) for x, y in matches]))


def tournament(entrants: Sequence[Any], margins: Callable[[list[tuple[Any, Any]]], list[float]]) -> Any:
    """Return the winner of single elimination; a margin of 0 (no decision) goes to the earlier entrant.

    Args:
        entrants: At least one, in order; an odd one out waits for the next round.
        margins: For each match (x, y) a number above 0 where x wins, below 0 where y does.
    """
    left = list(entrants)
    while len(left) > 1:
        matches = list(zip(left[0::2], left[1::2], strict=False))
        decided = np.asarray(margins(matches))
        winners = [x if margin >= 0 else y for (x, y), margin in zip(matches, decided, strict=True)]
        left = winners + left[2 * len(matches) :]
    return left[0]
