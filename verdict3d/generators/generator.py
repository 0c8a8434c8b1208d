"""The interface of a generator: photos with seeds in, a mesh or a failure for each out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from verdict3d.mesh.mesh import MeshOrFailure
from verdict3d.records.generations import Steps
from verdict3d.records.generators import GeneratorRecord


@dataclass(frozen=True)
class Request:
    """One mesh to make.

    Attributes:
        image: Picture of the object (RGBA), its background removed.
        seed: Seed of the noise, 0 to 2^63 - 1.
        stem: Name of the photo's file, without suffix.
        regime: Regime of the photo; empty where there are none.
        sample: Which of several meshes of this photo it is, from 0.
        latents_image: Picture that our latent flow is shown; None: the same.
        steps: Steps of our samplers; None: as configured.
    """

    image: Image.Image
    seed: int
    stem: str = "photo"
    regime: str = ""
    sample: int = 0
    latents_image: Image.Image | None = None
    steps: Steps | None = None


class Generator(Protocol):
    """One generator, loaded."""

    @property
    def record(self) -> GeneratorRecord:
        """What it is, without the arm that may be on it."""
        ...

    def generate(self, requests: Sequence[Request]) -> list[MeshOrFailure]:
        """Make one mesh for each request (z up, front -y), in order; what fails is a failure in its place.

        Raises:
            Verdict3DError: No request can be answered until something is put right.
        """
        ...
