"""Reading photos and cropping them, against the recorded reference and bad files."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from support.places import GOLDENS
from verdict3d.errors import ItemFailure
from verdict3d.trellis.preprocess import find_object_box, preprocess_image, read_image


def photo(
    width: int = 64, height: int = 48, box: tuple[int, int, int, int] = (20, 10, 40, 30)
) -> Image.Image:
    """A transparent picture with an opaque red box (left, upper, right, lower; inclusive)."""
    pixels = np.zeros((height, width, 4), np.uint8)
    left, upper, right, lower = box
    pixels[upper : lower + 1, left : right + 1] = (255, 0, 0, 255)
    return Image.fromarray(pixels)


def reason_of(call: object, *arguments: object) -> str:
    with pytest.raises(ItemFailure) as caught:
        call(*arguments)  # type: ignore[operator]
    assert str(caught.value)
    return caught.value.reason


def test_equals_the_recorded_reference() -> None:
    recorded = load_file(GOLDENS / "preprocess.safetensors")
    result = np.asarray(preprocess_image(Image.fromarray(recorded["in.rgba"])))
    assert result.shape == (518, 518, 3) and result.dtype == np.uint8
    strided = result[::11, ::11].astype(int)
    assert np.abs(strided - recorded["out.rgb_strided"]).max() <= 1  # resampling may differ by one level
    assert np.abs(result.sum(axis=(0, 1)) / recorded["out.channel_sums"] - 1).max() < 1e-3


def test_the_box_is_square_centred_and_has_a_margin() -> None:
    assert find_object_box(photo()) == (18, 8, 42, 32)  # centre (30, 20), side int(1.2 * 20)
    assert find_object_box(photo(box=(0, 0, 63, 9))) == (31.5 - 37, 4.5 - 37, 31.5 + 37, 4.5 + 37)


def test_the_object_fills_the_same_share_at_any_size() -> None:
    for size_px in (112, 518):
        red = np.asarray(preprocess_image(photo(), size_px))[:, :, 0] > 127
        assert red.shape == (size_px, size_px)
        assert red.any(axis=0).mean() == pytest.approx(21 / 24, abs=0.02)


def test_semi_transparent_pixels_are_darkened_on_black() -> None:
    pixels = np.asarray(photo()).copy()
    pixels[:20, :, 3] = np.where(pixels[:20, :, 3] > 0, 210, 0)
    result = np.asarray(preprocess_image(Image.fromarray(pixels), 24))
    assert abs(int(result[8, 12, 0]) - 210) <= 1 and result[18, 12, 0] == 255 and not result[:, :, 1:].any()


def test_photos_without_an_object_are_refused() -> None:
    assert reason_of(preprocess_image, photo().convert("RGB")) == "no_alpha"
    assert reason_of(preprocess_image, Image.new("RGBA", (8, 8), (1, 2, 3, 255))) == "no_alpha"
    assert reason_of(preprocess_image, Image.new("RGBA", (8, 8))) == "no_foreground"
    assert reason_of(preprocess_image, Image.new("RGBA", (8, 8), (9, 9, 9, 204))) == "no_foreground"
    assert reason_of(preprocess_image, photo(box=(5, 5, 5, 5))) == "no_foreground"
    with pytest.raises(ItemFailure, match="background"):
        preprocess_image(photo().convert("RGB"))


def test_what_is_not_an_image_is_refused(tmp_path: Path) -> None:
    assert reason_of(read_image, tmp_path / "absent.png") == "missing_file"
    assert reason_of(read_image, tmp_path) == "missing_file"
    whole = tmp_path / "whole.png"
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 4), dtype=np.uint8)
    Image.fromarray(noise).save(whole)
    content = whole.read_bytes()
    for name, broken in {"empty": b"", "text": b"hello", "truncated": content[: len(content) // 2]}.items():
        path = tmp_path / f"{name}.png"
        path.write_bytes(broken)
        assert reason_of(read_image, path) == "not_an_image", name
    script = tmp_path / "picture.eps"
    script.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    assert reason_of(read_image, script) == "not_an_image"


@pytest.mark.parametrize("side", [9_000, 60_000])
def test_decompression_bombs_are_refused_by_their_header(tmp_path: Path, side: int) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    )
    assert reason_of(read_image, path) == "too_large"


def test_files_are_read_upright_with_their_transparency(tmp_path: Path) -> None:
    frames = [photo(), photo(box=(0, 0, 9, 9))]
    frames[0].save(tmp_path / "moving.png", save_all=True, append_images=frames[1:])
    first = read_image(tmp_path / "moving.png")
    assert first.mode == "RGBA" and np.array_equal(np.asarray(first)[..., 3], np.asarray(frames[0])[..., 3])
    photo().quantize(8).save(tmp_path / "palette.gif", transparency=0)
    assert read_image(tmp_path / "palette.gif").mode == "RGBA"
    photo().convert("RGB").save(tmp_path / "opaque.jpg")
    assert read_image(tmp_path / "opaque.jpg").mode == "RGB"
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated
    photo().save(tmp_path / "turned.png", exif=exif)
    assert read_image(tmp_path / "turned.png").size == (48, 64)


def test_greys_of_16_bits_keep_their_tones(tmp_path: Path) -> None:
    tones = np.array([[0, 257 * 10], [257 * 200, 65535]], np.uint16)
    Image.fromarray(tones).save(tmp_path / "deep.png")
    assert np.array_equal(np.asarray(read_image(tmp_path / "deep.png"))[..., 0], [[0, 10], [200, 255]])
    Image.fromarray(np.zeros((2, 2), np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(ItemFailure) as failure:
        read_image(tmp_path / "float.tif")
    assert failure.value.reason == "not_an_image"


def test_print_colours_become_screen_colours(tmp_path: Path) -> None:
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "print.jpg", quality=100)
    red = read_image(tmp_path / "print.jpg")
    assert red.mode == "RGB" and np.abs(np.asarray(red).astype(int) - [255, 0, 0]).max() <= 3
