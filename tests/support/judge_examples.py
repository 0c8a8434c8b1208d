"""What the tests of the judge share: random pictures, small untrained judges on disk, requests."""

from pathlib import Path

import numpy as np

from verdict3d.config_judges import JudgeParams
from verdict3d.judge.local import vlm
from verdict3d.judge.local.vlm import TransformersJudge
from verdict3d.judge.panel import PairRequest, Panel, Pixels

FAMILIES = ("qwen2_5_vl", "internvl")


def params(directory: Path, batch_size: int = 4, **changes: object) -> JudgeParams:
    values = {
        "model": str(directory),
        "revision": None,
        "panel": "three_images",
        "mode": "normal",
        "device": "cpu",
        "batch_size": batch_size,
        "views": 1,
    }
    return JudgeParams.model_validate(values | changes)


def load(directory: Path, batch_size: int = 4, **changes: object) -> TransformersJudge:
    """Return a judge with weights of its own, which a test may change."""
    vlm.HELD.clear()
    judge = TransformersJudge.from_pretrained(params(directory, batch_size, **changes), Path())
    vlm.HELD.clear()
    return judge


def noise_picture(seed: int, size_px: int = 64) -> Pixels:
    """Smooth noise, so that resizing does not average it away."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return np.repeat(np.repeat(coarse, size_px // 8, axis=0), size_px // 8, axis=1)


def request(x: int, y: int, reference: int = 999, size_px: int = 64) -> PairRequest:
    pictures = [noise_picture(seed, size_px) for seed in (reference, x, y)]
    return PairRequest.of(Panel(*pictures), f"mesh-{x}", f"mesh-{y}", "rig")
