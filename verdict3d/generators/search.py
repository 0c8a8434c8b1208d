"""Best of several meshes by any generator: a judge or chance picks; trains nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from PIL import Image

from verdict3d.config_arms import SearchParams
from verdict3d.generators.generator import Generator, Request
from verdict3d.mesh.mesh import Mesh, MeshOrFailure
from verdict3d.randomness import numpy_generator, seed_for
from verdict3d.records.generators import GeneratorRecord

Entrant = TypeVar("Entrant")
Prefers = Callable[[Sequence[tuple[Image.Image, Mesh, Mesh]]], list[float]]
"""Margins of the training judge, over both orders, for the first mesh of each (photo, mesh, mesh)."""


@dataclass
class Picker:
    """Keeps one of the meshes of a photo.

    Attributes:
        search: Who picks.
        make_judge: Makes the training judge, when it is first needed.
    """

    search: SearchParams
    make_judge: Callable[[], Prefers] | None
    judge: Prefers | None = field(default=None, init=False)

    def pick(self, image: Image.Image, seed: int, outcomes: Sequence[MeshOrFailure]) -> MeshOrFailure:
        """Return the kept mesh; the first failure where there is no mesh."""
        meshes = [outcome for outcome in outcomes if isinstance(outcome, Mesh)]
        if not meshes:
            return outcomes[0]
        if self.search.pick == "random":
            return meshes[int(numpy_generator(seed, "random_pick").integers(len(meshes)))]
        if self.judge is None:
            assert self.make_judge is not None
            self.judge = self.make_judge()
        prefers = self.judge
        return play_tournament(meshes, lambda matches: prefers([(image, x, y) for x, y in matches]))


@dataclass
class SearchingGenerator:
    """A generator that makes several meshes of each photo and keeps one.

    Attributes:
        base: What makes them.
        picker: What keeps one.
    """

    base: Generator
    picker: Picker

    @property
    def record(self) -> GeneratorRecord:
        """What the generator is."""
        return self.base.record

    def generate(self, requests: Sequence[Request]) -> list[MeshOrFailure]:
        """Make the kept mesh for each request; the first of its samples is the one without a search."""
        count = self.picker.search.samples
        rounds = [
            self.base.generate([make_sample_request(request, number, count) for request in requests])
            for number in range(count)
        ]
        return [
            self.picker.pick(request.image, request.seed, [made[place] for made in rounds])
            for place, request in enumerate(requests)
        ]


def make_sample_request(request: Request, number: int, count: int) -> Request:
    """Return the request of one of ``count`` samples; the first has the request's own seed."""
    seed = request.seed if number == 0 else seed_for(request.seed, "search", number)
    return replace(request, seed=seed, sample=request.sample * count + number)


def play_tournament(
    entrants: Sequence[Entrant], margins: Callable[[list[tuple[Entrant, Entrant]]], list[float]]
) -> Entrant:
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
