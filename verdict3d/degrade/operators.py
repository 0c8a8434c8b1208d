"""Degradations of a photo: operators with severities 0 to 5, alpha-aware and deterministic.

Constants at severities 1-5: blur, noise and JPEG are those of ImageNet-C (Hendrycks & Dietterich 2019,
arXiv 1903.12261), blur scaled from 224 to 518 px; crop, occlusion, downscale and low light are our own.
Lengths are stated for an object whose box is 518 px long and scale with the box in the picture.

The picture keeps its size and stays RGBA with straight alpha. The generator's preprocessing later crops to
the alpha and puts the object on black; so ``crop`` (and an ``erase`` occluder at the rim) re-centres what is
left as a real cropped photo would, while the other operators leave the frame where it was. Soft operators
(``downscale``, ``blur``) soften the outline too; ``noise``, ``jpeg`` and ``low_light`` leave alpha alone.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from verdict3d.degrade.occlusion import occlude
from verdict3d.degrade.picture import (
    FULL_BOX_PX,
    Box,
    Floats,
    as_floats,
    as_image,
    object_box,
    premultiply,
    unpremultiply,
)
from verdict3d.errors import Verdict3DError

SEVERITIES = (0, 1, 2, 3, 4, 5)

_CROPPED_SHARE = (0.10, 0.20, 0.30, 0.42, 0.55)  # of the object's box
_OCCLUDED_SHARE = (0.10, 0.20, 0.30, 0.45, 0.60)  # of the object's area
_DOWNSCALED_BOX_PX = (259, 173, 104, 74, 52)
_BLUR_SIGMA_PX = (2.3, 4.6, 6.9, 9.3, 13.9)  # at 518 px
_NOISE_DEVIATION = (0.08, 0.12, 0.18, 0.26, 0.38)
_JPEG_QUALITY = (25, 18, 15, 10, 7)
_LOW_LIGHT_GAIN = (0.5, 0.35, 0.25, 0.15, 0.08)
_GAMMA = 2.2
_FULL_WELL = 2000.0  # photo-electrons of white at gain 1
_READ_NOISE = 4.0  # photo-electrons
_SMALLEST_REST = 0.15  # of the object's area that a crop should leave

Operator = Callable[[Floats, Box, int, np.random.Generator], Floats]


def crop(straight: Floats, box: Box, severity: int, rng: np.random.Generator) -> Floats:
    """Cut the share of the object's box away from one side, or from two that meet in a corner.

    Sides and corners are tried in a drawn order until enough of the object is left; where none leaves
    enough, the one that leaves most is taken.
    """
    kept_share = 1.0 - _CROPPED_SHARE[severity - 1]
    total = straight[..., 3].sum()
    best, most = straight, -1.0
    for choice in rng.permutation(8):
        kept = _kept_box(box, int(choice), kept_share)
        cut = np.zeros_like(straight)
        inside = (slice(kept.top, kept.bottom), slice(kept.left, kept.right))
        cut[inside] = straight[inside]
        rest = cut[..., 3].sum() / total
        if rest > most:
            best, most = cut, rest
        if rest >= _SMALLEST_REST:
            return cut
    return best


def _kept_box(box: Box, choice: int, share: float) -> Box:
    """Choices 0-3 cut left, right, top, bottom; 4-7 cut two neighbouring sides equally."""
    horizontal, vertical = ((share, 1.0), (1.0, share))[choice // 2] if choice < 4 else (share**0.5,) * 2
    width, height = max(1, round(box.width * horizontal)), max(1, round(box.height * vertical))
    from_left = choice in (0, 4, 5)
    from_top = choice in (2, 4, 6)
    left = box.right - width if from_left else box.left
    top = box.bottom - height if from_top else box.top
    return Box(left, top, left + width, top + height)


def occlusion(straight: Floats, box: Box, severity: int, rng: np.random.Generator) -> Floats:
    """Cover the share of the object's area; see :func:`verdict3d.degrade.occlusion.occlude`."""
    return occlude(straight, box, _OCCLUDED_SHARE[severity - 1], rng)


