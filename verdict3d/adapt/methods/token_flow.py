"""Method ``token_flow``: generative repair. A flow over tokens draws clean ones given the degraded ones.

A regression of clean tokens aims at their average over all objects that the degraded picture may show; a
sample is one of them. x_t = (1 - t) c + t e with c the clean tokens, the network sees x_t beside the
degraded tokens, and flow matching trains it. Sampling is Euler from t = 1, with noise that the picture
itself decides (its digest), and ends with the conditioner's own layer norm.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from verdict3d.adapt.conditioners import RepairedConditioner
from verdict3d.adapt.method import Fit, FitInputs, Method, Tools
from verdict3d.adapt.parallel import ALONE, Processes
from verdict3d.adapt.token_training import fit_on_tokens
from verdict3d.adapt.tokens import TokenPairs
from verdict3d.config_arms import TokenFlowParams
from verdict3d.randomness import torch_generator
from verdict3d.trellis.losses import compute_velocity, diffuse, sample_times
from verdict3d.trellis.transformer import TimestepEmbedder

if TYPE_CHECKING:
    from verdict3d.trellis.pipeline import TrellisPipeline


class TokenFlow(nn.Module):
    """Velocity of noisy clean tokens, given the degraded ones; zero until trained.

    Args:
        channels: Width C of the tokens.
        tokens: Their number L.
        params: Width, blocks, heads, sampler steps.
        generator: Source of the initial weights.
    """

    draws = True
    """Takes the seeds of the items beside the tokens (see ``RepairedConditioner``)."""

    def __init__(
        self, channels: int, tokens: int, params: TokenFlowParams, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        width = params.width
        self.steps = params.sampler_steps
        self.inner = nn.Linear(2 * channels, width)
        self.place = nn.Parameter(torch.randn(tokens, width, generator=generator) * 0.02)
        self.time = TimestepEmbedder(width)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, params.heads, 4 * width, 0.0, F.gelu, batch_first=True, norm_first=True
            )
            for _ in range(params.blocks)
        )
        self.outer = nn.Linear(width, channels)
        for name, weight in self.named_parameters():
            if weight.ndim > 1 and name != "place":
                nn.init.xavier_uniform_(weight, generator=generator)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)
        nn.init.zeros_(self.outer.weight)

    def velocity(self, state: Tensor, t: Tensor, degraded: Tensor) -> Tensor:
        """Return the velocity (B, L, C) at states (B, L, C) and times t (B,) in [0, 1]."""
        h = self.inner(torch.cat([state, degraded], dim=-1)) + self.place + self.time(1000 * t)[:, None]
        for block in self.blocks:
            h = block(h)
        out: Tensor = self.outer(F.layer_norm(h, h.shape[-1:]))
        return out

    def loss(
        self, degraded: Tensor, clean: Tensor, generator: torch.Generator, processes: Processes = ALONE
    ) -> Tensor:
        """Return the flow-matching loss from noise to clean tokens (B, L, C), a mean over the own share."""
        noise = torch.randn(clean.shape, generator=generator).to(clean)
        t = sample_times(len(clean), generator, 0.0).to(clean)
        degraded, clean, noise, t = (processes.own(values) for values in (degraded, clean, noise, t))
        predicted = self.velocity(diffuse(clean, noise, t), t, degraded)
        return F.mse_loss(predicted, compute_velocity(clean, noise))

    def forward(self, degraded: Tensor, seeds: list[int]) -> Tensor:
        """Draw tokens for degraded ones (B, L, C), one seed each."""
        noise = [
            torch.randn(degraded.shape[1:], generator=torch.Generator().manual_seed(seed)) for seed in seeds
        ]
        state = torch.stack(noise).to(degraded)
        grid = torch.linspace(1.0, 0.0, self.steps + 1).tolist()
        for t, after in pairwise(grid):
            times = torch.full((len(state),), t, device=state.device)
            state = state - (t - after) * self.velocity(state, times, degraded)
        return F.layer_norm(state, state.shape[-1:])


class GenerativeRepair:
    """The method: see the module's description."""

    name = "token_flow"
    trains = "conditioner"

    def fit(self, inputs: FitInputs, params: TokenFlowParams) -> Fit:
        """Train on the tokens of the training pictures."""

        def make(shape: torch.Size, generator: torch.Generator) -> TokenFlow:
            _, tokens, channels = shape
            return TokenFlow(channels, tokens, params, generator)

        def loss(flow: TokenFlow, given: Tensor, clean: Tensor, step: int) -> Tensor:
            noise = torch_generator(inputs.seed, "train_noise", self.name, step)
            return flow.loss(given, clean, noise, inputs.processes)

        def validate(flow: TokenFlow, pairs: TokenPairs) -> dict[str, float]:
            return measure_validation_losses(flow, pairs, inputs.seed)

        return fit_on_tokens(self.name, inputs, params, make, loss, validate)

    def wrap(
        self, pipeline: TrellisPipeline, params: TokenFlowParams, tensors: Mapping[str, Tensor], tools: Tools
    ) -> TrellisPipeline:
        """Return a copy of ``pipeline`` whose tokens are drawn anew; everything else is shared."""
        tokens = len(tensors["place"])
        flow = TokenFlow(pipeline.conditioner.channels, tokens, params)
        flow.load_state_dict(dict(tensors))
        repair = flow.eval().requires_grad_(False).to(pipeline.device)
        return pipeline.with_networks(RepairedConditioner(pipeline.conditioner, repair))


def measure_validation_losses(flow: TokenFlow, pairs: TokenPairs, seed: int) -> dict[str, float]:
    """Return the flow-matching loss by regime at fixed noise."""
    losses = {}
    for regime in sorted(set(pairs.pictures.regimes)):
        rows = pairs.pictures.rows_of(regime)
        generator = torch_generator(seed, "validation_noise", "token_flow")
        clean = pairs.clean[pairs.pictures.clean_row[rows]]
        losses[regime] = flow.loss(pairs.degraded[rows], clean, generator).item()
    return losses


METHOD: Method = GenerativeRepair()
