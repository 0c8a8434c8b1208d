"""Whether judges tell an object from itself turned by 180 degrees: `python -m benchmarks.turned_copies`.

The four views of the turned object are the same four pictures in another order, which is checked. Asked from
two view sets, with the object's picture from the front, from the back, and without any: a judge that
compared the front of the mesh with the photo would change its word with the photo.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np

from verdict3d.config import load_params
from verdict3d.judge.loading import load_judge
from verdict3d.judge.panel import Pixels, make_requests
from verdict3d.judge.verdict import Verdict
from verdict3d.library import procedural_asset
from verdict3d.mesh.equivalents import turn
from verdict3d.mesh.mesh import Mesh, mesh_digest, normalize
from verdict3d.randomness import numpy_generator
from verdict3d.render.renderer import Renderer
from verdict3d.render.rig import Camera, Rig

ROOT = Path(__file__).resolve().parents[1]
SETS, LEVELS, ROUNDING = 2, 8, 0.01
PHOTOS = {"the front": 20.0, "the back": 200.0, "nothing": None}
"""What the reference shows, and the yaw of its camera."""


def draw_reference(renderer: Renderer, mesh: Mesh, yaw: float | None) -> Pixels:
    """Return the reference picture on white; None for a blank one."""
    if yaw is None:
        return np.full((256, 256, 3), 255, dtype=np.uint8)
    picture = renderer.condition(mesh, Camera(yaw, 20.0, 40.0, 2.0), 256).astype(float)
    alpha = picture[..., 3:] / 255
    return (picture[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)


def check_views(montage: Pixels, other: Pixels) -> None:
    """Stop unless one montage's four views are the other's, two places on, up to single pixels."""
    half = len(montage) // 2
    tiles = [
        [
            one[row : row + half, column : column + half].astype(int)
            for row in (0, half)
            for column in (0, half)
        ]
        for one in (montage, other)
    ]
    apart = [np.abs(tiles[0][place] - tiles[1][(place + 2) % 4]).max(axis=-1) > LEVELS for place in range(4)]
    assert np.mean(apart) <= ROUNDING, np.mean(apart)


def main() -> None:
    """Print a row for each judge and reference; a win is one of the mesh that faces the front."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--objects", type=int, default=48, help="procedural objects of another seed")
    options = parser.parse_args()
    params = load_params(ROOT / "params.yaml")
    renderer = Renderer(Rig(view_px=params.judges.view_px))
    answers: dict[tuple[str, str], list[Verdict]] = {}
    judges = {
        role: load_judge(judge.model_copy(update={"panel": "three_images"}), ROOT)
        for role, judge in params.judges.by_role.items()
    }
    for number in range(options.objects):
        mesh = normalize(procedural_asset("heldout", number, params.seed + 1).mesh)
        other = turn(mesh, numpy_generator(params.seed, "turned_copies", str(number)))
        sides = (renderer.montages(mesh, "normal", SETS), renderer.montages(other, "normal", SETS))
        for one, two in zip(*sides, strict=True):
            check_views(one, two)
        digests = (mesh_digest(mesh), mesh_digest(other))
        for name, yaw in PHOTOS.items():
            picture = draw_reference(renderer, mesh, yaw)
            requests = make_requests(picture, sides, digests, renderer.rig.set_digests[:SETS])
            for role, judge in judges.items():
                said = Verdict(tuple(judge.compare(requests)))
                answers.setdefault((role, name), []).append(said)
    print("| judge | the photo shows | win, loss, same, flip, close | median of their \\|d\\| |")
    print("|---|---|---|---|")
    for (role, name), found in answers.items():
        counts = Counter(one.outcome for one in found)
        size = np.median([abs(one.d) for one in found if one.d is not None])
        shown = ", ".join(str(counts[outcome]) for outcome in ("win", "loss", "same", "flip", "close"))
        print(f"| {role} | {name} | {shown} | {size:.1f} |")


if __name__ == "__main__":
    main()
