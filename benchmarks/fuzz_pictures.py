"""Damaged pictures through both readers: `python -m benchmarks.fuzz_pictures --cases 100000`.

Small pictures of every format, with the metadata that cameras and programs add, are damaged at random and
read as photos and as textures. Each has to be read, or refused by an `ItemFailure`; the table counts both by
format, and what else was raised. Status 1 when anything else was. The same seed gives the same cases.
"""

from __future__ import annotations

import argparse
import io
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, PngImagePlugin

from verdict3d.config_generators import MeshLimits
from verdict3d.errors import ItemFailure
from verdict3d.mesh.readers.reading import Reading
from verdict3d.mesh.readers.textures import Textures
from verdict3d.pictures import open_picture
from verdict3d.randomness import numpy_generator

MOST_PIXELS = 2**22
ODD_NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
SLOW_S = 5.0

Picture = tuple[str, bytes]


def write_pictures() -> list[Picture]:
    """Return the whole pictures, each with its format."""
    drawn = numpy_generator(0, "fuzz pictures").integers(0, 256, (24, 20, 4)).astype(np.uint8)
    rgba = Image.fromarray(drawn)
    rgb, grey = rgba.convert("RGB"), rgba.convert("L")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x011A] = 6, "maker", 72.0
    exif.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    words = PngImagePlugin.PngInfo()
    words.add_text("Comment", "text " * 20, zip=True)
    words.add_itxt("Title", "title", "en", "title")
    kinds: list[tuple[Image.Image, str, dict[str, object]]] = [
        (rgba, "PNG", {"exif": exif, "pnginfo": words, "dpi": (72, 72), "icc_profile": bytes(200)}),
        (rgb.quantize(16), "PNG", {"transparency": 3}),
        (grey, "PNG", {"transparency": 7}),
        (deep, "PNG", {"transparency": 257}),
        (rgb, "JPEG", {"exif": exif, "icc_profile": bytes(200), "dpi": (72, 72)}),
        (rgb, "JPEG", {"progressive": True, "quality": 30}),
        (rgb.convert("CMYK"), "JPEG", {}),
        (rgba, "WEBP", {"lossless": True, "exif": exif}),
        (rgb, "WEBP", {"quality": 40}),
        (rgba, "AVIF", {"exif": exif}),
        (rgb.quantize(16), "GIF", {"transparency": 2, "comment": b"words"}),
        (rgb, "BMP", {}),
        (rgb.quantize(16), "BMP", {}),
        (rgba, "TGA", {"compression": "tga_rle"}),
        (deep, "TIFF", {}),
        *(
            (rgba, "TIFF", {"compression": name, "exif": exif})
            for name in ("raw", "tiff_lzw", "tiff_deflate")
        ),
        (rgb, "TIFF", {"compression": "jpeg"}),
    ]
    found = []
    for image, kind, options in kinds:
        stream = io.BytesIO()
        image.save(stream, kind, **options)
        found.append((kind, stream.getvalue()))
    return found


def damage(content: bytes, draw: np.random.Generator) -> bytes:
    """Return a picture with one to eight random changes."""
    whole = bytearray(content)
    for _ in range(int(draw.integers(1, 9))):
        place = int(draw.integers(0, max(1, len(whole))))
        way = int(draw.integers(0, 6))
        if way == 0 and whole:  # a bit
            whole[place % len(whole)] ^= 1 << int(draw.integers(0, 8))
        elif way == 1 and whole:  # a byte
            whole[place % len(whole)] = int(draw.integers(0, 256))
        elif way == 2:  # an odd number, in either order of bytes
            number = ODD_NUMBERS[int(draw.integers(0, len(ODD_NUMBERS)))]
            order = "<>"[int(draw.integers(0, 2))]
            width = ("B", "H", "I")[int(draw.integers(0, 3))]
            size = struct.calcsize(order + width)
            whole[place : place + size] = struct.pack(order + width, number & (256**size - 1))
        elif way == 3:  # the end
            del whole[place:]
        elif way == 4:  # a piece again
            whole[place:place] = whole[place : place + int(draw.integers(1, 64))]
        else:  # a piece less
            del whole[place : place + int(draw.integers(1, 64))]
    return bytes(whole)


def mend_checksums(content: bytes) -> bytes:
    """Return a damaged PNG with checksums that fit, which lets its decoder see the damage."""
    whole, place = bytearray(content), 8
    while place + 12 <= len(whole):
        (length,) = struct.unpack_from(">I", whole, place)
        end = place + 8 + length
        if end + 4 > len(whole):
            break
        struct.pack_into(">I", whole, end, zlib.crc32(whole[place + 4 : end]))
        place = end + 4
    return bytes(whole)


def try_picture(read: Callable[[], object]) -> str:
    """Return ``read``, the reason of a refusal, or the kind and words of any other error."""
    try:
        read()
    except ItemFailure as failure:
        return failure.reason
    except Exception as error:  # what this command looks for
        return f"{type(error).__name__}: {error}"[:100]
    return "read"


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz and print the table; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=10_000, help="damaged pictures (default: 10000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the damage (default: 0)")
    options = parser.parse_args(arguments)
    pictures, counts, slow = write_pictures(), Counter[tuple[str, str, str]](), 0
    wrong: Counter[str] = Counter()
    limits = MeshLimits(texture_px=2048)
    for case in range(options.cases):
        kind, content = pictures[case % len(pictures)]
        content = damage(content, numpy_generator(options.seed, "fuzz pictures", case))
        content = mend_checksums(content) if kind == "PNG" else content
        readers: dict[str, Callable[[], object]] = {
            "photo": lambda content=content: open_picture(content, "it", MOST_PIXELS),
            "texture": lambda content=content: Textures(Reading(limits)).decode(content, "it"),
        }
        for name, read in readers.items():
            started = time.perf_counter()
            outcome = try_picture(read)
            slow += time.perf_counter() - started > SLOW_S
            other = ": " in outcome
            counts[kind, name, "read" if outcome == "read" else "other" if other else "refused"] += 1
            if other:
                wrong[f"{name}, case {case} ({kind}): {outcome}"] += 1
    print(f"{'format':8} {'as':8} {'read':>8} {'refused':>8} {'other':>8}")
    for kind, name in sorted({key[:2] for key in counts}):
        row = [counts[kind, name, outcome] for outcome in ("read", "refused", "other")]
        print(f"{kind:8} {name:8} {row[0]:8} {row[1]:8} {row[2]:8}")
    print(f"{options.cases} damaged pictures, {slow} of them took longer than {SLOW_S:g} s")
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
