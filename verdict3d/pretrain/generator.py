"""Training of the embedded generator's networks, in the order in which they depend on each other.

structure VAE -> conditioner and structure flow together -> structured-latent VAE (its features come from the
conditioner) -> latent flow. Losses are those of TRELLIS where it has them; the mesh decoder, trained through a
differentiable rasteriser there, learns here from the exact signed distance of the procedural objects.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from verdict3d.pretrain.architectures import LATENT_CHANNELS, MESH_RESOLUTION, STRUCTURE_RESOLUTION
from verdict3d.pretrain.pool import DevicePool
from verdict3d.pretrain.progress import Average, Budget, Log, optimizer_for
from verdict3d.pretrain.rows import FEATURE_CAMERAS
from verdict3d.pretrain.solids import distance_grid, solid_voxels, unpack_objects
from verdict3d.render.rig import projection
from verdict3d.trellis.flexicubes_tables import corner_offsets
from verdict3d.trellis.losses import dice_loss, flow_matching_loss, kl_divergence
from verdict3d.trellis.sparse import SparseTensor

REFRESH_EVERY = 50
"""Steps between two looks for new rows of the pool."""
DISTANCE_SCALE = MESH_RESOLUTION / 2
"""Signed distances are learned in units of two grid cells, clamped to [-1, 1]."""


@dataclass
class Structures:
    """Occupancies of the pool's rows, computed once: (rows, 16, 16, 16) bool."""

    pool: DevicePool
    values: Tensor
    rows: int = 0

    @classmethod
    def over(cls, pool: DevicePool) -> Structures:
        """Make room for every row of ``pool``."""
        side = (STRUCTURE_RESOLUTION,) * 3
        return cls(pool, torch.zeros((pool.limit, *side), dtype=torch.bool, device=pool.device))

    @torch.no_grad()
    def refresh(self, block: int = 256) -> int:
        """Compute what has come since; return the number of rows."""
        ready = self.pool.refresh()
        while self.rows < ready:
            stop = min(self.rows + block, ready)
            packed = unpack_objects(self.pool.arrays["parts"][self.rows : stop])
            self.values[self.rows : stop] = solid_voxels(packed)
            self.rows = stop
        return self.rows


def pictures(images: Tensor) -> Tensor:
    """Turn (B, S, S, 3) uint8 pictures into (B, 3, S, S) float32 in [0, 1]."""
    return images.permute(0, 3, 1, 2).float() / 255


def sparse_rows(mask: Tensor) -> Tensor:
    """Return the (T, 4) int32 coordinates (item, x, y, z) of the set voxels of (B, R, R, R) masks."""
    return mask.nonzero().int()


def train_structure_vae(
    encoder: nn.Module, decoder: nn.Module, structures: Structures, seconds: float, batch: int, log: Log
) -> None:
    """Dice + 1e-3 KL on occupancy; afterwards the latents are scaled to unit variance, exactly."""
    device = structures.pool.device
    budget, optimizer = Budget(2e-3, seconds), optimizer_for([encoder, decoder], 0.0)
    averages = [Average(encoder), Average(decoder)]
    for step in budget.steps(optimizer):
        if step % REFRESH_EVERY == 0:
            structures.refresh()
        rows = torch.randint(structures.rows, (batch,), device=device)
        target = structures.values[rows][:, None].float()
        with torch.autocast(device.type, torch.bfloat16):
            mean, log_variance = encoder.distribution(target)
            latent = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
            logits = decoder(latent)
        dice, kl = dice_loss(logits, target), kl_divergence(mean, log_variance)
        cross_entropy = F.binary_cross_entropy_with_logits(logits.float(), target)
        optimizer.zero_grad(set_to_none=True)
        (dice + cross_entropy + 1e-3 * kl).backward()
        optimizer.step()
        for average in averages:
            average.update()
        wrong = ((logits > 0) != (target > 0.5)).float().mean() if step % log.every == 0 else 0.0
        log.add(step, dice=dice, cross_entropy=cross_entropy, kl=kl, wrong=wrong, rows=float(structures.rows))
    for average in averages:
        average.apply()
    _scale_latents(encoder, decoder, structures)


