"""The rig's montage beside other offscreen renderers: `xvfb-run -a python -m benchmarks.rig_beside_others`.

Each draws four views of a mesh that was not drawn before and reads the pictures back. Ours draws `normal`,
with its supersampling and without; pyrender draws face colours without lighting (FLAT), the least it can do,
through EGL as ours; trimesh's own `Scene.save_image` opens a window for every view, which needs a display.
Neither is a dependency; `pip install --no-deps pyrender PyOpenGL==3.1.10 freetype-py imageio six "pyglet<2"`
gets what they need without disturbing what is pinned here.
"""

from __future__ import annotations

import argparse
import io
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
import trimesh
from PIL import Image

from benchmarks.rig import make_bumpy_sphere
from verdict3d.mesh.mesh import Mesh
from verdict3d.render.renderer import Renderer
from verdict3d.render.rig import Camera, Rig, camera_from_world


def measure_least_and_cpu(draw: Callable[[Mesh], Any], meshes: Sequence[Mesh]) -> tuple[float, float]:
    """Return the least wall time and the mean CPU time of a montage, in seconds; the first mesh warms up."""
    draw(meshes[0])
    wall, cpu = [], time.process_time()
    for mesh in meshes[1:]:
        start = time.perf_counter()
        draw(mesh)
        wall.append(time.perf_counter() - start)
    return min(wall), (time.process_time() - cpu) / len(wall)


def as_trimesh(mesh: Mesh) -> trimesh.Trimesh:
    """Return a mesh as both libraries take it."""
    return trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_colors=mesh.colors, process=False)


def list_poses(cameras: Sequence[Camera]) -> list[np.ndarray]:
    """Return the pose (4, 4) of each camera of the rig."""
    return [np.linalg.inv(camera_from_world(camera)) for camera in cameras]


def arrange_two_by_two(views: Sequence[np.ndarray]) -> np.ndarray:
    """Return four views as one picture."""
    return np.vstack([np.hstack(views[:2]), np.hstack(views[2:])])


def draw_with_pyrender(view_px: int) -> Callable[[Mesh], np.ndarray]:
    """Return a function that draws the rig's four montage views with pyrender."""
    os.environ["PYOPENGL_PLATFORM"] = "egl"
    import pyrender

    cameras = Rig().montage_cameras()
    poses = list_poses(cameras)
    camera = pyrender.PerspectiveCamera(np.deg2rad(cameras[0].fov_deg))
    renderer = pyrender.OffscreenRenderer(view_px, view_px)

    def draw(mesh: Mesh) -> np.ndarray:
        scene = pyrender.Scene()
        scene.add(pyrender.Mesh.from_trimesh(as_trimesh(mesh), smooth=False))
        node = scene.add(camera)
        views = []
        for pose in poses:
            scene.set_pose(node, pose)
            views.append(renderer.render(scene, flags=pyrender.RenderFlags.FLAT)[0])
        return arrange_two_by_two(views)

    return draw


def draw_with_trimesh(view_px: int) -> Callable[[Mesh], np.ndarray]:
    """Return a function that draws the rig's four montage views with trimesh's own offscreen render."""
    cameras = Rig().montage_cameras()
    poses = list_poses(cameras)

    def draw(mesh: Mesh) -> np.ndarray:
        scene = as_trimesh(mesh).scene()
        scene.camera = trimesh.scene.Camera(resolution=(view_px, view_px), fov=(cameras[0].fov_deg,) * 2)
        views = []
        for pose in poses:
            scene.camera_transform = pose
            picture = scene.save_image(resolution=(view_px, view_px), visible=True)
            views.append(np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")))
        return arrange_two_by_two(views)

    return draw


Maker = Callable[[int], Callable[[Mesh], Any]]
OURS: dict[str, Maker] = {
    "ours, 4 samples": lambda view_px: partial(Renderer().montage, mode="normal", view_px=view_px),
    "ours, 1 sample": lambda view_px: partial(
        Renderer(replace(Rig(), supersample=1)).montage, mode="normal", view_px=view_px
    ),
}
OTHERS: dict[str, Maker] = {"pyrender": draw_with_pyrender, "trimesh": draw_with_trimesh}


def measure(name: str, faces: int, view_px: int, repetitions: int) -> tuple[float, float]:
    """Measure one renderer, in a process of its own: GL contexts of several libraries get into their way."""
    meshes = [make_bumpy_sphere(faces, seed) for seed in range(repetitions + 1)]
    return measure_least_and_cpu({**OURS, **OTHERS}[name](view_px), meshes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--beside", nargs="+", choices=OTHERS, default=list(OTHERS))
    given = parser.parse_args()
    print("milliseconds a montage, wall (CPU), and times as long as ours with 4 samples and with one")
    for faces, view_px in [(faces, view_px) for faces in (2_000, 20_000) for view_px in (112, 224)]:
        found: dict[str, tuple[float, float]] = {}
        for name in (*OURS, *given.beside):
            with ProcessPoolExecutor(1, get_context("spawn")) as process:
                found[name] = process.submit(measure, name, faces, view_px, given.repetitions).result()
            wall, cpu = found[name]
            four, one = (found.get(ours, (wall, cpu))[0] for ours in OURS)
            print(
                f"{faces:7d} faces {view_px:4d} px  {name:16} {1e3 * wall:8.2f} ({1e3 * cpu:8.2f})  "
                f"{wall / four:6.1f} x, {wall / one:6.1f} x",
                flush=True,
            )


if __name__ == "__main__":
    main()
