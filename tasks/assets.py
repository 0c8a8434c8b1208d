"""Stage ``assets``: the objects of the run, each with a clean conditioning picture.

Writes ``data/assets/``: ``assets.jsonl`` (one row an asset), ``meshes/<id>.glb``, ``conditions/<id>.png``,
``quarantine.jsonl`` (rows ``{source, reason, message}``) and ``metrics.json``.
"""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from tasks.manifest import ASSETS, start_folder
from tasks.stage import run_stage
from verdict3d.assets.library import (
    SPLITS,
    Asset,
    Quarantined,
    folder_assets,
    mesh_paths,
    procedural_assets,
)
from verdict3d.assets.mesh import Mesh, write_mesh
from verdict3d.config import AssetsParams, Params, ViewParams
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.randomness import numpy_generator
from verdict3d.records import Row, write_bytes, write_json, write_jsonl
from verdict3d.render.renderer import Renderer
from verdict3d.render.rig import Camera, camera_from_world

PROCEDURAL = "procedural"
_FRAME_SHARE = 0.95
"""An asset fills at most this share of its condition picture."""


def run(params: Params, root: Path) -> None:
    """Run the stage below ``root``.

    Raises:
        Verdict3DError: There is no usable asset, or the source is not a folder.
    """
    outcomes, total = _outcomes(params.assets, params.seed, root)
    out = start_folder(root / ASSETS)
    renderer = Renderer()
    rows: list[Row] = []
    quarantine: list[Row] = []
    for outcome in tqdm(outcomes, total=total, desc="assets", unit="asset"):
        if isinstance(outcome, Quarantined):
            quarantine.append(vars(outcome))
            continue
        try:
            rows.append(_write_asset(outcome, params, out, renderer))
        except ItemFailure as failure:
            quarantine.append(vars(Quarantined(outcome.source, failure.reason, str(failure))))
    write_jsonl(out / "assets.jsonl", rows)
    write_jsonl(out / "quarantine.jsonl", quarantine)
    write_json(out / "metrics.json", measure_assets(rows, quarantine))
    if not rows:
        raise Verdict3DError(
            f"no usable asset; {out / 'quarantine.jsonl'} says why {len(quarantine)} are not"
        )


def _outcomes(params: AssetsParams, seed: int, root: Path) -> tuple[Iterable[Asset | Quarantined], int]:
    """Return the assets (made one by one) and how many there will be."""
    if params.source == PROCEDURAL:
        return procedural_assets(params, seed), sum(getattr(params, split) for split in SPLITS)
    directory = root / params.source
    return folder_assets(directory, params, seed), len(mesh_paths(directory))


def _write_asset(asset: Asset, params: Params, out: Path, renderer: Renderer) -> Row:
    """Write mesh and condition picture of one asset and return its row."""
    size_px = params.assets.condition_size_px
    camera = sample_camera(asset.mesh, params.assets.view, params.seed, asset.id)
    picture = io.BytesIO()
    Image.fromarray(renderer.condition(asset.mesh, camera, size_px)).save(picture, format="PNG")
    write_bytes(out / "conditions" / f"{asset.id}.png", picture.getvalue())
    write_mesh(asset.mesh, out / "meshes" / f"{asset.id}.glb")
    return {
        "id": asset.id,
        "category": asset.category,
        "split": asset.split,
        "source": asset.source,
        "base_may_have_seen": params.assets.base_may_have_seen,
        "digest": asset.digest,
        "faces": len(asset.mesh.faces),
        "mesh": str(ASSETS / "meshes" / f"{asset.id}.glb"),
        "condition": str(ASSETS / "conditions" / f"{asset.id}.png"),
        "view": {
            "yaw_deg": camera.yaw_deg,
            "elevation_deg": camera.elevation_deg,
            "fov_deg": camera.fov_deg,
            "distance": camera.distance,
        },
    }


def sample_camera(mesh: Mesh, view: ViewParams, seed: int, asset: str) -> Camera:
    """Draw the view of an asset, moved back from ``view.distance`` where the object would not fit."""
    rng = numpy_generator(seed, "view", asset)
    yaw_deg = round(float(rng.uniform(*view.yaw_deg)), 3)
    elevation_deg = round(float(rng.uniform(*view.elevation_deg)), 3)
    turn = camera_from_world(Camera(yaw_deg, elevation_deg, view.fov_deg, view.distance))[:3, :3]
    seen = mesh.vertices[mesh.faces.ravel()].astype(np.float64) @ turn.T
    half_width = _FRAME_SHARE * math.tan(math.radians(view.fov_deg) / 2)
    fitting = float((seen[:, 2] + np.abs(seen[:, :2]).max(axis=1) / half_width).max())
    return Camera(yaw_deg, elevation_deg, view.fov_deg, math.ceil(max(view.distance, fitting) * 1e3) / 1e3)


def measure_assets(rows: Sequence[Row], quarantine: Sequence[Row]) -> dict[str, Any]:
    """Return counts of assets by split and category and of quarantined files by reason."""
    return {
        "assets": len(rows),
        "by_split": {split: sum(row["split"] == split for row in rows) for split in SPLITS},
        "by_category": dict(sorted(Counter(row["category"] for row in rows).items())),
        "quarantined": len(quarantine),
        "quarantined_by_reason": dict(sorted(Counter(row["reason"] for row in quarantine).items())),
        "base_may_have_seen": sum(bool(row["base_may_have_seen"]) for row in rows),
    }


if __name__ == "__main__":
    run_stage(run)
