"""The networks of our own generator, for what trains them or looks into them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from verdict3d.config import Params
from verdict3d.config_generators import require_trellis
from verdict3d.generators.identity import find_network_directories
from verdict3d.generators.trellis import load_pipeline
from verdict3d.trellis.pipeline import TrellisPipeline

if TYPE_CHECKING:
    import torch


def find_generator_directory(params: Params, root: Path) -> Path:
    """Return the directory of the networks, below ``root`` or fetched from the hub.

    Raises:
        Verdict3DError: It is in neither, or the generator is not ours.
    """
    return dict(find_network_directories(require_trellis(params.generator), root))["generator"]


def load_networks(
    params: Params, root: Path, dtype: torch.dtype | None = None, extra: tuple[str, ...] = ()
) -> TrellisPipeline:
    """Load the networks; ``dtype`` and ``extra`` as :meth:`TrellisPipeline.from_pretrained`.

    Raises:
        Verdict3DError: The generator is not ours.
    """
    return load_pipeline(require_trellis(params.generator), root, dtype, extra)
