"""A photo file to the RGBA picture of its object: transparency is used, else the background removed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from verdict3d.config_inputs import PhotosParams
from verdict3d.errors import ItemFailure
from verdict3d.trellis.background import BackgroundRemover, has_background
from verdict3d.trellis.preprocess import FOREGROUND_ALPHA, REMOVE_BACKGROUND, find_object_box, read_image

SPECK_SHARE = 0.01
"""Regions below this share of the largest one's pixels are specks and not counted as objects."""
SMALL_PX = 24
"""An object whose longer side is shorter gives the networks little to look at."""
WIDENED = 1.25
"""Specks that widen the crop by this factor make the object small in it."""


@dataclass(frozen=True)
class Photo:
    """A photo ready for the generator.

    Attributes:
        image: RGBA.
        background: The model that removed the background; None: the file was transparent.
        objects: Separate opaque regions that were found, specks left out.
        warning: Why the photo may not be what it should be; empty where nothing speaks against it.
    """

    image: Image.Image
    background: str | None
    objects: int
    warning: str = ""


class PhotoReader:
    """Reads photos as ``params.yaml`` says.

    Several objects: all are kept by default. Transparency was drawn by someone who meant it, a thing may well
    lie in several regions (what stands before it is cut away), and it is what the released models have seen.
    With ``objects: largest`` the region with most opaque pixels stays.

    Args:
        params: The section ``photos``.

    Raises:
        Verdict3DError: :class:`BackgroundRemover` cannot be made.
    """

    def __init__(self, params: PhotosParams) -> None:
        self.objects = params.objects
        self._remover = None if params.background is None else BackgroundRemover(params.background)

    def read(self, path: str | Path) -> Photo:
        """Read an untrusted file.

        Raises:
            ItemFailure: The file is no usable photo (:mod:`verdict3d.trellis.preprocess` lists the reasons).
        """
        image, background = read_image(path), None
        if has_background(image):
            if self._remover is None:
                raise ItemFailure("no_alpha", f"{path}: the photo is opaque; {REMOVE_BACKGROUND}")
            image, background = self._remover(image), self._remover.model
        try:
            find_object_box(image)
        except ItemFailure as failure:
            raise ItemFailure(failure.reason, f"{path}: {failure}") from failure
        labels, sizes = _find_regions(image)
        if self.objects == "largest" and len(sizes) > 1:
            image = _keep_only(image, labels == int(np.argmax(sizes)) + 1)
        objects = int((sizes >= SPECK_SHARE * sizes.max()).sum())
        return Photo(image, background, objects, _collect_doubts(image, labels, sizes))

    def attempt(self, path: str | Path) -> Photo | ItemFailure:
        """Read a file, or return what is wrong with it."""
        try:
            return self.read(path)
        except ItemFailure as failure:
            return failure


def _find_regions(image: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    """Return the connected regions (H, W) of an RGBA photo, numbered from 1, and the opaque pixels of each.

    A region is all that is not wholly transparent, so that soft edges and shadows stay with their object.
    """
    alpha = np.asarray(image.getchannel("A"))
    labels, _ = ndimage.label(alpha > 0, structure=np.ones((3, 3)))
    return labels, np.bincount(labels[alpha > FOREGROUND_ALPHA], minlength=labels.max() + 1)[1:]


def _collect_doubts(image: Image.Image, labels: np.ndarray, sizes: np.ndarray) -> str:
    """Return what speaks against the mask of an RGBA photo with the given regions, for people."""
    opaque = np.asarray(image.getchannel("A")) > FOREGROUND_ALPHA
    doubts = []
    if all(edge.any() for edge in (opaque[0], opaque[-1], opaque[:, 0], opaque[:, -1])):
        doubts.append(
            "what is opaque touches all four borders: the background is still there, or the mask is inverted"
        )
    width, height = _measure_extent(opaque)
    if max(width, height) < SMALL_PX:
        doubts.append(f"the object is only {width} x {height} pixels large: give a larger picture of it")
    specks = np.flatnonzero((sizes > 0) & (sizes < SPECK_SHARE * sizes.max())) + 1
    kept = _measure_extent(opaque & ~np.isin(labels, specks))
    if max(width, height) > WIDENED * max(kept):
        doubts.append(
            "stray pixels far from the object make it small: erase them, or set photos.objects to `largest`"
        )
    return "; ".join(doubts)


def _measure_extent(mask: np.ndarray) -> tuple[int, int]:
    """Return width and height in pixels of the box of what is set in ``mask`` (H, W)."""
    columns, rows = (np.flatnonzero(mask.any(axis=axis)) for axis in (0, 1))
    return int(columns[-1] - columns[0]) + 1, int(rows[-1] - rows[0]) + 1


def _keep_only(image: Image.Image, kept: np.ndarray) -> Image.Image:
    """Return an RGBA photo that is transparent outside ``kept`` (H, W)."""
    pixels = np.asarray(image).copy()
    pixels[~kept] = 0
    return Image.fromarray(pixels)
