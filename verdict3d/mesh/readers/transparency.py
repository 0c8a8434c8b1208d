"""Transparent surfaces in a mesh that has none: a surface is there where it is at least half opaque.

Where a material is cut out by its texture, its faces are cut along the border. A flat see-through plane below
everything else is the shadow that somebody painted under the object, and is no part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from verdict3d.mesh.readers.pieces import Piece
from verdict3d.mesh.readers.reading import Reading
from verdict3d.mesh.readers.textures import Texture, wrap_texture

HALF = 0.5
_DEPTH = 6  # a face is cut into at most 4 ** 6 pieces
_MOST_CUT = 100_000  # faces that a piece is cut into at most
_FINE, _COARSE = 8, 3  # opacity is looked at in so many places along a face's edge; coarsely on many faces
_MANY = 20_000
_SEE_THROUGH = 0.9  # mean opacity of a painted shadow, at most
_FLAT = 0.01  # of the object's size
_LOW = 0.02  # of the object's height


@dataclass(frozen=True, eq=False)
class Layer:
    """A piece with its opacity.

    Attributes:
        piece: The piece.
        opacity: (V,) in [0, 1] of material and vertices, with which the texture's is multiplied; None for an
            opaque material.
        cutoff: Opacity from which on the surface is there.
        blends: Whether what lies behind should shine through.
    """

    piece: Piece
    opacity: NDArray[np.float64] | None = None
    cutoff: float = HALF
    blends: bool = False


def without_transparency(layers: Sequence[Layer], up: int, reading: Reading) -> list[Piece]:
    """Return the pieces that are there, cut where they end; all as they are where nothing would be left.

    Args:
        layers: The pieces of a scene.
        up: Index of the axis that points up.
        reading: Budget and notes of the file.

    Raises:
        ItemFailure: ``too_costly``.
    """
    if all(layer.opacity is None for layer in layers):
        return [layer.piece for layer in layers]
    shadows = _find_shadows(layers, up)
    parts = [_cut_opaque(layer, reading) for layer in layers]
    kept = [part for part, shadow in zip(parts, shadows, strict=True) if len(part.faces) and not shadow]
    if not kept:
        reading.note("transparent", "all of it is less than half opaque, and is kept as if it were solid")
        return [layer.piece for layer in layers]
    if any(shadows):
        reading.note("shadow_plane", "a see-through plane below the object, its painted shadow, is left out")
    lost = cut = solid = 0
    for layer, part, shadow in zip(layers, parts, shadows, strict=True):
        if shadow or not len(layer.piece.faces):
            continue
        lost += not len(part.faces)
        cut += part is not layer.piece and len(part.faces) > 0
        solid += part is layer.piece and layer.blends
    for number, words in (
        (lost, "less than half opaque: left out"),
        (cut, "transparent in places: cut there"),
        (solid, "more than half opaque: solid"),
    ):
        if number:
            reading.note("transparent", f"surfaces that are {words} ({number})")
    return kept


def _find_shadows(layers: Sequence[Layer], up: int) -> list[bool]:
    """Return which layers are planes that blend, lie flat, and are below everything else."""
    boxes: list[NDArray[np.float64] | None] = []
    flat: list[bool] = []
    for layer in layers:
        used = layer.piece.vertices[layer.piece.faces.ravel()]
        box = np.stack([used.min(axis=0), used.max(axis=0)]) if len(used) else None
        boxes.append(box)
        flat.append(
            box is not None and layer.blends and box[1, up] - box[0, up] <= _FLAT * (box[1] - box[0]).max()
        )
    solid = [box for box, is_flat in zip(boxes, flat, strict=True) if box is not None and not is_flat]
    if not solid or not any(flat):
        return [False] * len(layers)
    low = min(box[0, up] for box in solid)
    height = max(box[1, up] for box in solid) - low
    return [
        bool(is_flat and box is not None and box[1, up] <= low + _LOW * height and _is_see_through(layer))
        for layer, box, is_flat in zip(layers, boxes, flat, strict=True)
    ]


def _is_see_through(layer: Layer) -> bool:
    piece, opacity = layer.piece, layer.opacity
    if opacity is None:
        return False
    if piece.texture is None or piece.texture.alpha is None or piece.uv is None:
        return bool(opacity[piece.faces].mean() < _SEE_THROUGH)
    corners = np.concatenate([piece.vertices, piece.uv, opacity[:, None]], axis=1)[piece.faces]
    return bool(_read_opacities(corners, piece.texture, piece.texture.alpha).mean() < _SEE_THROUGH)


def _cut_opaque(layer: Layer, reading: Reading) -> Piece:
    """Return the part of a piece that is there; the piece itself where all of it is."""
    piece, opacity = layer.piece, layer.opacity
    if opacity is None or not len(piece.faces):
        return piece
    texture = piece.texture
    if texture is None or texture.alpha is None or piece.uv is None:
        there = opacity[piece.faces].mean(axis=1) >= layer.cutoff
        return piece if there.all() else replace(piece, faces=piece.faces[there])
    return _cut(piece, piece.uv, opacity, texture, texture.alpha, layer.cutoff, reading)


def _cut(
    piece: Piece,
    uv: NDArray[np.float64],
    opacity: NDArray[np.float64],
    texture: Texture,
    alpha: NDArray[np.uint8],
    cutoff: float,
    reading: Reading,
) -> Piece:
    """Return the part that is there. Faces on the border are quartered until it is followed closely."""
    colors = np.zeros((len(uv), 0)) if piece.colors is None else piece.colors.astype(np.float64)
    rows = np.concatenate([piece.vertices, uv, opacity[:, None], colors], axis=1)
    corners, origin = rows[piece.faces], np.arange(len(piece.faces))
    whole, fragments = np.zeros(len(piece.faces), dtype=bool), []
    for depth in range(_DEPTH + 1):
        reading.spend(8 * corners.size, "cutting out a surface")
        share = (_read_opacities(corners, texture, alpha) >= cutoff).mean(axis=1)
        last = depth == _DEPTH or 4 * len(corners) > _MOST_CUT
        there = share >= (HALF if last else 1.0)
        if depth == 0:
            whole[origin[there]] = True
        else:
            fragments.append(corners[there])
        border = (share > 0) & ~there
        if last or not border.any():
            break
        corners = _quarter(corners[border])
    if whole.all():
        return piece
    pieces = np.concatenate(fragments) if fragments else corners[:0]
    new = pieces.reshape(-1, rows.shape[1])
    new_faces = np.arange(len(new)).reshape(-1, 3) + len(rows)
    joined = np.concatenate([rows, new])
    return replace(
        piece,
        vertices=joined[:, :3],
        faces=np.concatenate([piece.faces[whole], new_faces]),
        colors=None if piece.colors is None else np.rint(joined[:, 6:]).astype(np.uint8),
        uv=joined[:, 3:5],
    )


def _read_opacities(
    corners: NDArray[np.float64], texture: Texture, alpha: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Return (F, places) the opacity all over each face of (F, 3, 6 or more) corners."""
    grid = _make_grid(_FINE if len(corners) <= _MANY else _COARSE)
    height, width = alpha.shape
    found = np.empty((len(corners), len(grid)), dtype=np.float32)
    for start in range(0, len(corners), _MANY):
        seen = np.einsum("pc,fcd->fpd", grid, corners[start : start + _MANY, :, 3:6])
        columns = wrap_texture(np.floor(seen[..., 0] * width).astype(np.int64), width, texture.wrap[0])
        rows = wrap_texture(np.floor((1 - seen[..., 1]) * height).astype(np.int64), height, texture.wrap[1])
        found[start : start + _MANY] = seen[..., 2] * alpha[rows, columns] / 255
    return found


def _quarter(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the four triangles of each, cut at the middles of its edges, winding kept."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
    parts = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    return np.concatenate([np.stack(part, axis=1) for part in parts])


def _make_grid(steps: int) -> NDArray[np.float64]:
    """Return barycentric coordinates (P, 3) of places spread over the inside of a triangle."""
    places = [(i, j) for i in range(steps) for j in range(steps - i)]
    first, second = (np.array(places, dtype=np.float64).T + 1 / 3) / steps
    return np.stack([first, second, 1 - first - second], axis=1)
