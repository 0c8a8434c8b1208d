"""The rig's montage beside pyrender's offscreen renderer: `python -m benchmarks.rig_beside_pyrender`.

Both draw four views of a mesh that was not drawn before and read the pictures back. Ours draws `normal`, with
its supersampling and without; pyrender draws face colours without lighting (FLAT), the least it can do. Both
use EGL. pyrender is no dependency; `pip install --no-deps pyrender PyOpenGL==3.1.10 freetype-py imageio six
"pyglet<2"` gets it without disturbing what is pinned here.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import trimesh

from benchmarks.rig import bumpy_sphere
from verdict3d.assets.mesh import Mesh
from verdict3d.render.context import shared_context
from verdict3d.render.renderer import Renderer
from verdict3d.render.rig import Rig, camera_from_world


def least_and_cpu(draw: Callable[[Mesh], Any], meshes: Sequence[Mesh]) -> tuple[float, float]:
    """Return the least wall time and the mean CPU time of a montage, in seconds; the first mesh warms up."""
    draw(meshes[0])
    wall, cpu = [], time.process_time()
    for mesh in meshes[1:]:
        start = time.perf_counter()
        draw(mesh)
        wall.append(time.perf_counter() - start)
    return min(wall), (time.process_time() - cpu) / len(wall)


def pyrender_montage(view_px: int) -> Callable[[Mesh], np.ndarray]:
    """Return a function that draws the rig's four montage views with pyrender."""
    os.environ["PYOPENGL_PLATFORM"] = "egl"
    np.inf = np.inf  # type: ignore[attr-defined]  # the name pyrender 0.1.45 uses
    import pyrender

    rig = Rig()
    poses = [np.linalg.inv(camera_from_world(camera)) for camera in rig.montage_cameras]
    camera = pyrender.PerspectiveCamera(np.deg2rad(rig.montage_cameras[0].fov_deg))
    renderer = pyrender.OffscreenRenderer(view_px, view_px)

    def draw(mesh: Mesh) -> np.ndarray:
        shown = trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_colors=mesh.colors, process=False)
        scene = pyrender.Scene()
        scene.add(pyrender.Mesh.from_trimesh(shown, smooth=False))
        node = scene.add(camera)
        views = []
        for pose in poses:
            scene.set_pose(node, pose)
            views.append(renderer.render(scene, flags=pyrender.RenderFlags.FLAT)[0])
        return np.vstack([np.hstack(views[:2]), np.hstack(views[2:])])

    return draw


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=15)
    given = parser.parse_args()
    print(shared_context().info["GL_RENDERER"])
    cases = [(faces, view_px) for faces in (2_000, 20_000) for view_px in (112, 224)]
    meshes = {
        faces: [bumpy_sphere(faces, seed) for seed in range(given.repetitions + 1)] for faces, _ in cases
    }

    def measure(renderer: Renderer, faces: int, view_px: int) -> tuple[float, float]:
        return least_and_cpu(partial(renderer.montage, mode="normal", view_px=view_px), meshes[faces])

    renderers = {"ours": Renderer(), "plain": Renderer(replace(Rig(), supersample=1))}
    ours = {(name, *case): measure(renderer, *case) for name, renderer in renderers.items() for case in cases}
    print("milliseconds a montage, wall (CPU): ours with 4 samples a pixel, ours with one, pyrender with one")
    for faces, view_px in cases:
        theirs = least_and_cpu(pyrender_montage(view_px), meshes[faces])
        four, one = (ours[name, faces, view_px] for name in renderers)
        columns = "  ".join(f"{1e3 * wall:7.2f} ({1e3 * cpu:6.2f})" for wall, cpu in (four, one, theirs))
        times = f"{theirs[0] / four[0]:.1f} x, {theirs[0] / one[0]:.1f} x"
        print(f"{faces:7d} faces {view_px:4d} px  {columns}  {times}")


if __name__ == "__main__":
    main()
