"""Montages of one mesh in one mode on disk: a PNG with the view sets one below another, each a square.

One file a mesh and mode, because thousands of small ones cost more to list, digest and link than to read.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from verdict3d.errors import ItemFailure

Pixels = NDArray[np.uint8]


def write_montages(path: str | Path, montages: Pixels) -> None:
    """Write montages (view sets, side, side, 3) uint8; the fastest compression is within 15% of the best."""
    Image.fromarray(montages.reshape(-1, *montages.shape[2:])).save(path, compress_level=1)


def read_montages(path: str | Path, views: int = 1) -> list[Pixels]:
    """Return the montages of the first ``views`` view sets, each uint8 (side, side, 3).

    Raises:
        ItemFailure: ``missing_image``, ``bad_image``, or ``missing_views``: the file holds fewer sets.
    """
    try:
        with Image.open(path) as image:
            strip = np.asarray(image.convert("RGB"))
    except FileNotFoundError as error:
        raise ItemFailure("missing_image", f"{path} is missing") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ItemFailure("bad_image", f"{path} cannot be read as an image: {error}") from error
    side = strip.shape[1]
    if len(strip) < views * side:
        raise ItemFailure(
            "missing_views", f"{path} holds {len(strip) // side} view sets, {views} are asked for"
        )
    return [strip[number * side : (number + 1) * side] for number in range(views)]
