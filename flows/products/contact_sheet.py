"""One picture of all that was made: each photo beside its mesh."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from verdict3d.errors import ItemFailure
from verdict3d.mesh.files import read_mesh
from verdict3d.records.files import replacing

_THUMB_PX = 160
_LABEL_PX = 18


def draw_contact_sheet(made: Sequence[tuple[Path, Path, str | None]], path: Path, columns: int = 4) -> None:
    """Draw each photo beside its mesh (or why there is none), several in a row.

    Args:
        made: Photo, mesh file and reason of a failure, in their order.
        path: PNG to write.
        columns: Pairs of pictures in a row.
    """
    from verdict3d.render.renderer import Renderer

    renderer = Renderer()
    columns = min(columns, len(made))
    cell = (2 * _THUMB_PX, _THUMB_PX + _LABEL_PX)
    page = Image.new("RGB", (columns * cell[0], -(-len(made) // columns) * cell[1]), "white")
    for number, (photo, mesh, failure) in enumerate(made):
        left, top = number % columns * cell[0], number // columns * cell[1]
        if (picture := _read_photo(photo)) is not None:
            page.paste(_make_thumb(picture), (left, top + _LABEL_PX))
        if failure is None:
            drawn = renderer.montage(read_mesh(mesh), "clay", _THUMB_PX // 2)
            page.paste(Image.fromarray(np.asarray(drawn)), (left + _THUMB_PX, top + _LABEL_PX))
        label = f"{mesh.name} {failure or ''}"[: cell[0] // 6]
        ImageDraw.Draw(page).text((left + 2, top + 3), label, fill="black")
    with replacing(path) as temporary:
        page.save(temporary)


def _read_photo(photo: Path) -> Image.Image | None:
    from verdict3d.trellis.preprocess import read_image

    try:
        return read_image(photo)
    except ItemFailure:
        return None


def _make_thumb(photo: Image.Image) -> Image.Image:
    """Return a photo inside a square, on white."""
    square = Image.new("RGB", (_THUMB_PX, _THUMB_PX), "white")
    small = photo.convert("RGBA")
    small.thumbnail((_THUMB_PX, _THUMB_PX))
    square.paste(small, ((_THUMB_PX - small.width) // 2, (_THUMB_PX - small.height) // 2), small)
    return square
