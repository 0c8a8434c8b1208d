"""The judges at full size with random weights, and the floor of their work: operations counted by hand.

Configurations are those of Qwen2.5-VL-7B-Instruct and InternVL3-8B, built from the classes without any
download; the tokenizers are those of the embedded judges (a word a token), so a prompt is about as long as
a real one.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoImageProcessor,
    InternVLConfig,
    InternVLForConditionalGeneration,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
)

from verdict3d.judge.identity import JudgeIdentity
from verdict3d.judge.local.vlm import LoadedModel, TransformersJudge
from verdict3d.pretrain.embedded import build_judge

CLIP = ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


@dataclass(frozen=True)
class Size:
    """What of a configuration differs between the full size and the small one that tests run.

    Args:
        language: Hidden, intermediate, layers, heads, key heads.
        vision: Hidden, intermediate, layers, heads.
        vocabulary: Rows of the embedding.
        full_attention: Vision layers of Qwen2.5-VL that attend to the whole picture.
    """

    language: tuple[int, int, int, int, int]
    vision: dict[str, tuple[int, int, int, int]]
    vocabulary: int
    full_attention: tuple[int, ...]


FULL = Size(
    (3584, 18944, 28, 28, 4),
    {"qwen2_5_vl": (1280, 3420, 32, 16), "internvl": (1024, 4096, 24, 16)},
    152064,
    (7, 15, 23, 31),
)
SMALL = Size(
    (64, 96, 2, 4, 2),
    {"qwen2_5_vl": (64, 48, 2, 4), "internvl": (64, 48, 2, 4)},
    64,
    (1,),
)
SIDE_PX = 448


def make_random_judge(
    family: str, size: Size, device: str, dtype: torch.dtype, batch_size: int
) -> TransformersJudge:
    """Return a judge of the released architecture with random weights."""
    with torch.device(device):
        model = make_random_model(family, size, dtype)
    identity = JudgeIdentity(
        model=family,
        weights="random",
        settings="random",
        model_class=type(model).__name__,
        prompt="rubric",
        panel="three_images",
        mode="normal",
        dtype=str(dtype),
        views=1,
        view_sets="",
    )
    loaded = LoadedModel(model.eval(), build_judge(family, 0).tokenizer, make_image_processor(family))
    return TransformersJudge(identity, loaded, batch_size)


def make_random_model(family: str, size: Size, dtype: torch.dtype) -> Any:
    """Return the family's network with random weights."""
    return (_make_qwen if family == "qwen2_5_vl" else _make_internvl)(size, dtype)


def make_image_processor(family: str) -> Any:
    """Return the family's image processor for pictures of 448 x 448 pixels."""
    mean, std = CLIP if family == "qwen2_5_vl" else IMAGENET
    values: dict[str, Any] = {"image_mean": mean, "image_std": std}
    if family == "qwen2_5_vl":
        area = {"shortest_edge": SIDE_PX**2, "longest_edge": SIDE_PX**2}
        values |= {"image_processor_type": "Qwen2VLImageProcessor", "size": area}
        values |= {"patch_size": 14, "merge_size": 2, "temporal_patch_size": 2}
    else:
        values |= {"image_processor_type": "GotOcr2ImageProcessor", "crop_to_patches": False}
        values |= {"size": {"height": SIDE_PX, "width": SIDE_PX}}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "preprocessor_config.json").write_text(json.dumps(values))
        return AutoImageProcessor.from_pretrained(folder, backend="pil")


def _make_text(size: Size) -> dict[str, Any]:
    hidden, intermediate, layers, heads, key_heads = size.language
    return {
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": key_heads,
        "vocab_size": size.vocabulary,
        "rms_norm_eps": 1e-6,
        "max_position_embeddings": 32768,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }


def _make_qwen(size: Size, dtype: torch.dtype) -> Any:
    tokenizer = build_judge("qwen2_5_vl", 0).tokenizer
    hidden, intermediate, layers, heads = size.vision["qwen2_5_vl"]
    half = size.language[0] // size.language[3] // 2
    sections = [half - 2 * (half * 3 // 8), half * 3 // 8, half * 3 // 8]
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": sections}
    config = Qwen2_5_VLConfig(
        text_config=_make_text(size) | {"rope_parameters": rope},
        vision_config={
            "depth": layers,
            "hidden_size": hidden,
            "intermediate_size": intermediate,
            "num_heads": heads,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "window_size": 112,
            "out_hidden_size": size.language[0],
            "fullatt_block_indexes": list(size.full_attention),
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<|image_pad|>"),
        video_token_id=tokenizer.convert_tokens_to_ids("<|video_pad|>"),
        vision_start_token_id=tokenizer.convert_tokens_to_ids("<|vision_start|>"),
        vision_end_token_id=tokenizer.convert_tokens_to_ids("<|vision_end|>"),
    )
    return Qwen2_5_VLForConditionalGeneration._from_config(config, dtype=dtype)


def _make_internvl(size: Size, dtype: torch.dtype) -> Any:
    tokenizer = build_judge("internvl", 0).tokenizer
    hidden, intermediate, layers, heads = size.vision["internvl"]
    rope = {"rope_type": "default", "rope_theta": 1e6}
    config = InternVLConfig(
        text_config=_make_text(size) | {"model_type": "qwen2", "rope_parameters": rope},
        vision_config={
            "hidden_size": hidden,
            "intermediate_size": intermediate,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "attention_bias": True,
            "image_size": [SIDE_PX, SIDE_PX],
            "patch_size": [14, 14],
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=(SIDE_PX // 28) ** 2,
        downsample_ratio=0.5,
        tie_word_embeddings=False,
    )
    return InternVLForConditionalGeneration._from_config(config, dtype=dtype)


def count_picture_operations(family: str, size: Size) -> tuple[int, int]:
    """Return what encoding one picture takes, in layers and in attention: multiply-adds, times two."""
    hidden, intermediate, layers, _ = size.vision[family]
    out = size.language[0]
    patches, merged = (SIDE_PX // 14) ** 2, (SIDE_PX // 28) ** 2
    joined = 4 * hidden
    if family == "qwen2_5_vl":
        linear = patches * hidden * (3 * 2 * 14 * 14 + layers * (4 * hidden + 3 * intermediate))
        seen = sum(patches if layer in size.full_attention else 64 for layer in range(layers))
        return 2 * (linear + merged * joined * (joined + out)), 4 * patches * seen * hidden
    tokens = patches + 1
    linear = patches * 3 * 14 * 14 * hidden + layers * tokens * hidden * (4 * hidden + 2 * intermediate)
    return 2 * (linear + merged * out * (joined + out)), 4 * layers * tokens * tokens * hidden


def count_language_operations(size: Size, new: int, before: int = 0) -> tuple[int, int]:
    """Return the same of ``new`` tokens after ``before`` others; each sees itself and what is before it."""
    hidden, intermediate, layers, heads, key_heads = size.language
    linear = hidden * (hidden // heads) * (2 * heads + 2 * key_heads) + 3 * hidden * intermediate
    seen = new * before + new * (new + 1) // 2
    return 2 * layers * new * linear, 4 * layers * seen * hidden