@torch.no_grad()
def _scale_latents(encoder: nn.Module, decoder: nn.Module, structures: Structures) -> None:
    """Give each latent channel unit root mean square, moving the scale into the neighbouring convolutions."""
    mean = encoder(structures.values[:512][:, None].float())
    scale = mean.square().mean(dim=(0, 2, 3, 4)).sqrt()
    last, first = encoder.out_layer[-1], decoder.input_layer
    channels = len(scale)
    last.weight[:channels] /= scale[:, None, None, None, None]
    last.bias[:channels] /= scale
    last.bias[channels:] -= 2 * scale.log()
    first.weight *= scale[None, :, None, None, None]


class PatchPixels(nn.Module):
    """Auxiliary head of the conditioner: each patch token shows its own 7x7 pixels, so colour and detail stay."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.head = nn.Linear(channels, 3 * 49)

    def forward(self, tokens: Tensor, images: Tensor) -> Tensor:
        """Return the mean squared error; tokens (B, N, C) of N = n x n patches, images (B, 3, S, S) in [0, 1]."""
        batch, count, _ = tokens.shape
        side = math.isqrt(count)
        small = F.adaptive_avg_pool2d(images, (7 * side, 7 * side))
        target = small.unflatten(3, (side, 7)).unflatten(2, (side, 7)).permute(0, 2, 4, 1, 3, 5)
        return F.mse_loss(self.head(tokens).float(), target.reshape(batch, count, -1))


def train_structure_flow(
    conditioner: nn.Module,
    flow: nn.Module,
    encoder: nn.Module,
    structures: Structures,
    seconds: float,
    batch: int,
    log: Log,
    learn_conditioner: bool,
) -> None:
    """Flow matching on structure latents; ``learn_conditioner`` trains the picture encoder along with it."""
    device = structures.pool.device
    conditioner.requires_grad_(learn_conditioner)
    pixels = PatchPixels(conditioner.channels).to(device)
    trained = [flow, conditioner, pixels] if learn_conditioner else [flow]
    budget, optimizer = Budget(6e-4 if learn_conditioner else 4e-4, seconds), optimizer_for(trained)
    averages = [Average(module) for module in trained]
    parameters = [
        parameter for module in trained for parameter in module.parameters() if parameter.requires_grad
    ]
    images = structures.pool.arrays["conditions"]
    generator = torch.Generator(device).manual_seed(torch.initial_seed())
    for step in budget.steps(optimizer):
        if step % REFRESH_EVERY == 0:
            structures.refresh()
        rows = torch.randint(structures.rows, (batch,), device=device)
        views = torch.randint(images.shape[1], (batch,), device=device)
        picture = pictures(images[rows, views])
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
            data = encoder(structures.values[rows][:, None].float()).float()
        with torch.autocast(device.type, torch.bfloat16):
            if learn_conditioner:
                raw = conditioner.raw_tokens(picture)
                auxiliary = pixels(raw[:, conditioner.prefix_tokens :], picture)
                tokens = F.layer_norm(raw.float(), raw.shape[-1:])
            else:
                with torch.no_grad():
                    tokens = conditioner(picture)
                auxiliary = torch.zeros((), device=device)
            loss = flow_matching_loss(flow, data, tokens, generator)
        optimizer.zero_grad(set_to_none=True)
        (loss + 0.3 * auxiliary).backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        for average in averages:
            average.update()
        log.add(step, loss=loss, pixels=auxiliary, norm=norm, rows=float(structures.rows))
    for average in averages:
        average.apply()


class Features:
    """Structured-latent features: un-normalised patch tokens of fixed views, averaged at voxel centres."""

    def __init__(self, conditioner: nn.Module, device: torch.device) -> None:
        self.conditioner = conditioner
        ticks = (torch.arange(STRUCTURE_RESOLUTION, device=device) + 0.5) / STRUCTURE_RESOLUTION - 0.5
        centers = torch.stack(torch.meshgrid(ticks, ticks, ticks, indexing="ij"), dim=-1).reshape(-1, 3)
        homogeneous = F.pad(centers, (0, 1), value=1.0)
        grids = []
        for camera in FEATURE_CAMERAS:
            clip = homogeneous @ torch.from_numpy(projection(camera)).float().to(device).T
            grids.append(torch.stack([clip[:, 0] / clip[:, 3], -clip[:, 1] / clip[:, 3]], dim=-1))
        self.grid = torch.stack(grids)

    @torch.no_grad()
    def __call__(self, views: Tensor, coords: Tensor) -> Tensor:
        """Return (T, C) features; views (B, V, S, S, 3) uint8, coords (T, 4)."""
        batch, count = views.shape[:2]
        with torch.autocast(views.device.type, torch.bfloat16):
            tokens = self.conditioner.patch_features(pictures(views.flatten(0, 1)))
        maps = tokens.permute(0, 3, 1, 2)
        grid = self.grid[None].expand(batch, -1, -1, -1).flatten(0, 1)[:, :, None]
        values = F.grid_sample(maps, grid, mode="bilinear", align_corners=False)[..., 0]
        mean = values.unflatten(0, (batch, count)).mean(dim=1).transpose(1, 2)
        side = STRUCTURE_RESOLUTION
        index = coords.long()
        return mean[index[:, 0], (index[:, 1] * side + index[:, 2]) * side + index[:, 3]]


@dataclass
class Surfaces:
    """Distance and colour grids of pool rows, computed once for the mesh decoder's targets."""

    distance: Tensor
    color: Tensor

    @classmethod
    @torch.no_grad()
    def over(cls, pool: DevicePool, rows: int, block: int = 64) -> Surfaces:
        """Compute the grids of the first ``rows`` rows."""
        side = (MESH_RESOLUTION + 1,) * 3
        distance = torch.empty((rows, *side), dtype=torch.float16, device=pool.device)
        color = torch.empty((rows, *side, 3), dtype=torch.uint8, device=pool.device)
        for start in range(0, rows, block):
            packed = unpack_objects(pool.arrays["parts"][start : min(start + block, rows)])
            values, colors = distance_grid(packed)
            distance[start : start + len(values)] = values.clamp(-1, 1).half()
            color[start : start + len(values)] = colors
        return cls(distance, color)

    def at_corners(self, rows: Tensor, coords: Tensor) -> tuple[Tensor, Tensor]:
        """Return distances (N, 8) and colours (N, 8, 3) in [0, 1] at the corners of mesh cells (N, 4)."""
        offsets = torch.from_numpy(corner_offsets()).to(coords.device)
        vertex = coords[:, None, 1:].long() + offsets[None]
        item = rows[coords[:, 0].long()][:, None]
        place = (item, vertex[..., 0], vertex[..., 1], vertex[..., 2])
        return self.distance[place].float(), self.color[place].float() / 255


