"""Qwen2.5-VL, pictures of one size encoded together.

Its own vision attention walks over the windows of all pictures one after another, although windows of equal
length can be one batched call.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from verdict3d.judge.family import Grid, PreparedPicture

_COMPILED = "verdict3d_compiled"
_WIDTH_STEP = 64


class QwenFamily:
    """Qwen2.5-VL: patches in merge order, window attention, three-axis rotary positions."""

    def prepare_pictures(self, processed: Any) -> list[PreparedPicture]:
        """See ``Family``."""
        grids = [tuple(int(value) for value in row) for row in processed["image_grid_thw"]]
        chunks = torch.as_tensor(processed["pixel_values"]).split([t * h * w for t, h, w in grids])
        return [PreparedPicture(chunk, (h, w)) for chunk, (_, h, w) in zip(chunks, grids, strict=True)]

    def count_tokens(self, model: Any, grid: Grid) -> int:
        """See ``Family``."""
        return grid[0] * grid[1] // int(model.config.vision_config.spatial_merge_size) ** 2

    def find_image_token(self, model: Any) -> int:
        """See ``Family``."""
        return int(model.config.image_token_id)

    def write_image_ids(self, model: Any, tokenizer: Any, grid: Grid) -> list[int]:
        """See ``Family``; start and end tokens are in the chat template."""
        return [self.find_image_token(model)] * self.count_tokens(model, grid)

    def number_positions(
        self, model: Any, image_at: list[int], grids: list[Grid], length: int
    ) -> Tensor | None:
        """Three-axis positions (Qwen2-VL, arXiv 2409.12191, section 2.1).

        Text counts up on all three axes; a picture keeps its start on the first axis, adds row and column on
        the others, and text goes on after its longer side.
        """
        merge = int(model.config.vision_config.spatial_merge_size)
        columns: list[Tensor] = []
        token, start = 0, 0
        for at, (height, width) in zip(image_at, grids, strict=True):
            text = torch.arange(at - token) + start
            columns.append(text.expand(3, -1))
            start += at - token
            rows, cols = height // merge, width // merge
            time = torch.full((rows * cols,), start)
            row = torch.arange(rows).repeat_interleave(cols) + start
            column = torch.arange(cols).repeat(rows) + start
            columns.append(torch.stack([time, row, column]))
            token = at + rows * cols
            start += max(rows, cols)
        columns.append((torch.arange(length - token) + start).expand(3, -1))
        return torch.cat(columns, dim=1)

    def compute_features(self, model: Any, pixels: Tensor, grid: Grid) -> Tensor:
        """See ``Family``; windows of one shape (whole, at an edge, in a corner) are one call."""
        visual = model.model.visual
        config = model.config.vision_config
        merge = int(config.spatial_merge_size)
        unit = merge * merge
        order, windows = _make_windows(
            grid[0] // merge, grid[1] // merge, int(config.window_size) // merge // int(config.patch_size)
        )
        order = order.to(pixels.device)
        patches = (order[:, None] * unit + torch.arange(unit, device=pixels.device)).flatten()
        count, length = pixels.shape[:2]
        weight = visual.patch_embed.proj.weight
        hidden = functional.linear(pixels[:, patches].to(weight.dtype), weight.flatten(1)).to(weight.dtype)
        cos, sin = _compute_rotary(visual.rotary_pos_emb.inv_freq.to(pixels.device), grid, merge, patches)
        runs = [(number, size * unit) for number, size in windows]
        enter, leave = getattr(visual, _COMPILED, (_enter_block, _leave_block))
        for index, block in enumerate(visual.blocks):
            full = index in config.fullatt_block_indexes
            mixed = _attend_in_windows(enter(block, hidden, cos, sin), [(1, length)] if full else runs)
            hidden = leave(block, hidden, mixed)
        merged = visual.merger(hidden.reshape(count * length, -1)).view(count, length // unit, -1)
        return merged[:, torch.argsort(order)]

    def compile_vision(self, model: Any, backend: str) -> None:
        """See ``Family``; all blocks share what is compiled, whatever the grid."""
        visual = model.model.visual
        for block in visual.blocks:
            _widen(block.mlp)
        steps = (_enter_block, _leave_block)
        setattr(
            visual, _COMPILED, tuple(torch.compile(step, dynamic=True, backend=backend) for step in steps)
        )


def _make_windows(rows: int, columns: int, window: int) -> tuple[Tensor, list[tuple[int, int]]]:
    """Cut merged tokens into square windows, smaller at the lower and right edge.

    Returns:
        The tokens (rows * columns,) window by window, windows of one shape in a row; and for each shape the
        number of windows and of tokens in one.
    """
    index = torch.arange(rows * columns).view(rows, columns)
    places: list[Tensor] = []
    sizes: list[tuple[int, int]] = []
    for vertical, height in _make_cuts(rows, window):
        for horizontal, width in _make_cuts(columns, window):
            blocks = index[vertical, horizontal].unfold(0, height, height).unfold(1, width, width)
            places.append(blocks.flatten())
            sizes.append((blocks.shape[0] * blocks.shape[1], height * width))
    return torch.cat(places), sizes


def _make_cuts(side: int, window: int) -> list[tuple[slice, int]]:
    """Return where whole windows stand along a side, and the rest, each with the side of its windows."""
    whole = side // window * window
    parts = [(slice(0, whole), window), (slice(whole, side), side - whole)]
    return [(part, size) for part, size in parts if part.stop > part.start]


def _compute_rotary(
    inverse_frequency: Tensor, grid: Grid, merge: int, patches: Tensor
) -> tuple[Tensor, Tensor]:
    """Return cos and sin (patches, 1, head size / 2) of the axial rotation in the order of ``patches``."""
    rows, columns = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="ij")
    blocks = (grid[0] // merge, merge, grid[1] // merge, merge)
    places = torch.stack([rows.reshape(blocks), columns.reshape(blocks)], dim=-1)
    places = places.transpose(1, 2).reshape(-1, 2).to(patches.device)[patches]
    angles = (places[..., None].float() * inverse_frequency.float()).flatten(1)
    return angles.cos()[:, None], angles.sin()[:, None]


def _enter_block(block: Any, hidden: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return query, key and value (N, length, heads, size) of a vision block, from (N, length, width)."""
    count, length, _ = hidden.shape
    qkv = block.attn.qkv(block.norm1(hidden)).view(count, length, 3, block.attn.num_heads, -1)
    query, key, value = qkv.unbind(2)
    return _rotate(query, cos, sin), _rotate(key, cos, sin), value


