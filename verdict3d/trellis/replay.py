"""CUDA graphs: the kernels of a call are recorded once and started together afterwards."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from verdict3d.trellis.sampler import get_values, with_values
from verdict3d.trellis.sparse import SparseTensor

MOST_NUMBERS = 1 << 19
"""How many numbers the first input of a replayed call has at most. Larger calls keep a GPU busy while their
kernels are started one by one."""
WARM_UPS = 2
"""How many calls of a kind run as they are before one is recorded: they compile, plan and fill caches."""
MOST_KINDS = 8
"""How many kinds of calls are remembered; one sample makes two or three."""

Recorded = tuple[torch.cuda.CUDAGraph, tuple[Tensor, ...], Any]


@dataclass(eq=False)
class _Kind:
    """Calls with the same voxels, shapes and dtypes.

    Attributes:
        structure: The voxels, kept so that no others can take their place in memory.
        calls: How many were made so far.
        recorded: The graph, and where its inputs and its output lie.
    """

    structure: object
    calls: int = 0
    recorded: Recorded | None = None


class Replayed:
    """A function of tensors that is recorded for each kind of input and replayed: the same kernels and bits.

    It replays only without gradients, on a GPU, and for small inputs; other calls go to the function as it
    is. Weights may change in place; when they move, call :meth:`forget`. A deep copy is the bare function.

    Args:
        call: A dense or sparse tensor and tensors to one like the first; which kernels it starts may depend
            on voxels, shapes and dtypes alone.
    """

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call = call
        self._kinds: dict[tuple[Any, ...], _Kind] = {}
        self._memory: Any = None

    def __call__(self, state: Any, *others: Tensor) -> Any:
        """Call the function."""
        inputs = (get_values(state), *others)
        if torch.is_grad_enabled() or not inputs[0].is_cuda or inputs[0].numel() > MOST_NUMBERS:
            return self.call(state, *others)
        kind = self._describe_kind(state, inputs)
        kind.calls += 1
        if kind.calls <= WARM_UPS:
            return self.call(state, *others)
        if kind.recorded is None:
            kind.recorded = self._record(state, inputs)
        graph, held, out = kind.recorded
        for place, value in zip(held, inputs, strict=True):
            place.copy_(value)
        graph.replay()
        return with_values(out, get_values(out).clone())

    def forget(self) -> None:
        """Drop what is recorded."""
        self._kinds.clear()
        self._memory = None

    def _describe_kind(self, state: Any, inputs: tuple[Tensor, ...]) -> _Kind:
        """Return what is known of such calls; a new kind pushes out the one that waited longest."""
        structure = state.structure if isinstance(state, SparseTensor) else None
        key = (id(structure), *((value.shape, value.dtype, value.device) for value in inputs))
        kind = self._kinds.pop(key, None) or _Kind(structure)
        self._kinds[key] = kind
        if len(self._kinds) > MOST_KINDS:
            del self._kinds[next(iter(self._kinds))]
        return kind

    def _record(self, state: Any, inputs: tuple[Tensor, ...]) -> Recorded:
        """Record the call; the graphs of all kinds share their memory, as only one runs at a time."""
        held = tuple(value.clone() for value in inputs)
        self._memory = self._memory or torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._memory):
            out = self.call(with_values(state, held[0]), *held[1:])
        return graph, held, out

    def __deepcopy__(self, memo: dict[int, Any]) -> Callable[..., Any]:
        """Return a copy of the function."""
        copied: Callable[..., Any] = copy.deepcopy(self.call, memo)
        return copied
