"""Margins of many sequences of pictures: what they share is computed once.

What the sequences of a batch begin with (the text before the candidates, and the reference, if shown) goes
through the language model once for both orders and for all pairs of one reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface

from verdict3d.judge.family import Family, Grid
from verdict3d.judge.local.encoding import Known, PictureEncoder, cut_chunks, group_by
from verdict3d.judge.local.network import (
    Layout,
    answer_ids,
    attend_causally,
    lay_out_panel,
    read_margins,
    read_margins_after,
)

Shown = tuple[str, ...]
"""Digests of the pictures of one sequence, in the order in which they are shown."""

_ATTENTION = "verdict3d_causal"
_AT_ONCE = {"cpu": 8, "cuda": 64}  # on a CPU, what stays in its caches


class PanelReader:
    """Reads margins from a VLM of a known family.

    Args:
        model: The transformers model, in evaluation mode, on its device.
        family: Its family.
        encoder: Encodes its pictures.
        tokenizer: Its tokenizer.
        ids: Token ids of the question, each picture one placeholder.
        leading: Number of pictures before the candidates.

    Raises:
        Verdict3DError: The tokenizer has no single tokens for the letters.
    """

    def __init__(
        self,
        model: Any,
        family: Family,
        encoder: PictureEncoder,
        tokenizer: Any,
        ids: list[int],
        leading: int,
    ) -> None:
        self._model = model
        self._family = family
        self._encoder = encoder
        self._tokenizer = tokenizer
        self._ids = ids
        self._leading = leading
        self._device = next(model.parameters()).device
        first, second = answer_ids(tokenizer)
        self._answers = (first.to(self._device), second.to(self._device))
        self._layouts: dict[tuple[Grid, ...], Layout] = {}
        self._shares = _share_beginnings(model)

    @torch.inference_mode()
    def read_margins(self, shown: Sequence[Shown], pictures: dict[str, Known]) -> dict[Shown, float]:
        """Return the margin of every sequence; sequences of one length go together.

        Args:
            shown: Sequences, all different.
            pictures: The pictures in them, from the encoder, by digest.

        Returns:
            Margins in nats, positive where the first candidate is preferred; not always finite.
        """
        features = self._encoder.encode(pictures)
        margins: dict[Shown, float] = {}
        for grids, group in group_by(shown, lambda order: tuple(pictures[name].grid for name in order)):
            layout = self._find_layout(grids)
            for part in cut_chunks(group, _AT_ONCE[self._device.type]):
                values = self._read(layout, part, features)
                margins.update(zip(part, values.tolist(), strict=True))
        return margins

    def _read(self, layout: Layout, shown: Sequence[Shown], features: dict[str, Tensor]) -> Tensor:
        """Return (sequences,) margins of sequences of one layout."""
        if not self._shares:
            return read_margins(self._model, layout, _stack(shown, features), self._answers)
        parts = layout.split(layout.starts[self._leading])
        heads = [order[: self._leading] for order in shown]
        beginnings = list(dict.fromkeys(heads))
        numbers = {head: number for number, head in enumerate(beginnings)}
        first = _stack(beginnings, features)
        rest = _stack([order[self._leading :] for order in shown], features)
        beginning_of = torch.tensor([numbers[head] for head in heads], device=self._device)
        return read_margins_after(self._model, parts, (first, rest), beginning_of, self._answers)

    def _find_layout(self, grids: tuple[Grid, ...]) -> Layout:
        if grids not in self._layouts:
            layout = lay_out_panel(self._family, self._model, self._tokenizer, self._ids, list(grids))
            self._layouts[grids] = layout.to(self._device)
        return self._layouts[grids]


def _share_beginnings(model: Any) -> bool:
    """Make the language model attend by :func:`attend_causally`, unless some layers see less than all."""
    config = model.model.language_model.config
    kinds = getattr(config, "layer_types", None) or ["full_attention"]
    if set(kinds) != {"full_attention"}:
        return False
    AttentionInterface.register(_ATTENTION, attend_causally)
    config._attn_implementation = _ATTENTION
    return True


def _stack(shown: Sequence[Shown], features: dict[str, Tensor]) -> Tensor:
    """Return (sequences, picture tokens, hidden) features of sequences of one layout."""
    nothing = next(iter(features.values()))[:0]
    return torch.stack([torch.cat([nothing, *(features[name] for name in order)]) for order in shown])
