"""What a judge sees: a picture of the object and one montage of each candidate."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from verdict3d.errors import ItemFailure
from verdict3d.judge.rubric import SEPARATE_VIEWS
from verdict3d.pictures import open_picture

Pixels = NDArray[np.uint8]

OBJECT_ALPHA, OBJECT_MARGIN = 204, 1.2
LEVELS, SHARE = 2, 1e-4
"""Pictures look alike if no larger share of their pixels differs by more than so many of 255 levels.

A mesh that is made again in a batch of another size differs in the last bits of its numbers: by one level in
up to 26 of 100,000 pixels, by more in 2 at most (75 meshes). Meshes that differ in anything else: in 19,000.
"""
_SMALLEST_PX = 8
_LARGEST_PX = 8192


def make_picture(image: Image.Image | Pixels) -> Pixels:
    """Return an image as (height, width, 3) uint8, transparent parts on black.

    Raises:
        ItemFailure: ``bad_image``: other dtype or shape, or a side outside 8 to 8192 pixels.
    """
    if isinstance(image, Image.Image):
        if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
            shown = image.convert("RGBA")
            black = Image.new("RGBA", shown.size, (0, 0, 0, 255))
            image = Image.alpha_composite(black, shown)
        pixels: Pixels = np.asarray(image.convert("RGB"), dtype=np.uint8)
    else:
        pixels = np.ascontiguousarray(image)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ItemFailure(
            "bad_image",
            f"a panel picture is {pixels.dtype} {pixels.shape}; expected uint8 (height, width, 3)",
        )
    if not all(_SMALLEST_PX <= side <= _LARGEST_PX for side in pixels.shape[:2]):
        raise ItemFailure(
            "bad_image",
            f"a panel picture has {pixels.shape[1]} x {pixels.shape[0]} pixels; allowed: {_SMALLEST_PX} to "
            f"{_LARGEST_PX} a side",
        )
    return pixels


def crop_to_object(image: Image.Image) -> Image.Image:
    """Crop a transparent picture to a square around its object, as the generator does before it looks.

    A judge that sees small pictures needs the object large in the reference, and the embedded ones have
    learned it so. The square is 1.2 times as wide as the box of what is at least 80% opaque (TRELLIS,
    arXiv 2412.01506, its preprocessing of photos); an opaque picture stays as it is.

    Raises:
        ItemFailure: ``no_foreground``: nothing in a transparent picture is opaque.
    """
    shown = image.convert("RGBA")
    alpha = shown.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return image
    box = alpha.point(lambda alpha: 255 * (alpha > OBJECT_ALPHA)).getbbox()
    if box is None:
        raise ItemFailure(
            "no_foreground", f"no pixel has an alpha above {OBJECT_ALPHA}; keep the object opaque"
        )
    left, top, right, bottom = box
    side = round(OBJECT_MARGIN * max(right - left, bottom - top))
    corner = (round((left + right - side) / 2), round((top + bottom - side) / 2))
    return shown.crop((*corner, corner[0] + side, corner[1] + side))


def read_picture(path: str | Path) -> Pixels:
    """Read a file as :func:`make_picture` does, upright; a transparent one is cropped to its object.

    Raises:
        ItemFailure: As :func:`verdict3d.pictures.open_picture`, ``no_foreground``: nothing in it is opaque,
            or ``bad_image``: it is too small for a panel.
    """
    image = open_picture(Path(path), str(path), _LARGEST_PX**2)
    try:
        shown = crop_to_object(image)
        shown.thumbnail((_LARGEST_PX, _LARGEST_PX))
        return make_picture(shown)
    except ItemFailure as failure:
        raise ItemFailure(failure.reason, f"{path}: {failure}") from failure


def digest_picture(pixels: Pixels) -> str:
    """Return the SHA-256 of a picture's shape and values."""
    return hashlib.sha256(repr(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()


@dataclass(frozen=True, eq=False)
class Panel:
    """Three pictures: the reference and the montages of candidates X and Y, each uint8 (height, width, 3)."""

    reference: Pixels
    x: Pixels
    y: Pixels

    @cached_property
    def digests(self) -> tuple[str, str, str]:
        """Digests of reference, X and Y."""
        return digest_picture(self.reference), digest_picture(self.x), digest_picture(self.y)

    def arrange(self, kind: str) -> Arrangement:
        """Return the pictures that a question of this panel kind shows.

        ``three_images``: reference and montages as they are. ``two_sheets``: each montage beside the
        reference. ``reference_free``: the montages alone. ``seven_images``: the reference and the first
        three views of each montage as pictures of their own (how the paper's seven are made up is not known;
        this is our choice).

        Raises:
            ItemFailure: ``bad_image``: a montage is too small to be cut into views.
        """
        if kind == "seven_images":
            return Arrangement((self.reference,), separate_views(self.x), separate_views(self.y))
        if kind == "two_sheets":
            sheets = [draw_sheet(self.reference, montage) for montage in (self.x, self.y)]
            return Arrangement((), (sheets[0],), (sheets[1],))
        return Arrangement(() if kind == "reference_free" else (self.reference,), (self.x,), (self.y,))


@dataclass(frozen=True, eq=False)
class Arrangement:
    """The pictures of one question: those before the candidates, and those of X and Y."""

    reference: tuple[Pixels, ...]
    x: tuple[Pixels, ...]
    y: tuple[Pixels, ...]

    @cached_property
    def pictures(self) -> dict[str, Pixels]:
        """All pictures by digest."""
        names = [name for group in self._digests for name in group]
        return dict(zip(names, (*self.reference, *self.x, *self.y), strict=True))

    @property
    def orders(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Digests of the pictures in the order they are shown, X first and Y first."""
        reference, x, y = self._digests
        return (*reference, *x, *y), (*reference, *y, *x)

    @cached_property
    def _digests(self) -> tuple[tuple[str, ...], ...]:
        groups = (self.reference, self.x, self.y)
        return tuple(tuple(digest_picture(pixels) for pixels in group) for group in groups)


def separate_views(montage: Pixels) -> tuple[Pixels, ...]:
    """Cut the first three views out of a 2x2 montage (height, width, 3), row by row: half as high and wide.

    Raises:
        ItemFailure: ``bad_image``: the montage has fewer than 16 pixels a side.
    """
    whole = make_picture(montage)
    rows, columns = whole.shape[0] // 2, whole.shape[1] // 2
    corners = [(row * rows, column * columns) for row in (0, 1) for column in (0, 1)]
    return tuple(
        make_picture(whole[top : top + rows, left : left + columns]) for top, left in corners[:SEPARATE_VIEWS]
    )


def draw_sheet(reference: Pixels, montage: Pixels) -> Pixels:
    """Return a montage with the reference at its left, half as high, on white: uint8, as high as it."""
    whole = make_picture(montage)
    side = whole.shape[0] // 2
    inset = Image.fromarray(make_picture(reference)).resize((side, side), Image.Resampling.BICUBIC)
    page = np.full((whole.shape[0], side + whole.shape[1], 3), 255, dtype=np.uint8)
    page[(whole.shape[0] - side) // 2 :][:side, :side] = np.asarray(inset)
    page[:, side:] = whole
    return page


def look_alike(one: Pixels, other: Pixels) -> bool:
    """Say whether two pictures (height, width, 3) uint8 show nothing different, but for rounding."""
    if one.shape != other.shape:
        return False
    apart = np.abs(one.astype(np.int16) - other).max(axis=-1) > LEVELS
    return bool(apart.mean() <= SHARE)


@dataclass(frozen=True, eq=False)
class PairRequest:
    """A question to a judge from one view set: which of X and Y is the better mesh of the reference's object?

    Args:
        panel: What is shown.
        reference: Digest of the reference picture.
        x: Digest of mesh X.
        y: Digest of mesh Y.
        rig: Digest of the view set that made the montages.
    """

    panel: Panel = field(repr=False)
    reference: str
    x: str
    y: str
    rig: str

    @classmethod
    def of(cls, panel: Panel, x: str, y: str, rig: str) -> PairRequest:
        """Build a request whose reference digest is that of the panel's picture."""
        return cls(panel, panel.digests[0], x, y, rig)

    @property
    def same(self) -> bool:
        """Whether X and Y are one mesh or look so, so that there is nothing to ask."""
        return self.x == self.y or look_alike(self.panel.x, self.panel.y)


def make_requests(
    reference: Pixels,
    montages: tuple[Sequence[Pixels], Sequence[Pixels]],
    meshes: tuple[str, str],
    views: Sequence[str],
) -> tuple[PairRequest, ...]:
    """Return the questions about one pair, one from each view set.

    Args:
        reference: Picture of the object.
        montages: Montages of mesh X from each view set, and of mesh Y.
        meshes: Digests of both meshes.
        views: Digest of each view set.
    """
    return tuple(
        PairRequest.of(Panel(reference, x, y), *meshes, view)
        for x, y, view in zip(*montages, views, strict=True)
    )
