"""The embedded judges: the classes of Qwen2.5-VL and InternVL at 1.4 million parameters, from scratch.

A directory written by :meth:`EmbeddedJudge.save` has the layout of a released model (config, safetensors,
tokenizer, image processor) plus ``verdict3d.json`` with a prompt of its own, because the vocabulary is a few
dozen words. It is loaded by the same code as the full-size models.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import (
    InternVLConfig,
    InternVLForConditionalGeneration,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
)

from verdict3d.errors import Verdict3DError
from verdict3d.judge.families import find_family
from verdict3d.judge.family import Family, Grid
from verdict3d.judge.local.network import Layout, answer_ids, lay_out_panel, tokenize_chat
from verdict3d.judge.rubric import PROMPT_FILE
from verdict3d.pretrain.training import initial_weights
from verdict3d.records.files import write_json

PROMPT = "object {reference} A {first} B {second} which is better ?"

_CHAT = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_QWEN_TOKENS = (*_CHAT, "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
_INTERNVL_TOKENS = (*_CHAT, "<img>", "</img>", "<IMG_CONTEXT>", "<video>")
_WORDS = (
    *("<unk>", "user", "assistant", "system", "A", "B", "object", "reference", "candidate", "which", "is"),
    *("better", "?", ".", ",", ":", "the", "a", "of", "in", "one", "geometry", "shape", "matches", "match"),
    *("mesh", "montage", "view", "views", "picture", "answer", "letter", "or", "and", "first", "second"),
)

_TEMPLATE = """{{% for message in messages %}}<|im_start|> {{{{ message['role'] }}}}
{{% for part in message['content'] %}}{{% if part['type'] == 'image' %}}{picture}{{% else %}}\
{{{{ part['text'] }}}}{{% endif %}}{{% endfor %}}<|im_end|>
{{% endfor %}}{{% if add_generation_prompt %}}<|im_start|> assistant
{{% endif %}}"""


@dataclass(frozen=True)
class PictureRecipe:
    """How a family's image processor prepares pictures.

    Args:
        size_px: Side of the square picture the vision tower sees.
        patch_px: Side of a patch.
        mean: Mean of each channel, for pixel values in [0, 1].
        std: Standard deviation of each channel.
    """

    size_px: int
    patch_px: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @property
    def grid(self) -> Grid:
        """Patches of a picture."""
        return self.size_px // self.patch_px, self.size_px // self.patch_px


QWEN_PICTURES = PictureRecipe(
    112, 7, (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
)
INTERNVL_PICTURES = PictureRecipe(144, 12, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True, eq=False)
class EmbeddedJudge:
    """A small judge that can be trained and saved.

    Args:
        family_name: ``"qwen2_5_vl"`` or ``"internvl"``.
        model: The transformers model, float32.
        tokenizer: Its word-level tokenizer with a chat template.
        pictures: How pictures are prepared.
    """

    family_name: str
    model: Any
    tokenizer: Any
    pictures: PictureRecipe

    @property
    def family(self) -> Family:
        """The family's picture and token handling."""
        return find_family(self.family_name)

    @property
    def parameter_count(self) -> int:
        """Number of parameters; tied ones count once."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def picture_grid(self) -> Grid:
        """The grid as the family counts it: patches for Qwen2.5-VL, pixels for InternVL."""
        size = self.pictures.size_px
        return self.pictures.grid if self.family_name == "qwen2_5_vl" else (size, size)

    def lay_out(self) -> Layout:
        """Return the token sequence of a panel."""
        family = self.family
        ids = tokenize_chat(self.tokenizer, PROMPT, family.find_image_token(self.model))
        return lay_out_panel(family, self.model, self.tokenizer, ids, [self.picture_grid] * 3)

    def find_answers(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the token ids of A and of B."""
        return answer_ids(self.tokenizer)

    def save(self, directory: str | Path) -> None:
        """Write config, float16 weights, tokenizer, image processor and prompt."""
        target = Path(directory)
        target.mkdir(parents=True, exist_ok=True)
        half = copy.deepcopy(self.model).to("cpu", torch.float16)
        half.config.dtype = "float16"
        half.save_pretrained(target)
        self.tokenizer.save_pretrained(target)
        processor = _write_qwen_processor if self.family_name == "qwen2_5_vl" else _write_internvl_processor
        write_json(target / "preprocessor_config.json", processor(self.pictures))
        write_json(target / PROMPT_FILE, {"prompt": PROMPT})


