"""A photo file to the RGBA picture of its object: transparency is used, else the background removed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from verdict3d.config import PhotosParams
from verdict3d.errors import ItemFailure
from verdict3d.trellis.background import BackgroundRemover, has_background
from verdict3d.trellis.preprocess import FOREGROUND_ALPHA, object_box, read_image

SPECK_SHARE = 0.01
"""Regions below this share of the largest one's pixels are specks and not counted as objects."""


@dataclass(frozen=True)
class Photo:
    """A photo ready for the generator.

    Attributes:
        image: RGBA.
        background: The model that removed the background; None: the file was transparent.
        objects: Separate opaque regions that were found, specks left out.
    """

    image: Image.Image
    background: str | None
    objects: int


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
        if has_background(image) and self._remover is not None:
            image, background = self._remover(image), self._remover.model
        object_box(image)
        labels, sizes = _regions(image)
        if self.objects == "largest" and len(sizes) > 1:
            image = _only(image, labels == int(np.argmax(sizes)) + 1)
        return Photo(image, background, int((sizes >= SPECK_SHARE * sizes.max()).sum()))

    def attempt(self, path: str | Path) -> Photo | ItemFailure:
        """Read a file, or return what is wrong with it."""
        try:
            return self.read(path)
        except ItemFailure as failure:
            return failure


def _regions(image: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    """Return the connected regions (H, W) of an RGBA photo, numbered from 1, and the opaque pixels of each.

    A region is all that is not wholly transparent, so that soft edges and shadows stay with their object.
    """
    alpha = np.asarray(image.getchannel("A"))
    labels, _ = ndimage.label(alpha > 0, structure=np.ones((3, 3)))
    return labels, np.bincount(labels[alpha > FOREGROUND_ALPHA], minlength=labels.max() + 1)[1:]


def _only(image: Image.Image, kept: np.ndarray) -> Image.Image:
    """Return an RGBA photo that is transparent outside ``kept`` (H, W)."""
    pixels = np.asarray(image).copy()
    pixels[~kept] = 0
    return Image.fromarray(pixels)
