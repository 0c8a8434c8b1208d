"""VLM families by the type of their model, and which models can judge at all.

Families work on the modules of the transformers classes, so that training, the batched reading of margins and
the stock ``forward`` share one set of weights and give the same numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from verdict3d.errors import Verdict3DError
from verdict3d.judge.family import Family

FAMILIES = ("internvl", "qwen2_5_vl")
"""What their models' ``config.json`` has as ``model_type``."""


def compile_judge(model: Any, backend: str = "inductor") -> None:
    """Fuse the elementwise work of every layer, for a judge that is only asked; last bits change.

    The language model's attention stays as it is: its cache and its layer number would have every layer
    compiled by itself.
    """
    find_family(model.config.model_type).compile_vision(model, backend)
    for layer in model.model.language_model.layers:
        for part in (layer.input_layernorm, layer.post_attention_layernorm, layer.mlp):
            part.compile(dynamic=True, backend=backend)


def require_readable(model_type: str, directory: Path) -> None:
    """Check that a model of that type can judge: by its family, or through its own processor.

    Args:
        model_type: What its configuration says.
        directory: Its files, for the message.

    Raises:
        Verdict3DError: It does not read pictures and text.
    """
    if model_type in FAMILIES:
        return
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as READABLE

    if model_type not in READABLE:
        raise Verdict3DError(
            f"{directory / 'config.json'}: models of type {model_type!r} cannot judge: they do not read "
            "pictures and text. Any image-text-to-text model of transformers can; the fast ones are "
            f"{', '.join(FAMILIES)}"
        )


def find_family(model_type: str) -> Family:
    """Return the family for a ``model_type``.

    Raises:
        Verdict3DError: No judge of that type is known.
    """
    if model_type not in FAMILIES:
        raise Verdict3DError(
            f"models of type {model_type!r} cannot judge here; allowed types: {', '.join(FAMILIES)}"
        )
    from verdict3d.judge.internvl import InternVLFamily
    from verdict3d.judge.qwen import QwenFamily

    return InternVLFamily() if model_type == "internvl" else QwenFamily()
