"""Both families, loaded from a directory by the generic path, against the stock classes."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    AutoImageProcessor,
    AutoModelForImageTextToText,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
)
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLMLP

from support.judge_examples import FAMILIES, load, noise_picture, params, request
from verdict3d.config_judges import JudgeParams
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.judge import identity
from verdict3d.judge.families import compile_judge
from verdict3d.judge.identity import JudgeIdentity, require_different
from verdict3d.judge.loading import load_judge
from verdict3d.judge.local import encoding, vlm
from verdict3d.judge.local.encoding import Known, fetch_ahead
from verdict3d.judge.local.reading import PanelReader
from verdict3d.judge.local.vlm import TransformersJudge
from verdict3d.judge.panel import PairRequest, Panel, make_picture, read_picture
from verdict3d.judge.qwen import QwenFamily, _widen
from verdict3d.judge.rubric import RUBRIC, SLOTS, split_prompt, write_prompt_for
from verdict3d.pretrain.embedded import build_judge


def identify(asked: JudgeParams) -> JudgeIdentity:
    return identity.identify(asked, Path())


@pytest.fixture(scope="module")
def directories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("judges")
    for family in FAMILIES:
        build_judge(family, seed=7).save(root / family)
    return {family: root / family for family in FAMILIES}


@pytest.fixture(scope="module")
def judges(directories: dict[str, Path]) -> dict[str, TransformersJudge]:
    return {family: load(directory) for family, directory in directories.items()}


def _prepare(directory: Path, seed: int) -> Known:
    """A picture as the judge in a directory looks at it."""
    return load(directory)._encoder.prepare({"one": noise_picture(seed)})[0]["one"]


@pytest.mark.parametrize("panel", SLOTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_margins_are_those_of_the_stock_forward(
    family: str, panel: str, judges: dict[str, TransformersJudge]
) -> None:
    judge = judges[family].showing(panel, "normal")
    asked = request(1, 2)
    verdict = judge.compare([asked])[0]
    arranged = asked.panel.arrange(panel)
    for order, margin in zip(arranged.orders, (verdict.m1, verdict.m2), strict=True):
        assert len(order) == len(SLOTS[panel])
        pictures = [arranged.pictures[name] for name in order]
        assert stock_margin(judge, family, pictures) == pytest.approx(margin, abs=1e-5)


def test_another_panel_is_another_judge_with_the_same_weights(
    judges: dict[str, TransformersJudge], directories: dict[str, Path]
) -> None:
    family = FAMILIES[0]
    assert judges[family].showing("three_images", "normal").digest == judges[family].digest
    for panel, mode in (("seven_images", "normal"), ("three_images", "rgb")):
        other = judges[family].showing(panel, mode)
        assert other._encoder is judges[family]._encoder
        assert other.digest != judges[family].digest
        assert other.identity == identify(params(directories[family], panel=panel, mode=mode))


def test_panels_show_what_they_say() -> None:
    asked = request(1, 2)
    panel = asked.panel
    seven = panel.arrange("seven_images")
    assert [part.shape for part in seven.x] == [(32, 32, 3)] * 3
    assert np.array_equal(np.concatenate(seven.x[:2], axis=1), panel.x[:32])
    assert np.array_equal(seven.y[2], panel.y[32:, :32])
    (page,) = panel.arrange("two_sheets").x
    assert page.shape == (64, 96, 3) and np.array_equal(page[:, 32:], panel.x)
    assert (page[:16, :32] == 255).all() and not (page[16:48, :32] == 255).all()
    alone = panel.arrange("reference_free")
    assert alone.reference == () and alone.x == (panel.x,)


def stock_margin(judge: TransformersJudge, family: str, pictures: list[np.ndarray]) -> float:
    """One panel through image processor, chat template and ``forward`` as the class's users do it."""
    processed = judge.loaded.image_processor(images=pictures, return_tensors="pt")
    tokenizer = judge.loaded.tokenizer
    model = AutoModelForImageTextToText.from_pretrained(judge.identity.model, dtype=torch.float32).eval()
    content = []
    panel = judge.identity.panel
    texts = split_prompt(write_prompt_for(judge.identity.model, panel), panel)
    for text, shown in zip(texts, [1] * len(pictures) + [0], strict=True):
        content += [{"type": "text", "text": text}] * bool(text) + [{"type": "image"}] * shown
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    if family == "qwen2_5_vl":
        assert text.count("<|image_pad|>") == len(pictures)
        tokens = (int(grid.prod()) // 4 for grid in processed["image_grid_thw"])
        text = re.sub(r"<\|image_pad\|>", lambda pad: pad[0] * next(tokens), text)
    else:
        text = text.replace("<IMG_CONTEXT>", "<img>" + "<IMG_CONTEXT>" * 36 + "</img>")
        processed.pop("num_patches", None)
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    extra = (
        {"mm_token_type_ids": (ids == model.config.image_token_id).int()} if family == "qwen2_5_vl" else {}
    )
    with torch.no_grad():
        logits = model(input_ids=ids, **processed, **extra).logits[0, -1]
    a, b = tokenizer.convert_tokens_to_ids(["A", "B"])
    return float(logits[a] - logits[b])


def test_windows_in_one_call_are_the_stock_vision_tower() -> None:
    torch.manual_seed(3)
    config = Qwen2_5_VLConfig(
        text_config={
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "vocab_size": 32,
            "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3]},
        },
        vision_config={
            "depth": 3,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_heads": 2,
            "patch_size": 4,
            "spatial_merge_size": 2,
            "window_size": 16,
            "out_hidden_size": 32,
            "fullatt_block_indexes": [1],
        },
    )
    model = Qwen2_5_VLForConditionalGeneration(config).eval()
    # 2 x 3 whole windows of 2 x 2 merged tokens; less than whole at the right, below, at both; none whole
    for grid in ((8, 12), (8, 10), (10, 8), (6, 10), (2, 6)):
        pixels = torch.randn(3, grid[0] * grid[1], 3 * 2 * 4 * 4)
        thw = torch.tensor([[1, *grid]] * 3)
        with torch.no_grad():
            mine = QwenFamily().compute_features(model, pixels, grid)
            stock = model.model.get_image_features(pixels.flatten(0, 1), thw, return_dict=True).pooler_output
        assert mine.shape == (3, grid[0] * grid[1] // 4, 32)
        torch.testing.assert_close(mine, torch.stack(list(stock)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_batches_answer_as_single_questions(family: str, judges: dict[str, TransformersJudge]) -> None:
    judge = judges[family]
    asked = [request(2 * number, 2 * number + 1, reference=900 + number % 2) for number in range(6)]
    together = judge.compare(asked)
    for one, verdict in zip(asked, together, strict=True):
        alone = judge.compare([one])[0]
        assert alone.m1 == pytest.approx(verdict.m1, abs=1e-5)
        assert alone.m2 == pytest.approx(verdict.m2, abs=1e-5)
    assert judge.compare(asked) == together


@pytest.mark.parametrize("leading", [0, 1])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_shared_beginning_changes_nothing(
    family: str, leading: int, judges: dict[str, TransformersJudge]
) -> None:
    reader = judges[family]._reader
    wanted = {f"{number}": noise_picture(number) for number in range(6)}
    pictures, _ = judges[family]._encoder.prepare(wanted)
    a, x, y, other, z, w = wanted
    shown = [(a, x, y), (a, y, x), (other, z, w), (a, w, x), (other, w, z)]
    parts = (reader._model, reader._family, reader._encoder, reader._tokenizer, reader._ids, leading)
    shared, plain = PanelReader(*parts), PanelReader(*parts)
    plain._shares = False
    assert shared._shares
    together, alone = shared.read_margins(shown, pictures), plain.read_margins(shown, pictures)
    assert list(together) == list(alone) and together == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_remembered_features_do_not_change_a_bit(family: str, directories: dict[str, Path]) -> None:
    earlier = [request(2 * number, 2 * number + 1) for number in range(5)]
    asked = [request(1, 4), request(3, 20, reference=998), request(8, 2)]
    warm = load(directories[family])
    warm.compare(earlier)
    encoder = warm._encoder
    assert encoder._kept_bytes == sum(one.features.nbytes for one in encoder._kept.values()) > 0
    assert warm.compare(asked) == load(directories[family]).compare(asked)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_more_features_are_kept_than_there_is_room_for(
    family: str, directories: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a judge remembers is bounded; what it has forgotten, also between two batches, is made again."""
    asked = [request(2 * number, 2 * number + 1, reference=900) for number in range(12)]
    asked += asked[:2]
    whole = load(directories[family]).compare(asked)
    (one,) = load(directories[family])._encoder.encode({"0": _prepare(directories[family], 0)}).values()
    monkeypatch.setitem(encoding._KEPT_BYTES, "cpu", 3 * one.nbytes)
    tight = load(directories[family])
    assert tight.compare(asked) == whole
    assert 0 < tight._encoder._kept_bytes <= 3 * one.nbytes and len(tight._encoder._kept) == 3


def test_freed_memory_is_given_back_on_a_long_way(
    judges: dict[str, TransformersJudge], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(vlm, "give_back_heap", lambda: calls.append(1))
    monkeypatch.setattr(vlm, "_HEAP_REQUESTS", 4)
    judge = judges[FAMILIES[0]].showing("reference_free", "normal")
    for asked in (1, 2, 3):
        judge.compare([request(1, 2)] * 2)
        assert len(calls) == asked // 2


@pytest.mark.parametrize("family", FAMILIES)
def test_swapping_flips_and_identical_montages_tie_exactly(
    family: str, judges: dict[str, TransformersJudge]
) -> None:
    there, back, null = judges[family].compare([request(1, 2), request(2, 1), request(5, 5)])
    assert back == there.flip()
    assert there.m1 != there.m2
    assert null.both and null.m1 == null.m2


@pytest.mark.parametrize("family", FAMILIES)
def test_pictures_of_other_sizes_share_a_batch(family: str, judges: dict[str, TransformersJudge]) -> None:
    asked = [request(1, 2, size_px=64), request(3, 4, size_px=128), request(5, 6, size_px=224)]
    assert all(answer.both for answer in judges[family].compare(asked))


def test_the_reference_is_seen(judges: dict[str, TransformersJudge]) -> None:
    for judge in judges.values():
        one, other = judge.compare([request(1, 2, reference=10), request(1, 2, reference=11)])
        assert one.m1 != other.m1


@pytest.mark.parametrize(
    "broken",
    [np.zeros((64, 64), np.uint8), np.zeros((64, 64, 3), np.float32), np.zeros((4, 64, 3), np.uint8)],
)
def test_a_bad_picture_spoils_one_verdict(broken: np.ndarray, judges: dict[str, TransformersJudge]) -> None:
    bad = PairRequest.of(Panel(noise_picture(1), broken, noise_picture(2)), "x", "y", "rig")
    good, spoiled, also_good = judges["internvl"].compare([request(1, 2), bad, request(3, 4)])
    assert good.valid and also_good.valid
    assert not spoiled.valid and spoiled.reason == "bad_image"


def test_margins_that_are_not_numbers_are_invalid(directories: dict[str, Path]) -> None:
    judge = load(directories["internvl"])
    with torch.no_grad():
        judge.loaded.model.model.language_model.norm.weight.fill_(float("nan"))
    assert judge.compare([request(1, 2)])[0].reason == "non_finite_margin"


def test_embedded_judges_are_small(directories: dict[str, Path]) -> None:
    for family, directory in directories.items():
        assert build_judge(family, 0).parameter_count <= 1_400_000
        assert sum(path.stat().st_size for path in directory.iterdir()) <= 2.9e6


def test_torchvision_is_not_needed(directories: dict[str, Path]) -> None:
    for directory in directories.values():
        processor = AutoImageProcessor.from_pretrained(directory, backend="pil")
        assert type(processor).__name__.endswith("Pil")


def test_the_same_model_twice_is_refused(directories: dict[str, Path], tmp_path: Path) -> None:
    qwen, internvl = (identify(params(directories[family])) for family in FAMILIES)
    require_different(qwen, internvl)
    copied = tmp_path / "another-name"
    shutil.copytree(directories["qwen2_5_vl"], copied)
    (copied / "verdict3d.json").write_text(
        json.dumps({"prompt": "A is {reference} {first} better or {second} ?"})
    )
    other = identify(params(copied))
    assert other.digest != qwen.digest and other.weights == qwen.weights
    with pytest.raises(Verdict3DError, match="are the same model"):
        require_different(qwen, other)


def test_identity_follows_content_not_place(directories: dict[str, Path], tmp_path: Path) -> None:
    here = identify(params(directories["internvl"]))
    shutil.copytree(directories["internvl"], tmp_path / "moved")
    (tmp_path / "moved" / "card.json").write_text("{}")
    assert identify(params(tmp_path / "moved")).digest == here.digest
    assert identify(params(directories["internvl"], mode="clay")).digest != here.digest
    assert here.model_class == "InternVLForConditionalGeneration" and here.dtype == "float32"


def test_a_judge_is_found_below_the_project(
    directories: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place, family in (("project", "internvl"), ("elsewhere", "qwen2_5_vl")):
        shutil.copytree(directories[family], tmp_path / place / "judge")
    monkeypatch.chdir(tmp_path / "elsewhere")
    named = params(Path("judge"))
    found = identity.identify(named, tmp_path / "project")
    assert found.model == "judge" and found.digest == identify(params(directories["internvl"])).digest
    judge = load_judge(named, tmp_path / "project")
    assert judge.identity == found and judge.compare([request(1, 2)])[0].valid


def test_only_compiling_makes_another_judge(directories: dict[str, Path], tmp_path: Path) -> None:
    here = params(directories["internvl"])
    told = params(directories["internvl"], compiled=False)
    compiled = identify(params(directories["internvl"], compiled=True))
    assert identify(told) == identify(here) and "compiled" not in identify(here).dtype
    assert compiled.model_dump() == identify(here).model_dump() | {"dtype": "float32 compiled"}
    assert compiled.digest != identify(here).digest
    judge = load(directories["internvl"], compiled=True)
    assert judge.identity == compiled and judge.showing("two_sheets", "rgb").identity.dtype == compiled.dtype
    assert judge.loaded.model.model.language_model.layers[0].mlp._compiled_call_impl is not None
    other = tmp_path / "other"
    shutil.copytree(directories["internvl"], other)
    (other / "config.json").write_text(json.dumps({"model_type": "idefics3"}))
    identify(params(other))
    with pytest.raises(Verdict3DError, match="cannot be compiled"):
        identify(params(other, compiled=True))


def test_weights_are_loaded_once_for_all_names_of_a_judge_and_again_when_they_change(
    directories: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "judge"
    shutil.copytree(directories["internvl"], folder)

    def name(mode: str = "normal") -> TransformersJudge:
        return TransformersJudge.from_pretrained(params(folder, mode=mode), Path())

    shapes, colours = name(), name("rgb")
    assert colours.loaded.model is shapes.loaded.model and colours.identity != shapes.identity
    build_judge("internvl", seed=8).save(folder)
    changed = name()
    assert changed.loaded.model is not shapes.loaded.model
    assert changed.compare([request(1, 2)]) != shapes.compare([request(1, 2)])


@pytest.mark.parametrize("family", FAMILIES)
def test_compiled_layers_answer_alike(
    family: str, judges: dict[str, TransformersJudge], directories: dict[str, Path]
) -> None:
    judge = load(directories[family])
    compile_judge(judge.loaded.model, backend="aot_eager")
    asked = [request(1, 2), request(3, 4, size_px=96), request(5, 6, reference=10)]
    for one, other in zip(judge.compare(asked), judges[family].compare(asked), strict=True):
        assert (one.m1, one.m2) == pytest.approx((other.m1, other.m2), abs=1e-5)


def test_the_next_item_is_worked_on_while_one_is_used() -> None:
    done: list[int] = []
    results = fetch_ahead(lambda number: done.append(number) or 10 * number, range(4))
    assert next(results) == 0
    assert list(results) == [10, 20, 30] and done == [0, 1, 2, 3]
    assert list(fetch_ahead(str, [])) == []
    with pytest.raises(ZeroDivisionError):
        list(fetch_ahead(lambda number: 1 // number, [1, 0]))


def test_widening_changes_no_answer() -> None:
    torch.manual_seed(0)
    config = Qwen2_5_VLConfig(vision_config={"hidden_size": 16, "intermediate_size": 35}).vision_config
    mlp = Qwen2_5_VLMLP(config, bias=True)
    hidden = torch.randn(3, 16)
    before = mlp(hidden)
    _widen(mlp)
    assert mlp.gate_proj.weight.shape == (64, 16) and mlp.down_proj.weight.shape == (16, 64)
    torch.testing.assert_close(mlp(hidden), before)


def test_unusable_directories_say_why(
    directories: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(Verdict3DError, match=r"neither a directory nor a hub id|config.json is missing"):
        identify(params(tmp_path / "nowhere"))
    with pytest.raises(Verdict3DError, match=r"config\.json is missing"):
        identify(params(tmp_path))
    broken = tmp_path / "broken"
    shutil.copytree(directories["qwen2_5_vl"], broken)
    (broken / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    with pytest.raises(Verdict3DError, match=r"they do not read pictures and text.*internvl, qwen2_5_vl"):
        load(broken)
    (broken / "config.json").unlink()
    shutil.copy(directories["qwen2_5_vl"] / "config.json", broken)
    (broken / "chat_template.jinja").write_text("{{ messages[0]['role'] }}")
    with pytest.raises(Verdict3DError, match="0 pictures"):
        load(broken)
    for template, problem in (
        ("{% for message in messages %}", "Unexpected end of template"),
        ("{{ raise_exception('no pictures') }}", "no pictures"),
        ("{{ messages.__class__.__mro__ }}", "access to attribute '__class__' of 'list' object is unsafe"),
    ):
        (broken / "chat_template.jinja").write_text(template)
        with pytest.raises(Verdict3DError, match=f"chat template cannot be used: .*{problem}"):
            load(broken)
    (broken / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(Verdict3DError, match="cannot be loaded"):
        load(broken)
    (broken / "model.safetensors").unlink()
    with pytest.raises(Verdict3DError, match="no safetensors"):
        load(broken)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", b"[]"),
        ("config.json", b"{}"),
        *((name, b"[]") for name in ("tokenizer_config.json", "preprocessor_config.json")),
        *(("tokenizer.json", content) for content in (None, b"{}", b"[]", b'{"a"', b'{"a": "\xff"}')),
    ],
)
def test_a_damaged_file_of_a_judge_is_named(
    directories: dict[str, Path], tmp_path: Path, name: str, content: bytes | None
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(directories["internvl"], broken)
    if content is None:
        (broken / name).unlink()
    else:
        (broken / name).write_bytes(content)
    with pytest.raises(Verdict3DError) as caught:
        load(broken)
    said = str(caught.value)
    assert name in said and str(broken) in said and "\n" not in said and len(said) < 1000


def test_older_releases_keep_the_template_beside_the_processor(
    directories: dict[str, Path], tmp_path: Path
) -> None:
    old = tmp_path / "old"
    shutil.copytree(directories["qwen2_5_vl"], old)
    template = (old / "chat_template.jinja").read_text()
    (old / "chat_template.jinja").unlink()
    (old / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    asked = [request(1, 2)]
    assert load(old).compare(asked) == load(directories["qwen2_5_vl"]).compare(asked)


def test_prompts_are_checked(tmp_path: Path) -> None:
    assert len(split_prompt(RUBRIC)) == 4 and "tie" not in RUBRIC.lower().split()
    with pytest.raises(Verdict3DError, match="in this order"):
        split_prompt("{reference} {second} {first}")
    assert write_prompt_for(tmp_path) == RUBRIC
    (tmp_path / "verdict3d.json").write_text('{"prompt": 3}')
    with pytest.raises(Verdict3DError, match="must be of the form"):
        write_prompt_for(tmp_path)


def test_transparent_pictures_stand_on_black(tmp_path: Path) -> None:
    image = Image.new("RGBA", (64, 48), (200, 100, 50, 0))
    image.paste((200, 100, 50, 255), (40, 10, 60, 20))
    image.putpixel((3, 2), (9, 9, 9, 200))  # a shadow is no object
    image.save(tmp_path / "condition.png")
    pixels = read_picture(tmp_path / "condition.png")
    # the box is 20 wide and 10 high around (50, 15); the crop is 24 square
    assert pixels.shape == (24, 24, 3) and np.array_equal(pixels, make_picture(image.crop((38, 3, 62, 27))))
    assert (pixels[7:17, 2:22] == (200, 100, 50)).all() and int((pixels > 0).all(axis=2).sum()) == 200
    Image.new("RGBA", (16, 16), (200, 100, 50, 0)).save(tmp_path / "empty.png")
    image.crop((4, 4, 8, 8)).convert("RGB").save(tmp_path / "minute.png")
    (tmp_path / "torn.png").write_bytes((tmp_path / "condition.png").read_bytes()[:40])
    refusals = {
        "empty.png": "no_foreground",
        "absent.png": "missing_file",
        "torn.png": "not_an_image",
        "minute.png": "bad_image",
    }
    for name, reason in refusals.items():
        with pytest.raises(ItemFailure, match=name) as refused:
            read_picture(tmp_path / name)
        assert refused.value.reason == reason


def test_a_reference_is_shown_as_people_see_it(tmp_path: Path) -> None:
    tall = np.full((60, 40, 3), 255, np.uint8)
    tall[5:20, 10:30] = (200, 30, 30)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(tall)).save(tmp_path / "phone.png", exif=exif)
    np.testing.assert_array_equal(read_picture(tmp_path / "phone.png"), tall)
    Image.fromarray(np.full((16, 16), 100 * 257, np.uint16)).save(tmp_path / "deep.png")
    assert (read_picture(tmp_path / "deep.png") == 100).all()
    opaque = Image.fromarray(tall).convert("RGBA")
    opaque.save(tmp_path / "opaque.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "opaque.png"), tall)
    large = Image.new("RGBA", (8000, 8000), (10, 20, 30, 0))
    large.paste((10, 20, 30, 255), (0, 0, 7800, 7800))
    large.save(tmp_path / "large.png", compress_level=1)
    assert read_picture(tmp_path / "large.png").shape == (8192, 8192, 3)
