"""Pictures of pages: downsized WebP, embedded as data URIs or in files beside the page."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from verdict3d.errors import Verdict3DError
from verdict3d.records.files import write_bytes
from verdict3d.view.content import Picture


def embed_picture(path: str | Path, longest_px: int, alt: str, montage: bool = False) -> Picture | None:
    """Read a picture and return it embedded; the longer side is at most ``longest_px``, alpha is kept.

    Of a file of montages (:mod:`verdict3d.render.montage_files`) the first view set is shown.

    Returns:
        The picture, or None when the file does not exist.

    Raises:
        Verdict3DError: The file is there but cannot be read as a picture.
    """
    image = _read_small(path, longest_px, montage)
    if image is None:
        return None
    uri = "data:image/webp;base64," + base64.b64encode(_encode(image)).decode("ascii")
    return Picture(uri=uri, width_px=image.width, height_px=image.height, alt=alt)


def link_picture(
    path: str | Path, longest_px: int, alt: str, page: Path, name: str, montage: bool = False
) -> Picture | None:
    """Put a picture into a file beside a page and return it linked; see :func:`embed_picture`.

    Args:
        path: The picture.
        longest_px: Its longer side is at most this.
        alt: What it shows.
        page: Folder of the page.
        name: Path of the file in that folder: plain letters, digits, ``-``, ``.`` and ``/``.
        montage: Whether ``path`` is a file of montages.
    """
    image = _read_small(path, longest_px, montage)
    if image is None:
        return None
    write_bytes(page / name, _encode(image))
    return Picture(uri=name, width_px=image.width, height_px=image.height, alt=alt)


def _read_small(path: str | Path, longest_px: int, montage: bool) -> Image.Image | None:
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGBA" if opened.has_transparency_data else "RGB")
    except FileNotFoundError:
        return None
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise Verdict3DError(
            f"{path} cannot be read as a picture: {error}; delete it and run what made it again"
        ) from error
    if montage:
        image = image.crop((0, 0, image.width, image.width))
    image.thumbnail((longest_px, longest_px), Image.Resampling.LANCZOS)
    return image


def _encode(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format="WEBP", quality=80, method=4)
    return stream.getvalue()
