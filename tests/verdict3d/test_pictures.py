"""One reader of pictures: whatever a camera, a scanner or a program writes, and what is no picture."""

from __future__ import annotations

import io
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from verdict3d.errors import ItemFailure
from verdict3d.pictures import open_picture

MOST = 2**20
RED = np.zeros((12, 10, 4), np.uint8)
RED[2:6, 1:9] = (200, 30, 30, 255)  # near the upper edge


def stored(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def opened(content: bytes, **options: Any) -> np.ndarray:
    return np.asarray(open_picture(content, "it", MOST, **options))


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("PNG", "RGBA", {}),
        ("PNG", "LA", {}),
        ("PNG", "P", {"transparency": 0}),
        ("PNG", "L", {"transparency": 0}),
        ("GIF", "P", {"transparency": 0}),
        ("WEBP", "RGBA", {"lossless": True}),
        ("AVIF", "RGBA", {"quality": 100}),
        ("TIFF", "RGBA", {}),
    ],
)
def test_transparency_is_kept_however_it_is_stored(kind: str, mode: str, options: dict[str, Any]) -> None:
    image = Image.fromarray(RED)
    image = image.convert("RGB").quantize(2) if mode == "P" else image.convert(mode)
    if mode == "P":
        image.putdata([int(alpha > 0) for alpha in RED[..., 3].ravel()])
    pixels = opened(stored(image, kind, **options))
    assert pixels.shape == (12, 10, 4)
    assert np.abs(pixels[..., 3].astype(int) - RED[..., 3]).max() <= 2


def test_greys_of_16_bits_keep_their_tones_and_their_clear_tone() -> None:
    tones = np.array([[0, 257 * 10], [257 * 200, 65535]], np.uint16)
    assert opened(stored(Image.fromarray(tones), "PNG"))[..., 0].tolist() == [[0, 10], [200, 255]]
    clear = opened(stored(Image.fromarray(tones), "PNG", transparency=257 * 10))
    assert clear[..., 3].tolist() == [[255, 0], [255, 255]]
    with pytest.raises(ItemFailure, match="no known scale"):
        opened(stored(Image.fromarray(np.zeros((2, 2), np.float32)), "TIFF"))


def test_photos_are_upright_and_textures_as_stored() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = stored(Image.fromarray(RED), "PNG", exif=exif)
    assert opened(content).shape == (10, 12, 4)
    np.testing.assert_array_equal(opened(content, upright=False), RED)


@pytest.mark.parametrize("content", [b"", b"hello", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\0\0\1\0" + bytes(40)])
def test_what_is_no_picture_has_one_reason_and_the_same_words_each_time(content: bytes) -> None:
    messages = set()
    for _ in range(2):
        with pytest.raises(ItemFailure, match=r"^it ") as failure:
            opened(content)
        assert failure.value.reason == "not_an_image"
        messages.add(str(failure.value))
    assert len(messages) == 1 and " at 0x" not in messages.pop()


def test_mutated_pictures_are_read_or_refused(recwarn: pytest.WarningsRecorder) -> None:
    """Decoders and readers of EXIF raise whatever they like: fractions by zero, failed assertions."""
    rng = np.random.default_rng(3)
    exif = Image.Exif()
    exif[0x0112], exif[0x011A], exif[0x0132] = 6, 72.0, "2026:01:01 00:00:00"
    image = Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8))
    outcomes = set()
    for kind in ("PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "TGA", "AVIF"):
        content = np.frombuffer(
            stored(image, kind, **({} if kind in ("GIF", "BMP", "TGA") else {"exif": exif})), np.uint8
        )
        for _ in range(8 if kind == "AVIF" else 40):
            changed = content.copy()
            changed[rng.integers(len(changed), size=rng.integers(1, 6))] = rng.integers(256)
            try:
                opened(changed.tobytes())
                outcomes.add("read")
            except ItemFailure as failure:
                outcomes.add(failure.reason)
    assert {"read", "not_an_image"} <= outcomes <= {"read", "not_an_image", "too_large"}


def test_size_is_checked_before_decoding_and_formats_that_run_programs_are_not_tried(tmp_path: Path) -> None:
    with pytest.raises(ItemFailure, match="1025 x 1024") as failure:
        opened(stored(Image.new("1", (1025, 1024)), "PNG"))
    assert failure.value.reason == "too_large"
    with pytest.raises(ItemFailure, match="has far too many pixels; at most") as failure:
        opened(b"GIF89a" + struct.pack("<HH", 60_000, 60_000) + bytes(3) + b"," + bytes(9) + b"\2;")
    assert failure.value.reason == "too_large"
    with pytest.raises(ItemFailure, match="no picture"):
        opened(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(ItemFailure, match="no such file") as missing:
        open_picture(tmp_path / "absent.png", "absent.png", MOST)
    assert missing.value.reason == "missing_file"


def test_heic_needs_a_package_or_a_conversion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for brand in (b"heic", b"mif1"):
        with pytest.raises(ItemFailure, match=r"HEIC.*heif-convert.*sips.*\[heic\]"):
            opened(b"\0\0\0\x18ftyp" + brand + bytes(12))


def test_heic_is_read_where_the_package_is() -> None:
    heif = pytest.importorskip("pillow_heif", reason="the extra `heic` is not installed")
    image = Image.new("RGB", (64, 48), (200, 30, 30))
    stream = io.BytesIO()
    heif.from_pillow(image).save(stream)
    pixels = opened(stream.getvalue())
    assert pixels.shape == (48, 64, 3) and np.abs(pixels.astype(int) - (200, 30, 30)).max() < 12
