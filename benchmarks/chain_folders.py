"""A finished run as folders for `verdict3d compare`: `python -m benchmarks.chain_folders ROOT OUT`.

ROOT holds the `data` of a run (the project, or `.verdict3d/presets/NAME`). Writes of its held-out objects, in
one regime: `photos` (the clean ones, which `evaluate` shows its judge too), `base`, a folder for each arm,
`base-2` and `base-5` (the base's meshes with damage of grades 2 and 5, all kinds in turn) and `original` (the
true meshes). Prints the mean F-score of each folder against the true meshes, a missing mesh counted as 0: the
true order.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from tqdm import tqdm

from tasks.making.describing import TRUTH_POINTS
from tasks.paths import EVALUATE, GENERATE, read_assets, read_generations
from verdict3d.mesh.accuracy import compare_meshes, sample_true_surface
from verdict3d.mesh.damage import KINDS, damage
from verdict3d.mesh.files import read_mesh, write_mesh
from verdict3d.mesh.mesh import Mesh, normalize
from verdict3d.randomness import numpy_generator
from verdict3d.records.assets import Asset
from verdict3d.records.files import write_bytes
from verdict3d.records.generations import Generation

GRADES = (2, 5)


def read_generations_of(root: Path, stage: Path, regime: str) -> dict[str, Generation]:
    """Return the first held-out generation of each asset in a regime."""
    found: dict[str, Generation] = {}
    for row in read_generations(root, stage):
        if row.split == "heldout" and row.regime == regime and row.number == 0:
            found.setdefault(row.asset, row)
    return found


def write_folders(root: Path, target: Path, regime: str) -> dict[str, float]:
    """Write all folders; return the mean F-score of each."""
    assets = [asset for asset in read_assets(root) if asset.split == "heldout"]
    arms = sorted(path.name for path in (root / EVALUATE).iterdir() if (path / "generations.jsonl").is_file())
    made = {"base": read_generations_of(root, GENERATE, regime)}
    made |= {arm: read_generations_of(root, EVALUATE / arm, regime) for arm in arms}
    totals = dict.fromkeys([*made, *(f"base-{grade}" for grade in GRADES), "original"], 0.0)
    for number, asset in enumerate(tqdm(assets, unit="object", mininterval=1.0)):
        write_bytes(target / "photos" / f"{asset.id}.png", (root / asset.condition).read_bytes())
        truth = read_mesh(root / asset.mesh)
        shown = {
            name: read_mesh(root / row.mesh) for name, rows in made.items() if (row := rows[asset.id]).mesh
        }
        if base := shown.get("base"):
            kind = tuple(KINDS)[number % len(KINDS)]
            shown |= {
                f"base-{grade}": damage(normalize(base), kind, grade, numpy_generator(0, "grade", asset.id))
                for grade in GRADES
            }
        for name, score in _write(target, asset, truth, {**shown, "original": truth}).items():
            totals[name] += score / len(assets)
    return totals


def _write(target: Path, asset: Asset, truth: Mesh, shown: Mapping[str, Mesh]) -> dict[str, float]:
    """Write the meshes of one object; return their F-scores."""
    surface = sample_true_surface(truth, 0, TRUTH_POINTS)
    scores = {}
    for name, mesh in shown.items():
        (target / name).mkdir(parents=True, exist_ok=True)
        write_mesh(mesh, target / name / f"{asset.id}.glb")
        scores[name] = compare_meshes(normalize(mesh), surface, 0, TRUTH_POINTS).f_score
    return scores


def main() -> None:
    """Write the folders and print the true order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="Folder of a run's data.")
    parser.add_argument("target", type=Path, help="Folder to write to.")
    parser.add_argument("--regime", default="severe", help="Regime of the photos that meshes were made of.")
    given = parser.parse_args()
    totals = write_folders(given.root, given.target, given.regime)
    for name, score in sorted(totals.items(), key=lambda item: -item[1]):
        print(f"{score:.3f}  {name}")


if __name__ == "__main__":
    main()
