"""The released directory layout: what ``pipeline.json`` says, checked, and the files it names.

pipeline.json             networks, samplers, latent statistics, conditioner
ckpts/<name>.json         class and constructor arguments of a network
ckpts/<name>.safetensors  its weights
image_cond_model/         conditioner as a transformers directory (config.json, model.safetensors)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from verdict3d.config_generators import SamplerParams
from verdict3d.errors import Verdict3DError
from verdict3d.records.files import read_json

PIPELINE_FILE = "pipeline.json"
PIPELINE_NAME = "TrellisImageTo3DPipeline"
CONDITIONER_DIRECTORY = "image_cond_model"
CONDITIONER_CONFIG = f"{CONDITIONER_DIRECTORY}/config.json"
GENERATOR_NETWORKS = (
    "sparse_structure_flow_model",
    "sparse_structure_decoder",
    "slat_flow_model",
    "slat_decoder_mesh",
)
"""The networks that make a mesh; others that a directory lists are read only when asked for."""
STRUCTURE_ENCODER = "sparse_structure_encoder"

_EVERYWHERE = (0.0, 1.0)


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class SamplerEntry(_Entry):
    """A sampler with the parameters it was released with."""

    name: Literal["FlowEulerSampler", "FlowEulerCfgSampler", "FlowEulerGuidanceIntervalSampler"]
    args: dict[str, float]
    params: dict[str, Any]

    @property
    def sigma_min(self) -> float:
        """Noise left at t = 0."""
        return self.args.get("sigma_min", 1e-5)

    def settings(self) -> SamplerParams:
        """Return the released parameters in our words."""
        guided = self.name != "FlowEulerSampler"
        interval = (
            self.params.get("cfg_interval") if self.name == "FlowEulerGuidanceIntervalSampler" else None
        )
        return SamplerParams(
            steps=self.params.get("steps", 50),
            guidance=self.params.get("cfg_strength", 3.0) if guided else 0.0,
            guidance_interval=tuple(interval or _EVERYWHERE),
            rescale_t=self.params.get("rescale_t", 1.0),
        )


class Normalization(_Entry):
    """Mean and standard deviation of each latent channel."""

    mean: tuple[float, ...] = Field(min_length=1)
    std: tuple[float, ...]

    @model_validator(mode="after")
    def _check_channels(self) -> Normalization:
        if len(self.mean) != len(self.std) or any(value <= 0 for value in self.std):
            raise ValueError("slat_normalization wants as many std as mean values, all std above 0")
        return self


class PipelineArguments(_Entry):
    """``args`` of ``pipeline.json``."""

    models: dict[str, str]
    sparse_structure_sampler: SamplerEntry
    slat_sampler: SamplerEntry
    slat_normalization: Normalization
    image_cond_model: str = Field(min_length=1)

    @model_validator(mode="after")
    def _check_whole(self) -> PipelineArguments:
        missing = sorted(set(GENERATOR_NETWORKS) - set(self.models))
        if missing:
            raise ValueError(f"models lacks {', '.join(missing)}")
        for entry in (self.sparse_structure_sampler, self.slat_sampler):
            entry.settings()
        return self


class PipelineFile(_Entry):
    """``pipeline.json``."""

    name: Literal["TrellisImageTo3DPipeline"]
    args: PipelineArguments


def read_pipeline_file(directory: str | Path) -> PipelineArguments:
    """Read and check ``pipeline.json``.

    Raises:
        Verdict3DError: It is missing, not JSON, or describes something else; the message says what.
    """
    path = Path(directory) / PIPELINE_FILE
    if not path.is_file():
        wanted = f"a generator is a folder with {PIPELINE_FILE}, ckpts/ and {CONDITIONER_DIRECTORY}/"
        raise Verdict3DError(f"{path} is missing; {wanted} (the released layout)")
    try:
        return PipelineFile.model_validate(read_json(path)).args
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise Verdict3DError(f"{path} is no TRELLIS image pipeline: {where}: {first['msg']}") from error


def resolve_inside(directory: Path, relative: str) -> Path:
    """Return ``directory / relative``.

    Raises:
        Verdict3DError: The path leads out of the directory.
    """
    path = directory / relative
    if not path.resolve().is_relative_to(directory.resolve()):
        raise Verdict3DError(f"{directory / PIPELINE_FILE} names {relative!r}, which lies outside its folder")
    return path


def find_conditioner(directory: Path, named: str, given: str | Path | None) -> Path:
    """Return the conditioner's directory: the given one, the named one, or ``image_cond_model/``.

    Raises:
        Verdict3DError: None of them holds a ``config.json``.
    """
    choices = (
        [Path(given)] if given else [resolve_inside(directory, named), directory / CONDITIONER_DIRECTORY]
    )
    for choice in choices:
        if (choice / "config.json").is_file():
            return choice
    raise Verdict3DError(
        f"no conditioner for {directory}: {PIPELINE_FILE} names {named!r}, and "
        f"{' and '.join(str(choice / 'config.json') for choice in choices)} are missing; put that model's "
        f"transformers directory (config.json, model.safetensors) at {directory / CONDITIONER_DIRECTORY}; "
        "a torch.hub file becomes one by "
        "`python -m verdict3d.trellis.convert_conditioner FILE DIRECTORY`"
    )


def list_files(
    directory: Path, arguments: PipelineArguments, networks: Iterable[str], conditioner: str | Path | None
) -> dict[str, Path]:
    """Return the files a generator is read from, by a name that does not depend on where they lie.

    Raises:
        Verdict3DError: There is no conditioner, or a network lies outside the directory.
    """
    files = {PIPELINE_FILE: directory / PIPELINE_FILE}
    for name in networks:
        stem = resolve_inside(directory, arguments.models[name])
        for suffix in (".json", ".safetensors"):
            files[f"{name}{suffix}"] = stem.with_name(stem.name + suffix)
    tokens_from = find_conditioner(directory, arguments.image_cond_model, conditioner)
    files[CONDITIONER_CONFIG] = tokens_from / "config.json"
    files[f"{CONDITIONER_DIRECTORY}/model.safetensors"] = tokens_from / "model.safetensors"
    return files


def check_parts(token_channels: int, config: Mapping[str, Mapping[str, Any]], latent_channels: int) -> None:
    """Check that the parts of a generator fit each other.

    Args:
        token_channels: Channels of the conditioner's tokens.
        config: Constructor arguments of the networks by pipeline name.
        latent_channels: Channels of ``slat_normalization``.

    Raises:
        Verdict3DError: Two parts disagree.
    """
    flow, decoder = config["sparse_structure_flow_model"], config["sparse_structure_decoder"]
    latent, mesh = config["slat_flow_model"], config["slat_decoder_mesh"]
    pairs = {
        "tokens: conditioner and structure flow": (token_channels, flow["cond_channels"]),
        "tokens: conditioner and latent flow": (token_channels, latent["cond_channels"]),
        "structure latents: flow and decoder": (flow["out_channels"], decoder["latent_channels"]),
        "latents: flow and mesh decoder": (latent["out_channels"], mesh["latent_channels"]),
        "latents: flow and slat_normalization": (latent["out_channels"], latent_channels),
        "voxel grid: structure decoder and mesh decoder": (
            flow["resolution"] * 2 ** (len(decoder["channels"]) - 1),
            mesh["resolution"],
        ),
    }
    for what, (one, other) in pairs.items():
        if one != other:
            raise Verdict3DError(
                f"the parts of this generator do not fit: {what} disagree, {one} and {other}"
            )


def make_document(
    models: Mapping[str, str],
    structure: tuple[SamplerParams, float],
    latents: tuple[SamplerParams, float],
    mean: list[float],
    std: list[float],
) -> dict[str, Any]:
    """Return the content of ``pipeline.json``; samplers are (parameters, sigma_min)."""

    def sampler(settings: SamplerParams, sigma_min: float) -> dict[str, Any]:
        return {
            "name": "FlowEulerGuidanceIntervalSampler",
            "args": {"sigma_min": sigma_min},
            "params": {
                "steps": settings.steps,
                "cfg_strength": settings.guidance,
                "cfg_interval": list(settings.guidance_interval),
                "rescale_t": settings.rescale_t,
            },
        }

    arguments = {
        "models": dict(models),
        "sparse_structure_sampler": sampler(*structure),
        "slat_sampler": sampler(*latents),
        "slat_normalization": {"mean": mean, "std": std},
        "image_cond_model": CONDITIONER_DIRECTORY,
    }
    return {"name": PIPELINE_NAME, "args": arguments}
