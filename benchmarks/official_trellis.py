"""The official TRELLIS classes beside ours: same weights, same inputs, same process, same clock.

    python -m benchmarks.trellis --full --official FOLDER    FOLDER holds the official ``trellis`` package

Nothing of the official code is kept here; it is imported from the folder, without the package's own
``__init__``, which needs renderers. Its backends are the ones it offers: SDPA for dense attention, flash_attn
for sparse attention, spconv (native) for sparse convolution. Where flash_attn is not installed, its three
functions are stood in for by torch's ``varlen_attn``, which runs the same FlashAttention-2 kernel (torch 2.10
or newer); on a CPU and in float32, which that kernel does not take, by one SDPA call a sequence. Where spconv
is not installed, the latent flow's rows say so instead.

The official networks wait in the host's memory while ours are measured. For both, a peak is the weights of a
network and what a call takes beside all that was allocated before it.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from itertools import zip_longest
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.full_size_trellis import RELEASED, Size, count_weight_bytes, read_config
from benchmarks.timing import measure
from verdict3d.records.files import Row
from verdict3d.trellis.sampler import get_values
from verdict3d.trellis.sparse import SparseTensor

BACKENDS = {"ATTN_BACKEND": "sdpa", "SPARSE_ATTN_BACKEND": "flash_attn", "SPCONV_ALGO": "native"}
CLASSES = {
    "structure_flow": ("trellis.models.sparse_structure_flow", "SparseStructureFlowModel"),
    "structure_decoder": ("trellis.models.sparse_structure_vae", "SparseStructureDecoder"),
    "latent_flow": ("trellis.models.structured_latent_flow", "SLatFlowModel"),
}
SAMPLERS = "trellis.pipelines.samplers.flow_euler"
Measured = tuple[Row, Callable[[], Any]]


def attend(
    q: Tensor, k: Tensor, v: Tensor, starts_q: Tensor, starts_k: Tensor, longest_q: int, longest_k: int
) -> Tensor:
    """Stand in for ``flash_attn_varlen_func``.

    Args:
        q: (T_q, H, C) queries of all sequences one after the other.
        k: (T_k, H, C) keys.
        v: (T_k, H, C) values.
        starts_q: (B + 1,) int32, where each sequence's queries start, and their number.
        starts_k: (B + 1,) int32, the same of keys and values.
        longest_q: Most queries of a sequence.
        longest_k: Most keys of a sequence.

    Returns:
        (T_q, H, C)
    """
    if q.is_cuda and q.dtype != torch.float32:
        from torch.nn.attention.varlen import varlen_attn

        out = varlen_attn(q, k, v, starts_q, starts_k, longest_q, longest_k)
        assert isinstance(out, Tensor)
        return out
    lengths = starts_q.diff().tolist(), starts_k.diff().tolist()
    parts = zip(q.split(lengths[0]), k.split(lengths[1]), v.split(lengths[1]), strict=True)
    heads_first = (tuple(part.transpose(0, 1)[None] for part in three) for three in parts)
    return torch.cat([F.scaled_dot_product_attention(*three)[0].transpose(0, 1) for three in heads_first])


def attend_kv(
    q: Tensor, kv: Tensor, starts_q: Tensor, starts_k: Tensor, longest_q: int, longest_k: int
) -> Tensor:
    """Stand in for ``flash_attn_varlen_kvpacked_func``: (T_k, 2, H, C) keys and values."""
    k, v = kv.unbind(1)
    return attend(q, k, v, starts_q, starts_k, longest_q, longest_k)


def attend_qkv(qkv: Tensor, starts: Tensor, longest: int) -> Tensor:
    """Stand in for ``flash_attn_varlen_qkvpacked_func``: (T, 3, H, C) queries, keys and values."""
    q, k, v = qkv.unbind(1)
    return attend(q, k, v, starts, starts, longest, longest)


class Attributes(dict[str, Any]):
    """Stand in for ``EasyDict``, which the sampler returns: entries are attributes."""

    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__


STAND_INS: Mapping[str, Mapping[str, Any]] = {
    "flash_attn": {
        "flash_attn_varlen_func": attend,
        "flash_attn_varlen_kvpacked_func": attend_kv,
        "flash_attn_varlen_qkvpacked_func": attend_qkv,
    },
    "easydict": {"EasyDict": Attributes},
}


def _module(name: str, folder: Path | None = None) -> ModuleType:
    """Return an empty module, or a package over a folder that does not run its ``__init__``."""
    spec = ModuleSpec(name, None, is_package=folder is not None)
    if folder is not None:
        spec.submodule_search_locations = [str(folder)]
    return module_from_spec(spec)


@contextmanager
def stand_ins() -> Iterator[None]:
    """Have what is not installed stood in for inside the block, and for nobody else after it."""
    missing = [name for name in STAND_INS if find_spec(name) is None]
    for name in missing:
        sys.modules[name] = _module(name)
        vars(sys.modules[name]).update(STAND_INS[name])
    try:
        yield
    finally:
        for name in missing:
            del sys.modules[name]


def import_official(folder: Path) -> dict[str, Any]:
    """Import the official networks, by our names, their ``sampler`` and ``sparse`` module.

    Args:
        folder: Holds the official ``trellis`` package.

    Raises:
        FileNotFoundError: It does not.
    """
    package = folder.resolve() / "trellis"
    if not (package / "models").is_dir():
        raise FileNotFoundError(f"{package / 'models'} is no folder; --official takes the folder of trellis/")
    os.environ.update(BACKENDS)
    sys.modules["trellis"] = _module("trellis", package)
    sys.modules["trellis.pipelines"] = _module("trellis.pipelines", package / "pipelines")
    with stand_ins(), redirect_stdout(sys.stderr):  # it prints its backends
        found = {}
        for part, (where, name) in CLASSES.items():
            found[part] = getattr(importlib.import_module(where), name)
        found["sampler"] = importlib.import_module(SAMPLERS).FlowEulerGuidanceIntervalSampler(sigma_min=1e-5)
        found["sparse"] = importlib.import_module("trellis.modules.sparse")
    return found


def explain_no_spconv() -> str | None:
    """Return why spconv cannot be imported; None: it can."""
    try:
        importlib.import_module("spconv.pytorch")
    except ImportError as error:
        return str(error)
    return None


class Official:
    """Measures the official classes.

    Args:
        folder: Holds the official ``trellis`` package.
        size: Full or tiny.
        device: "cuda" or "cpu".
        dtype: Type of the torsos: float16, as released, or float32.
        times: Repetitions of a measurement.

    Raises:
        ValueError: The official code has no such precision.
    """

    def __init__(self, folder: Path, size: Size, device: str, dtype: torch.dtype, times: int) -> None:
        if dtype not in (torch.float16, torch.float32):
            raise ValueError(f"the official code runs in float16 or float32, not in {dtype}")
        self.code = import_official(folder)
        self.size, self.device, self.dtype, self.times = size, device, dtype, times
        self._networks: dict[str, nn.Module] = {}

    def beside(
        self, part: str, ours: nn.Module, inputs: Sequence[Any], of_ours: Sequence[Measured]
    ) -> Iterator[Row]:
        """Measure what was measured of ours.

        Args:
            part: Name of the network.
            ours: Gives the weights.
            inputs: State and condition tokens of a flow, or the decoder's latent.
            of_ours: Our rows and calls: of a flow a forward pass, a guided step and a full sample.

        Yields:
            A row each with the milliseconds, the peak, how many times as long it takes
            (``times_faster``), our part of its memory (``peak_of_official``), and the largest difference of
            the outputs over the root mean square of the official ones, None for the full sample.
        """
        reason = explain_no_spconv() if part == "latent_flow" else None
        if reason is not None:
            yield {"table": f"official_{part}", "skipped": f"no spconv: {reason}"}
            return
        with torch.no_grad():
            expected: list[Tensor | None] = [get_values(call()).clone() for _, call in of_ours[:2]]
        network = self._network(part, ours)
        network.to(self.device)
        weights = count_weight_bytes(network)
        calls = self._calls(network, *(self._copied(value) for value in inputs))
        for (row, _), call, output in zip_longest(of_ours, calls, expected):
            with torch.no_grad():
                yield self._row(row, call, output, weights)
        network.cpu()

    def _network(self, part: str, ours: nn.Module) -> nn.Module:
        """Return the official network with our weights, in the host's memory between its uses."""
        if part not in self._networks:
            arguments = {**read_config(part, self.size)["args"], "use_fp16": self.dtype == torch.float16}
            network: nn.Module = self.code[part](**arguments)
            network.load_state_dict(ours.state_dict())
            # spconv adds no bias on a CPU unless it trains; nothing else depends on the mode
            self._networks[part] = network.train(self.device == "cpu").requires_grad_(False)
        return self._networks[part]

    def _copied(self, value: Any) -> Any:
        """Return a copy of an input, its memory the official code's; a sparse one as the official class."""
        if isinstance(value, SparseTensor):
            return self.code["sparse"].SparseTensor(feats=value.feats.clone(), coords=value.coords.clone())
        return value.clone()

    def _calls(self, network: nn.Module, state: Any, cond: Tensor | None = None) -> list[Callable[[], Any]]:
        """Return the calls in the order of ours."""
        if cond is None:
            return [lambda: network(state)]
        times = torch.full((state.shape[0],), 700.0, device=self.device)
        settings = {
            "cfg_strength": RELEASED["guidance"],
            "cfg_interval": RELEASED["guidance_interval"],
            "rescale_t": RELEASED["rescale_t"],
            "verbose": False,
        }

        def sample(steps: int) -> Any:
            negative = torch.zeros_like(cond)
            sampler = self.code["sampler"]
            return sampler.sample(network, state, cond, neg_cond=negative, steps=steps, **settings).samples

        return [lambda: network(state, times, cond), lambda: sample(1), lambda: sample(self.size.steps)]

    def _row(self, ours: Row, call: Callable[[], Any], expected: Tensor | None, weights: int) -> Row:
        """Measure one call beside our row of it.

        Where an output is expected, a first call warms up and gives it; a full sample is made once.
        """
        difference = None
        if expected is not None:
            output = call()
            theirs = output if isinstance(output, Tensor) else output.feats
            difference = float((expected - theirs).abs().max() / theirs.float().square().mean().sqrt())
            del output, theirs
        took, peak = measure(call, self.device, 1 if expected is None else self.times, weights)
        return {
            "table": f"official_{ours['table']}",
            **{key: ours[key] for key in ("items", "voxels") if key in ours},
            "ms": round(1000 * took, 3),
            "ms_per_item": round(1000 * took / ours["items"], 3),
            "peak_gib": peak,
            "times_faster": round(1000 * took / ours["ms"], 3),
            "peak_of_official": round(ours["peak_gib"] / peak, 3) if peak else None,
            "difference": difference,
        }
