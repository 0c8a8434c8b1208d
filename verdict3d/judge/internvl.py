"""InternVL in its transformers layout."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from verdict3d.errors import Verdict3DError
from verdict3d.judge.family import Grid, PreparedPicture


class InternVLFamily:
    """InternVL in its transformers layout: fixed square pictures, pixel shuffle, plain positions."""

    def prepare_pictures(self, processed: Any) -> list[PreparedPicture]:
        """See ``Family``; every picture is one tile."""
        pixels = torch.as_tensor(processed["pixel_values"])
        return [PreparedPicture(picture, (picture.shape[-2], picture.shape[-1])) for picture in pixels]

    def count_tokens(self, model: Any, grid: Grid) -> int:
        """See ``Family``; ``grid`` is the picture's height and width in pixels."""
        patch = model.config.vision_config.patch_size
        ratio = float(model.config.downsample_ratio)
        return int(grid[0] // patch[0] * ratio) * int(grid[1] // patch[1] * ratio)

    def find_image_token(self, model: Any) -> int:
        """See ``Family``."""
        return int(model.config.image_token_id)

    def write_image_ids(self, model: Any, tokenizer: Any, grid: Grid) -> list[int]:
        """See ``Family``: start, one id a token, end."""
        ends = []
        for name, usual in (("start_image_token", "<img>"), ("end_image_token", "</img>")):
            token = getattr(tokenizer, name, None) or usual
            number = tokenizer.convert_tokens_to_ids(token)
            if number is None or number == tokenizer.unk_token_id:
                raise Verdict3DError(f"the judge's tokenizer has no token {token!r} ({name}) around pictures")
            ends.append(int(number))
        return [ends[0], *[self.find_image_token(model)] * self.count_tokens(model, grid), ends[1]]

    def number_positions(
        self, model: Any, image_at: list[int], grids: list[Grid], length: int
    ) -> Tensor | None:
        """See ``Family``."""
        return None

    def compute_features(self, model: Any, pixels: Tensor, grid: Grid) -> Tensor:
        """See ``Family``."""
        return model.model.get_image_features(pixel_values=pixels, return_dict=True).pooler_output

    def compile_vision(self, model: Any, backend: str) -> None:
        """See ``Family``."""
        for layer in model.model.vision_tower.encoder.layer:
            layer.compile(dynamic=True, backend=backend)
