"""Views per second of the rig: `python -m benchmarks.rig`, with `--meshes 10000` a soak test as well.

Every montage draws a mesh that was not drawn before, so uploads and framing are in the time. Wall time is
the least over the repetitions; CPU time is the mean and includes the driver's threads. `--save PICTURES.npz`
keeps pictures of fixed meshes, and `--compare PICTURES.npz` compares them with another driver's. `--large
315000 1500000` times meshes of so many faces as `verdict3d compare` takes them: read from a GLB file, and
drawn from two view sets, and from one in colour, at 224 px.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import trimesh

from verdict3d.furniture.catalogue import CATEGORIES, make_furniture, mesh_from_parts
from verdict3d.mesh.files import read_mesh, write_mesh
from verdict3d.mesh.mesh import Mesh
from verdict3d.randomness import numpy_generator
from verdict3d.render.context import shared_context
from verdict3d.render.renderer import Renderer
from verdict3d.render.rig import MODES, Camera, Rig


def make_bumpy_sphere(faces: int, seed: int) -> Mesh:
    """A colored mesh of `faces` faces whose size grows nowhere beyond the box."""
    rings = max(4, round((faces / 7.6) ** 0.5))
    solid = trimesh.creation.uv_sphere(radius=0.45, count=[rings, 2 * rings])
    bumps = np.random.default_rng(seed).normal(0.0, 0.01, solid.vertices.shape)
    vertices = (solid.vertices + bumps).astype(np.float32)
    return Mesh(vertices, solid.faces.astype(np.int32), (127 + 250 * vertices).astype(np.uint8))


def measure_speed(renderer: Renderer, repetitions: int) -> None:
    print(f"{'faces':>7} {'view px':>8} {'mode':>7} {'views/s':>8} {'ms/montage':>11} {'CPU ms':>7}")
    for faces in (2_000, 20_000):
        for view_px in (56, 112, 224):
            for mode in ("normal", "rgb"):
                meshes = [make_bumpy_sphere(faces, seed) for seed in range(repetitions)]
                renderer.montage(meshes[0], mode, view_px)
                wall, cpu = [], time.process_time()
                for mesh in meshes[1:]:
                    start = time.perf_counter()
                    renderer.montage(mesh, mode, view_px)
                    wall.append(time.perf_counter() - start)
                cpu = (time.process_time() - cpu) / len(wall)
                print(
                    f"{len(mesh.faces):7d} {view_px:8d} {mode:>7} {4 / min(wall):8.0f} "
                    f"{1e3 * min(wall):11.2f} {1e3 * cpu:7.2f}"
                )


def measure_large(faces: int) -> None:
    """Print seconds of a processor, the least of three, for reading and drawing one mesh."""
    renderer, costs = Renderer(Rig(view_px=224)), []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mesh.glb")
        write_mesh(make_bumpy_sphere(faces, 0), path)
        for _ in range(3):
            times = [time.process_time()]
            mesh = read_mesh(path)
            for mode, sets in (("normal", 2), ("rgb", 1)):
                times.append(time.process_time())
                renderer.montages(mesh, mode, sets)
            costs.append(np.diff([*times, time.process_time()]))
        size_mib = path.stat().st_size / 2**20
    read, drawn, colour = (f"{cost:.2f}" for cost in np.min(costs, axis=0))
    print(f"{len(mesh.faces)} faces, {size_mib:.1f} MiB: read {read}, two sets {drawn}, in colour {colour} s")


def soak(renderer: Renderer, meshes: int) -> None:
    """Draw many meshes of changing size, mode and view size, and print the memory on the way."""
    base = [make_bumpy_sphere(faces, faces) for faces in (500, 2_000, 8_000)]
    for count in range(meshes + 1):
        source = base[count % len(base)]
        mesh = Mesh(source.vertices, source.faces[: len(source.faces) - count % 400], source.colors)
        renderer.montage(mesh, MODES[count % 3], (32, 40, 56, 64, 72, 80)[count // 7 % 6])
        if count % max(1, meshes // 10) == 0:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            print(f"{count:7d} meshes: {pages * resource.getpagesize() / 2**20:8.1f} MiB resident")


def draw_fixed_pictures(renderer: Renderer) -> dict[str, np.ndarray]:
    pictures = {}
    for category in CATEGORIES:
        mesh = mesh_from_parts(make_furniture(category, numpy_generator(0, "benchmark", category)))
        for mode in MODES:
            pictures[f"{category}-{mode}-montage"] = renderer.montage(mesh, mode, 112)
        pictures[f"{category}-condition"] = renderer.condition(mesh, Camera(35.0, 20.0), 256)
    pictures["bumpy-normal-montage"] = renderer.montage(make_bumpy_sphere(20_000, 1), "normal", 224)
    return pictures


def compare(pictures: dict[str, np.ndarray], path: str) -> None:
    recorded = np.load(path, allow_pickle=False)
    apart = {
        name: np.abs(picture.astype(int) - recorded[name]).max(axis=-1) for name, picture in pictures.items()
    }
    everything = np.concatenate([values.ravel() for values in apart.values()])
    print(
        f"{everything.size} pixels: {np.mean(everything == 0):.5%} equal, "
        f"{np.mean(everything <= 2):.5%} within 2/255"
    )
    worst = max(apart, key=lambda name: float(np.mean(apart[name] > 2)))
    print(f"worst picture {worst}: {np.mean(apart[worst] <= 2):.4%} within 2")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--meshes", type=int, default=0)
    parser.add_argument("--large", type=int, nargs="+", default=[], help="Numbers of faces.")
    parser.add_argument("--save")
    parser.add_argument("--compare")
    given = parser.parse_args()
    print(shared_context().info["GL_RENDERER"])
    renderer = Renderer()
    if given.save:
        np.savez_compressed(given.save, **draw_fixed_pictures(renderer))
    if given.compare:
        compare(draw_fixed_pictures(renderer), given.compare)
    if given.repetitions:
        measure_speed(renderer, given.repetitions)
    for faces in given.large:
        measure_large(faces)
    if given.meshes:
        soak(renderer, given.meshes)


if __name__ == "__main__":
    main()
