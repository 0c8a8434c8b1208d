"""Pictures of pages: downsized WebP, embedded as data URIs or in files beside the page."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from verdict3d.errors import Verdict3DError
from verdict3d.records.files import write_bytes
from verdict3d.view.content import Illustration


def embed_picture(path: str | Path, longest_px: int, alt: str, montage: bool = False) -> Illustration | None:
    """Read a picture and return it embedded; the longer side is at most ``longest_px``, alpha is kept.

    Of a file of montages (:mod:`verdict3d.render.montage_files`) the first view set is shown.

    Returns:
        The picture, or None when the file does not exist.

    Raises:
        Verdict3DError: The file is there but cannot be read as a picture.
    """
    image = read_picture_file(path)
    if image is None:
        return None
    if montage:
        image = image.crop((0, 0, image.width, image.width))
    image.thumbnail((longest_px, longest_px), Image.Resampling.LANCZOS)
    uri = "data:image/webp;base64," + base64.b64encode(encode_picture(image, longest_px)).decode("ascii")
    return Illustration(uri=uri, width_px=image.width, height_px=image.height, alt=alt)


def link_picture(
    path: str | Path, longest_px: int, alt: str, page: Path, name: str, montage: bool = False
) -> Illustration | None:
    """Put a picture into a file beside a page and return it linked; see :func:`embed_picture`.

    Args:
        path: The picture.
        longest_px: Its longer side is at most this.
        alt: What it shows.
        page: Folder of the page.
        name: Path of the file in that folder: plain letters, digits, ``-``, ``.`` and ``/``.
        montage: Whether ``path`` is a file of montages. All view sets are kept, one below another; the
            returned sizes are those of the first.
    """
    image = read_picture_file(path)
    if image is None:
        return None
    sets = image.height // image.width if montage else 1
    if montage:
        side = min(longest_px, image.width)
        image = image.resize((side, side * sets), Image.Resampling.LANCZOS)
    write_bytes(page / name, encode_picture(image, longest_px * sets))
    return Illustration(uri=name, width_px=image.width, height_px=image.height // sets, alt=alt)


def read_picture_file(path: str | Path) -> Image.Image | None:
    """Return a picture, RGBA where it is transparent; None where the file does not exist.

    Raises:
        Verdict3DError: The file is there but cannot be read as a picture.
    """
    try:
        with Image.open(path) as opened:
            return opened.convert("RGBA" if opened.has_transparency_data else "RGB")
    except FileNotFoundError:
        return None
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise Verdict3DError(
            f"{path} cannot be read as a picture: {error}; delete it and run what made it again"
        ) from error


def encode_picture(image: Image.Image, longest_px: int) -> bytes:
    """Return a picture as WebP whose longer side is at most ``longest_px``; the picture itself shrinks."""
    image.thumbnail((longest_px, longest_px), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, format="WEBP", quality=80, method=4)
    return stream.getvalue()
