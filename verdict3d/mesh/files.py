"""Mesh files on disk: a suffix chooses the reader or writer, and problems become reasons.

Reading opens the file itself, and material libraries, buffers and pictures inside its own folder (subfolders
included). Other references fail with ``external_reference``; where a picture is missing, the mesh loses it.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np

from verdict3d.config_generators import MeshLimits
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.mesh.axes import GLTF_UP, Axis, Up, turn_into_file, turn_into_object
from verdict3d.mesh.mesh import GLTF_SUFFIXES, SUFFIXES, Mesh, check_mesh
from verdict3d.mesh.posture import CUSTOM, find_written_up_axis, guess_up_axis
from verdict3d.mesh.readers.gltf.reader import read_gltf
from verdict3d.mesh.readers.obj import read_obj
from verdict3d.mesh.readers.own_folder import OwnFolder, check_size
from verdict3d.mesh.readers.pieces import Piece, merge_pieces
from verdict3d.mesh.readers.ply import read_ply
from verdict3d.mesh.readers.reading import Reading
from verdict3d.mesh.readers.stl import read_stl
from verdict3d.mesh.writers.glb import encode_glb
from verdict3d.records.files import write_bytes

_HEADER_BYTES = 1 << 16
_MALFORMED = (  # what parsers raise on content that is not as they expect
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    OverflowError,
    struct.error,
    RecursionError,
)


def read_mesh(path: str | Path, limits: MeshLimits | None = None, up_axis: Up = "auto") -> Mesh:
    """Read a GLB, OBJ, PLY or STL file from an untrusted source as one mesh.

    Scenes are flattened with their transforms. Nothing outside the folder of ``path`` is ever opened.

    Args:
        path: The file.
        limits: What is refused as too large; by default :class:`MeshLimits`'s own values.
        up_axis: Axis of the file that points up; ``auto``: y in a GLB, as glTF wants it, elsewhere what the
            file says or a guess, which is noted (:mod:`verdict3d.mesh.posture`).

    Returns:
        The mesh in the object frame; its ``notes`` say what was changed.

    Raises:
        ItemFailure: The file is missing, broken, empty, larger or costlier than ``limits`` or needs something
            outside its folder; ``reason`` says which.
    """
    path, limits = Path(path), limits or MeshLimits()
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ItemFailure("unsupported_format", f"{path.name}: {', '.join(SUFFIXES)} can be read")
    if not path.is_file():
        raise ItemFailure("missing_file", f"{path} is not a file")
    try:
        check_size(path, limits)
        reading = Reading(limits, path.stat().st_size)
        with np.errstate(all="ignore"):  # what is not finite is found in the end
            mesh = check_mesh(merge_pieces(_parse(path, suffix, reading), reading), limits)
        axis = _choose_up_axis(path, mesh, reading) if up_axis == "auto" else up_axis
        return replace(mesh, vertices=turn_into_object(mesh.vertices, axis), notes=reading.notes)
    except ItemFailure as failure:
        raise ItemFailure(failure.reason, f"{path.name}: {failure}") from failure
    except OSError as error:
        raise ItemFailure("unreadable_file", f"{path.name} cannot be read: {error}") from error


def _choose_up_axis(path: Path, mesh: Mesh, reading: Reading) -> Axis:
    """Return the axis of the file that points up; ``mesh`` is in the file's frame."""
    suffix = path.suffix.lower()
    if suffix not in CUSTOM:
        return GLTF_UP
    with path.open("rb") as stream:
        said = find_written_up_axis(stream.read(_HEADER_BYTES))
    if said:
        return said
    axis, why = guess_up_axis(mesh, suffix)
    reading.note("up_axis", why)
    return axis


