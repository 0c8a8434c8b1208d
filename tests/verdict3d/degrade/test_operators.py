"""Degradations: identity, exact shares, order of severities, bytes."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from support.pictures import chair, rng_of
from verdict3d.degrade.occlusion import FILLS
from verdict3d.degrade.operators import OPERATORS, SEVERITIES, degrade
from verdict3d.degrade.picture import object_box
from verdict3d.errors import ItemFailure, Verdict3DError

CROPPED = (0.10, 0.20, 0.30, 0.42, 0.55)
OCCLUDED = (0.10, 0.20, 0.30, 0.45, 0.60)


def on_black(image: Image.Image) -> np.ndarray:
    levels = np.asarray(image, dtype=np.float64) / 255.0
    return levels[..., :3] * levels[..., 3:]


@pytest.mark.parametrize("operator", OPERATORS)
def test_severity_zero_is_the_same_picture_and_draws_nothing(operator):
    image, rng = chair(), rng_of(1)
    state = rng.bit_generator.state
    assert degrade(image, operator, 0, rng).tobytes() == image.tobytes()
    assert rng.bit_generator.state == state


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("severity", SEVERITIES[1:])
def test_the_same_generator_gives_the_same_bytes_and_the_input_stays(operator, severity):
    image = chair()
    before = hashlib.sha256(image.tobytes()).digest()
    first, second = (degrade(image, operator, severity, rng_of(3)) for _ in range(2))
    assert first.tobytes() == second.tobytes() != image.tobytes()
    assert (first.mode, first.size) == ("RGBA", image.size)
    assert hashlib.sha256(image.tobytes()).digest() == before


@pytest.mark.parametrize("operator", ["crop", "occlusion", "noise", "low_light"])
def test_random_operators_differ_between_generators(operator):
    results = {degrade(chair(), operator, 3, rng_of(number)).tobytes() for number in range(6)}
    assert len(results) > 3


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("number", range(4))
def test_damage_grows_with_severity(operator, number):
    clean = chair(200)
    damage = [
        np.square(on_black(degrade(clean, operator, severity, rng_of(number))) - on_black(clean)).mean()
        for severity in SEVERITIES
    ]
    assert damage[0] == 0.0
    assert np.all(np.diff(damage) > 0.0), damage


@pytest.mark.parametrize("severity", SEVERITIES[1:])
def test_occlusion_covers_the_stated_share_of_the_object(severity):
    clean = chair(160)
    before, fills = np.asarray(clean).astype(int), set()
    weight = before[..., 3] / 255.0
    for number in range(25):
        after = np.asarray(degrade(clean, "occlusion", severity, rng_of(number))).astype(int)
        changed = (after != before).any(axis=-1)
        share = (weight * changed).sum() / weight.sum()
        assert abs(share - OCCLUDED[severity - 1]) < 0.02
        inside = after[changed & (weight > 0.99)]
        erased = (inside[:, 3] == 0).all()
        assert erased or (inside[:, 3] == 255).all()
        fills.add("erase" if erased else "grey" if len(np.unique(inside, axis=0)) == 1 else "texture")
    assert fills == set(FILLS)


def test_a_stronger_occlusion_covers_all_that_a_weaker_one_does():
    clean = np.asarray(chair())
    masks = [
        (np.asarray(degrade(chair(), "occlusion", severity, rng_of(5))) != clean).any(axis=-1)
        for severity in SEVERITIES
    ]
    for weaker, stronger in pairwise(masks):
        assert (stronger | ~weaker).all()


def test_painted_occluders_stay_inside_the_box_of_the_object():
    for number in range(20):
        box = object_box(degrade(chair(), "occlusion", 5, rng_of(number)))
        whole = object_box(chair())
        assert box.left >= whole.left and box.right <= whole.right
        assert box.top >= whole.top and box.bottom <= whole.bottom


@pytest.mark.parametrize("severity", SEVERITIES[1:])
def test_crop_leaves_the_stated_share_of_the_box(severity):
    filled = Image.new("RGBA", (150, 150), (0, 0, 0, 0))
    filled.paste((200, 100, 50, 255), (20, 10, 140, 130))
    shapes = set()
    for number in range(40):
        after = degrade(filled, "crop", severity, rng_of(number))
        box = object_box(after)
        assert box.width * box.height / 120**2 == pytest.approx(1 - CROPPED[severity - 1], abs=0.01)
        sides = (box.left > 20, box.top > 10, box.right < 140, box.bottom < 130)
        shapes.add(sides)
        assert 1 <= sum(sides) <= 2
        kept = np.asarray(after)[box.top : box.bottom, box.left : box.right]
        assert (kept == (200, 100, 50, 255)).all()
    assert len(shapes) == 8  # four sides, four corners


def test_crop_never_takes_nearly_everything():
    """All of the object is a bar at one side of its box: sides that would remove it are passed over."""
    image = Image.new("RGBA", (100, 100), (0, 0, 0, 0))
    image.paste((255, 255, 255, 255), (0, 0, 8, 100))
    image.paste((255, 255, 255, 255), (99, 99, 100, 100))
    area = np.asarray(image)[..., 3].sum()
    for number in range(30):
        rest = np.asarray(degrade(image, "crop", 5, rng_of(number)))[..., 3].sum()
        assert rest / area > 0.15


def test_lengths_scale_with_the_object():
    """A picture of twice the size degrades alike: blurred and shrunk = shrunk and blurred."""
    large = chair(256, 24)
    small = large.resize((128, 128), Image.Resampling.BOX)
    shrunk = degrade(large, "blur", 4, rng_of(0)).resize((128, 128), Image.Resampling.BOX)
    assert np.abs(on_black(shrunk) - on_black(degrade(small, "blur", 4, rng_of(0)))).mean() < 0.005


def test_downscale_leaves_blocks_of_the_stated_size():
    """Severity 3 (518 to 104 px) averages 5 pixels: waves that long vanish, sin(pi 5/p) / (pi 5/p) = 0."""
    for period_px, kept in ((5, (0.0, 0.03)), (32, (0.85, 1.0))):
        stripes = np.zeros((160, 160, 4), np.uint8)
        stripes[..., :3] = (127.5 + 127.4 * np.sin(2 * np.pi * np.arange(160) / period_px + 0.4))[:, None]
        stripes[..., 3] = 255
        after = degrade(Image.fromarray(stripes, "RGBA"), "downscale", 3, rng_of(0))
        contrast = np.asarray(after)[40:120, 40:120, 0].std() / stripes[40:120, 40:120, 0].std()
        assert kept[0] <= contrast <= kept[1]


def test_color_operators_leave_alpha_alone():
    for operator in ("noise", "jpeg", "low_light"):
        after = degrade(chair(), operator, 4, rng_of(0))
        assert after.getchannel("A").tobytes() == chair().getchannel("A").tobytes()


def test_noise_has_the_stated_deviation():
    grey = Image.new("RGBA", (128, 128), (128, 128, 128, 255))
    after = np.asarray(degrade(grey, "noise", 1, rng_of(0)))[..., :3] / 255.0
    assert after.std() == pytest.approx(0.08, rel=0.02)
    assert after.mean() == pytest.approx(128 / 255, abs=0.003)


def test_low_light_scales_linear_light():
    white = Image.new("RGBA", (128, 128), (255, 255, 255, 255))
    after = np.asarray(degrade(white, "low_light", 5, rng_of(0)))[..., :3] / 255.0
    assert (after**2.2).mean() == pytest.approx(0.08, rel=0.02)


def test_blur_keeps_colour_at_the_outline():
    """Soft alpha, but no dark rim: transparent black must not bleed into the colour."""
    red = Image.new("RGBA", (96, 96), (0, 0, 0, 0))
    red.paste((255, 0, 0, 255), (24, 24, 72, 72))
    for operator in ("blur", "downscale"):
        after = np.asarray(degrade(red, operator, 5, rng_of(0))).astype(int)
        visible = after[after[..., 3] > 32]
        assert visible[:, 0].min() > 240 and visible[:, 1:3].max() < 8


@pytest.mark.parametrize("operator", OPERATORS)
def test_odd_pictures_pass(operator):
    opaque = Image.fromarray(rng_of(0).integers(0, 256, (33, 21, 3), dtype=np.uint8), "RGB")
    dot = Image.new("RGBA", (9, 9), (0, 0, 0, 0))
    dot.putpixel((4, 4), (9, 200, 30, 255))
    faint = Image.new("RGBA", (16, 16), (90, 90, 90, 40))
    for image in (opaque, dot, faint, Image.new("L", (5, 5), 99)):
        for severity in SEVERITIES:
            after = degrade(image, operator, severity, rng_of(2))
            assert (after.mode, after.size) == ("RGBA", image.size)


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_transparent_picture_is_a_failure_of_its_item(operator):
    with pytest.raises(ItemFailure) as failure:
        degrade(Image.new("RGBA", (8, 8), (255, 0, 0, 0)), operator, 1, rng_of(0))
    assert failure.value.reason == "empty_picture"


def test_unknown_operators_and_severities_name_what_is_allowed():
    with pytest.raises(Verdict3DError, match=r"'fog'.*occlusion, crop, low_light"):
        degrade(chair(), "fog", 1, rng_of(0))
    for severity in (-1, 6, 2.5, True):
        with pytest.raises(Verdict3DError, match="0, 1, 2, 3, 4, 5"):
            degrade(chair(), "blur", severity, rng_of(0))
