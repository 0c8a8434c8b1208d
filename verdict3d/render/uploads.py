"""The arrays of one mesh on the GPU, in buffers that are reused from mesh to mesh."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import moderngl
import numpy as np
from numpy.typing import NDArray

from verdict3d.render.geometry import NORMALS_PER_ROW, BoxedTexture, face_normals, normal_rows

if TYPE_CHECKING:
    from verdict3d.mesh.mesh import Mesh

_ATTRIBUTES = {
    "normal": (("position", "3f"),),
    "clay": (("position", "3f"),),
    "colors": (("position", "3f"), ("color", "3f1")),
    "texture": (("position", "3f"), ("uv", "2f"), ("color", "3f1")),
}
_ARRAYS: dict[str, Callable[[Mesh], Any]] = {
    "faces": lambda mesh: mesh.faces,
    "position": lambda mesh: mesh.vertices,
    "color": lambda mesh: np.full(mesh.vertices.shape, 255, "u1") if mesh.colors is None else mesh.colors,
    "uv": lambda mesh: mesh.uv,
}
_NORMALS_UNIT, _SURFACE_UNIT = 1, 2


def program_for(mesh: Mesh, mode: str) -> str:
    """Return the name of the program that draws ``mesh`` in ``mode``."""
    if mode != "rgb":
        return mode
    if mesh.texture is not None:
        return "texture"
    return "clay" if mesh.colors is None else "colors"


class MeshUpload:
    """Buffers and textures that hold the mesh drawn last; another mesh overwrites them.

    Args:
        context: The process's context.
        programs: The drawing programs by name, see :data:`verdict3d.render.shaders.PROGRAMS`.
    """

    def __init__(self, context: moderngl.Context, programs: dict[str, moderngl.Program]) -> None:
        self._context = context
        self._buffers = {name: context.buffer(reserve=1 << 16, dynamic=True) for name in _ARRAYS}
        self._vertex_arrays = {
            name: context.vertex_array(
                programs[name],
                [(self._buffers[field], form, field) for field, form in attributes],
                index_buffer=self._buffers["faces"],
                index_element_size=4,
            )
            for name, attributes in _ATTRIBUTES.items()
        }
        for name in _ATTRIBUTES:
            programs[name]["face_normals"] = _NORMALS_UNIT
        programs["texture"]["surface"] = _SURFACE_UNIT
        self._normals = context.texture((NORMALS_PER_ROW, 16), 4, dtype="f4")
        self._surface = context.texture((1, 1), 3, bytes(4), alignment=4)
        self._mesh: weakref.ref[Mesh] | None = None
        self._present: set[str] = set()

    def bring(self, mesh: Mesh, program: str, samples_px: int) -> moderngl.VertexArray:
        """Upload what ``program`` needs of ``mesh`` unless it is there, and return what to draw.

        Args:
            mesh: A mesh with at least one face.
            program: From :func:`program_for`.
            samples_px: Samples along one side of the picture; sizes the texture.

        Raises:
            ItemFailure: ``no_faces``, ``index_out_of_range`` or ``non_finite``.
        """
        if self._mesh is None or self._mesh() is not mesh:
            self._mesh = None
            self._present.clear()
            self._write_normals(normal_rows(face_normals(mesh)))
            self._mesh = weakref.ref(mesh)
        for field in ("faces", *(field for field, _ in _ATTRIBUTES[program])):
            if field not in self._present:
                self._write(self._buffers[field], _ARRAYS[field](mesh))
                self._present.add(field)
        if program == "texture":
            self._write_surface(mesh, samples_px)
            self._surface.use(_SURFACE_UNIT)
        self._normals.use(_NORMALS_UNIT)
        return self._vertex_arrays[program]

    def release(self) -> None:
        """Release every OpenGL object held."""
        for vertex_array in self._vertex_arrays.values():
            vertex_array.release()
        for buffer in self._buffers.values():
            buffer.release()
        self._normals.release()
        self._surface.release()

    @staticmethod
    def _write(buffer: moderngl.Buffer, values: NDArray[np.generic]) -> None:
        content = np.ascontiguousarray(values)
        buffer.orphan(content.nbytes)
        buffer.write(content)

    def _write_normals(self, texels: NDArray[np.float32]) -> None:
        rows, capacity = len(texels), self._normals.height
        if rows > capacity:
            while capacity < rows:
                capacity *= 2
            self._normals.release()
            self._normals = self._context.texture((NORMALS_PER_ROW, capacity), 4, dtype="f4")
        self._normals.write(texels, viewport=(0, 0, NORMALS_PER_ROW, rows))

    def _write_surface(self, mesh: Mesh, samples_px: int) -> None:
        key = f"surface for {samples_px}"
        if key in self._present:
            return
        assert mesh.texture is not None
        pixels = BoxedTexture.fit(mesh.texture, samples_px).pixels
        self._surface.release()
        self._surface = self._context.texture(
            (pixels.shape[1], pixels.shape[0]), 3, pixels.tobytes(), alignment=1
        )
        self._present = {name for name in self._present if not name.startswith("surface")} | {key}
