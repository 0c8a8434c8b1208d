"""Image conditioner: DINOv2 with registers, its tokens before the final norm."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import Dinov2WithRegistersConfig, Dinov2WithRegistersModel

from verdict3d.errors import Verdict3DError
from verdict3d.records.files import read_json, replacing, write_json
from verdict3d.trellis.conditioner_weights import find_names_for, find_published_names
from verdict3d.trellis.weights import read_weights

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

MODEL_TYPE = "dinov2_with_registers"
CONFIG_KEYS = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "mlp_ratio",
    "image_size",
    "patch_size",
    "num_register_tokens",
    "layer_norm_eps",
    "layerscale_value",
)
"""What a conditioner's config.json holds; the rest of the class has DINOv2's values."""


def make_dinov2_config(**values: int | float) -> Dinov2WithRegistersConfig:
    """Return a configuration with DINOv2's fixed choices (GELU, bias, epsilon 1e-6, patch 14, 4 registers).

    Args:
        **values: Any of ``CONFIG_KEYS``; by default the large model at 518 px (``dinov2_vitl14_reg``).
    """
    large = {
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "mlp_ratio": 4,
        "image_size": 518,
        "patch_size": 14,
        "num_register_tokens": 4,
        "layer_norm_eps": 1e-6,
        "layerscale_value": 1.0,
    }
    unknown = set(values) - set(CONFIG_KEYS)
    if unknown:
        raise Verdict3DError(
            f"unknown conditioner settings {sorted(unknown)}; known: {', '.join(CONFIG_KEYS)}"
        )
    settings: dict[str, Any] = {**large, **values, "attn_implementation": "sdpa"}
    return Dinov2WithRegistersConfig(**settings)


class Conditioner(nn.Module):
    """Images to condition tokens.

    Args:
        config: Size of the network; images of ``config.image_size`` need no interpolated positions.
        model: A network of that size to use; None makes one with random weights.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, config: Dinov2WithRegistersConfig, model: Dinov2WithRegistersModel | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.model = Dinov2WithRegistersModel(config) if model is None else model
        # The final norm and the mask token play no part here; they stay only so that checkpoints load whole.
        self.model.layernorm.requires_grad_(False)
        self.model.embeddings.mask_token.requires_grad_(False)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).reshape(1, 3, 1, 1), persistent=False)

    def _set(self, name: str) -> int:
        return int(getattr(self.config, name))

    @property
    def image_size(self) -> int:
        """Side in px of the pictures this conditioner is made for."""
        return self._set("image_size")

    @property
    def channels(self) -> int:
        """Channels C of the tokens."""
        return self._set("hidden_size")

    @property
    def prefix_tokens(self) -> int:
        """Tokens before the patches: the class token and the registers."""
        return 1 + self._set("num_register_tokens")

    def compute_raw_tokens(self, images: Tensor) -> Tensor:
        """Return the last block's output, un-normalised: (B, 1 + registers + N, C).

        Args:
            images: (B, 3, H, W) RGB in [0, 1], sides multiples of the patch size.
        """
        pixels = (images - self.mean) / self.std
        hidden = self.model.embeddings(pixels)
        return self.model.encoder(hidden).last_hidden_state

    def forward(self, images: Tensor) -> Tensor:
        """Return the condition tokens: class, registers, patches row by row, each normalised.

        Args:
            images: (B, 3, H, W) RGB in [0, 1], black where the picture is transparent.

        Returns:
            (B, 1 + registers + N, C) float32.
        """
        tokens = self.compute_raw_tokens(images).float()
        return F.layer_norm(tokens, tokens.shape[-1:])

    def patch_features(self, images: Tensor) -> Tensor:
        """Return the un-normalised patch tokens as a picture: (B, h, w, C) float32, for SLat features."""
        patches = self.compute_raw_tokens(images)[:, self.prefix_tokens :].float()
        patch = self._set("patch_size")
        return patches.reshape(len(images), images.shape[2] // patch, images.shape[3] // patch, -1)

    def save(self, directory: str | Path, dtype: torch.dtype = torch.float16) -> None:
        """Write ``config.json`` and ``model.safetensors`` (of ``dtype``) under the published names."""
        directory = Path(directory)
        write_json(
            directory / "config.json",
            {
                "model_type": MODEL_TYPE,
                "architectures": ["Dinov2WithRegistersModel"],
                **{key: getattr(self.config, key) for key in CONFIG_KEYS},
            },
        )
        named = find_published_names(self.model.state_dict())
        state = {key: value.to(dtype).cpu().contiguous() for key, value in named.items()}
        with replacing(directory / "model.safetensors") as temporary:
            save_file(state, temporary, metadata={"format": "pt"})

    def load_weights(self, state: Mapping[str, Tensor]) -> None:
        """Take over float32 weights named as in torch.hub, the published files or the installed transformers.

        Raises:
            RuntimeError: A weight is missing, unknown or of another shape.
        """
        named = {
            key: value.to(torch.float32, copy=True)
            for key, value in find_names_for(self.model, state).items()
        }
        self.model.load_state_dict(named, assign=True)

    @classmethod
    def load(cls, directory: str | Path, device: torch.device | str = "cpu") -> Conditioner:
        """Read a directory written by :meth:`save`, or a published one of the same class; float32.

        Raises:
            Verdict3DError: A file is missing, of another model, or the weights do not fit the configuration.
        """
        directory = Path(directory)
        path = directory / "config.json"
        values = read_json(path)
        kind = values.get("model_type") if isinstance(values, dict) else None
        if kind != MODEL_TYPE:
            raise Verdict3DError(
                f"{path} is of a model of type {kind!r}; expected {MODEL_TYPE!r}, such as "
                "facebook/dinov2-with-registers-large (TRELLIS is conditioned on DINOv2 with registers)"
            )
        return cls.of_weights(
            make_dinov2_config(**{key: values[key] for key in CONFIG_KEYS if key in values}),
            read_weights(directory / "model.safetensors"),
            f"{directory / 'model.safetensors'} does not fit {path}",
        ).to(device)

    @classmethod
    def of_weights(
        cls, config: Dinov2WithRegistersConfig, state: Mapping[str, Tensor], misfit: str
    ) -> Conditioner:
        """Make a conditioner for inference around weights, without weights of its own in between.

        Args:
            config: Its size.
            state: Tensors as :meth:`load_weights` takes them.
            misfit: Beginning of the message where they do not fit.

        Raises:
            Verdict3DError: The weights do not fit the configuration.
        """
        with torch.device("meta"):
            model = Dinov2WithRegistersModel(config)
        conditioner = cls(config, model)
        try:
            conditioner.load_weights(state)
        except RuntimeError as error:
            raise Verdict3DError(f"{misfit}: {error}") from error
        return conditioner.eval()
