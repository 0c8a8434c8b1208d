"""What all TRELLIS networks share: kept arguments, a half-precision torso, initialisation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from verdict3d.trellis.gathering import RowSums
from verdict3d.trellis.replay import Replayed
from verdict3d.trellis.sparse import KernelWeights
from verdict3d.trellis.transformer import ActivatedNorm, ModulatedNorm

TORSO_LAYERS = (nn.Linear, nn.Conv3d, KernelWeights)
"""Layers whose weights follow the torso's dtype; norms, gammas and all outside the torso stay float32."""

KINDS_OF_CALLS = 64
"""Ways in which compiled blocks may be called: both flows share their code, and no, one or many condition
tokens, guidance, and each size of even batches are compiled apart. Behind torch's 8 nothing is compiled."""


class Network(nn.Module):
    """Base of the networks.

    The *torso* is the part that released files keep in float16 and that computes in ``torso_dtype``. Inputs
    are cast on entry and cast back to float32 before the last layer.

    Args:
        arguments: ``locals()`` of the subclass's constructor; kept as ``config``, written beside weights.
    """

    TORSO: tuple[str, ...] = ()
    UNEVEN = True
    """Whether the number of rows changes from call to call."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        super().__init__()
        self.config = {k: v for k, v in arguments.items() if k not in ("self", "__class__")}
        self.torso_dtype = torch.float32

    def _finish(self) -> None:
        """Initialise the weights, then give the torso the dtype the configuration asks for."""
        self.initialize_weights()
        if self.config.get("use_fp16"):
            self.set_torso_dtype(torch.float16)

    def list_torso_layers(self) -> Iterator[tuple[str, nn.Module]]:
        """Yield (name, module) of the layers that follow ``torso_dtype``."""
        for part in self.TORSO:
            for name, module in self.get_submodule(part).named_modules(prefix=part):
                if isinstance(module, TORSO_LAYERS):
                    yield name, module

    def set_torso_dtype(self, dtype: torch.dtype) -> None:
        """Convert the torso's layers to ``dtype``; float32 for training and on CPUs, float16 as released."""
        for _, module in self.list_torso_layers():
            module.to(dtype)
        self.torso_dtype = dtype

    def compile_blocks(self, backend: str = "inductor") -> None:
        """Let ``torch.compile`` fuse what lies between the products of the blocks.

        All blocks of a network are one piece of code, which is compiled at the first call: seconds once, less
        time at every step, and the last bits differ. Small batches are replayed (:class:`Replayed`). A copy
        of the network is neither compiled nor replayed.
        """
        config = torch._dynamo.config
        config.recompile_limit = max(config.recompile_limit, KINDS_OF_CALLS)
        torch._inductor.config.assert_indirect_indexing = False  # no gathered row is outside
        for block in self.get_submodule("blocks").children():
            block.compile(backend=backend, dynamic=self.UNEVEN)
        for module in self.modules():
            if isinstance(module, ActivatedNorm | ModulatedNorm | RowSums):
                module.compile(backend=backend, dynamic=self.UNEVEN)
        self.forward = Replayed(self.forward)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """Follow ``.to(dtype)``, ``.float()`` and the like."""
        result = super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if isinstance(self.forward, Replayed):
            self.forward.forget()
        for _, module in self.list_torso_layers():
            weight = module.weight
            assert isinstance(weight, torch.Tensor)
            self.torso_dtype = weight.dtype
            break
        return result

    @torch.no_grad()
    def initialize_weights(self) -> None:
        """Initialise for training: Xavier-uniform matrices and sparse kernels, zero biases."""
        for module in self.modules():
            if isinstance(module, nn.Linear | KernelWeights):
                nn.init.xavier_uniform_(module.weight.reshape(len(module.weight), -1))
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


def clear_layer(module: nn.Module) -> None:
    """Set all parameters of ``module`` to zero."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
