"""Pieces of a scene, each with its own material, are joined into one mesh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from verdict3d.errors import ItemFailure
from verdict3d.mesh.mesh import Mesh
from verdict3d.mesh.readers.atlas import Patch, pack
from verdict3d.mesh.readers.reading import Reading
from verdict3d.mesh.readers.textures import Texture

_PLAIN = np.array([200, 200, 200], dtype=np.uint8)
_WHITE = np.array([255, 255, 255], dtype=np.uint8)
_FARTHEST_UV = 1e5
_FARTHEST = 64
"""Meshes that lie farther from the origin than so many of their own sizes are moved there, before float32
rounds them."""


@dataclass(frozen=True, eq=False)
class Piece:
    """Triangles with one material; a texture is multiplied with the colours.

    Attributes:
        vertices: (V, 3) float64 in the scene's frame.
        faces: (F, 3) int64.
        colors: (V, 3) uint8 sRGB, or None.
        flat: (3,) uint8 sRGB of the whole piece where it has no ``colors``, or None.
        uv: (V, 2) float64 with the origin at the texture's lower left, or None.
        texture: Present exactly when ``uv`` is.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    colors: NDArray[np.uint8] | None = None
    flat: NDArray[np.uint8] | None = None
    uv: NDArray[np.float64] | None = None
    texture: Texture | None = None

    def __post_init__(self) -> None:
        """Refuse arrays that do not belong together.

        Raises:
            ItemFailure: ``broken_file``.
        """
        count = len(self.vertices)
        wanted = {"vertices": (count, 3), "faces": (len(self.faces), 3), "colors": (count, 3), "flat": (3,)}
        for name, shape in {**wanted, "uv": (count, 2)}.items():
            array = getattr(self, name)
            if array is not None and array.shape != shape:
                raise ItemFailure("broken_file", f"{name} has the shape {array.shape} instead of {shape}")


def is_sound(uv: NDArray[np.float64]) -> bool:
    """Return whether texture coordinates say where they lie: finite, and not beyond 100,000 repeats."""
    return bool(np.isfinite(uv).all() and (np.abs(uv) <= _FARTHEST_UV).all())


def merge_pieces(pieces: Sequence[Piece], reading: Reading) -> Mesh:
    """Join pieces into one mesh.

    Colours of materials and vertices become vertex colours (none when no piece has any). One texture that all
    pieces share and that repeats stays as it is; otherwise textures are laid into one atlas, as often as they
    repeat on a face.

    Raises:
        ItemFailure: ``no_faces``, ``index_out_of_range``, or the reason why a texture cannot be kept, where
            the limits refuse such a mesh.
    """
    pieces = [piece for piece in pieces if len(piece.faces)]
    if not pieces:
        raise ItemFailure("no_faces", "the file holds no triangles")
    for piece in pieces:
        if piece.faces.min() < 0 or piece.faces.max() >= len(piece.vertices):
            raise ItemFailure(
                "index_out_of_range", f"a face names none of the {len(piece.vertices)} vertices"
            )
    pieces = [_with_sound_uv(piece, reading) for piece in pieces]
    texture, uv = None, None
    if any(piece.texture is not None for piece in pieces):
        pieces, texture, uv = _join_textured(pieces, reading)
    counts = [len(piece.vertices) for piece in pieces]
    reading.spend(64 * sum(counts) + 24 * sum(len(piece.faces) for piece in pieces), "the joined mesh")
    offsets = np.cumsum([0, *counts[:-1]])
    faces = np.concatenate([piece.faces + offset for piece, offset in zip(pieces, offsets, strict=True)])
    return Mesh(
        _reduce_precision(np.concatenate([piece.vertices for piece in pieces]), reading),
        np.ascontiguousarray(faces, dtype=np.int32),
        _join_vertex_colors(pieces),
        uv,
        texture,
    )


def _reduce_precision(vertices: NDArray[np.float64], reading: Reading) -> NDArray[np.float32]:
    """Return the vertices as float32, moved to the origin first where they lie so far off that it shows."""
    with np.errstate(over="ignore", invalid="ignore"):
        low, high = vertices.min(axis=0), vertices.max(axis=0)
        size, center = (high - low).max(), (low + high) / 2
        if np.isfinite(center).all() and 0 < size * _FARTHEST < np.abs(center).max():
            place = ", ".join(f"{value:.6g}" for value in center)
            reading.note("moved", f"it lies far from the origin, at {place}, and is moved there")
            vertices = vertices - center
        return vertices.astype(np.float32)


def _with_sound_uv(piece: Piece, reading: Reading) -> Piece:
    """Return the piece, without its texture where a coordinate says nothing."""
    if piece.uv is None or piece.texture is None:
        return piece
    if is_sound(piece.uv[piece.faces.ravel()]):
        return piece
    message = "a texture coordinate is NaN, infinite or beyond 100,000"
    reading.lose_texture(ItemFailure("non_finite", message))
    return replace(piece, uv=None, texture=None)


def _join_textured(
    pieces: list[Piece], reading: Reading
) -> tuple[list[Piece], NDArray[np.uint8] | None, NDArray[np.float32] | None]:
    """Return the pieces, the one texture of all, and (V, 2) where each vertex lies on it."""
    first = pieces[0].texture
    if first is not None and all(piece.texture is first for piece in pieces):
        uv = np.concatenate([piece.uv for piece in pieces if piece.uv is not None])
        if first.wrap == ("repeat", "repeat") or ((uv >= 0) & (uv <= 1)).all():
            return pieces, np.ascontiguousarray(first.pixels), uv.astype(np.float32)
    patches = [Patch.of(piece.faces, len(piece.vertices), piece.uv, piece.texture) for piece in pieces]
    atlas = pack(patches, reading)
    if atlas is None:
        return [replace(piece, uv=None, texture=None) for piece in pieces], None, None
    pixels, places = atlas
    moved = [
        replace(
            piece,
            vertices=piece.vertices[patch.source],
            faces=patch.faces,
            colors=None if piece.colors is None else piece.colors[patch.source],
            uv=None if piece.uv is None else piece.uv[patch.source],
        )
        for piece, patch in zip(pieces, patches, strict=True)
    ]
    return moved, pixels, np.concatenate(places).astype(np.float32)


def _join_vertex_colors(pieces: Sequence[Piece]) -> NDArray[np.uint8] | None:
    """Return (V, 3) colours, or what textures are multiplied with; None where no piece says any."""
    is_plain = all(piece.colors is None and piece.flat is None for piece in pieces)
    if is_plain and len({piece.texture is None for piece in pieces}) == 1:
        return None
    plain = [_WHITE if piece.texture is not None else _PLAIN for piece in pieces]
    colors = np.concatenate(
        [
            np.tile(default if piece.flat is None else piece.flat, (len(piece.vertices), 1))
            if piece.colors is None
            else piece.colors
            for piece, default in zip(pieces, plain, strict=True)
        ]
    )
    return None if any(piece.texture is not None for piece in pieces) and (colors == 255).all() else colors
