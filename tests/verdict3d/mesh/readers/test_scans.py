"""STL and PLY files as scanners and programs write them, beside trimesh where trimesh is right."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from verdict3d.config_generators import MeshLimits
from verdict3d.errors import ItemFailure
from verdict3d.furniture.catalogue import CATEGORIES, make_furniture
from verdict3d.furniture.part_mesh import mesh_from_parts
from verdict3d.mesh.files import read_mesh
from verdict3d.mesh.mesh import Mesh
from verdict3d.mesh.readers import stl
from verdict3d.mesh.readers.reading import Reading
from verdict3d.mesh.readers.stl import read_stl
from verdict3d.mesh.sampling import compute_areas_and_normals
from verdict3d.randomness import numpy_generator


def piece(category: str = "chair") -> Mesh:
    return mesh_from_parts(make_furniture(category, np.random.default_rng(4)))


def area(mesh: Mesh) -> float:
    return float(compute_areas_and_normals(mesh)[0].sum())


def read(path: Path, content: bytes | str) -> Mesh:
    path.write_bytes(content if isinstance(content, bytes) else content.encode("latin-1"))
    return read_mesh(path, up_axis="z")


def binary_stl(mesh: Mesh, header: bytes = b"scan") -> bytes:
    rows = np.zeros(len(mesh.faces), dtype=[("n", "<f4", 3), ("v", "<f4", (3, 3)), ("a", "<u2")])
    rows["v"] = mesh.vertices[mesh.faces]
    return header.ljust(80, b"\0") + struct.pack("<I", len(rows)) + rows.tobytes()


@pytest.mark.parametrize("suffix", [".obj", ".ply", ".stl"])
@pytest.mark.parametrize("category", CATEGORIES)
def test_trimesh_sees_the_same(tmp_path: Path, suffix: str, category: str) -> None:
    mesh = piece(category)
    other = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    path = tmp_path / f"it{suffix}"
    other.export(path)
    own = read_mesh(path, up_axis="z")
    again = trimesh.load_mesh(path, process=False)
    assert len(own.faces) == len(again.faces) and area(own) == pytest.approx(again.area, rel=1e-5)
    np.testing.assert_allclose([own.vertices.min(0), own.vertices.max(0)], again.bounds, atol=1e-5)


@pytest.mark.parametrize("tail", [0, 2, 6, 49, 500])
@pytest.mark.parametrize("header", [b"scan", b"solid made by a scanner"])
def test_bytes_behind_the_triangles_of_an_stl_are_ignored(tmp_path: Path, tail: int, header: bytes) -> None:
    mesh = piece()
    if tail and header.startswith(b"solid"):
        return  # then it is text
    own = read(tmp_path / "it.stl", binary_stl(mesh, header) + b"\0" * tail)
    assert len(own.faces) == len(mesh.faces) and area(own) == pytest.approx(area(mesh), rel=1e-5)


@pytest.mark.parametrize("change", [str, str.upper, str.title, lambda text: text.replace("\n", "\r\n")])
def test_text_of_an_stl_has_any_case_and_ending(tmp_path: Path, change: object) -> None:
    mesh = piece()
    text = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).export(file_type="stl_ascii")
    own = read(tmp_path / "IT.STL", change(text))  # type: ignore[operator]
    assert len(own.faces) == len(mesh.faces) and area(own) == pytest.approx(area(mesh), rel=1e-5)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no_faces"),
        (b"solid it\nendsolid", "no_faces"),
        (binary_stl(piece())[:-50], "broken_file"),
        (b"x" * 80 + struct.pack("<I", 2**31) + bytes(100), "too_many_faces"),
        (b"solid\nfacet\nvertex 0 0 0\nvertex 1 0 0\nendfacet", "broken_file"),
        (b"solid\nvertex 0 0 0\nvertex 1 0 x\nvertex 0 1 0\n", "broken_file"),
        (b"solid\nvertex 0 0 0\nvertex 1.#IND 0 0\nvertex 0 1 0\n", "non_finite"),
        (b"solid\nvertex 0 0 0\nvertex 0,5 0 0\nvertex 0 1 0\n", "broken_file"),
    ],
)
def test_bad_stl_files_have_a_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(ItemFailure) as failure:
        read(tmp_path / "it.stl", content)
    assert failure.value.reason == reason


NOTCH = [(0, 0), (3, 0), (3, 1), (1, 1), (1, 2), (3, 2), (3, 3), (0, 3)]
SOLID = np.array([(x, y, z) for z in (0.0, 1.0) for x, y in NOTCH], "f4")
SIDES = [list(range(7, -1, -1)), list(range(8, 16))] + [
    [i, (i + 1) % 8, (i + 1) % 8 + 8, i + 8] for i in range(8)
]
"""A notched bar of octagons and quads: its area is 2 x 7 + 16."""


def header(
    kind: str, *vertex: str, face: str = "list uchar int vertex_indices", faces: int = len(SIDES)
) -> str:
    names = ["float x", "float y", "float z", *vertex]
    properties = "".join(f"property {name}\n" for name in names)
    return (
        f"ply\nformat {kind} 1.0\ncomment made elsewhere\nelement vertex {len(SOLID)}\n{properties}"
        f"element face {faces}\nproperty {face}\nend_header\n"
    )


@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_polygons_of_mixed_sizes_keep_their_area(tmp_path: Path, kind: str) -> None:
    if kind == "ascii":
        rows = [" ".join(f"{x:g}" for x in row) for row in SOLID]
        rows += [" ".join(map(str, [len(side), *side])) for side in SIDES]
        body = ("\n".join(rows) + "\n").encode()
    else:
        order = "<" if "little" in kind else ">"
        body = SOLID.astype(order + "f4").tobytes()
        body += b"".join(struct.pack(f"{order}B{len(side)}i", len(side), *side) for side in SIDES)
    mesh = read(tmp_path / "it.ply", header(kind).encode() + body)
    assert len(mesh.faces) == 2 * 6 + 8 * 2 and area(mesh) == pytest.approx(30)
    solid = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    assert solid.is_winding_consistent and solid.volume == pytest.approx(7)


def test_colours_of_vertices_and_faces_in_bytes_or_shares(tmp_path: Path) -> None:
    triangle = "0 0 0 {0}\n1 0 0 {0}\n0 1 0 {0}\n"
    head = (
        "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n{0}"
        "element face 1\nproperty list uchar int vertex_index\n{1}end_header\n"
    )
    bytes_, shares = (
        "".join(f"property {kind} {name}\n" for name in ("red", "green", "blue"))
        for kind in ("uchar", "float")
    )
    for content in (
        head.format(bytes_, "") + triangle.format("255 128 0") + "3 0 1 2\n",
        head.format(shares, "") + triangle.format("1 0.502 0") + "3 0 1 2\n",
        head.format("", bytes_) + triangle.format("") + "3 0 1 2 255 128 0\n",
    ):
        mesh = read(tmp_path / "it.ply", content)
        assert mesh.colors is not None and mesh.colors.tolist() == [[255, 128, 0]] * 3


def test_texture_coordinates_of_faces_and_other_elements(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2), (9, 8, 7)).save(tmp_path / "skin of it.png")
    content = (
        "ply\r\nformat ascii 1.0\r\ncomment TextureFile skin of it.png\r\n"
        "element camera 2\r\nproperty float fov\r\n"
        "element vertex 4\r\nproperty double x\r\nproperty double y\r\nproperty double z\r\n"
        "element face 2\r\nproperty list uchar uint vertex_indices\r\nproperty list uchar float texcoord\r\n"
        "end_header\r\n1\r\n2\r\n0 0 0\r\n1 0 0\r\n1 1 0\r\n0 1 0\r\n"
        "3 0 1 2 6 0 0 1 0 1 1\r\n3 0 2 3 6 0.5 0 0 1 1 1\r\n"
    )
    mesh = read(tmp_path / "it.ply", content)
    assert mesh.texture is not None and mesh.texture[0, 0].tolist() == [9, 8, 7]
    assert mesh.uv is not None and len(mesh.faces) == 2
    corners = [(tuple(mesh.vertices[i].tolist()), tuple(mesh.uv[i].tolist())) for i in mesh.faces.ravel()]
    assert corners[0] == ((0, 0, 0), (0, 0)) and corners[3] == ((0, 0, 0), (0.5, 0))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("ply\n", "broken_file"),
        ("ply" + "\n" * 2**19 + "end_header\n", "broken_file"),
        (header("ascii") + "0 0 0\n", "broken_file"),
        (header("ascii", faces=0) + "0 0 0\n" * 16, "no_faces"),
        (header("ascii", faces=3_000_000) + "0 0 0\n" * 16, "too_many_faces"),
        (header("ascii", faces=1) + "0 0 0\n" * 16 + "3 0 1 16\n", "index_out_of_range"),
        (header("ascii", faces=1) + "0 0 0\n" * 16 + "3 0 1 nan\n", "index_out_of_range"),
        (header("ascii", faces=1) + "0 0 0\n" * 16 + "99 0 1 2\n", "broken_file"),
        (header("ascii", faces=1) + "0 0 0\n" * 16 + "2 0 1\n", "no_faces"),
        (header("ascii", faces=1) + "0,5 0 0\n" * 16 + "3 0 1 2\n", "broken_file"),
        (header("ascii", faces=1) + "1.#QNAN 0 0\n" * 16 + "3 0 1 2\n", "non_finite"),
        (
            header("binary_little_endian", face="list uint int vertex_indices", faces=1)
            + "\0" * 192
            + "\xff" * 8,
            "broken_file",
        ),
        (header("ascii").replace("uchar int", "uchar quaternion"), "broken_file"),
        (header("ascii", *(f"float p{n}" for n in range(2000))), "broken_file"),
    ],
)
def test_bad_ply_files_have_a_reason(tmp_path: Path, content: str, reason: str) -> None:
    with pytest.raises(ItemFailure) as failure:
        read(tmp_path / "it.ply", content)
    assert failure.value.reason == reason


def test_points_alone_are_named_so(tmp_path: Path) -> None:
    content = (
        "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float f_dc_0\nend_header\n0 0\n"
    )
    with pytest.raises(ItemFailure, match="1 points and no faces") as failure:
        read(tmp_path / "splats.ply", content)
    assert failure.value.reason == "no_faces"


@pytest.mark.parametrize("suffix", [".stl", ".ply", ".obj"])
def test_mutated_files_are_read_or_refused(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(8)
    other = trimesh.creation.box()
    kinds = {".stl": ("stl", "stl_ascii"), ".ply": ("ply",), ".obj": ("obj",)}[suffix]
    contents = [other.export(file_type=kind) for kind in kinds]
    if suffix == ".ply":
        contents.append(other.export(file_type="ply", encoding="ascii"))
    reasons = set()
    for content in contents:
        plain = np.frombuffer(content if isinstance(content, bytes) else content.encode(), np.uint8)
        for _ in range(150):
            changed = plain.copy()
            changed[rng.integers(len(plain), size=rng.integers(1, 8))] = rng.integers(256)
            try:
                (tmp_path / f"it{suffix}").write_bytes(changed.tobytes())
                read_mesh(tmp_path / f"it{suffix}", MeshLimits(faces=1000))
                reasons.add("read")
            except ItemFailure as failure:
                reasons.add(failure.reason)
    assert {"read", "broken_file"} <= reasons


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text,
        lambda text: text.upper(),
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.replace(b"solid", b"solid ear 3 1e5", 1),
        lambda text: text + text,
        lambda text: text.replace(b"endfacet", b"endfacet e", 1),
        lambda text: re.sub(rb"facet normal .*", b"facet normal nan nan nan", text),
        lambda text: re.sub(rb"facet normal .*", b"facet", text),
        lambda text: text + b"comment 3 4 vertex",
    ],
)
def test_text_of_an_stl_is_read_the_same_word_by_word(
    change: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    mesh = piece()
    text = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).export(file_type="stl_ascii").encode()
    content = change(text)
    quick = read_stl(content, Reading(MeshLimits()))
    monkeypatch.setattr(stl, "_read_regular_corners", lambda *arguments: None)
    slow = read_stl(content, Reading(MeshLimits()))
    assert np.array_equal(quick.vertices, slow.vertices) and np.array_equal(quick.faces, slow.faces)
    assert len(quick.faces) == len(mesh.faces) * (1 + (change(b"ab") == b"abab"))


def test_text_of_several_solids_is_read_at_once() -> None:
    mesh = piece()
    text = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).export(file_type="stl_ascii").encode()
    solid = text.lower().replace(b"solid", b"solid part 3 1e5")
    for content in (solid * 3, re.sub(rb"facet normal .*", b"facet", solid) * 3):
        corners = stl._read_regular_corners(content, 3 * len(mesh.faces))
        assert corners is not None
        assert np.allclose(corners.reshape(3, -1, 3), mesh.vertices[mesh.faces].reshape(-1, 3), atol=1e-6)


@pytest.mark.parametrize("odd", [None, np.nan, np.inf, -0.0])
def test_equal_corners_are_found_as_numpy_finds_them(odd: float | None) -> None:
    rows = numpy_generator(0, "corners").integers(-2, 3, (5000, 3)) / 3
    if odd is not None:
        rows[7] = odd
    rows = rows + 0.0
    unique, places = stl._find_unique_rows(rows)
    expected, where = np.unique(rows, axis=0, return_inverse=True)
    assert np.array_equal(unique, expected, equal_nan=True) and np.array_equal(places, where.ravel())
