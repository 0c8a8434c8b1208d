"""Pictures for the tests of degradations."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw


def rng_of(number: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(number))


def chair(size_px: int = 128, margin_px: int = 12) -> Image.Image:
    """A chair-like picture with holes, stripes and a soft outline."""
    fine = 4 * size_px
    image = Image.new("RGBA", (fine, fine), (0, 0, 0, 0))
    pen, m = ImageDraw.Draw(image), 4 * margin_px
    for x in range(m, fine - m, fine // 10):
        pen.rectangle((x, m, x + fine // 20, fine // 2), fill=(40 + x % 180, 90, 200, 255))
    pen.rectangle((m, fine // 2, fine - m, fine // 2 + fine // 8), fill=(150, 90, 50, 255))
    for x in (m, fine - m - fine // 14):
        pen.rectangle((x, fine // 2, x + fine // 14, fine - m), fill=(220, 200, 160, 255))
    return image.resize((size_px, size_px), Image.Resampling.BOX)
