"""How many pixels of meshes change with rounded positions: `python -m benchmarks.rounded_meshes FOLDER`.

Programs that make files smaller keep positions as whole numbers along the longest side, of 14 bits as a rule.
Faces that lie in one plane or back to back must not change places by that. Counted are pixels of the montages
in normals (two view sets) that differ by more than 24 of 255, as a share of those that show the object.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from tqdm import tqdm

from verdict3d.errors import ItemFailure
from verdict3d.library import mesh_paths
from verdict3d.mesh.equivalents import round_positions
from verdict3d.mesh.files import read_mesh
from verdict3d.mesh.mesh import Mesh, normalize
from verdict3d.render.renderer import Renderer
from verdict3d.render.rig import Rig

SETS, APART, BLOTCH = 2, 24, 0.01
BACKGROUND = 250


def measure_change(renderer: Renderer, mesh: Mesh, bits: list[int]) -> list[float]:
    """Return the share of the object's pixels that change, for each number of bits."""

    def draw(one: Mesh) -> np.ndarray:
        return np.stack(renderer.montages(normalize(one), "normal", SETS)).astype(int)

    before = draw(mesh)
    shown = (before < BACKGROUND).any(axis=-1).sum()
    changes = (np.abs(draw(round_positions(mesh, count)) - before).max(axis=-1) > APART for count in bits)
    return [float(change.sum() / shown) for change in changes]


def main() -> None:
    """Print a row for each number of bits."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bits", type=int, nargs="+", default=[14, 12, 10], help="numbers of bits")
    options = parser.parse_args()
    renderer = Renderer(Rig())
    shares = []
    for path in tqdm(mesh_paths(options.folder), unit="mesh", mininterval=1.0):
        try:
            shares.append(measure_change(renderer, read_mesh(path), options.bits))
        except ItemFailure:  # what cannot be read or drawn has no pixels
            continue
    print("| bits | meshes | above 1% of the object | median | largest |")
    print("|---|---|---|---|---|")
    for count, found in zip(options.bits, np.array(shares).T, strict=True):
        above = int((found > BLOTCH).sum())
        print(f"| {count} | {len(found)} | {above} | {np.median(found):.3%} | {found.max():.2%} |")


if __name__ == "__main__":
    main()
