"""CUDA graphs: the kernels of a call are recorded once and started together afterwards."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

MOST_NUMBERS = 1 << 18
"""Of the first input: larger calls keep a GPU busy while their kernels are started one by one."""
WARM_UPS = 2

Recorded = tuple[torch.cuda.CUDAGraph, tuple[Tensor, ...], Tensor]


class Replayed:
    """A function of tensors that is recorded for each kind of input and replayed: the same kernels and bits.

    Only without gradients, on a GPU, and for small inputs; other calls go to the function as it is. Weights
    may change in place; when they move, call :meth:`forget`. A copy is the function without this.

    Args:
        call: Tensors to a tensor; which kernels it starts may depend on their shapes and dtypes alone.
    """

    def __init__(self, call: Callable[..., Tensor]) -> None:
        self.call = call
        self._recorded: dict[tuple[Any, ...], Recorded] = {}
        self._memory: Any = None

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Call the function."""
        if torch.is_grad_enabled() or not inputs[0].is_cuda or inputs[0].numel() > MOST_NUMBERS:
            return self.call(*inputs)
        kind = tuple((value.shape, value.dtype, value.device) for value in inputs)
        if kind not in self._recorded:
            self._recorded[kind] = self._record(inputs)
        graph, held, out = self._recorded[kind]
        for place, value in zip(held, inputs, strict=True):
            place.copy_(value)
        graph.replay()
        return out.clone()

    def forget(self) -> None:
        """Drop what is recorded."""
        self._recorded.clear()
        self._memory = None

    def _record(self, inputs: tuple[Tensor, ...]) -> Recorded:
        """Record the call; the graphs of all kinds share their memory, as only one runs at a time."""
        held = tuple(value.clone() for value in inputs)
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(WARM_UPS):  # compiles, plans, allocates
                self.call(*held)
        torch.cuda.current_stream().wait_stream(beside)
        self._memory = self._memory or torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._memory):
            out = self.call(*held)
        return graph, held, out

    def __deepcopy__(self, memo: dict[int, Any]) -> Callable[..., Tensor]:
        """Return a copy of the function."""
        copied: Callable[..., Tensor] = copy.deepcopy(self.call, memo)
        return copied
