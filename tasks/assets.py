"""Stage ``assets``: the objects of the run, each with a clean conditioning picture.

Writes ``data/assets/``: ``assets.jsonl``, ``meshes/<id>.glb``, ``conditions/<id>.png``, ``quarantine.jsonl``
and ``metrics.json``; what the rows say stands in :mod:`verdict3d.records.assets`.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from tasks.paths import ASSETS, start_folder
from tasks.stage import run_stage
from verdict3d.config import Params
from verdict3d.config_inputs import AssetsParams
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.library import SPLITS, LoadedAsset, folder_assets, mesh_paths, procedural_assets
from verdict3d.mesh.files import write_mesh
from verdict3d.randomness import numpy_generator
from verdict3d.records.assets import Asset, Quarantined, View, count_notes
from verdict3d.records.files import write_bytes, write_json
from verdict3d.records.record import write_rows
from verdict3d.render.renderer import Renderer
from verdict3d.render.views import sample_camera

PROCEDURAL = "procedural"
SET_ASIDE_NAMED = 20


def run(params: Params, root: Path) -> None:
    """Run the stage below ``root``.

    Raises:
        Verdict3DError: There is no usable asset, or the source is not a folder.
    """
    outcomes, total = _load_assets(params.assets, params.seed, root)
    out = start_folder(root / ASSETS)
    renderer = Renderer()
    rows: list[Asset] = []
    quarantine: list[Quarantined] = []
    with tqdm(outcomes, total=total, desc="assets", unit="asset") as bar:
        for outcome in bar:
            made = _make_asset(outcome, params, out, renderer)
            if isinstance(made, Asset):
                rows.append(made)
            else:
                quarantine.append(made)
                bar.set_postfix_str(f"{len(quarantine)} set aside", refresh=False)
    write_rows(out / "assets.jsonl", rows)
    write_rows(out / "quarantine.jsonl", quarantine)
    write_json(out / "metrics.json", measure_assets(rows, quarantine))
    if quarantine:
        print("\n".join(describe_quarantine(quarantine, total)), flush=True)
    if kinds := count_notes(rows):
        changes = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        noted = sum(bool(row.notes) for row in rows)
        where = ASSETS / "assets.jsonl"
        print(f"{noted} of {total} meshes are read with notes ({changes}); {where} says more", flush=True)
    if not rows:
        raise Verdict3DError(
            f"no usable asset; {out / 'quarantine.jsonl'} says why {len(quarantine)} are not"
        )


def _load_assets(
    params: AssetsParams, seed: int, root: Path
) -> tuple[Iterable[LoadedAsset | Quarantined], int]:
    """Return the assets (made one by one) and how many there will be."""
    if params.source == PROCEDURAL:
        return procedural_assets(params, seed), sum(getattr(params, split) for split in SPLITS)
    directory = root / params.source
    return folder_assets(directory, params, seed), len(mesh_paths(directory))


def _make_asset(
    outcome: LoadedAsset | Quarantined, params: Params, out: Path, renderer: Renderer
) -> Asset | Quarantined:
    if isinstance(outcome, Quarantined):
        return outcome
    try:
        return _write_asset(outcome, params, out, renderer)
    except ItemFailure as failure:
        return Quarantined(source=outcome.source, reason=failure.reason, message=str(failure))


def _write_asset(asset: LoadedAsset, params: Params, out: Path, renderer: Renderer) -> Asset:
    """Write mesh and condition picture of one asset and return its row."""
    size_px = params.assets.condition_size_px
    camera = sample_camera(asset.mesh, params.assets.view, numpy_generator(params.seed, "view", asset.id))
    picture = io.BytesIO()
    Image.fromarray(renderer.condition(asset.mesh, camera, size_px)).save(picture, format="PNG")
    write_bytes(out / "conditions" / f"{asset.id}.png", picture.getvalue())
    write_mesh(asset.mesh, out / "meshes" / f"{asset.id}.glb")
    return Asset(
        id=asset.id,
        category=asset.category,
        split=asset.split,
        source=asset.source,
        base_may_have_seen=params.assets.base_may_have_seen,
        digest=asset.digest,
        faces=len(asset.mesh.faces),
        mesh=str(ASSETS / "meshes" / f"{asset.id}.glb"),
        condition=str(ASSETS / "conditions" / f"{asset.id}.png"),
        view=View(
            yaw_deg=camera.yaw_deg,
            elevation_deg=camera.elevation_deg,
            fov_deg=camera.fov_deg,
            distance=camera.distance,
        ),
        notes=list(asset.mesh.notes),
    )


def describe_quarantine(quarantine: Sequence[Quarantined], total: int) -> list[str]:
    """Return how many meshes were set aside, and why, the first ones by name."""
    named = [f"  {row.source}: {row.reason}: {row.message}" for row in quarantine[:SET_ASIDE_NAMED]]
    left = len(quarantine) - len(named)
    more = [f"  and {left} more; {ASSETS / 'quarantine.jsonl'} has all"] if left else []
    counts = Counter(row.reason for row in quarantine).most_common()
    reasons = ", ".join(f"{count} {reason}" for reason, count in counts)
    return [f"{len(quarantine)} of {total} meshes are set aside ({reasons}):", *named, *more]


def measure_assets(rows: Sequence[Asset], quarantine: Sequence[Quarantined]) -> dict[str, Any]:
    """Return counts of assets by split, category and kind of note, and of quarantined files by reason."""
    return {
        "assets": len(rows),
        "by_split": {split: sum(row.split == split for row in rows) for split in SPLITS},
        "by_category": dict(sorted(Counter(row.category for row in rows).items())),
        "quarantined": len(quarantine),
        "quarantined_by_reason": dict(sorted(Counter(row.reason for row in quarantine).items())),
        "noted_by_kind": count_notes(rows),
        "base_may_have_seen": sum(row.base_may_have_seen for row in rows),
    }


if __name__ == "__main__":
    run_stage(run)
