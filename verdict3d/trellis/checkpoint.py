"""Networks on disk as released: ``<name>.json`` ({"name", "args"}) beside ``<name>.safetensors``."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from verdict3d.errors import Verdict3DError
from verdict3d.records.files import read_object, replacing, write_json
from verdict3d.trellis.latent_flow import SLatFlowModel
from verdict3d.trellis.latent_vae import SLatEncoder, SLatMeshDecoder
from verdict3d.trellis.network import Network
from verdict3d.trellis.structure_flow import SparseStructureFlowModel
from verdict3d.trellis.structure_vae import SparseStructureDecoder, SparseStructureEncoder
from verdict3d.trellis.weights import read_weights

MODEL_CLASSES: dict[str, type[Network]] = {
    network.__name__: network
    for network in (
        SparseStructureFlowModel,
        SparseStructureEncoder,
        SparseStructureDecoder,
        SLatFlowModel,
        SLatEncoder,
        SLatMeshDecoder,
    )
}


class NetworkError(Verdict3DError):
    """A configuration describes no network."""


def build_model(config: dict[str, object], device: torch.device | str | None = None) -> Network:
    """Make a network from ``{"name": class, "args": constructor arguments}``.

    Args:
        config: A released JSON file; the ``Elastic`` training classes have the same weights and are
            accepted.
        device: Where to make it; "meta" makes shapes only.

    Raises:
        NetworkError: The class is unknown or its arguments are not accepted.
    """
    name, arguments = str(config.get("name")).removeprefix("Elastic"), config.get("args")
    if name not in MODEL_CLASSES or not isinstance(arguments, dict):
        raise NetworkError(f"no network '{name}' with arguments; known: {', '.join(MODEL_CLASSES)}")
    try:
        with torch.device(device or "cpu"):
            return MODEL_CLASSES[name](**arguments)
    except (TypeError, ValueError) as error:
        raise NetworkError(f"{name} does not accept its arguments: {error}") from error


def read_dtypes(model: Network) -> dict[str, torch.dtype]:
    """Return the dtype of every tensor in a file: float16 in the torso of a ``use_fp16`` network."""
    dtypes = dict.fromkeys(model.state_dict(), torch.float32)
    if model.config.get("use_fp16"):
        for prefix, layer in model.list_torso_layers():
            dtypes.update({f"{prefix}.{key}": torch.float16 for key in layer.state_dict()})
    return dtypes


def check_fit(path: Path, state: dict[str, Tensor], model: Network) -> None:
    """Compare a file's tensors with what the network holds.

    Raises:
        Verdict3DError: Keys are missing, unknown, or of another shape; the first few are named.
    """
    expected = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in state.items()}
    problems = [f"missing {key}" for key in expected if key not in found]
    problems += [f"unknown {key}" for key in found if key not in expected]
    problems += [
        f"{key} is {found[key]}, expected {shape}"
        for key, shape in expected.items()
        if found.get(key, shape) != shape
    ]
    if problems:
        rest = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise Verdict3DError(
            f"{path} does not fit {type(model).__name__}: {'; '.join(problems[:5])}{rest}. "
            "The .json beside it must be the one the weights were saved with."
        )


def compute_dtype(device: torch.device | str, wanted: torch.dtype | None) -> torch.dtype:
    """Return the torso's dtype: float32 on CPUs; on GPUs ``wanted``, float16 when that is None."""
    if torch.device(device).type == "cpu":
        return torch.float32
    return torch.float16 if wanted is None else wanted


def load_model(
    directory: str | Path,
    name: str,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
) -> Network:
    """Load a network for inference.

    Args:
        directory: Folder of the two files.
        name: File name without suffix, such as ``slat_dec_mesh_swin8_B_64l8m256c_fp16``.
        dtype: Compute dtype of the torso on a GPU (float16 when left out); CPUs always compute in float32.
        device: Where to put it.

    Returns:
        The network in eval mode, everything outside the torso in float32.

    Raises:
        Verdict3DError: A file is missing or unreadable, or the weights do not fit the configuration exactly.
    """
    base = Path(directory) / name
    config_path, weights = base.with_name(f"{base.name}.json"), base.with_name(f"{base.name}.safetensors")
    try:
        model = build_model(read_object(config_path), "meta")
    except NetworkError as error:
        raise Verdict3DError(f"{config_path}: {error}") from error
    state = read_weights(weights)
    check_fit(weights, state, model)
    torso = compute_dtype(device, dtype)
    half_layers = {
        f"{prefix}.{key}" for prefix, layer in model.list_torso_layers() for key in layer.state_dict()
    }
    # Copies: a mapped tensor lies where the file has it, and the last bits of products depend on that.
    placed = {
        key: value.to(device, torso if key in half_layers else torch.float32, copy=True)
        for key, value in state.items()
    }
    model.load_state_dict(placed, assign=True)
    model.set_torso_dtype(torso)
    return model.eval()


def save_model(model: Network, directory: str | Path, name: str) -> None:
    """Write a network as ``<name>.json`` and ``<name>.safetensors``; the same weights give the same bytes.

    Torso weights of a ``use_fp16`` network are written in float16 whatever they are computed in, the rest in
    float32.

    Raises:
        Verdict3DError: A weight is not finite in the file's dtype.
    """
    base = Path(directory) / name
    dtypes = read_dtypes(model)
    state = {key: value.detach().cpu().to(dtypes[key]) for key, value in model.state_dict().items()}
    broken = [key for key, value in state.items() if not torch.isfinite(value).all()]
    if broken:
        raise Verdict3DError(f"{name}: {len(broken)} weights are not finite as stored, such as {broken[0]}")
    write_json(base.with_name(f"{base.name}.json"), {"name": type(model).__name__, "args": model.config})
    with replacing(base.with_name(f"{base.name}.safetensors")) as temporary:
        save_file({key: value.contiguous() for key, value in state.items()}, temporary)
