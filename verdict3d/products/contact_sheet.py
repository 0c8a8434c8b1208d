"""One picture of many things to look at: photos beside their meshes, or a folder of meshes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from verdict3d.errors import ItemFailure
from verdict3d.mesh.files import read_mesh
from verdict3d.mesh.mesh import Mesh
from verdict3d.records.files import replacing

_THUMB_PX = 160
_LABEL_PX = 18
_LETTER_PX = 6


@dataclass(frozen=True)
class Exhibit:
    """A label, and the pictures below it side by side; None leaves a place empty."""

    label: str
    pictures: Sequence[Image.Image | None]


def draw_contact_sheet(exhibits: Sequence[Exhibit], path: Path, columns: int = 4) -> None:
    """Draw labelled pictures, several in a row.

    Args:
        exhibits: In their order; each with the same number of pictures.
        path: PNG to write.
        columns: Exhibits in a row.
    """
    columns = min(columns, len(exhibits))
    cell = (len(exhibits[0].pictures) * _THUMB_PX, _THUMB_PX + _LABEL_PX)
    page = Image.new("RGB", (columns * cell[0], -(-len(exhibits) // columns) * cell[1]), "white")
    for number, exhibit in enumerate(exhibits):
        left, top = number % columns * cell[0], number // columns * cell[1]
        for place, picture in enumerate(exhibit.pictures):
            if picture is not None:
                page.paste(_make_thumb(picture), (left + place * _THUMB_PX, top + _LABEL_PX))
        label = exhibit.label[: cell[0] // _LETTER_PX]
        ImageDraw.Draw(page).text((left + 2, top + 3), label, fill="black")
    with replacing(path) as temporary:
        page.save(temporary)


def pair_photos(made: Sequence[tuple[Path, Path, str | None]]) -> list[Exhibit]:
    """Return each photo beside its mesh, from photo, mesh file and the reason of a failure."""
    paint = make_painter()
    return [
        Exhibit(
            f"{mesh.name} {failure or ''}",
            (_read_photo(photo), paint(read_mesh(mesh)) if failure is None else None),
        )
        for photo, mesh, failure in made
    ]


def make_painter() -> Callable[[Mesh], Image.Image]:
    """Return what draws a mesh for a contact sheet: four views in clay."""
    from verdict3d.render.renderer import Renderer

    renderer = Renderer()
    return lambda mesh: Image.fromarray(renderer.montage(mesh, "clay", _THUMB_PX // 2))


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
