"""The base generator that every stage works on."""

from __future__ import annotations

from pathlib import Path

from verdict3d.config import Params
from verdict3d.trellis.pipeline import TrellisPipeline


def load_base(params: Params, root: Path) -> TrellisPipeline:
    """Load the configured generator."""
    return TrellisPipeline.from_pretrained(root / params.generator.model, params.generator.device)
