"""Photos as people have them: opaque, with several objects, with one that is hardly there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from verdict3d.config_inputs import PhotosParams
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.trellis.background import MODELS, BackgroundRemover, has_background, identify_background
from verdict3d.trellis.photos import PhotoReader

BIG, SMALL, SPECK = (10, 10, 50, 60), (80, 20, 100, 40), (110, 70, 111, 71)  # left, upper, right, lower


def picture(*boxes: tuple[int, int, int, int], edge: int = 255) -> Image.Image:
    """Opaque red boxes on nothing, 120 x 90 px; ``edge`` is the alpha of a pixel-wide rim around each."""
    pixels = np.zeros((90, 120, 4), np.uint8)
    for left, upper, right, lower in boxes:
        pixels[upper - 1 : lower + 1, left - 1 : right + 1] = (200, 0, 0, edge)
        pixels[upper:lower, left:right] = (200, 0, 0, 255)
    return Image.fromarray(pixels)


def read(image: Image.Image, folder: Path, **params: Any) -> tuple[np.ndarray, int]:
    image.save(folder / "photo.png")
    photo = PhotoReader(PhotosParams(**params)).read(folder / "photo.png")
    assert photo.background is None
    return np.asarray(photo.image)[..., 3], photo.objects


def test_all_objects_are_kept_and_counted_or_the_largest_with_its_soft_edge(tmp_path: Path) -> None:
    several = picture(SMALL, BIG, SPECK, edge=90)
    alpha, count = read(several, tmp_path)
    assert count == 2 and np.array_equal(alpha, np.asarray(several)[..., 3])
    alpha, count = read(several, tmp_path, objects="largest")
    assert count == 2 and np.array_equal(alpha, np.asarray(picture(BIG, edge=90))[..., 3])
    one = picture(BIG, edge=90)
    assert np.array_equal(read(one, tmp_path, objects="largest")[0], np.asarray(one)[..., 3])


def test_a_region_without_an_opaque_pixel_is_no_object(tmp_path: Path) -> None:
    pixels = np.asarray(picture(SMALL)).copy()
    pixels[:, :70] = (0, 0, 0, 120)  # a large shadow
    alpha, count = read(Image.fromarray(pixels), tmp_path, objects="largest")
    assert count == 1 and (alpha == 255).sum() == 22 * 22 and not alpha[:, :70].any()


def test_what_has_no_object_is_refused_with_advice(tmp_path: Path) -> None:
    reader = PhotoReader(PhotosParams())
    cases = {
        "no_alpha": picture(BIG).convert("RGB"),
        "no_foreground": Image.new("RGBA", (40, 40), (1, 2, 3, 204)),
    }
    for reason, image in cases.items():
        image.save(tmp_path / "photo.png")
        failure = reader.attempt(tmp_path / "photo.png")
        assert isinstance(failure, ItemFailure) and failure.reason == reason
    picture(BIG).convert("RGB").save(tmp_path / "photo.jpg")
    with pytest.raises(ItemFailure, match=r"photos\.background in params\.yaml"):
        reader.read(tmp_path / "photo.jpg")
    with pytest.raises(ItemFailure, match="1 x 1 pixels; give a larger picture"):
        read(Image.fromarray(np.pad(np.full((1, 1, 4), 255, np.uint8), ((9, 9), (9, 9), (0, 0)))), tmp_path)


def doubts(image: Image.Image, folder: Path, **params: Any) -> str:
    image.save(folder / "photo.png")
    return PhotoReader(PhotosParams(**params)).read(folder / "photo.png").warning


def test_masks_that_are_hardly_ones_are_doubted(tmp_path: Path) -> None:
    board = np.full((200, 200, 4), (250, 250, 250, 255), np.uint8)
    board[60:140, 60:140] = (200, 0, 0, 0)  # inverted: the object is what is clear
    assert "mask is inverted" in doubts(Image.fromarray(board), tmp_path)
    cut = np.zeros((200, 200, 4), np.uint8)
    cut[:, 40:160] = (200, 0, 0, 255)  # cut off by two borders, as things are
    assert doubts(Image.fromarray(cut), tmp_path) == ""
    assert "only 22 x 22 pixels" in doubts(picture(SMALL), tmp_path)
    assert doubts(picture(BIG), tmp_path) == ""
    strayed = picture(BIG, SPECK)
    assert "stray pixels" in doubts(strayed, tmp_path)
    assert doubts(strayed, tmp_path, objects="largest") == ""


@pytest.mark.parametrize("clear", [1, 4, 40])
def test_a_few_clear_pixels_make_no_mask(tmp_path: Path, clear: int) -> None:
    pixels = np.full((200, 200, 4), 255, np.uint8)
    pixels[0, :clear, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "screenshot.png")
    failure = PhotoReader(PhotosParams()).attempt(tmp_path / "screenshot.png")
    assert isinstance(failure, ItemFailure) and failure.reason == "no_alpha"
    assert "screenshot.png" in str(failure) and "--background u2net" in str(failure)


def test_opaque_means_that_nothing_is_cut_out() -> None:
    assert has_background(Image.new("RGB", (4, 4))) and has_background(
        Image.new("RGBA", (4, 4), (1, 1, 1, 255))
    )
    assert not has_background(picture(BIG))


def test_a_remover_that_cannot_work_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for model, words in {"bria-rmbg": "known: u2net", str(tmp_path / "absent.onnx"): "no such file"}.items():
        with pytest.raises(Verdict3DError, match=words):
            BackgroundRemover(model)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(Verdict3DError, match=r"pip install -e '\.\[photos\]'"):
        PhotoReader(PhotosParams(background="u2net"))


def test_the_identity_of_a_file_is_its_content(tmp_path: Path) -> None:
    file = tmp_path / "mask.onnx"
    file.write_bytes(b"one")
    first = identify_background(str(file))
    file.write_bytes(b"two")
    assert identify_background(str(file)) != first and identify_background(None) == [None, None]
    assert identify_background("u2net") == ["u2net", None]


@pytest.fixture(scope="module")
def darkness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that u2net's place can take: what is dark is the object."""
    pytest.importorskip("rembg", reason="background removal is an extra: pip install -e '.[photos]' onnx")
    onnx = pytest.importorskip("onnx", reason="the test makes its network with onnx: pip install onnx")
    from onnx import TensorProto, helper

    def tensor(name: str, channels: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, 320, 320])

    weight = helper.make_tensor("w", TensorProto.FLOAT, [1, 3, 1, 1], [-1.0, -1.0, -1.0])
    node = helper.make_node("Conv", ["pixels", "w"], ["mask"])
    graph = helper.make_graph([node], "darkness", [tensor("pixels", 3)], [tensor("mask", 1)], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path = tmp_path_factory.mktemp("model") / "darkness.onnx"
    onnx.save(model, path)
    return path


def test_a_background_is_removed_where_there_is_no_transparency(darkness: Path, tmp_path: Path) -> None:
    flat = Image.new("RGB", (1300, 650), "white")
    flat.paste((90, 0, 0), (300, 100, 700, 500))
    flat.save(tmp_path / "photo.jpg", quality=95)
    reader = PhotoReader(PhotosParams(background=str(darkness)))
    photo = reader.read(tmp_path / "photo.jpg")
    assert photo.image.size == (1024, 512) and photo.background == str(darkness) and photo.objects == 1
    scale = 1024 / 1300
    truth = np.zeros((512, 1024), bool)
    truth[int(100 * scale) : int(500 * scale), int(300 * scale) : int(700 * scale)] = True
    found = np.asarray(photo.image)[..., 3] > 204
    assert (found & truth).sum() / (found | truth).sum() > 0.97
    picture(BIG).save(tmp_path / "cut.png")
    assert reader.read(tmp_path / "cut.png").background is None
    Image.new("RGB", (64, 64), "white").save(tmp_path / "empty.png")
    failure = reader.attempt(tmp_path / "empty.png")
    assert isinstance(failure, ItemFailure) and failure.reason == "no_foreground"


def test_weights_that_are_none_are_refused(darkness: Path, tmp_path: Path) -> None:
    (tmp_path / "torn.onnx").write_bytes(darkness.read_bytes()[:20])
    with pytest.raises(Verdict3DError, match="cannot be used"):
        BackgroundRemover(str(tmp_path / "torn.onnx"))


def test_every_named_model_is_one_of_rembg() -> None:
    pytest.importorskip("rembg", reason="background removal is an extra: pip install -e '.[photos]'")
    from rembg.sessions import sessions_names

    assert set(MODELS) <= set(sessions_names)
