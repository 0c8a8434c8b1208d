"""A generator on disk: read from the released layout, from a directory or the hub, and written in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from verdict3d.config_generators import SamplerParams
from verdict3d.device import pick_device
from verdict3d.errors import Verdict3DError
from verdict3d.hub import GENERATOR_PATTERNS, TRANSFORMERS_PATTERNS, local_directory
from verdict3d.records.files import write_json
from verdict3d.trellis import layout
from verdict3d.trellis.attention import prefer_flash_attention_3
from verdict3d.trellis.checkpoint import load_model, save_model
from verdict3d.trellis.conditioner import Conditioner
from verdict3d.trellis.networks import Networks


def read_generator(
    model: str | Path,
    *,
    revision: str | None,
    dtype: torch.dtype | None,
    device: str | torch.device,
    conditioner: str | Path | None,
    conditioner_revision: str | None,
    extra: Sequence[str],
    compiled: bool,
) -> dict[str, Any]:
    """Read a generator, one network at a time.

    The arguments are those of :meth:`~verdict3d.trellis.pipeline.TrellisPipeline.from_pretrained`.

    Returns:
        What :class:`~verdict3d.trellis.pipeline.TrellisPipeline` is made of, by the names of its arguments.

    Raises:
        Verdict3DError: There is no such model, or a file is missing, foreign or damaged.
    """
    place, here = pick_device(device), Path()
    root = local_directory(model, revision, GENERATOR_PATTERNS, "generator", here)
    if conditioner is not None:
        conditioner = local_directory(
            conditioner, conditioner_revision, TRANSFORMERS_PATTERNS, "conditioner", here
        )
    arguments = layout.read_pipeline_file(root)
    unknown = sorted(set(extra) - set(arguments.models))
    if unknown:
        listed = ", ".join(sorted(arguments.models))
        raise Verdict3DError(f"{root / layout.PIPELINE_FILE} has no {', '.join(unknown)}; it lists {listed}")
    wanted = [
        *layout.GENERATOR_NETWORKS,
        *(name for name in extra if name not in layout.GENERATOR_NETWORKS),
    ]
    files = layout.list_files(root, arguments, layout.GENERATOR_NETWORKS, conditioner)
    networks = {name: load_model(root, arguments.models[name], dtype, place) for name in wanted}
    if place.type == "cuda":
        prefer_flash_attention_3()
    for name in ("sparse_structure_flow_model", "slat_flow_model") if compiled else ():
        networks[name].compile_blocks()
    statistics = arguments.slat_normalization
    structure, latents = arguments.sparse_structure_sampler, arguments.slat_sampler
    return {
        "conditioner": Conditioner.load(files[layout.CONDITIONER_CONFIG].parent, place),
        "networks": Networks.from_released(networks),
        "structure": structure.settings(),
        "latents": latents.settings(),
        "normalization": (torch.tensor(statistics.mean), torch.tensor(statistics.std)),
        "sigma_min": (structure.sigma_min, latents.sigma_min),
        "device": place,
        "files": files,
    }


def write_generator(
    root: Path,
    conditioner: Conditioner,
    networks: Networks,
    samplers: tuple[tuple[SamplerParams, float], tuple[SamplerParams, float]],
    normalization: tuple[Tensor, Tensor],
) -> None:
    """Write all networks, the conditioner and ``pipeline.json`` in the released layout.

    Args:
        root: Directory; made where it is missing.
        conditioner: The conditioner, without an adapter.
        networks: Flows, decoders, and encoders where there are any.
        samplers: Parameters of structure and latent sampler, each with the noise that it leaves at t = 0.
        normalization: Mean and standard deviation (C,) of the structured latents.
    """
    released = networks.map_released_names()
    models = {name: f"ckpts/{name}" for name in sorted(released)}
    for name, stem in models.items():
        save_model(released[name], root, stem)
    conditioner.save(root / layout.CONDITIONER_DIRECTORY)
    mean, std = normalization
    document = layout.make_document(models, *samplers, mean.tolist(), std.tolist())
    write_json(root / layout.PIPELINE_FILE, document)
