"""TRELLIS at the released size with random weights, small copies of it for tests, and operations counted.

Configurations are those of the released files (tests/goldens/manifest.json.gz); nothing is downloaded.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.gaussian_decoder import SLatGaussianDecoder
from benchmarks.sparse_convolution import make_shell
from verdict3d.trellis.attention import CrossAttention, SelfAttention
from verdict3d.trellis.checkpoint import build_model
from verdict3d.trellis.conditioner import Conditioner, make_dinov2_config
from verdict3d.trellis.latent_flow import SparseResBlock3d
from verdict3d.trellis.latent_vae import SparseSubdivideBlock3d
from verdict3d.trellis.sequences import Sequences
from verdict3d.trellis.sparse import SparseConv3d, SparseTensor
from verdict3d.trellis.structure import Structure

MANIFEST = Path(__file__).parents[1] / "tests/goldens/manifest.json.gz"
PARTS = {
    "structure_flow": "ss_flow_img_dit_L_16l8_fp16",
    "structure_decoder": "ss_dec_conv3d_16l8_fp16",
    "latent_flow": "slat_flow_img_dit_L_64l8p2_fp16",
    "mesh_decoder": "slat_dec_mesh_swin8_B_64l8m256c_fp16",
    "gaussian_decoder": "slat_dec_gs_swin8_B_64l8gs32_fp16",
}
RELEASED: dict[str, Any] = {"guidance": 5.0, "guidance_interval": (0.5, 1.0), "rescale_t": 3.0}
"""How the released flows are sampled."""
_TINY_FLOW = {"model_channels": 64, "num_blocks": 1, "num_heads": 2, "cond_channels": 64}
_TINY: dict[str, dict[str, Any]] = {
    "structure_flow": {**_TINY_FLOW, "resolution": 4},
    "structure_decoder": {"channels": [16, 8, 8]},
    "latent_flow": {**_TINY_FLOW, "resolution": 16, "io_block_channels": [16]},
    "mesh_decoder": {"model_channels": 256, "num_blocks": 1, "num_heads": 2, "resolution": 16},
    "gaussian_decoder": {"model_channels": 64, "num_blocks": 1, "num_heads": 2, "resolution": 16},
}


@dataclass(frozen=True)
class Size:
    """How large everything is.

    Args:
        tiny: Small copies of the networks.
        voxels: Choices of the number of voxels of an item.
        batches: Items at once.
        steps: Sampler steps of a full sample.
        matrix: Side of the matrices that the rate is measured with.
        conditioner: Settings that differ from the released ones.
    """

    tiny: bool
    voxels: tuple[int, ...]
    batches: tuple[int, ...]
    steps: int
    matrix: int
    conditioner: dict[str, int]

    @property
    def grid(self) -> int:
        """Side of the voxel grid."""
        return int(read_config("latent_flow", self)["args"]["resolution"])

    @property
    def cond_channels(self) -> int:
        """Channels of the condition tokens."""
        return int(read_config("latent_flow", self)["args"]["cond_channels"])

    @property
    def cond_tokens(self) -> int:
        """Condition tokens of an item."""
        side = self.conditioner.get("image_size", 518) // 14
        return 5 + side * side


FULL = Size(False, (5_000, 15_000, 30_000), (1, 8), 25, 8192, {})
TINY = Size(
    True, (40, 90, 140), (1, 3), 3, 64,
    {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28},
)  # fmt: skip


def read_config(part: str, size: Size) -> dict[str, Any]:
    """Return class and arguments of a network."""
    entry = json.loads(gzip.decompress(MANIFEST.read_bytes()))[PARTS[part]]
    arguments = {**entry["config"], **(_TINY[part] if size.tiny else {})}
    return {"name": entry["class"], "args": arguments}


def make_random_network(part: str, size: Size, device: str, dtype: torch.dtype) -> Any:
    """Return a network with random weights (its zero layers too), its torso in ``dtype``."""
    torch.manual_seed(0)
    config = read_config(part, size)
    with torch.device(device):
        network: Any = (
            SLatGaussianDecoder(**config["args"])
            if config["name"] == SLatGaussianDecoder.__name__
            else build_model(config, device)
        )
    network.set_torso_dtype(torch.float32)
    generator = torch.Generator(device).manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1 and not parameter.any():
                parameter.normal_(std=0.5 * parameter[0].numel() ** -0.5, generator=generator)
    network.set_torso_dtype(dtype)
    return network.eval().requires_grad_(False)


def make_random_conditioner(size: Size, device: str) -> Conditioner:
    """Return a conditioner with random weights, float32."""
    with torch.device(device):
        return Conditioner(make_dinov2_config(**size.conditioner)).eval().requires_grad_(False)


def draw_structure_state(size: Size, items: int, device: str) -> tuple[Tensor, Tensor]:
    """Return noise (B, 8, R, R, R) and condition tokens of the structure flow."""
    generator = torch.Generator().manual_seed(1)
    arguments = read_config("structure_flow", size)["args"]
    noise = torch.randn(items, arguments["in_channels"], *[arguments["resolution"]] * 3, generator=generator)
    return noise.to(device), draw_tokens(size, items, device)


def draw_tokens(size: Size, items: int, device: str) -> Tensor:
    """Return condition tokens (B, L, C)."""
    generator = torch.Generator().manual_seed(2)
    return torch.randn(items, size.cond_tokens, size.cond_channels, generator=generator).to(device)


def draw_latents(size: Size, counts: list[int], device: str) -> SparseTensor:
    """Return latents on shells of as many voxels as ``counts`` says, an item each."""
    generator = torch.Generator().manual_seed(3)
    channels = read_config("latent_flow", size)["args"]["in_channels"]
    coords = [make_shell(count, size.grid)[:, 1:] for count in counts]
    feats = [torch.randn(count, channels, generator=generator) for count in counts]
    return SparseTensor.stack(feats, coords).to(device)


def count_weight_bytes(network: nn.Module) -> int:
    """Return the bytes of all weights, which every forward pass has to read."""
    return sum(value.numel() * value.element_size() for value in network.state_dict().values())


@contextmanager
def unreplayed(network: nn.Module) -> Iterator[None]:
    """Start the kernels of a network one by one inside the block."""
    replayed = network.__dict__.pop("forward", None)
    try:
        yield
    finally:
        if replayed is not None:
            network.forward = replayed


@contextmanager
def counted(network: nn.Module) -> Iterator[dict[str, int]]:
    """Count the operations that the calls of a network inside the block need.

    A multiplication and an addition are two. Linear layers, convolutions (of sparse ones the neighbours that
    exist) and attention without padding count; norms and the like do not.

    Yields:
        ``products`` and ``attention``, filled in while the network runs.
    """
    found = {"products": 0, "attention": 0}
    counters: dict[type[nn.Module], Callable[[Any, Any, Any], tuple[str, int]]] = {
        nn.Linear: lambda m, a, out: ("products", out.numel() * m.in_features),
        nn.Conv2d: lambda m, a, out: ("products", out.numel() * m.weight[0].numel()),
        nn.Conv3d: lambda m, a, out: ("products", out.numel() * m.weight[0].numel()),
        SparseConv3d: lambda m, a, out: ("products", _count_pairs(m, a[0]) * m.in_channels * m.out_channels),
        SparseSubdivideBlock3d: lambda m, a, out: ("products", _count_subdivided(m, a[0])),
        SparseResBlock3d: lambda m, a, out: ("products", _count_unpooled(m, a[0])),
        SelfAttention: lambda m, a, out: ("attention", 2 * _count_self_pairs(a) * out.shape[-1]),
        CrossAttention: lambda m, a, out: ("attention", 2 * _count_cross_pairs(a) * out.shape[-1]),
    }
    kinds = {kind.__name__: count for kind, count in counters.items()}
    kinds["Dinov2WithRegistersAttention"] = lambda m, a, out: ("attention", _count_hub_attention(out))

    def note(module: nn.Module, arguments: Any, output: Any) -> None:
        kind, count = kinds[type(module).__name__](module, arguments, output)
        found[kind] += 2 * count

    hooks = [
        module.register_forward_hook(note) for module in network.modules() if type(module).__name__ in kinds
    ]
    try:
        with torch.compiler.set_stance("force_eager"), unreplayed(network):
            yield found
    finally:
        for hook in hooks:
            hook.remove()


def _count_pairs(conv: SparseConv3d, x: SparseTensor) -> int:
    return len(x) if conv.kernel == 1 else int((x.structure.neighbours < len(x)).sum())


def _count_subdivided(block: SparseSubdivideBlock3d, x: SparseTensor) -> int:
    """The first convolution is summed over the parents of eight children, eight each."""
    conv = block.get_submodule("out_layers.0")
    assert isinstance(conv, SparseConv3d)
    return 64 * len(x) * conv.in_channels * conv.out_channels


def _count_unpooled(block: SparseResBlock3d, x: SparseTensor) -> int:
    """The first convolution of a block that unpools is multiplied out on the coarse voxels."""
    conv = block.conv1
    return 27 * len(x) * conv.in_channels * conv.out_channels if block.resample == "up" else 0


def _list_lengths(sequences: Sequences) -> Tensor:
    return torch.bincount(sequences.sequence_of_row)


def _count_self_pairs(arguments: Any) -> int:
    x, sequences = arguments[0], arguments[1] if len(arguments) > 1 else None
    return x.shape[0] * x.shape[1] ** 2 if sequences is None else int(_list_lengths(sequences).square().sum())


def _count_cross_pairs(arguments: Any) -> int:
    x, context = arguments[:2]
    rows = x.shape[0] * x.shape[1] if x.ndim == 3 else len(x)
    return rows * context.shape[1]


def _count_hub_attention(output: Any) -> int:
    out = output[0] if isinstance(output, tuple) else output
    return 2 * out.shape[0] * out.shape[1] ** 2 * out.shape[2]


def make_sphere_cubes(count: int, side: int) -> tuple[Structure, Tensor]:
    """Return cubes of a sphere, 64 for each of ``count`` voxels, and 101 decoded features of each."""
    cubes = Structure(make_shell(count, side)).subdivide().subdivide()
    n = 4 * side
    corners = torch.tensor([[i & 1, i >> 1 & 1, i >> 2 & 1] for i in range(8)])
    places = (cubes.coords[:, None, 1:] + corners) / n - 0.5
    generator = torch.Generator().manual_seed(4)
    features = 0.1 * torch.randn(len(cubes), 101, generator=generator)
    features[:, :8] = places.norm(dim=2) - 0.35 + 1 / n
    return cubes, features