def decoder_loss(features: Tensor, distance: Tensor, color: Tensor) -> dict[str, Tensor]:
    """Losses of the mesh decoder's 101 channels against exact distances and colours at cell corners.

    Args:
        features: (N, 101) float32: sdf 8, deformation 24, weights 21, colour and normal map 8 x 6.
        distance: (N, 8) signed distances in object units.
        color: (N, 8, 3) in [0, 1].
    """
    target = (distance * DISTANCE_SCALE).clamp(-1, 1) + 1.0 / MESH_RESOLUTION
    near = (distance.abs() * DISTANCE_SCALE < 1.0).float()
    weight = 0.1 + near
    error = F.smooth_l1_loss(features[:, :8], target, beta=0.1, reduction="none")
    shade = torch.sigmoid(features[:, 53:].unflatten(1, (8, 6))[..., :3])
    off = (shade - color).square().mean(dim=-1)
    rest = torch.cat([features[:, 8:53], features[:, 53:].unflatten(1, (8, 6))[..., 3:].flatten(1)], dim=1)
    return {
        "distance": (error * weight).sum() / weight.sum(),
        "color": (off * near).sum() / near.sum().clamp(min=1),
        "rest": rest.square().mean(),
    }


def train_latent_vae(
    encoder: nn.Module,
    decoder: nn.Module,
    features: Features,
    structures: Structures,
    surfaces: Surfaces,
    seconds: float,
    batch: int,
    log: Log,
) -> None:
    """Learn structured latents that the mesh decoder turns into distance and colour; 1e-4 KL."""
    pool = structures.pool
    budget, optimizer = Budget(1e-3, seconds), optimizer_for([encoder, decoder])
    averages = [Average(encoder), Average(decoder)]
    parameters = [*encoder.parameters(), *decoder.parameters()]
    for step in budget.steps(optimizer):
        rows = torch.randint(len(surfaces.distance), (batch,), device=pool.device)
        coords = sparse_rows(structures.values[rows])
        inputs = SparseTensor(features(pool.arrays["features"][rows], coords), coords)
        with torch.autocast(pool.device.type, torch.bfloat16):
            mean, log_variance = encoder.distribution(inputs)
            latent = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
            output = decoder(SparseTensor(latent.float(), coords))
        losses = decoder_loss(output.feats.float(), *surfaces.at_corners(rows, output.coords))
        losses["kl"] = kl_divergence(mean, log_variance)
        loss = losses["distance"] + losses["color"] + 0.01 * losses["rest"] + 1e-4 * losses["kl"]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        for average in averages:
            average.update()
        log.add(step, **losses)
    for average in averages:
        average.apply()


