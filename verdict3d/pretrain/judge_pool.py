"""Pictures with known quality, as the pretraining of judges wants them: uint8 tensors on one device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from verdict3d.errors import Verdict3DError
from verdict3d.pretrain.embedded import EmbeddedJudge, PictureRecipe

_RESIZE_CHUNK = 1024


@dataclass(frozen=True, eq=False)
class JudgePool:
    """Objects with candidate meshes of graded quality.

    Args:
        references: (objects, S, S, 3) uint8, the object on black.
        montages: (objects, candidates, M, M, 3) uint8, 2x2 montages of candidate meshes.
        quality: (objects, candidates) float in [0, 1], 1 is the undamaged object.
        valid: (objects, candidates) bool, false where a candidate could not be made or rendered.

    Raises:
        Verdict3DError: Shapes or dtypes do not fit together, or there are fewer than two objects or
            candidates.
    """

    references: Tensor
    montages: Tensor
    quality: Tensor
    valid: Tensor

    def __post_init__(self) -> None:
        objects, candidates = self.quality.shape
        fits = (
            self.references.dtype == self.montages.dtype == torch.uint8
            and self.valid.dtype == torch.bool
            and self.references.ndim == 4
            and self.montages.ndim == 5
            and self.references.shape[0] == objects
            and self.montages.shape[:2] == self.valid.shape == (objects, candidates)
            and self.references.shape[-1] == self.montages.shape[-1] == 3
        )
        if not fits:
            raise Verdict3DError(
                f"pool of references {tuple(self.references.shape)}, montages {tuple(self.montages.shape)}, "
                f"quality {tuple(self.quality.shape)}, valid {tuple(self.valid.shape)} does not fit; wanted "
                "uint8 (N, S, S, 3), uint8 (N, K, M, M, 3), float (N, K), bool (N, K)"
            )
        if objects < 2 or candidates < 2:
            raise Verdict3DError(
                f"a pool needs two objects and two candidates or more, got {objects} and {candidates}"
            )

    def fit(self, recipe: PictureRecipe, device: torch.device) -> JudgePool:
        """Return the pool on ``device`` with all pictures in the size a judge sees."""
        objects, candidates = self.quality.shape
        montages = resize_pictures(self.montages.flatten(0, 1), recipe.size_px, device)
        return JudgePool(
            resize_pictures(self.references, recipe.size_px, device),
            montages.unflatten(0, (objects, candidates)),
            self.quality.to(device, torch.float32),
            self.valid.to(device),
        )


def resize_pictures(pictures: Tensor, size_px: int, device: torch.device) -> Tensor:
    """Resize (N, S, S, 3) uint8 pictures as Pillow's bicubic filter does, to within two levels."""
    if pictures.shape[1] == pictures.shape[2] == size_px:
        return pictures.to(device)
    chunks = []
    for chunk in pictures.split(_RESIZE_CHUNK):
        planes = chunk.to(device).permute(0, 3, 1, 2).float()
        planes = functional.interpolate(planes, (size_px, size_px), mode="bicubic", antialias=True)
        chunks.append(planes.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1))
    return torch.cat(chunks)


def prepare_pixels(judge: EmbeddedJudge, pictures: Tensor) -> Tensor:
    """Return what the judge's image processor makes of pictures that already have its size.

    Args:
        judge: Gives the recipe and the family.
        pictures: (N, size, size, 3) uint8, or float32 in [0, 255].

    Returns:
        float32 (N, patches, values) in merge order for Qwen2.5-VL, (N, 3, size, size) for InternVL.
    """
    recipe = judge.pictures
    mean = torch.tensor(recipe.mean, device=pictures.device)
    std = torch.tensor(recipe.std, device=pictures.device)
    planes = ((pictures.float() / 255.0 - mean) / std).permute(0, 3, 1, 2)
    if judge.family_name == "internvl":
        return planes.contiguous()
    merge = int(judge.model.config.vision_config.spatial_merge_size)
    count, patch = len(pictures), recipe.patch_px
    rows, columns = recipe.grid
    blocks = planes.reshape(count, 3, rows // merge, merge, patch, columns // merge, merge, patch)
    return blocks.permute(0, 2, 5, 3, 6, 1, 4, 7).reshape(count, rows * columns, -1)
