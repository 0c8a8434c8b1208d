"""Could `usd-core` read USD files of strangers? `python -m benchmarks.usd_core`, where it is installed.

Writes a scene as crate, text and package, changes bytes at random, and opens each file in a process that
limits its memory and time, as a reader would: how many are read, refused, crash or hang. Ends with what
opening costs, what memory it needs, and whether a package makes it open a file that lies elsewhere.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from verdict3d.randomness import numpy_generator

LONGEST_S = 20
LIMIT_MIB, LITTLE_MIB = 1500, 700
OPEN = """
import resource, sys, time
most = int(sys.argv[2]) << 20
resource.setrlimit(resource.RLIMIT_AS, (most, most))
from pxr import Usd, UsdGeom
places = UsdGeom.XformCache()
faces = 0
stage = Usd.Stage.Open(sys.argv[1])
for prim in stage.Traverse(Usd.TraverseInstanceProxies()):
    if prim.IsA(UsdGeom.Mesh):
        places.GetLocalToWorldTransform(prim)
        mesh = UsdGeom.Mesh(prim)
        mesh.GetPointsAttr().Get(), mesh.GetFaceVertexIndicesAttr().Get()
        faces += len(mesh.GetFaceVertexCountsAttr().Get() or ())
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
print(faces, time.process_time(), peak)
"""


def write_scenes(folder: Path) -> list[Path]:
    """Write one scene in three forms."""
    from pxr import Usd, UsdGeom, UsdUtils

    stage = Usd.Stage.CreateNew(str(folder / "scene.usdc"))
    for number in range(5):
        rng = numpy_generator(0, "usd", number)
        mesh = UsdGeom.Mesh.Define(stage, f"/part{number}")
        mesh.CreatePointsAttr([tuple(map(float, point)) for point in rng.random((2000, 3))])
        mesh.CreateFaceVertexCountsAttr([3] * 2000)
        mesh.CreateFaceVertexIndicesAttr(rng.integers(0, 2000, 6000).tolist())
        mesh.AddTranslateOp().Set((number, 0, 0))
    stage.Save()
    stage.Export(str(folder / "scene.usda"))
    UsdUtils.CreateNewUsdzPackage(str(folder / "scene.usdc"), str(folder / "scene.usdz"))
    return [folder / f"scene.{kind}" for kind in ("usdc", "usda", "usdz")]


def open_scene(path: Path, limit_mib: int = LIMIT_MIB) -> tuple[str, str]:
    """Open a file in a process of its own; return the outcome, and what it printed."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", OPEN, str(path), str(limit_mib)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "hang", ""
    return ("read", "crash", "refused")[(done.returncode > 0) * 2 + (done.returncode < 0)], done.stdout


def change(content: bytes, rng: np.random.Generator) -> bytes:
    """Change up to six bytes anywhere, in the first 2 KiB or in the last 3 KiB, where the tables are."""
    changed = np.frombuffer(content, np.uint8).copy()
    start, end = ((0, len(changed)), (0, 2048), (-3000, len(changed)))[rng.integers(3)]
    part = changed[start:end]
    part[rng.integers(len(part), size=rng.integers(1, 7))] = rng.integers(256)
    return changed.tobytes()


def main() -> None:
    """Print a row for each form, and the costs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=100, help="changed files of each form")
    options = parser.parse_args()
    rng = numpy_generator(0, "usd_changes")
    print("| form | cases | read | refused | crash | hang | slowest, s |\n|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        scenes = write_scenes(Path(temporary))
        for scene in scenes:
            outcomes: Counter[str] = Counter()
            slowest = 0.0
            for _ in range(options.cases):
                changed = Path(temporary, f"changed{scene.suffix}")
                changed.write_bytes(change(scene.read_bytes(), rng))
                start = time.perf_counter()
                outcomes[open_scene(changed)[0]] += 1
                slowest = max(slowest, time.perf_counter() - start)
            counts = " | ".join(str(outcomes[name]) for name in ("read", "refused", "crash", "hang"))
            print(f"| {scene.suffix} | {options.cases} | {counts} | {slowest:.1f} |", flush=True)
        print("faces, seconds of a processor, MiB:", open_scene(scenes[0])[1].strip())
        little = Counter(open_scene(scenes[0], LITTLE_MIB)[0] for _ in range(10))
        print(f"with {LITTLE_MIB} MiB of addresses, 10 times:", dict(little))
        print("faces of a package that names a layer elsewhere:", open_elsewhere(Path(temporary)))


def open_elsewhere(folder: Path) -> str:
    """Open a package in one folder whose layer names a file in another one."""
    from pxr import Sdf

    inside = folder / "inside"
    inside.mkdir()
    (inside / "root.usda").write_text(f"#usda 1.0\n( subLayers = [ @{folder / 'scene.usda'}@ ] )\n")
    with Sdf.ZipFileWriter.CreateNew(str(inside / "root.usdz")) as package:
        package.AddFile(str(inside / "root.usda"), "root.usda")
    return open_scene(inside / "root.usdz")[1].partition(" ")[0]


if __name__ == "__main__":
    main()