@dataclass
class Latents:
    """Structured latents of pool rows, computed once, on dense grids: values only at a row's voxels."""

    values: Tensor
    mean: Tensor
    std: Tensor

    @classmethod
    @torch.no_grad()
    def over(
        cls, encoder: nn.Module, features: Features, structures: Structures, rows: int, block: int = 128
    ) -> Latents:
        """Encode the first ``rows`` rows; mean and standard deviation (8,) are over all their voxels."""
        side, device = (STRUCTURE_RESOLUTION,) * 3, structures.pool.device
        values = torch.zeros((rows, *side, LATENT_CHANNELS), dtype=torch.float16, device=device)
        moments = torch.zeros(3, LATENT_CHANNELS, dtype=torch.float64, device=device)
        for start in range(0, rows, block):
            index = torch.arange(start, min(start + block, rows), device=device)
            coords = sparse_rows(structures.values[index])
            inputs = SparseTensor(features(structures.pool.arrays["features"][index], coords), coords)
            latent = encoder(inputs).feats.float()
            place = coords.long().unbind(1)
            values[(index[place[0]], *place[1:])] = latent.half()
            moments += torch.stack([torch.ones_like(latent), latent, latent.square()]).double().sum(dim=1)
        mean = moments[1] / moments[0]
        return cls(values, mean.float(), (moments[2] / moments[0] - mean.square()).sqrt().float())

    def at(self, rows: Tensor, coords: Tensor) -> Tensor:
        """Return (T, 8) normalised latents of the chosen rows at their voxels."""
        place = coords.long().unbind(1)
        return (self.values[(rows[place[0]], *place[1:])].float() - self.mean) / self.std


def train_latent_flow(
    flow: nn.Module,
    latents: Latents,
    conditioner: nn.Module,
    structures: Structures,
    seconds: float,
    batch: int,
    log: Log,
) -> None:
    """Flow matching on normalised structured latents, conditioned on one picture of the object."""
    pool, device = structures.pool, structures.pool.device
    budget, optimizer = Budget(8e-4, seconds), optimizer_for([flow])
    generator = torch.Generator(device).manual_seed(torch.initial_seed())
    average = Average(flow)
    images = pool.arrays["conditions"]
    for step in budget.steps(optimizer):
        rows = torch.randint(len(latents.values), (batch,), device=device)
        views = torch.randint(images.shape[1], (batch,), device=device)
        coords = sparse_rows(structures.values[rows])
        clean = SparseTensor(latents.at(rows, coords), coords)
        with torch.autocast(device.type, torch.bfloat16):
            with torch.no_grad():
                tokens = conditioner(pictures(images[rows, views]))
            loss = flow_matching_loss(flow, clean, tokens, generator)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(flow.parameters(), 1.0)
        optimizer.step()
        average.update()
        log.add(step, loss=loss, norm=norm)
    average.apply()
