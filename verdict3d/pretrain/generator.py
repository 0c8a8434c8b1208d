"""Training of the embedded generator's networks, in the order in which they depend on each other.

structure VAE -> conditioner and structure flow together -> mesh decoder, latent flow and latent encoder.
Losses are those of TRELLIS where it has them. Two things differ, because the objects are procedural and the
budget small: the mesh decoder learns from the exact signed distance instead of through a differentiable
rasteriser, and the structured latents have a fixed meaning (``solids.latent_codes``) that the encoder learns
to read from picture features.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from verdict3d.pretrain.architectures import MESH_RESOLUTION, STRUCTURE_RESOLUTION
from verdict3d.pretrain.pool import DevicePool
from verdict3d.pretrain.rows import FEATURE_CAMERAS
from verdict3d.pretrain.solids import gather_sparse_rows
from verdict3d.pretrain.training import Training, initial_weights, use_mixed_precision
from verdict3d.trellis.flexicubes_tables import list_corner_offsets
from verdict3d.trellis.losses import dice_loss, flow_matching_loss, kl_divergence
from verdict3d.trellis.sparse import SparseTensor
from verdict3d.trellis.structure_vae import sample_gaussian
from verdict3d.trellis.voxelize import project_features

CELL = 1.0 / MESH_RESOLUTION
"""Side of a mesh cell; distances are learned in units of two cells, clamped to [-1, 1]."""
CODE_NOISE = 0.08
"""Noise on the codes the decoder learns from, so that it forgives the latent flow's errors."""


