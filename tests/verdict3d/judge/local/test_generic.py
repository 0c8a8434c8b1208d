"""Models of no known family, asked through their own processors: tiny random ones of the real classes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import (
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    PreTrainedTokenizerFast,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

from support.judge_examples import load, noise_picture, params, request
from verdict3d.errors import Verdict3DError
from verdict3d.judge.identity import identify
from verdict3d.judge.local.generic import ProcessorReader, build_processor
from verdict3d.judge.local.vlm import TransformersJudge
from verdict3d.judge.rubric import write_prompt
from verdict3d.pretrain.embedded import build_judge

TYPES = ("qwen3_vl", "idefics3")
SPECIAL = {
    "qwen3_vl": ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"),
    "idefics3": ("<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>"),
}
SHOWN = {"qwen3_vl": "<|vision_start|><|image_pad|><|vision_end|>", "idefics3": "<image>"}
WORDS = ("<unk>", "A", "B", "object", "which", "is", "better", "?", "user", "assistant")
TEXT = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.2,
    "max_position_embeddings": 1024,
}


def tokenizer_of(kind: str) -> PreTrainedTokenizerFast:
    """A word-level tokenizer with a chat template that stands the family's tokens for a picture."""
    special = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", *SPECIAL[kind])
    vocabulary = {word: number for number, word in enumerate((*special, *WORDS))}
    core = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    core.pre_tokenizer = WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        unk_token="<unk>",
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        additional_special_tokens=list(special),
    )
    tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|> {{ m['role'] }} {% for part in m['content'] %}"
        "{% if part['type'] == 'image' %}"
        + SHOWN[kind]
        + "{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
        "<|im_end|>{% endfor %}{% if add_generation_prompt %}<|im_start|> assistant {% endif %}"
    )
    return tokenizer


def qwen3(number: Any, vocabulary: int) -> tuple[Any, dict[str, Any]]:
    text = {**TEXT, "vocab_size": vocabulary, "head_dim": 8}
    text["rope_parameters"] = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1]}
    vision = {
        **{"depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "patch_size": 8},
        **{"spatial_merge_size": 2, "temporal_patch_size": 2, "out_hidden_size": 32},
        **{"num_position_embeddings": 64, "deepstack_visual_indexes": [0], "initializer_range": 0.2},
    }
    config = Qwen3VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=number("<|image_pad|>"),
        video_token_id=number("<|video_pad|>"),
        vision_start_token_id=number("<|vision_start|>"),
        vision_end_token_id=number("<|vision_end|>"),
    )
    size = {"shortest_edge": 64 * 64, "longest_edge": 64 * 64}
    processor = {"image_processor_type": "Qwen2VLImageProcessor", "size": size, "patch_size": 8}
    return Qwen3VLForConditionalGeneration(config), {**processor, "merge_size": 2, "temporal_patch_size": 2}


def idefics3(number: Any, vocabulary: int) -> tuple[Any, dict[str, Any]]:
    vision = {
        **{"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2},
        **{"patch_size": 8, "image_size": 32, "initializer_range": 0.2},
    }
    config = Idefics3Config(
        text_config={**TEXT, "model_type": "llama", "vocab_size": vocabulary + 40, "pad_token_id": 0},
        vision_config=vision,
        image_token_id=number("<image>"),
        scale_factor=2,
        pad_token_id=0,
    )
    processor = {
        "image_processor_type": "Idefics3ImageProcessor",
        "do_image_splitting": False,
        "size": {"longest_edge": 32},
        "max_image_size": {"longest_edge": 32},
    }
    return Idefics3ForConditionalGeneration(config), processor


@pytest.fixture(scope="module")
def directories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("generic")
    for kind, build in (("qwen3_vl", qwen3), ("idefics3", idefics3)):
        torch.manual_seed(5)
        tokenizer = tokenizer_of(kind)
        model, processor = build(tokenizer.convert_tokens_to_ids, len(tokenizer))
        model.save_pretrained(root / kind)
        tokenizer.save_pretrained(root / kind)
        (root / kind / "preprocessor_config.json").write_text(json.dumps(processor))
        (root / kind / "processor_config.json").write_text(json.dumps({"image_seq_len": 4}))
    return {kind: root / kind for kind in TYPES}


@pytest.fixture(scope="module")
def judges(directories: dict[str, Path]) -> dict[str, TransformersJudge]:
    return {kind: load(directory) for kind, directory in directories.items()}


@pytest.mark.parametrize("kind", TYPES)
def test_it_answers_in_both_orders_and_batches_as_alone(
    kind: str, judges: dict[str, TransformersJudge]
) -> None:
    judge = judges[kind]
    asked = [request(2 * n, 2 * n + 1, reference=900 + n % 2) for n in range(5)] + [request(3, 3)]
    together = judge.compare(asked)
    for one, verdict in zip(asked, together, strict=True):
        (alone,) = judge.compare([one])
        assert (alone.m1, alone.m2) == pytest.approx((verdict.m1, verdict.m2), abs=1e-4)
    assert together[-1].both and together[-1].m1 == together[-1].m2
    there, back = judge.compare([request(1, 2), request(2, 1)])
    assert there.m1 == pytest.approx(back.m2, abs=1e-4) and abs(there.m1 - there.m2) > 1e-3


@pytest.mark.parametrize("kind", TYPES)
def test_it_sees_the_reference_and_other_panels(kind: str, judges: dict[str, TransformersJudge]) -> None:
    one, other = judges[kind].compare([request(1, 2, reference=10), request(1, 2, reference=11)])
    assert abs(one.m1 - other.m1) > 1e-4
    free = judges[kind].showing("reference_free", "normal")
    one, other = free.compare([request(1, 2, reference=10), request(1, 2, reference=11)])
    assert one.m1 == pytest.approx(other.m1, abs=1e-5)
    assert all(
        verdict.valid for verdict in judges[kind].showing("seven_images", "normal").compare([request(1, 2)])
    )


def test_a_known_family_and_its_processor_agree(tmp_path: Path) -> None:
    """Qwen2.5-VL laid out and encoded here, and through its own processor and ``forward``."""
    build_judge("qwen2_5_vl", seed=7).save(tmp_path / "judge")
    judge = load(tmp_path / "judge")
    processor = build_processor(
        tmp_path / "judge", judge.loaded.model.config, judge.loaded.tokenizer, judge.loaded.image_processor
    )
    own = write_prompt(judge.loaded.own_prompt, "three_images", "normal")
    reader = ProcessorReader(judge.loaded.model, processor, own, None)
    wanted = {f"{number}": noise_picture(number) for number in range(3)}
    shown = [("0", "1", "2"), ("0", "2", "1")]
    slow = reader.read_margins(shown, reader.prepare(wanted)[0])
    fast = judge._reader.read_margins(shown, judge._encoder.prepare(wanted)[0])
    assert slow == pytest.approx(fast, abs=1e-4)


def test_a_model_without_a_processor_is_refused_at_once(directories: dict[str, Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(directories["idefics3"], broken)
    (broken / "chat_template.jinja").write_text("{% for m in messages %}{{ m['role'] }}{% endfor %}")
    with pytest.raises(Verdict3DError, match=r"'idefics3' cannot be asked.*chat template for pictures"):
        load(broken)
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps({**config, "model_type": "gpt2"}))
    with pytest.raises(Verdict3DError, match="do not read pictures and text"):
        identify(params(broken), Path())
