"""The interface of a method: it fits weights on a frozen generator, and puts them on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from verdict3d.adapt.parallel import ALONE, Processes
from verdict3d.generators.search import Prefers
from verdict3d.records.losses import StepLosses

if TYPE_CHECKING:
    from verdict3d.trellis.pipeline import TrellisPipeline

ConditionPixels = NDArray[np.uint8]
"""(S, S, 3) RGB on black, as the conditioner takes it."""


@dataclass(frozen=True)
class Example:
    """One training picture of an asset beside the same view before degradation.

    Attributes:
        asset: Id of the asset.
        view: Number of the view; 0 is the asset's condition picture.
        regime: How the picture was degraded.
        clean: Clean picture.
        degraded: The same after degradation and its own crop.
    """

    asset: str
    view: int
    regime: str
    clean: ConditionPixels
    degraded: ConditionPixels


@dataclass(frozen=True)
class Sample:
    """How the base made one sample, enough to make it again.

    Attributes:
        picture: Its condition picture (RGBA).
        seed: Seed of its noise.
        structure_steps: Sampler steps of the structure flow.
        latents_steps: Sampler steps of the latent flow.
    """

    picture: Image.Image
    seed: int
    structure_steps: int
    latents_steps: int


@dataclass(frozen=True)
class Preference:
    """Two samples of one asset, of which the training judge preferred one in both orders."""

    asset: str
    kind: str
    chosen: Sample
    rejected: Sample


@dataclass(frozen=True)
class FitInputs:
    """What every method may learn from.

    Attributes:
        pipeline: The frozen base generator.
        train: Pictures of training assets.
        validation: Pictures of validation assets: they choose the checkpoint, nothing else.
        seed: Base seed of the run.
        checkpoints: Folder for resumable checkpoints, kept until the stage has succeeded.
        meshes: Mesh files of the training and validation assets, by id.
        preferences: The training judge's decisive verdicts on training assets.
        processes: Those that train together; all are given the same.
        sets: Folder with the LoRA sets of others.
        starts: Folder with the folders of weights that a training may go on from.
    """

    pipeline: TrellisPipeline
    train: Sequence[Example]
    validation: Sequence[Example]
    seed: int
    checkpoints: Path
    meshes: Mapping[str, Path] = field(default_factory=dict)
    preferences: Sequence[Preference] = ()
    processes: Processes = ALONE
    sets: Path = Path()
    starts: Path = Path()


@dataclass(frozen=True)
class Fit:
    """Fitted weights with how they came about.

    Attributes:
        tensors: Weights by name; empty for what trains nothing.
        losses: One row a training step or validation, in order; a value that was not measured is None.
        best_step: Number of steps after which the kept weights stood; 0 is the untouched base.
        measures: Numbers for the card and the metrics.
    """

    tensors: Mapping[str, Tensor]
    losses: Sequence[StepLosses]
    best_step: int
    measures: Mapping[str, Any]


@dataclass(frozen=True)
class Tools:
    """What a generator with an arm on may ask while it works.

    Attributes:
        prefers: Makes the training judge; called when a search first needs it.
        seed: Base seed of the run.
    """

    prefers: Callable[[], Prefers] | None = None
    seed: int = 0


class Method(Protocol):
    """One method. Implementations hold no state: what they learn is in the weights."""

    name: str
    trains: str
    """The part of the generator it changes, in a word for the card."""

    def fit(self, inputs: FitInputs, params: Any) -> Fit:
        """Train; ``params`` is the arm's section of ``params.yaml``."""
        ...

    def wrap(
        self, pipeline: TrellisPipeline, params: Any, tensors: Mapping[str, Tensor], tools: Tools
    ) -> TrellisPipeline:
        """Return a pipeline with the weights on; ``pipeline`` itself stays as it is, bit for bit."""
        ...
