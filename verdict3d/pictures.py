"""Picture files from untrusted sources: photos, references of judges, and textures are read here."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from verdict3d.errors import ItemFailure, install_extra

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "TGA")
"""Formats that are decoded; HEIC too where pillow-heif is installed."""

_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_BROKEN = (  # what decoders and readers of EXIF stumble over
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    TypeError,
    KeyError,
    IndexError,
    AssertionError,
    OverflowError,
    ZeroDivisionError,
    RuntimeError,
    struct.error,
)


def open_picture(source: Path | bytes, name: str, max_pixels: int, upright: bool = True) -> Image.Image:
    """Read a picture; of an animation, the first frame.

    Args:
        source: File, or its content.
        name: What messages call it.
        max_pixels: Larger pictures are refused from their header, before they are decoded.
        upright: Turn the picture as its EXIF data say, as for photos; textures lie as they are stored.

    Returns:
        8 bits a channel: RGBA when the picture has transparency, else RGB.

    Raises:
        ItemFailure: ``missing_file``, ``not_an_image`` (another format, broken, truncated) or ``too_large``.
    """
    if isinstance(source, Path) and not source.is_file():
        raise ItemFailure("missing_file", f"{name}: there is no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sizes, which are checked here, and of odd metadata
            with (
                io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as stream,
                Image.open(stream, formats=_formats(stream.read(12), name)) as image,
            ):
                if image.width * image.height > max_pixels:
                    raise _too_large(name, f"{image.width} x {image.height} pixels", max_pixels)
                shown = _eight_bits(image)
                mode = "RGBA" if shown.has_transparency_data else "RGB"
                shown.load()
                decoded = shown if shown.mode == mode else shown.convert(mode)
                return ImageOps.exif_transpose(decoded) if upright else decoded
    except Image.DecompressionBombError as error:
        raise _too_large(name, "far too many pixels", max_pixels) from error
    except UnidentifiedImageError as error:  # its own message holds an address
        raise ItemFailure("not_an_image", f"{name} is no picture; allowed: {', '.join(FORMATS)}") from error
    except MemoryError as error:
        raise _too_large(name, "more pixels than this machine can hold", max_pixels) from error
    except _BROKEN as error:
        message = f"{name} cannot be read as an image ({error}); allowed: intact {', '.join(FORMATS)}"
        raise ItemFailure("not_an_image", message) from error


def _formats(head: bytes, name: str) -> tuple[str, ...]:
    """Return what may be decoded, given the first 12 bytes of a picture."""
    if head[4:8] != b"ftyp" or head[8:12] not in _HEIC_BRANDS:
        return FORMATS
    try:
        import pillow_heif
    except ImportError as error:
        raise ItemFailure(
            "not_an_image",
            f"{name} is a HEIC picture; convert it (`heif-convert IN.heic OUT.png`, or on a Mac "
            f"`sips -s format png IN.heic --out OUT.png`), or type {install_extra('heic')}",
        ) from error
    pillow_heif.register_heif_opener()
    return ("HEIF",)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return greys of 16 bits scaled to 8, which Pillow would cut off at 255; other pictures as they are.

    Raises:
        ItemFailure: ``not_an_image``: the pixels are floating-point numbers, whose scale is not known.
    """
    if image.mode == "F":
        raise ItemFailure("not_an_image", "floating-point pixels have no known scale; save it as PNG")
    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image)
    eight_bits = np.rint(np.arange(65536) / 257).astype(np.uint8)
    pixels = np.empty(values.shape, dtype=np.uint8)
    for row, greys in enumerate(values):  # large pictures in little memory
        pixels[row] = eight_bits[greys.clip(0, 65535)]
    shown = Image.fromarray(pixels)
    clear = image.info.get("transparency")  # the grey that is transparent (PNG, chunk tRNS)
    if isinstance(clear, int):
        shown.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    shown.info = {name: value for name, value in image.info.items() if name != "transparency"}
    return shown


def _too_large(name: str, what: str, max_pixels: int) -> ItemFailure:
    return ItemFailure(
        "too_large", f"{name} has {what}; at most {max_pixels} pixels in all are allowed: shrink it"
    )
