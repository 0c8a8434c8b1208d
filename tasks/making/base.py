"""The base generator that every stage works on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from verdict3d.config import Params
from verdict3d.hub import GENERATOR_PATTERNS, TRANSFORMERS_PATTERNS, local_directory
from verdict3d.provenance import code_of, digest_directory
from verdict3d.records.files import Row
from verdict3d.trellis.pipeline import TrellisPipeline

if TYPE_CHECKING:
    import torch


def find_generator_directory(params: Params, root: Path) -> Path:
    """Return the directory of the configured generator, below ``root`` or fetched from the hub.

    Raises:
        Verdict3DError: It is in neither.
    """
    named = params.generator
    return local_directory(named.model, named.revision, GENERATOR_PATTERNS, "generator", root)


def find_conditioner_directory(params: Params, root: Path) -> Path | None:
    """Return the directory of the configured conditioner; None: it is part of the generator.

    Raises:
        Verdict3DError: It is neither below ``root`` nor on the hub.
    """
    named = params.generator
    if named.conditioner is None:
        return None
    revision = named.conditioner_revision
    return local_directory(named.conditioner, revision, TRANSFORMERS_PATTERNS, "conditioner", root)


def find_base_dependencies(params: Params, root: Path) -> Row:
    """Return what the base's meshes depend on besides photo, noise and samplers: code, networks, device."""
    conditioner = find_conditioner_directory(params, root)
    return {
        "code": code_of(__name__),
        "generator": digest_directory(find_generator_directory(params, root)),
        "conditioner": None if conditioner is None else digest_directory(conditioner),
        "device": params.generator.device,
        "compiled": params.generator.compiled,
    }


def load_base(
    params: Params, root: Path, dtype: torch.dtype | None = None, extra: tuple[str, ...] = ()
) -> TrellisPipeline:
    """Load the configured generator; ``dtype`` and ``extra`` as :meth:`TrellisPipeline.from_pretrained`."""
    return TrellisPipeline.from_pretrained(
        find_generator_directory(params, root),
        device=params.generator.device,
        dtype=dtype,
        conditioner=find_conditioner_directory(params, root),
        extra=extra,
        compiled=params.generator.compiled,
    )
