"""Pictures embedded in the page: downsized, WebP, data URIs."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from verdict3d.errors import Verdict3DError
from verdict3d.view.content import Picture


def embed_picture(path: str | Path, longest_px: int, alt: str, montage: bool = False) -> Picture | None:
    """Read a picture and return it embedded; the longer side is at most ``longest_px``, alpha is kept.

    Of a file of montages (:mod:`verdict3d.render.montage_files`) the first view set is shown.

    Returns:
        The picture, or None when the file does not exist.

    Raises:
        Verdict3DError: The file is there but cannot be read as a picture.
    """
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGBA" if opened.has_transparency_data else "RGB")
    except FileNotFoundError:
        return None
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise Verdict3DError(
            f"{path} cannot be read as a picture: {error}; delete it and rerun its stage"
        ) from error
    if montage:
        image = image.crop((0, 0, image.width, image.width))
    image.thumbnail((longest_px, longest_px), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, format="WEBP", quality=80, method=4)
    uri = "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
    return Picture(uri=uri, width_px=image.width, height_px=image.height, alt=alt)
