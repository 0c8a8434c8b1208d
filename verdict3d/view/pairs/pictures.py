"""Pictures of the page of pairs: small WebP files of photos, and of one view set of a montage."""

from __future__ import annotations

import re
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from verdict3d.errors import ItemFailure
from verdict3d.render.montage_files import read_montages
from verdict3d.view.pairs.index import PairIndex
from verdict3d.view.pictures import encode_picture, read_picture_file

PHOTO_PX = 320
MONTAGE_PX = 448
NAME = re.compile(r"([0-9a-f]{20})(?:-([0-7]))?")
"""A picture's name in addresses: its key, and of a montage the place of the view set."""


def make_picture(index: PairIndex, name: str) -> bytes:
    """Return a picture of the page as WebP.

    Args:
        index: Knows the files.
        name: As in :data:`NAME`.

    Raises:
        ItemFailure: ``missing_image``: no pair shows such a picture, or its file is gone; ``bad_image``.
    """
    found = NAME.fullmatch(name)
    key, number = found.groups() if found else ("", None)
    path = index.file(key, "photo" if number is None else "montage")
    if path is None:
        raise ItemFailure("missing_image", f"no pair shows a picture {name}")
    if number is not None:
        return make_montage(path, int(number))
    image = read_picture_file(path)
    if image is None:
        raise ItemFailure("missing_image", f"{path} is missing")
    return encode_picture(image, PHOTO_PX)


def make_montage(path: Path, number: int) -> bytes:
    """Return the montage of a view set as WebP.

    Raises:
        ItemFailure: As :func:`verdict3d.render.montage_files.read_montages`.
    """
    return encode_picture(Image.fromarray(read_montages(path, number + 1)[number]), MONTAGE_PX)


def count_view_sets(path: Path) -> int:
    """Return how many view sets a file of montages holds; 0 where it is missing or no picture."""
    try:
        with Image.open(path) as image:
            return image.height // image.width
    except (OSError, UnidentifiedImageError):
        return 0
