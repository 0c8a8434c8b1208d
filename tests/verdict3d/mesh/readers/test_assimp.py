"""Assimp, a reader that shares nothing with ours, sees the same counts, areas, boxes and colours as we do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import assimp_py
import numpy as np
import pytest
import trimesh

from support.gltf_files import GltfFile
from verdict3d.furniture.catalogue import CATEGORIES, make_furniture
from verdict3d.furniture.part_mesh import mesh_from_parts
from verdict3d.mesh.files import read_mesh
from verdict3d.mesh.mesh import Mesh, average_face_colors
from verdict3d.mesh.sampling import compute_areas_and_normals

FLAT = assimp_py.Process_Triangulate | assimp_py.Process_PreTransformVertices | assimp_py.Process_SortByPType
"""Every scene as triangles in its own frame."""


@dataclass(frozen=True)
class Seen:
    """What a reader sees in a file: triangles, area, box (2, 3), and the mean colour as sRGB in [0, 1]."""

    faces: int
    area: float
    bounds: np.ndarray
    color: np.ndarray

    def agrees(self, other: Seen) -> bool:
        return (
            self.faces == other.faces
            and self.area == pytest.approx(other.area, rel=1e-5)
            and bool(np.allclose(self.bounds, other.bounds, atol=1e-5))
            and bool(np.allclose(self.color, other.color, atol=0.004))
        )


def encode_srgb(linear: np.ndarray) -> np.ndarray:
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def see_by_assimp(path: Path) -> Seen:
    scene = assimp_py.import_file(str(path), FLAT)
    corners, colors = [], []
    for shape in scene.meshes:
        faces = np.asarray(shape.indices).reshape(-1, 3)
        corners.append(np.asarray(shape.vertices, np.float64).reshape(-1, 3)[faces])
        tint = np.asarray(scene.materials[shape.material_index]["COLOR_DIFFUSE"], np.float64)[:3]
        own = np.asarray(shape.colors[0]).reshape(-1, 4)[faces, :3].mean(axis=1) if shape.colors else None
        if own is not None and path.suffix != ".glb":
            tint = np.ones(3)  # what it writes where there is no material
        colors.append(np.broadcast_to(tint, (len(faces), 3)) * (1 if own is None else own))
    edges = np.concatenate(corners)
    areas = np.linalg.norm(np.cross(edges[:, 1] - edges[:, 0], edges[:, 2] - edges[:, 0]), axis=1) / 2
    shown = np.concatenate(colors)
    shown = encode_srgb(shown) if path.suffix == ".glb" else shown
    return Seen(len(edges), areas.sum(), _bounds(edges.reshape(-1, 3)), _mean(shown, areas))


def see_by_us(path: Path) -> Seen:
    mesh = read_mesh(path, up_axis="z" if path.suffix != ".glb" else "y")
    vertices = mesh.vertices
    if path.suffix == ".glb":  # back into the file's frame
        vertices = np.stack([vertices[:, 0], vertices[:, 2], -vertices[:, 1]], axis=1)
    areas = compute_areas_and_normals(mesh)[0]
    return Seen(len(mesh.faces), areas.sum(), _bounds(vertices), _mean(average_face_colors(mesh), areas))


def _bounds(points: np.ndarray) -> np.ndarray:
    return np.array([points.min(axis=0), points.max(axis=0)])


def _mean(colors: np.ndarray, areas: np.ndarray) -> np.ndarray:
    mean: np.ndarray = (colors * areas[:, None]).sum(axis=0) / areas.sum()
    return mean


@pytest.mark.parametrize("suffix", [".glb", ".obj", ".ply"])
@pytest.mark.parametrize("category", CATEGORIES)
def test_furniture_with_colours(tmp_path: Path, suffix: str, category: str) -> None:
    mesh: Mesh = mesh_from_parts(make_furniture(category, np.random.default_rng(4)))
    path = tmp_path / f"it{suffix}"
    trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_colors=mesh.colors, process=False).export(path)
    assert see_by_us(path).agrees(see_by_assimp(path))


@pytest.mark.parametrize("binary", [True, False])
def test_triangles_of_an_stl(tmp_path: Path, binary: bool) -> None:
    mesh = mesh_from_parts(make_furniture("chair", np.random.default_rng(4)))
    path = tmp_path / "it.stl"
    trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).export(
        path, file_type="stl" if binary else "stl_ascii"
    )
    ours, theirs = see_by_us(path), see_by_assimp(path)
    assert ours.faces == theirs.faces and ours.area == pytest.approx(theirs.area, rel=1e-5)
    np.testing.assert_allclose(ours.bounds, theirs.bounds, atol=1e-5)


def test_a_scene_of_placed_and_painted_parts(tmp_path: Path) -> None:
    made = GltfFile()
    cube = trimesh.creation.box((1, 2, 3))
    corners, faces = cube.vertices.astype("<f4"), cube.faces.astype("<u4")
    for number, tint in enumerate([(0.2, 0.6, 0.1, 1), (0.9, 0.1, 0.3, 1)]):
        part = made.primitive(corners, faces, material=made.material(None, tint))
        made.shape(part, translation=[3 * number, 1, 0], rotation=[0, 0.6, 0, 0.8], scale=[2, 1, 1 + number])
    path = made.write(tmp_path / "scene.glb")
    assert see_by_us(path).agrees(see_by_assimp(path))


def test_materials_and_polygons_of_an_obj(tmp_path: Path) -> None:
    outline = [(0, 0), (3, 0), (3, 1), (1, 1), (1, 2), (3, 2), (3, 3), (0, 3)]
    lines = ["mtllib it.mtl", *(f"v {x} {y} 0" for x, y in outline), *(f"v {x} {y} 2" for x, y in outline)]
    lines += ["usemtl red", "f 1 2 3 4 5 6 7 8", "usemtl blue"]
    lines += [f"f {i + 1} {(i + 1) % 8 + 1} {(i + 1) % 8 + 9} {i + 9}" for i in range(8)]
    (tmp_path / "it.obj").write_text("\n".join(lines) + "\n")
    (tmp_path / "it.mtl").write_text("newmtl red\nKd 0.8 0.1 0.1\nnewmtl blue\nKd 0.1 0.2 0.7\n")
    ours = see_by_us(tmp_path / "it.obj")
    assert ours.agrees(see_by_assimp(tmp_path / "it.obj")) and ours.area == pytest.approx(7 + 16 * 2)