def draw_items(count: int, batch: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Draw (batch,) int64 numbers below ``count`` and return them on ``device``."""
    return torch.randint(count, (batch,), generator=generator).to(device)


def load_pictures(images: Tensor) -> Tensor:
    """Turn (B, S, S, 3) uint8 pictures into (B, 3, S, S) float32 in [0, 1]."""
    return images.permute(0, 3, 1, 2).float() / 255


def train_structure_vae(encoder: Any, decoder: Any, pool: DevicePool, training: Training) -> None:
    """Dice + cross-entropy + 1e-3 KL on occupancy; then each latent channel is scaled to unit variance."""

    def losses_at(step: int, generator: torch.Generator) -> dict[str, Tensor]:
        rows = draw_items(pool.rows, training.schedule.batch, generator, pool.device)
        target = pool.arrays["structure"][rows][:, None].float()
        with use_mixed_precision(pool.device):
            mean, log_variance = encoder.compute_distribution(target)
            logits = decoder(sample_gaussian(mean, log_variance, generator))
        dice, kl = dice_loss(logits, target), kl_divergence(mean, log_variance)
        cross_entropy = F.binary_cross_entropy_with_logits(logits.float(), target)
        wrong = ((logits > 0) != (target > 0.5)).float().mean()
        loss = dice + cross_entropy + 1e-3 * kl
        return {"loss": loss, "dice": dice, "cross_entropy": cross_entropy, "kl": kl, "wrong": wrong}

    networks = {"encoder": encoder, "decoder": decoder}
    training.run(networks, losses_at, weight_decay=0.0, gradient_norm=None)
    _scale_latents(encoder, decoder, pool)


@torch.no_grad()
def _scale_latents(encoder: Any, decoder: Any, pool: DevicePool) -> None:
    """Give each latent channel unit root mean square, moving the scale into the neighbouring convolutions."""
    mean = encoder(pool.arrays["structure"][:512][:, None].float())
    scale = mean.square().mean(dim=(0, 2, 3, 4)).sqrt()
    last, first = encoder.out_layer[-1], decoder.input_layer
    channels = len(scale)
    last.weight[:channels] /= scale[:, None, None, None, None]
    last.bias[:channels] /= scale
    last.bias[channels:] -= 2 * scale.log()
    first.weight *= scale[None, :, None, None, None]


class PatchPixels(nn.Module):
    """Auxiliary head of the conditioner: each patch token shows its own 7x7 pixels, so colour stays."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.head = nn.Linear(channels, 3 * 49)

    def forward(self, tokens: Tensor, images: Tensor) -> Tensor:
        """Return the mean squared error; tokens (B, n * n, C), images (B, 3, S, S) in [0, 1]."""
        batch, count, _ = tokens.shape
        side = math.isqrt(count)
        small = F.adaptive_avg_pool2d(images, (7 * side, 7 * side))
        target = small.unflatten(3, (side, 7)).unflatten(2, (side, 7)).permute(0, 2, 4, 1, 3, 5)
        return F.mse_loss(self.head(tokens).float(), target.reshape(batch, count, -1))


def train_structure_flow(
    conditioner: Any, flow: nn.Module, encoder: Any, pool: DevicePool, training: Training
) -> None:
    """Flow matching on structure latents; the conditioner is trained along with it."""
    device, images = pool.device, pool.arrays["conditions"]
    with initial_weights(training.seed, "initial_weights", "patch_pixels"):
        pixels = PatchPixels(conditioner.channels).to(device)

    def losses_at(step: int, generator: torch.Generator) -> dict[str, Tensor]:
        batch = training.schedule.batch
        rows = draw_items(pool.rows, batch, generator, device)
        picture = load_pictures(images[rows, draw_items(images.shape[1], batch, generator, device)])
        with use_mixed_precision(device):
            with torch.no_grad():
                data = encoder(pool.arrays["structure"][rows][:, None].float()).float()
            raw = conditioner.compute_raw_tokens(picture)
            auxiliary = pixels(raw[:, conditioner.prefix_tokens :], picture)
            tokens = F.layer_norm(raw.float(), raw.shape[-1:])
            matching = flow_matching_loss(flow, data, tokens, generator)
        return {"loss": matching + 0.3 * auxiliary, "matching": matching, "pixels": auxiliary}

    training.run({"flow": flow, "conditioner": conditioner, "pixels": pixels}, losses_at)


@torch.no_grad()
def encode_pictures(conditioner: Any, views: Tensor, coords: Tensor) -> Tensor:
    """Return what the latent encoder reads: un-normalised patch tokens of fixed views at voxel centres.

    Args:
        conditioner: Makes the tokens.
        views: (B, V, S, S, 3) uint8 pictures from ``FEATURE_CAMERAS``.
        coords: (T, 4) int32 voxels (item, x, y, z), items ascending.

    Returns:
        (T, C) float32, each the mean over the views.
    """
    with use_mixed_precision(views.device):
        tokens = conditioner.patch_features(load_pictures(views.flatten(0, 1)))
    items = enumerate(tokens.unflatten(0, views.shape[:2]))
    return torch.cat(
        [
            project_features(coords[coords[:, 0] == item, 1:], maps, FEATURE_CAMERAS, STRUCTURE_RESOLUTION)
            for item, maps in items
        ]
    )


@dataclass(frozen=True)
class Cells:
    """What the mesh decoder learns from: codes at voxels, distance and colour at cell corners."""

    codes: SparseTensor
    distance: Tensor
    color: Tensor

    @classmethod
    def of(cls, pool: DevicePool, rows: Tensor) -> Cells:
        """Take some rows of a pool of grids (``rows.grid_rows``)."""
        structure = pool.arrays["structure"][rows].bool()
        codes = pool.arrays["codes"][rows][structure].float()
        return cls(
            SparseTensor(codes, gather_sparse_rows(structure)),
            pool.arrays["distance"][rows],
            pool.arrays["color"][rows],
        )

    def look_up_corners(self, coords: Tensor) -> tuple[Tensor, Tensor]:
        """Return distances (N, 8) and colours (N, 8, 3) in [0, 1] at the corners of mesh cells (N, 4)."""
        offsets = torch.from_numpy(list_corner_offsets()).to(coords.device)
        vertex = coords[:, None, 1:].long() + offsets[None]
        place = (coords[:, :1].long(), vertex[..., 0], vertex[..., 1], vertex[..., 2])
        return self.distance[place].float(), self.color[place].float() / 255


def compute_decoder_loss(features: Tensor, distance: Tensor, color: Tensor) -> dict[str, Tensor]:
    """Losses of the mesh decoder's 101 channels against exact distances and colours at cell corners.

    Args:
        features: (N, 101) float32: sdf 8, deformation 24, weights 21, colour and normal map 8 x 6.
        distance: (N, 8) signed distances in object units.
        color: (N, 8, 3) in [0, 1].
    """
    # Mesh extraction subtracts one cell side from the network's distance, so it is added here.
    target = (distance / (2 * CELL)).clamp(-1, 1) + CELL
    near = (distance.abs() < 2 * CELL).float()
    weight = 0.1 + near
    error = F.smooth_l1_loss(features[:, :8], target, beta=0.1, reduction="none")
    shades = features[:, 53:].unflatten(1, (8, 6))
    off = (torch.sigmoid(shades[..., :3]) - color).square().mean(dim=-1)
    rest = torch.cat([features[:, 8:53], shades[..., 3:].flatten(1)], dim=1)
    return {
        "distance": (error * weight).sum() / weight.sum(),
        "color": (off * near).sum() / near.sum().clamp(min=1),
        "rest": rest.square().mean(),
    }


def train_mesh_decoder(decoder: nn.Module, pool: DevicePool, training: Training) -> None:
    """Learn distance and colour of the 64³ grid from the codes of the 16³ voxels, slightly disturbed."""

    def losses_at(step: int, generator: torch.Generator) -> dict[str, Tensor]:
        cells = Cells.of(pool, draw_items(pool.rows, training.schedule.batch, generator, pool.device))
        codes = cells.codes.feats
        noise = torch.randn(codes.shape, generator=generator).to(codes) * CODE_NOISE
        with use_mixed_precision(pool.device):
            output = decoder(cells.codes.replace(codes + noise))
        losses = compute_decoder_loss(output.feats.float(), *cells.look_up_corners(output.coords))
        return {"loss": losses["distance"] + losses["color"] + 0.01 * losses["rest"], **losses}

    training.run({"decoder": decoder}, losses_at)


@dataclass(frozen=True)
class Codes:
    """Mean and standard deviation (12,) of the codes, and the normalised codes of chosen rows."""

    pool: DevicePool
    mean: Tensor
    std: Tensor

    @classmethod
    def over(cls, pool: DevicePool, rows: int = 512) -> Codes:
        """Measure the first rows."""
        structure = pool.arrays["structure"][:rows].bool()
        values = pool.arrays["codes"][:rows][structure].float()
        return cls(pool, values.mean(dim=0), values.std(dim=0))

    def look_up(self, rows: Tensor) -> SparseTensor:
        """Return the normalised codes of some rows of the pool."""
        structure = self.pool.arrays["structure"][rows].bool()
        values = self.pool.arrays["codes"][rows][structure].float()
        return SparseTensor((values - self.mean) / self.std, gather_sparse_rows(structure))


def train_latent_flow(flow: nn.Module, codes: Codes, conditioner: Any, training: Training) -> None:
    """Flow matching on normalised codes, conditioned on one picture of the object."""
    pool, device = codes.pool, codes.pool.device
    images = pool.arrays["conditions"]

    def losses_at(step: int, generator: torch.Generator) -> dict[str, Tensor]:
        batch = training.schedule.batch
        rows = draw_items(pool.rows, batch, generator, device)
        views = draw_items(images.shape[1], batch, generator, device)
        with use_mixed_precision(device):
            with torch.no_grad():
                tokens = conditioner(load_pictures(images[rows, views]))
            return {"loss": flow_matching_loss(flow, codes.look_up(rows), tokens, generator)}

    training.run({"flow": flow}, losses_at)


def train_latent_encoder(encoder: Any, conditioner: Any, codes: Codes, rows: int, training: Training) -> None:
    """Learn to read codes from picture features at voxels: Gaussian log-likelihood of mean and variance.

    Args:
        encoder: What is trained.
        conditioner: Makes the features of the pictures.
        codes: What is to be read.
        rows: Rows of the pool that have feature pictures; they come first.
        training: Its length and seed.
    """
    pool = codes.pool

    def losses_at(step: int, generator: torch.Generator) -> dict[str, Tensor]:
        chosen = draw_items(rows, training.schedule.batch, generator, pool.device)
        clean = codes.look_up(chosen)
        with use_mixed_precision(pool.device):
            inputs = clean.replace(
                encode_pictures(conditioner, pool.arrays["features"][chosen], clean.coords)
            )
            mean, log_variance = encoder.compute_distribution(inputs)
        error = (mean.float() - (clean.feats * codes.std + codes.mean)).square()
        log_variance = log_variance.float().clamp(-8, 4)
        loss = 0.5 * (error * torch.exp(-log_variance) + log_variance).mean()
        return {"loss": loss, "error": error.mean()}

    training.run({"encoder": encoder}, losses_at)