def downscale(straight: Floats, box: Box, severity: int, rng: np.random.Generator) -> Floats:
    """Resample to a smaller picture (box filter) and back (bicubic).

    The factor is the one that takes an object box of 518 px to the stated side, whatever the box here: a
    picture of any size loses the same share of its pixels.
    """
    height, width = straight.shape[:2]
    factor = _DOWNSCALED_BOX_PX[severity - 1] / FULL_BOX_PX
    small = (max(1, round(width * factor)), max(1, round(height * factor)))
    channels = []
    for channel in np.moveaxis(premultiply(straight), -1, 0):
        image = Image.fromarray(np.ascontiguousarray(channel, dtype=np.float32), "F")
        image = image.resize(small, Image.Resampling.BOX).resize((width, height), Image.Resampling.BICUBIC)
        channels.append(np.asarray(image, dtype=np.float64))
    return unpremultiply(np.stack(channels, axis=-1))


def blur(straight: Floats, box: Box, severity: int, rng: np.random.Generator) -> Floats:
    """Gaussian blur of colour and outline."""
    sigma = _BLUR_SIGMA_PX[severity - 1] * box.scale
    return unpremultiply(
        gaussian_filter(premultiply(straight), sigma=(sigma, sigma, 0.0), mode="constant", truncate=3.0)
    )


def noise(straight: Floats, box: Box, severity: int, rng: np.random.Generator) -> Floats:
    """Gaussian noise on the object's colours."""
    grain = rng.standard_normal(straight[..., :3].shape)
    return _with_color(straight, straight[..., :3] + _NOISE_DEVIATION[severity - 1] * grain)


def jpeg(straight: Floats, box: Box, severity: int, rng: np.random.Generator) -> Floats:
    """JPEG compression on black, 4:2:0; a block has 8 pixels of the picture, whatever its size."""
    premultiplied = premultiply(straight)
    stream = io.BytesIO()
    levels = np.rint(premultiplied[..., :3] * 255.0).astype(np.uint8)
    Image.fromarray(levels, "RGB").save(
        stream, "JPEG", quality=_JPEG_QUALITY[severity - 1], subsampling=2, optimize=False
    )
    with Image.open(io.BytesIO(stream.getvalue())) as decoded:
        premultiplied[..., :3] = np.asarray(decoded, dtype=np.float64) / 255.0
    return unpremultiply(premultiplied)


def low_light(straight: Floats, box: Box, severity: int, rng: np.random.Generator) -> Floats:
    """Less light: gain in linear light, photon noise and read noise."""
    electrons = straight[..., :3] ** _GAMMA * _LOW_LIGHT_GAIN[severity - 1] * _FULL_WELL
    shot, read = rng.standard_normal((2, *electrons.shape))
    measured = electrons + np.sqrt(electrons) * shot + _READ_NOISE * read
    return _with_color(straight, np.clip(measured / _FULL_WELL, 0.0, 1.0) ** (1.0 / _GAMMA))


def _with_color(straight: Floats, color: Floats) -> Floats:
    return np.concatenate([np.clip(color, 0.0, 1.0), straight[..., 3:]], axis=-1)


OPERATORS: dict[str, Operator] = {
    "occlusion": occlusion,
    "crop": crop,
    "low_light": low_light,
    "blur": blur,
    "downscale": downscale,
    "noise": noise,
    "jpeg": jpeg,
}
"""Operators by name, in the order in which they would happen to a photo."""


def degrade(image: Image.Image, operator: str, severity: int, rng: np.random.Generator) -> Image.Image:
    """Degrade a picture by one operator.

    Args:
        image: Any mode; converted to RGBA (a picture without alpha is all object).
        operator: A name of :data:`OPERATORS`.
        severity: 0 (the same picture back, nothing drawn from ``rng``) to 5.
        rng: The same state gives the same bytes.

    Returns:
        RGBA, straight alpha, of the same size.

    Raises:
        Verdict3DError: Unknown operator or severity.
        ItemFailure: The picture shows no object (``empty_picture``).
    """
    if operator not in OPERATORS:
        raise Verdict3DError(f"unknown degradation {operator!r}; allowed: {', '.join(OPERATORS)}")
    if isinstance(severity, bool) or severity not in SEVERITIES:
        allowed = ", ".join(map(str, SEVERITIES))
        raise Verdict3DError(f"unknown severity {severity!r} of {operator}; allowed: {allowed}")
    picture = image if image.mode == "RGBA" else image.convert("RGBA")
    if severity == 0:
        return picture
    box = object_box(picture)
    return as_image(OPERATORS[operator](as_floats(picture), box, int(severity), rng))
