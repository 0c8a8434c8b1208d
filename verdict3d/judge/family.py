"""What differs between VLM families: how pictures become tokens, and where tokens stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor

Grid = tuple[int, int]
"""Rows and columns of a picture as its family counts them."""


@dataclass(frozen=True, eq=False)
class PreparedPicture:
    """One picture, preprocessed.

    Args:
        pixels: Values in the dtype of the weights; Qwen2.5-VL: (rows * columns,
            channels * frames * patch * patch) in merge order, InternVL: (3, height, width).
        grid: Rows and columns, counted in patches for Qwen2.5-VL and in pixels for InternVL.
    """

    pixels: Tensor
    grid: Grid


@dataclass(frozen=True, eq=False)
class EncodedPicture:
    """One picture, encoded.

    Args:
        features: (tokens, hidden).
        grid: As in :class:`PreparedPicture`.
    """

    features: Tensor
    grid: Grid


class Family(Protocol):
    """A VLM family."""

    def prepare_pictures(self, processed: Any) -> list[PreparedPicture]:
        """Split what the family's image processor returned for several images."""

    def count_tokens(self, model: Any, grid: Grid) -> int:
        """Return the number of language tokens of a picture with that grid."""

    def find_image_token(self, model: Any) -> int:
        """Return the id that stands for a picture in rendered chat templates."""

    def write_image_ids(self, model: Any, tokenizer: Any, grid: Grid) -> list[int]:
        """Return the ids that replace the one image placeholder of the rendered chat template."""

    def number_positions(
        self, model: Any, image_at: list[int], grids: list[Grid], length: int
    ) -> Tensor | None:
        """Return position ids of a sequence.

        Args:
            model: The transformers model.
            image_at: Place of the first token of each picture.
            grids: Of the pictures.
            length: Tokens of the sequence.

        Returns:
            (3, length) int64, or None where tokens are simply counted.
        """

    def compute_features(self, model: Any, pixels: Tensor, grid: Grid) -> Tensor:
        """Encode N pictures of one size.

        Args:
            model: The transformers model.
            pixels: (N, ...) as :class:`PreparedPicture` has them.
            grid: Of every picture.

        Returns:
            (N, tokens, hidden of the language model).
        """

    def compile_vision(self, model: Any, backend: str) -> None:
        """Let torch.compile make the vision layers of ``model`` faster, for :meth:`compute_features`."""
