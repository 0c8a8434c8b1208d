"""What an arm is: a named way to fit an adapter on a frozen generator and to put it on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from PIL import Image
from torch import Tensor

from verdict3d.adapt.adapter import Adapter
from verdict3d.records import Row

if TYPE_CHECKING:
    from verdict3d.trellis.pipeline import TrellisPipeline


@dataclass(frozen=True)
class Example:
    """One training picture of an asset beside the asset's clean condition.

    Attributes:
        asset: Id of the asset.
        regime: How the picture was degraded.
        clean: Clean condition, RGBA.
        degraded: The same condition after degradation, RGBA, same size.
    """

    asset: str
    regime: str
    clean: Image.Image
    degraded: Image.Image


@dataclass(frozen=True)
class FitInputs:
    """What every arm may learn from.

    Attributes:
        pipeline: The frozen base generator.
        train: Pictures of training assets.
        validation: Pictures of validation assets: they choose the checkpoint, nothing else.
        seed: Base seed of the run.
        checkpoints: Folder for resumable checkpoints, kept until the stage has succeeded.
    """

    pipeline: TrellisPipeline
    train: Sequence[Example]
    validation: Sequence[Example]
    seed: int
    checkpoints: Path


@dataclass(frozen=True)
class Fit:
    """A fitted adapter's weights with how they came about.

    Attributes:
        tensors: Weights by name.
        losses: One row a training step or validation, in order; a value that was not measured is None.
        best_step: Number of steps after which the kept weights stood; 0 is the untouched base.
        measures: Numbers for the card and the metrics.
    """

    tensors: Mapping[str, Tensor]
    losses: Sequence[Row]
    best_step: int
    measures: Mapping[str, Any]


class Method(Protocol):
    """One arm. Implementations hold no state: what they learn is in the adapter."""

    name: str
    trains: str
    """The part of the generator it changes: ``conditioner``, ``structure``, ``latents`` or ``search``."""

    def fit(self, inputs: FitInputs, params: Any) -> Fit:
        """Train an adapter; ``params`` is the arm's section of ``params.yaml``."""
        ...

    def wrap(self, pipeline: TrellisPipeline, adapter: Adapter) -> TrellisPipeline:
        """Return a pipeline with the adapter on; ``pipeline`` itself stays as it is."""
        ...
