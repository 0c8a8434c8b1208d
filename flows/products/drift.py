"""The new assets of a run beside the old ones: their photos, meshes, categories and degradations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flows.products.run_files import RunFiles
from tasks.paths import DEGRADE
from verdict3d.config import load_params
from verdict3d.config_generators import TrellisParams
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.records.assets import Asset, Condition
from verdict3d.records.differences import AssetChanges, DriftTest
from verdict3d.stats.drift import LEAST_ITEMS, compare_names, compare_values, name_shares
from verdict3d.stats.multiplicity import holm
from verdict3d.trellis.preprocess import FOREGROUND_ALPHA, read_image

if TYPE_CHECKING:
    from verdict3d.trellis.pipeline import TrellisPipeline

Embeddings = NDArray[np.float64]
MOST_EMBEDDED = 256
"""Photos of each side that the conditioner reads, evenly chosen where there are more."""
AT_ONCE = 16


def collect_drift(
    before: RunFiles,
    after: RunFiles,
    old: Mapping[str, Asset],
    new: Mapping[str, Asset],
    changes: AssetChanges,
    generator_for: Callable[[str], np.random.Generator],
    root: Path,
) -> list[DriftTest]:
    """Compare the assets that came or changed with those that were there before; empty where too few came.

    Args:
        before: The earlier run, which has the old assets.
        after: The later one.
        old: Assets of the earlier run, by id.
        new: Assets of the later one.
        changes: Which came and changed.
        generator_for: Gives each test a generator of its own.
        root: Folder with the parameters and checkpoints whose conditioner looks at the photos.
    """
    fresh = {one.id: new[one.id] for one in [*changes.came, *changes.changed]}
    if min(len(old), len(fresh)) < LEAST_ITEMS:
        if fresh:
            words = f"{len(fresh)} assets are new; drift is tested from {LEAST_ITEMS} on"
            after.left_out.append(words)
        return []
    sides = [(before, list(old.values())), (after, list(fresh.values()))]
    photos = [[read_photo(run, asset) for asset in assets] for run, assets in sides]
    known = [[one for one in side if one is not None] for side in photos]
    values: dict[str, list[list[float]]] = {
        "photo: share of the picture that the object covers": [[one[0] for one in side] for side in known],
        "photo: height of the object by its width": [[one[1] for one in side] for side in known],
        "photo: distance to the mean of the old ones, as the conditioner sees them": _embed(sides, root),
        "mesh: faces": [[float(asset.faces) for asset in assets] for _, assets in sides],
    }
    degraded = [_list_conditions(run, assets) for run, assets in sides]
    for regime in sorted({row.regime for rows in degraded for row in rows}):
        values[f"{regime} photo: severities together"] = [
            [float(sum(severity for _, severity in row.operators)) for row in rows if row.regime == regime]
            for rows in degraded
        ]
    tests = [_number_test(name, *both) for name, both in values.items()]
    old_names, new_names = ([asset.category for asset in assets] for _, assets in sides)
    tests.append(_class_test("category", old_names, new_names, generator_for("category")))
    done = [test for test in tests if test is not None]
    adjusted = holm({test.name: test.p_value for test in done})
    return [test.model_copy(update={"p_adjusted": adjusted[test.name]}) for test in done]


def read_photo(run: RunFiles, asset: Asset) -> tuple[float, float] | None:
    """Return which share of its clean photo an object covers, and its height by its width.

    None where the photo is not kept or shows nothing.
    """
    place = run.locate(asset.condition)
    if place is None:
        return None
    try:
        image = read_image(place)
    except ItemFailure:
        return None
    if image.mode != "RGBA":
        return None
    there = np.asarray(image.getchannel("A")) > FOREGROUND_ALPHA
    rows, columns = (np.flatnonzero(there.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return None
    return float(there.mean()), float((np.ptp(rows) + 1) / (np.ptp(columns) + 1))


def measure_distances(old: Embeddings, new: Embeddings) -> tuple[list[float], list[float]]:
    """Return the cosine distance of each embedding to the mean of the old ones, of an old one without itself.

    Args:
        old: (N, C) embeddings of length 1, N at least 2.
        new: (M, C) of the new ones.
    """
    total = old.sum(axis=0)
    without = total - old
    mine = (old * without).sum(axis=1) / np.linalg.norm(without, axis=1)
    theirs = new @ (total / np.linalg.norm(total))
    return (1 - mine).tolist(), (1 - theirs).tolist()


def _embed(sides: Sequence[tuple[RunFiles, Sequence[Asset]]], root: Path) -> list[list[float]]:
    """Return the distances of old and new photos by our conditioner; empty where there is none."""
    after = sides[1][0]
    generator = load_params(root / "params.yaml").generator
    if not isinstance(generator, TrellisParams):
        after.left_out.append(
            f"photos by the conditioner: the generator {generator.name} has none that is known here"
        )
        return [[], []]
    from verdict3d.generators.trellis import load_pipeline

    try:
        pipeline = load_pipeline(generator, root)
    except Verdict3DError as error:
        after.left_out.append(f"photos by the conditioner: {error}")
        return [[], []]
    found = []
    for run, assets in sides:
        places = [place for asset in _choose(assets) if (place := run.locate(asset.condition))]
        found.append(_encode(pipeline, places))
    if min(map(len, found)) < LEAST_ITEMS:
        return [[], []]
    return [*measure_distances(*found)]


def _encode(pipeline: TrellisPipeline, places: Sequence[Path]) -> Embeddings:
    """Return (N, C) means of the condition tokens of photos, of length 1; empty photos are left out."""
    pictures, rows = [], []
    for place in places:
        with suppress(ItemFailure):
            pictures.append(pipeline.preprocess(read_image(place)))
    for first in range(0, len(pictures), AT_ONCE):
        tokens = pipeline.encode(pictures[first : first + AT_ONCE])
        rows.append(tokens.mean(dim=1).cpu().double().numpy())
    means: Embeddings = np.concatenate(rows) if rows else np.zeros((0, 1))
    lengths: Embeddings = np.linalg.norm(means, axis=1, keepdims=True)
    return means / lengths


def _choose(assets: Sequence[Asset]) -> list[Asset]:
    places = np.linspace(0, len(assets) - 1, min(len(assets), MOST_EMBEDDED)).round().astype(int)
    return [assets[place] for place in places]


def _list_conditions(run: RunFiles, assets: Sequence[Asset]) -> list[Condition]:
    names = {asset.id for asset in assets}
    return [row for row in run.rows(DEGRADE / "conditions.jsonl", Condition) or () if row.asset in names]


def _number_test(name: str, old: Sequence[float], new: Sequence[float]) -> DriftTest | None:
    found = compare_values(old, new)
    if found is None:
        return None
    return DriftTest(
        name=name,
        kind="number",
        old=len(old),
        new=len(new),
        old_median=median(old),
        new_median=median(new),
        **asdict(found),
        p_adjusted=found.p_value,
        shares={},
    )


def _class_test(
    name: str, old: Sequence[str], new: Sequence[str], rng: np.random.Generator
) -> DriftTest | None:
    found = compare_names(old, new, rng)
    if found is None:
        return None
    return DriftTest(
        name=name,
        kind="class",
        old=len(old),
        new=len(new),
        old_median=None,
        new_median=None,
        **asdict(found),
        p_adjusted=found.p_value,
        shares=name_shares(old, new),
    )
