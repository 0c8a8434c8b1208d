"""Gaussians of the splat decoder in the rig: place, size, opacity, colour and order."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.full_size_trellis import TINY, random_latents, random_network
from verdict3d.errors import ItemFailure
from verdict3d.render.gaussians import Gaussians, round_gaussians
from verdict3d.render.renderer import Renderer
from verdict3d.render.rig import Camera

FRONT = Camera(0.0, 0.0, 40.0, 3.0)
SIZE_PX = 200
RED, BLUE = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)


def gaussians(*rows: tuple[tuple[float, ...], tuple[float, ...], float, float]) -> Gaussians:
    columns = zip(*rows, strict=True)
    return Gaussians(*(np.array(column, dtype=np.float32) for column in columns))


def test_one_gaussian_has_its_opacity_in_the_middle_and_its_width() -> None:
    sigma, opacity = 0.1, 0.6
    picture = Renderer().render_gaussians(gaussians(((0, 0, 0), RED, sigma, opacity)), FRONT, SIZE_PX)
    alpha = picture[..., 3] / 255.0
    middle = SIZE_PX // 2
    assert alpha[middle, middle] == pytest.approx(opacity, abs=0.01) and picture[middle, middle, 0] > 250
    px_per_unit = SIZE_PX / 2 / np.tan(np.radians(20.0)) / 3.0  # distance 3, field of view 40 degrees
    one_sigma = round(middle + sigma * px_per_unit)
    assert alpha[middle, one_sigma] == pytest.approx(opacity * np.exp(-0.5), abs=0.02)
    assert alpha[one_sigma, middle] == pytest.approx(opacity * np.exp(-0.5), abs=0.02)
    assert alpha[middle, round(middle + 2.2 * sigma * px_per_unit)] == 0


def test_the_nearer_one_covers_from_either_side() -> None:
    renderer = Renderer()
    pair = gaussians(((0, -0.4, 0), RED, 0.1, 1.0), ((0, 0.4, 0), BLUE, 0.1, 1.0))
    for yaw_deg, channel in ((0.0, 0), (180.0, 2)):
        seen = renderer.render_gaussians(pair, Camera(yaw_deg, 0.0, 40.0, 3.0), 96)[48, 48]
        assert seen[channel] > 240 and seen[2 - channel] < 20
    renderer.release()


def test_what_cannot_be_drawn_is_said() -> None:
    empty = Gaussians(*(np.zeros(shape, np.float32) for shape in ((0, 3), (0, 3), (0,), (0,))))
    with pytest.raises(ItemFailure, match="no Gaussian"):
        Renderer().render_gaussians(empty, FRONT, 32)
    with pytest.raises(ItemFailure, match="not finite"):
        Renderer().render_gaussians(gaussians(((0, 0, np.nan), RED, 0.1, 1.0)), FRONT, 32)


@torch.no_grad()
def test_the_decoders_output_is_drawn_where_its_voxels_are() -> None:
    decoder = random_network("gaussian_decoder", TINY, "cpu", torch.float32)
    latents = random_latents(TINY, [120], "cpu")
    (attributes,) = decoder.gaussians(decoder(latents))
    found = round_gaussians({name: value.numpy() for name, value in attributes.items()})
    assert len(found.positions) == 120 * 32 and 0 <= found.colors.min() <= found.colors.max() <= 1
    scale = attributes["scaling"].numpy().astype(np.float64)
    np.testing.assert_allclose(found.sigmas, np.cbrt(scale.prod(axis=1)), rtol=1e-4)
    picture = Renderer().render_gaussians(found, FRONT, SIZE_PX)
    rows, columns = np.nonzero(picture[..., 3] > 20)
    reach = 0.5 * SIZE_PX / 2 / np.tan(np.radians(20.0)) / 2.5  # half a unit, seen from 2.5 at the nearest
    assert len(rows) > 500
    assert np.abs(rows - SIZE_PX / 2).max() <= reach and np.abs(columns - SIZE_PX / 2).max() <= reach