def build_judge(family_name: str, seed: int) -> EmbeddedJudge:
    """Build an untrained embedded judge.

    Args:
        family_name: ``"qwen2_5_vl"`` (the training judge) or ``"internvl"`` (the evaluation judge).
        seed: Seed of the initial weights.

    Raises:
        Verdict3DError: Another family is asked for.
    """
    builders = {"qwen2_5_vl": _build_qwen, "internvl": _build_internvl}
    if family_name not in builders:
        raise Verdict3DError(f"no embedded judge of family {family_name!r}; allowed: {', '.join(builders)}")
    with initial_weights(seed, "judge_weights", family_name):
        return builders[family_name]()


def _build_tokenizer(special: tuple[str, ...], picture: str, **roles: str) -> PreTrainedTokenizerFast:
    """Return a word-level tokenizer: special tokens first, then the words."""
    words = [*special, *_WORDS]
    core = Tokenizer(WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        unk_token="<unk>",
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        additional_special_tokens=[token for token in special if token not in roles.values()],
        **roles,
    )
    tokenizer.chat_template = _TEMPLATE.format(picture=picture)
    return tokenizer


def _find_number(tokenizer: Any) -> Callable[[str], int]:
    """Return the function from a token to its id."""
    return lambda token: int(tokenizer.convert_tokens_to_ids(token))


def _make_text_config(vocabulary: int, layers: int, intermediate: int) -> dict[str, Any]:
    return {
        "vocab_size": vocabulary,
        "hidden_size": 128,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 1024,
        "initializer_range": 0.05,
        "rms_norm_eps": 1e-6,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }


def _build_qwen() -> EmbeddedJudge:
    pictures = QWEN_PICTURES
    tokenizer = _build_tokenizer(_QWEN_TOKENS, " <|vision_start|><|image_pad|><|vision_end|> ")
    number = _find_number(tokenizer)
    text = _make_text_config(len(tokenizer), layers=3, intermediate=272)
    text["rope_parameters"] = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 6, 6]}
    text["tie_word_embeddings"] = True
    config = Qwen2_5_VLConfig(
        text_config=text,
        vision_config={
            "depth": 4,
            "hidden_size": 128,
            "intermediate_size": 192,
            "num_heads": 4,
            "patch_size": pictures.patch_px,
            "spatial_merge_size": 2,
            "temporal_patch_size": 1,
            "window_size": pictures.size_px,
            "out_hidden_size": 128,
            "fullatt_block_indexes": [0, 1, 2, 3],
            "initializer_range": 0.05,
        },
        image_token_id=number("<|image_pad|>"),
        video_token_id=number("<|video_pad|>"),
        vision_start_token_id=number("<|vision_start|>"),
        vision_end_token_id=number("<|vision_end|>"),
        tie_word_embeddings=True,
    )
    return EmbeddedJudge(
        "qwen2_5_vl", Qwen2_5_VLForConditionalGeneration(config).float(), tokenizer, pictures
    )


def _build_internvl() -> EmbeddedJudge:
    pictures = INTERNVL_PICTURES
    tokenizer = _build_tokenizer(_INTERNVL_TOKENS, " <IMG_CONTEXT> ")
    text = _make_text_config(len(tokenizer), layers=4, intermediate=288)
    text["model_type"] = "qwen2"
    text["rope_parameters"] = {"rope_type": "default", "rope_theta": 10000.0}
    text["tie_word_embeddings"] = True
    config = InternVLConfig(
        text_config=text,
        vision_config={
            "hidden_size": 128,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "intermediate_size": 256,
            "attention_bias": True,
            "image_size": [pictures.size_px, pictures.size_px],
            "patch_size": [pictures.patch_px, pictures.patch_px],
            "layer_scale_init_value": 1.0,
            "initializer_range": 0.05,
        },
        image_token_id=_find_number(tokenizer)("<IMG_CONTEXT>"),
        image_seq_length=(pictures.grid[0] // 2) * (pictures.grid[1] // 2),
        downsample_ratio=0.5,
        tie_word_embeddings=True,
    )
    return EmbeddedJudge("internvl", InternVLForConditionalGeneration(config).float(), tokenizer, pictures)


def _write_qwen_processor(pictures: PictureRecipe) -> dict[str, Any]:
    area = pictures.size_px**2
    return {
        "image_processor_type": "Qwen2VLImageProcessor",
        "size": {"shortest_edge": area, "longest_edge": area},
        "patch_size": pictures.patch_px,
        "merge_size": 2,
        "temporal_patch_size": 1,
        "image_mean": list(pictures.mean),
        "image_std": list(pictures.std),
    }


def _write_internvl_processor(pictures: PictureRecipe) -> dict[str, Any]:
    return {
        "image_processor_type": "GotOcr2ImageProcessor",
        "size": {"height": pictures.size_px, "width": pictures.size_px},
        "crop_to_patches": False,
        "image_mean": list(pictures.mean),
        "image_std": list(pictures.std),
    }
