"""Meshes as soft points, as a splat renderer would show them.

Splat pictures hide geometry: soft points with baked colour look alike over a dented and a flat surface. This
mode exists to measure how much a judge loses by them, never to judge with.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

import moderngl
import numpy as np
from numpy.typing import NDArray

from verdict3d.errors import ItemFailure
from verdict3d.randomness import numpy_generator
from verdict3d.render.geometry import face_corners
from verdict3d.render.rig import SPLAT_COUNT, SPLAT_SPREAD, Camera, camera_from_world, projection

if TYPE_CHECKING:
    from verdict3d.mesh.mesh import Mesh

Floats = NDArray[np.float32]


class SplatUpload:
    """The splats of the mesh drawn last, in buffers that are reused from mesh to mesh.

    Args:
        context: The process's context.
        program: ``splat`` of :data:`verdict3d.render.shaders.PROGRAMS`.
    """

    def __init__(self, context: moderngl.Context, program: moderngl.Program) -> None:
        self._context = context
        self._program = program
        self._splats = context.buffer(reserve=SPLAT_COUNT * 24, dynamic=True)
        self._order = context.buffer(reserve=SPLAT_COUNT * 4, dynamic=True)
        self._points = context.vertex_array(
            program, [(self._splats, "3f 3f", "position", "color")], index_buffer=self._order
        )
        self._mesh: weakref.ref[Mesh] | None = None
        self._positions: Floats = np.zeros((0, 3), dtype=np.float32)
        self._sigma = 0.0

    def draw(self, mesh: Mesh, camera: Camera, view_px: int) -> None:
        """Blend the mesh's splats into the bound framebuffer's viewport, the farthest first.

        Args:
            mesh: With at least one face.
            camera: The view.
            view_px: Side of the viewport in samples.

        Raises:
            ItemFailure: ``no_faces``, ``index_out_of_range``, ``non_finite``, or ``degenerate``: no area.
        """
        if self._mesh is None or self._mesh() is not mesh:
            self._positions, colors, self._sigma = mesh_splats(mesh)
            self._splats.write(np.hstack([self._positions, colors]).astype(np.float32).tobytes())
            self._mesh = weakref.ref(mesh)
        away = -camera_from_world(camera)[2, :3]
        farthest_first = np.argsort(-(self._positions.astype(np.float64) @ away), kind="stable")
        self._order.write(farthest_first.astype(np.uint32).tobytes())
        clip = projection(camera)
        self._program["clip_from_object"].write(clip.T.astype(np.float32).tobytes())  # type: ignore[union-attr]
        self._program["sigma_px"] = self._sigma * float(np.linalg.norm(clip[1, :3])) * view_px / 2
        self._context.enable_only(moderngl.BLEND | moderngl.PROGRAM_POINT_SIZE)
        self._context.blend_func = moderngl.ONE, moderngl.ONE_MINUS_SRC_ALPHA
        self._points.render(moderngl.POINTS, vertices=SPLAT_COUNT)

    def release(self) -> None:
        """Release every OpenGL object held."""
        for item in (self._points, self._splats, self._order):
            item.release()


def mesh_splats(mesh: Mesh) -> tuple[Floats, Floats, float]:
    """Sample a mesh into splats; the same mesh gives the same splats.

    Returns:
        Positions (N, 3) float32 in object units, colours (N, 3) float32 in [0, 1] (grey where the mesh has
        none), and the standard deviation of a splat in object units; N = ``SPLAT_COUNT``.

    Raises:
        ItemFailure: As :meth:`SplatUpload.draw`.
    """
    from verdict3d.mesh.mesh import average_face_colors
    from verdict3d.mesh.sampling import compute_areas_and_normals, draw_faces

    face_corners(mesh)
    area = float(compute_areas_and_normals(mesh)[0].sum())
    positions, _, faces = draw_faces(mesh, SPLAT_COUNT, numpy_generator(0, "splats"))
    if len(positions) == 0:
        raise ItemFailure("degenerate", "the mesh has no area: there is nothing to cover with splats")
    return positions, average_face_colors(mesh)[faces], SPLAT_SPREAD * (area / SPLAT_COUNT) ** 0.5