def write_mesh(mesh: Mesh, path: str | Path) -> None:
    """Write ``mesh`` by suffix: .glb (y up, texture embedded), .ply or .obj. Same mesh, same bytes.

    OBJ has y up and PLY z, as programs expect them, and both say so; they keep vertex colours. Only GLB keeps
    a texture, the other two get its colours at the vertices.

    Raises:
        Verdict3DError: The suffix is none of these.
    """
    path = Path(path)
    writers = {".glb": encode_glb, ".ply": _encode_ply, ".obj": _encode_obj}
    suffix = path.suffix.lower()
    if suffix not in writers:
        raise Verdict3DError(f"{path}: meshes are written as {', '.join(writers)}")
    if len(mesh.faces) == 0:
        raise ItemFailure("no_faces", f"{path.name}: a mesh without faces is not written")
    write_bytes(path, writers[suffix](mesh))


def _parse(path: Path, suffix: str, reading: Reading) -> list[Piece]:
    """Parse the file; whatever a parser stumbles over, and nothing that comes later, is the file's fault."""
    reading.spend(path.stat().st_size, "the file itself")
    content = path.read_bytes()
    try:
        if suffix in GLTF_SUFFIXES:
            return read_gltf(content, OwnFolder(path, reading), reading)
        if suffix == ".obj":
            return read_obj(content, OwnFolder(path, reading), reading)
        if suffix == ".ply":
            return [read_ply(content, OwnFolder(path, reading), reading)]
        return [read_stl(content, reading)]
    except _MALFORMED as error:
        raise ItemFailure("broken_file", f"cannot be parsed: {type(error).__name__}: {error}") from error


def colour_vertices(mesh: Mesh) -> np.ndarray | None:
    """Return (V, 3) uint8 what a format without textures keeps of the colours: those at the vertices."""
    if mesh.uv is None or mesh.texture is None:
        return mesh.colors
    height, width = mesh.texture.shape[:2]
    wrapped = mesh.uv - np.floor(mesh.uv)
    columns = np.minimum((wrapped[:, 0] * width).astype(np.int64), width - 1)
    rows = np.minimum((wrapped[:, 1] * height).astype(np.int64), height - 1)
    texels = mesh.texture[height - 1 - rows, columns]
    return texels if mesh.colors is None else np.rint(texels * (mesh.colors / 255)).astype(np.uint8)


def _encode_ply(mesh: Mesh) -> bytes:
    colors = colour_vertices(mesh)
    fields = [(axis, "<f4") for axis in "xyz"]
    names = ["float x", "float y", "float z"]
    if colors is not None:
        fields += [(channel, "u1") for channel in ("red", "green", "blue")]
        names += ["uchar red", "uchar green", "uchar blue"]
    rows = np.zeros(len(mesh.vertices), dtype=fields)
    for column, (axis, _) in enumerate(fields[:3]):
        rows[axis] = mesh.vertices[:, column]
    if colors is not None:
        for column, (channel, _) in enumerate(fields[3:]):
            rows[channel] = colors[:, column]
    triangles = np.zeros(len(mesh.faces), dtype=[("count", "u1"), ("corners", "<i4", 3)])
    triangles["count"], triangles["corners"] = 3, mesh.faces
    properties = "".join(f"property {name}\n" for name in names)
    header = (
        f"ply\nformat binary_little_endian 1.0\ncomment z up\nelement vertex {len(rows)}\n{properties}"
        f"element face {len(triangles)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    return header.encode() + rows.tobytes() + triangles.tobytes()


def _encode_obj(mesh: Mesh) -> bytes:
    colors = colour_vertices(mesh)
    vertices = turn_into_file(mesh.vertices, CUSTOM[".obj"])
    positions = [" ".join(f"{value:.9g}" for value in row) for row in vertices.tolist()]
    if colors is not None:
        shades = [" ".join(f"{value:.6g}" for value in row) for row in (colors / 255).tolist()]
        positions = [f"{place} {shade}" for place, shade in zip(positions, shades, strict=True)]
    lines = ["# y up", *(f"v {line}" for line in positions)] + [
        "f {} {} {}".format(*row) for row in (mesh.faces + 1).tolist()
    ]
    return ("\n".join(lines) + "\n").encode()
