"""The page of a comparison, with its pictures in a folder beside it."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from verdict3d.judge.modes import TEXTURE_MODE
from verdict3d.products.drawn_meshes import DrawnMeshes
from verdict3d.records.comparisons import Comparison, PairedMesh, PairOfMeshes
from verdict3d.records.files import write_bytes
from verdict3d.view.comparison import PairExhibit, render_comparison
from verdict3d.view.content import Illustration
from verdict3d.view.pictures import link_picture

PAGE, PICTURES = "index.html", "pictures"
PICTURE_BUDGET_BYTES = 96 * 2**20
"""What all pictures together should take: where they are many, they are smaller."""
BYTES_PER_PIXEL = 0.2
"""Of a photo as WebP; montages take a third of it."""
LEAST_PX, MOST_PX = 64, 320
MESH, MESH_IN_COLOUR = "mesh ", "in colour "


def write_page(
    comparison: Comparison,
    rows: Sequence[PairOfMeshes],
    colours: Sequence[PairOfMeshes],
    references: Mapping[str, Path],
    meshes: DrawnMeshes,
    output: Path,
    pairs_page: str | None = None,
) -> None:
    """Write ``index.html`` and ``pictures`` into a folder.

    Args:
        comparison: What was found.
        rows: Every pair.
        colours: Every pair that was shown in colour.
        references: Illustration of each photo's object, by the photo's file name.
        meshes: Knows the montages.
        output: The folder.
        pairs_page: Address of the page of pairs that numbers lead to; None: they lead nowhere.
    """
    shutil.rmtree(output / PICTURES, ignore_errors=True)
    names = picture_names(rows, colours)
    montages = sum(key.startswith(MESH) for key in names)
    longest_px = choose_picture_size(len(names) + (comparison.judge.views - 1) * montages)
    linked: dict[str, Illustration | None] = {}

    def picture(key: str, path: Path, alt: str, montage: bool) -> Illustration | None:
        if key not in linked:
            linked[key] = link_picture(path, longest_px, alt, output, names[key], montage)
        return linked[key]

    def photo(row: PairOfMeshes) -> Illustration | None:
        return picture(photo_key(row), references[row.photo], f"The object of {row.photo}", False)

    def montage(row: PairOfMeshes, mesh: PairedMesh, in_colour: bool) -> Illustration | None:
        if mesh.mesh_digest is None:
            return None
        alt = f"Four views of a mesh of {row.object}{' in colour' if in_colour else ''}"
        path = meshes.montage(mesh.mesh_digest, TEXTURE_MODE if in_colour else None)
        return picture(mesh_key(mesh, in_colour), path, alt, True)

    def exhibit(shown: Sequence[PairOfMeshes], in_colour: bool) -> list[PairExhibit]:
        return [
            PairExhibit(row, photo(row), *(montage(row, mesh, in_colour) for mesh in (row.mine, row.theirs)))
            for row in tqdm(shown, desc="page", unit="pair", mininterval=1.0)
        ]

    shown, in_colour = exhibit(rows, False), exhibit(colours, True) if colours else []
    page = render_comparison(comparison, shown, in_colour, output.resolve().name, pairs_page)
    write_bytes(output / PAGE, page.encode())


def picture_names(rows: Sequence[PairOfMeshes], colours: Sequence[PairOfMeshes]) -> dict[str, str]:
    """Return the path beside the page of every picture of a comparison, by what it shows."""
    keys = [
        key
        for row in rows
        for key in (photo_key(row), *(mesh_key(mesh) for mesh in (row.mine, row.theirs) if mesh.mesh_digest))
    ]
    keys += [mesh_key(mesh, True) for row in colours for mesh in (row.mine, row.theirs)]
    return {key: f"{PICTURES}/{number:06d}.webp" for number, key in enumerate(dict.fromkeys(keys))}


def photo_key(row: PairOfMeshes) -> str:
    """Return what names the picture of a pair's photo."""
    return f"photo {row.photo}"


def mesh_key(mesh: PairedMesh, in_colour: bool = False) -> str:
    """Return what names the montage of a mesh."""
    return f"{MESH_IN_COLOUR if in_colour else MESH}{mesh.mesh_digest}"


def choose_picture_size(pictures: int) -> int:
    """Return the longer side, in pixels, that lets so many pictures, or view sets, fit into the budget."""
    fitting = math.sqrt(PICTURE_BUDGET_BYTES / max(1, pictures) / BYTES_PER_PIXEL)
    return max(LEAST_PX, min(MOST_PX, int(fitting)))