def _attend_in_windows(parts: tuple[Tensor, Tensor, Tensor], windows: list[tuple[int, int]]) -> Tensor:
    """Return (N, length, width): attention inside windows, given as (number, patches), in a row."""
    count, _, heads, _ = parts[0].shape
    mixed = []
    start = 0
    for number, patches in windows:
        run = slice(start, start + number * patches)
        shape = (count * number, patches, heads, -1)
        query, key, value = (part[:, run].reshape(shape).transpose(1, 2) for part in parts)
        attended = functional.scaled_dot_product_attention(query, key, value)
        mixed.append(attended.transpose(1, 2).reshape(count, number * patches, -1))
        start = run.stop
    return mixed[0] if len(mixed) == 1 else torch.cat(mixed, dim=1)


def _leave_block(block: Any, hidden: Tensor, mixed: Tensor) -> Tensor:
    """Return what a vision block makes of its input and what attention mixed, both (N, length, width)."""
    hidden = hidden + block.attn.proj(mixed)
    return hidden + block.mlp(block.norm2(hidden))


def _widen(mlp: Any) -> None:
    """Pad a gated MLP's inner width with zeros, which change no sum, to a multiple of 64.

    Matrix products run at full speed on a GPU only where rows begin at multiples of 16 bytes; those of
    Qwen2.5-VL's 3420 bfloat16 do not.
    """
    more = -mlp.gate_proj.out_features % _WIDTH_STEP
    for layer in (mlp.gate_proj, mlp.up_proj):
        layer.weight.data = functional.pad(layer.weight.data, (0, 0, 0, more))
        layer.bias.data = functional.pad(layer.bias.data, (0, more))
        layer.out_features += more
    mlp.down_proj.weight.data = functional.pad(mlp.down_proj.weight.data, (0, more))
    mlp.down_proj.in_features += more


def _rotate(part: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate (N, length, heads, size) by angles (length, 1, size / 2), in float32."""
    left, right = part.float().chunk(2, dim=-1)
    turned = [(left * cos).addcmul(right, sin, value=-1), (right * cos).addcmul(left, sin)]
    return torch.cat(turned, dim=-1).to(part.dtype)
