"""Reading and writing meshes: round trips, materials, and every way in which a file can be bad."""

from __future__ import annotations

import base64
import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from verdict3d.config_generators import MeshLimits
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.furniture.catalogue import make_furniture, mesh_from_parts
from verdict3d.mesh.files import read_mesh, write_mesh
from verdict3d.mesh.mesh import Mesh, average_face_colors, mesh_digest, normalize
from verdict3d.mesh.writers.glb import encode_glb

TETRAHEDRON = Mesh(
    np.float32([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]),
    np.int32([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]),
    np.uint8([[255, 0, 0], [0, 128, 0], [1, 2, 255], [250, 200, 3]]),
)


def refused(path: Path, limits: MeshLimits | None = None) -> str:
    with pytest.raises(ItemFailure) as caught:
        read_mesh(path, limits)
    assert path.name in str(caught.value)
    return caught.value.reason


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()


def document_of(content: bytes) -> tuple[dict[str, Any], bytes]:
    (length,) = struct.unpack_from("<I", content, 12)
    return json.loads(content[20 : 20 + length]), content[28 + length :]


def glb(document: dict[str, Any], binary: bytes = b"") -> bytes:
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text
    if binary:
        chunks += struct.pack("<II", len(binary), 0x004E4942) + binary
    return struct.pack("<III", 0x46546C67, 2, 12 + len(chunks)) + chunks


def changed(tmp_path: Path, **entries: Any) -> Path:
    """Write the tetrahedron with entries of its glTF document replaced; ``a__0__b`` is ``["a"][0]["b"]``."""
    document, binary = document_of(encode_glb(TETRAHEDRON))
    for name, value in entries.items():
        place: Any = document
        *way, last = (int(key) if key.isdigit() else key for key in name.split("__"))
        for key in way:
            place = place[key]
        place[last] = value
    path = tmp_path / "changed.glb"
    path.write_bytes(glb(document, binary))
    return path


# --- round trips --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".glb", ".ply", ".obj"])
def test_round_trip_keeps_everything_and_bytes_repeat(tmp_path: Path, suffix: str) -> None:
    mesh = mesh_from_parts(make_furniture("chair", np.random.default_rng(1)))
    path = tmp_path / f"chair{suffix}"
    write_mesh(mesh, path)
    first = path.read_bytes()
    write_mesh(mesh, path)
    assert path.read_bytes() == first
    assert mesh_digest(read_mesh(path)) == mesh_digest(mesh)


def test_textured_round_trip_and_colors_at_vertices_elsewhere(tmp_path: Path) -> None:
    texture = np.random.default_rng(0).integers(0, 256, (4, 8, 3)).astype(np.uint8)
    uv = np.float32([[0.05, 0.1], [0.95, 0.1], [0.05, 0.9], [1.3, 0.4]])
    mesh = Mesh(TETRAHEDRON.vertices, TETRAHEDRON.faces, uv=uv, texture=texture)
    write_mesh(mesh, tmp_path / "t.glb")
    assert mesh_digest(read_mesh(tmp_path / "t.glb")) == mesh_digest(mesh)
    write_mesh(mesh, tmp_path / "t.ply")
    colors = read_mesh(tmp_path / "t.ply").colors
    assert colors is not None
    assert colors.tolist() == [
        texture[3, 0].tolist(),
        texture[3, 7].tolist(),
        texture[0, 0].tolist(),
        texture[2, 2].tolist(),
    ]


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_finite_mesh_survives_glb(data: st.DataObject) -> None:
    count = data.draw(st.integers(3, 9))
    numbers = st.floats(-1e6, 1e6, width=32)
    vertices = np.float32(data.draw(st.lists(st.tuples(*[numbers] * 3), min_size=count, max_size=count)))
    corner = st.integers(0, count - 1)
    faces = np.int32(data.draw(st.lists(st.tuples(*[corner] * 3), min_size=1, max_size=9)))
    faces = np.concatenate(
        [faces, np.arange(count, dtype=np.int32)[np.arange(3 * count) % count].reshape(-1, 3)]
    )
    document, binary = document_of(encode_glb(Mesh(vertices, faces)))
    accessor = document["accessors"][0]
    stored = np.frombuffer(binary, "<f4", 3 * count).reshape(-1, 3)
    assert (
        stored[:, 1].tolist() == vertices[:, 2].tolist()
        and stored[:, 2].tolist() == (-vertices[:, 1]).tolist()
    )
    assert accessor["min"] == stored.min(axis=0).tolist() and accessor["max"] == stored.max(axis=0).tolist()


def test_glb_is_y_up_for_other_readers_with_linear_colors(tmp_path: Path) -> None:
    path = tmp_path / "t.glb"
    write_mesh(TETRAHEDRON, path)
    scene = trimesh.load_scene(path)
    assert scene.bounds.tolist() == [[0, 0, -1], [1, 1, 0]]
    (shape,) = scene.geometry.values()
    colors = shape.visual.vertex_attributes["color"]
    assert colors[0].tolist() == [1, 0, 0]
    assert colors[1, 1] == pytest.approx(((128 / 255 + 0.055) / 1.055) ** 2.4)
    assert shape.visual.material.metallicFactor == 0  # the default, 1, would look black


def test_scene_of_another_writer_is_flattened(tmp_path: Path) -> None:
    """Transforms, a mirrored node (its winding is turned back) and two materials."""
    scene = trimesh.Scene()
    first = trimesh.creation.box((1, 1, 1))
    first.visual = trimesh.visual.TextureVisuals(
        material=trimesh.visual.material.PBRMaterial(baseColorFactor=[255, 0, 0, 255])
    )
    second = trimesh.creation.box((1, 1, 1))
    move, mirror = np.eye(4), np.diag([-1.0, 1, 1, 1])
    move[:3, 3] = (0, 3, 0)
    mirror[:3, 3] = (4, 0, 0)
    scene.add_geometry(first, transform=move, geom_name="first")
    scene.add_geometry(second, transform=mirror, geom_name="second")
    path = tmp_path / "scene.glb"
    path.write_bytes(scene.export(file_type="glb"))
    mesh = read_mesh(path)
    assert mesh.vertices.min(axis=0).tolist() == [-0.5, -0.5, -0.5]
    assert mesh.vertices.max(axis=0).tolist() == [4.5, 0.5, 3.5]
    assert mesh.colors is not None and [255, 0, 0] in mesh.colors.tolist()
    assert trimesh.Trimesh(mesh.vertices, mesh.faces, process=True).volume == pytest.approx(2.0)


@pytest.mark.parametrize("wrapped", [False, True])
def test_several_textures_become_an_atlas(tmp_path: Path, wrapped: bool) -> None:
    red, blue = (np.full((16, 16, 3), color, np.uint8) for color in ([255, 0, 0], [0, 0, 255]))
    (tmp_path / "red.png").write_bytes(png(red))
    (tmp_path / "blue.png").write_bytes(png(blue))
    (tmp_path / "two.mtl").write_text(
        "newmtl a\nmap_Kd -s 1 1 1 red.png\nnewmtl b\nmap_Kd blue.png\nnewmtl c\nKd 0 1 0\n"
    )
    far = 3.7 if wrapped else 1
    (tmp_path / "two.obj").write_text(
        "mtllib two.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\n"
        f"vt 0 0\nvt {far} 0\nvt 0 1\nusemtl a\nf 1/1 2/2 3/3\nusemtl b\nf 1/1 2/2 4/3\nusemtl c\nf 1 3 4\n"
    )
    mesh = read_mesh(tmp_path / "two.obj")
    assert mesh.texture is not None
    assert np.rint(average_face_colors(mesh) * 255).tolist() == [[255, 0, 0], [0, 0, 255], [0, 255, 0]]


def test_obj_polygons_relative_indices_and_texture_origin(tmp_path: Path) -> None:
    texture = np.zeros((2, 2, 3), np.uint8)
    texture[0, 0] = 255  # upper left, which in an OBJ is (0, 1)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/t.png").write_bytes(png(texture))
    (tmp_path / "m.mtl").write_text("newmtl m\nmap_Kd sub/t.png\n")
    (tmp_path / "q.obj").write_text(
        "mtllib m.mtl\nusemtl m\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n"
        "f -4/-4 -3/-3 -2/-2 -1/-1 # quad\nv 0 0 5\nvt 0 0\nf 1/1 2/2 -1/-1\n"
    )
    mesh = read_mesh(tmp_path / "q.obj")
    assert mesh.vertices[mesh.faces].tolist() == [
        [[0, 0, 0], [1, 0, 0], [1, 1, 0]],
        [[0, 0, 0], [1, 1, 0], [0, 1, 0]],
        [[0, 0, 0], [1, 0, 0], [0, 0, 5]],
    ]
    assert mesh.uv is not None
    at = mesh.vertices.tolist().index([0, 1, 0])
    assert mesh.uv[at].tolist() == [0, 1]
    write_mesh(mesh, tmp_path / "q.glb")
    document, binary = document_of((tmp_path / "q.glb").read_bytes())
    picture = document["bufferViews"][document["images"][0]["bufferView"]]
    start, length = picture["byteOffset"], picture["byteLength"]
    stored = np.asarray(Image.open(io.BytesIO(binary[start : start + length])))
    assert stored[:, 0, 0].tolist() == [0, 255]  # v = 1, the white pixel, is the lower row in glTF


def test_stl_becomes_connected_and_ply_face_colors_survive(tmp_path: Path) -> None:
    shape = trimesh.creation.box((1, 2, 3))
    shape.export(tmp_path / "b.stl")
    mesh = read_mesh(tmp_path / "b.stl")
    assert mesh.vertices.shape == (8, 3) and mesh.colors is None
    (tmp_path / "f.ply").write_text(
        "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
        "element face 1\nproperty list uchar int vertex_indices\nend_header\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n"
    )
    assert read_mesh(tmp_path / "f.ply").faces.tolist() == [[0, 1, 2]]


def test_normalize_uses_faces_only_and_double_precision() -> None:
    far = np.float32([[1e30, 0, 0]])
    mesh = Mesh(np.concatenate([TETRAHEDRON.vertices * 8 + 1000, far]), TETRAHEDRON.faces)
    result = normalize(mesh).vertices[:4]
    assert result.min(axis=0).tolist() == [-0.5] * 3 and result.max(axis=0).tolist() == [0.5] * 3
    point = Mesh(np.zeros((3, 3), np.float32), np.int32([[0, 1, 2]]))
    with pytest.raises(ItemFailure) as caught:
        normalize(point)
    assert caught.value.reason == "zero_extent"


def test_mesh_refuses_wrong_arrays_and_the_digest_sees_every_field() -> None:
    with pytest.raises(ValueError, match="faces is int64"):
        Mesh(TETRAHEDRON.vertices, TETRAHEDRON.faces.astype(np.int64))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="colors"):
        Mesh(TETRAHEDRON.vertices, TETRAHEDRON.faces, TETRAHEDRON.colors[:2])  # type: ignore[index]
    with pytest.raises(ValueError, match="together"):
        Mesh(TETRAHEDRON.vertices, TETRAHEDRON.faces, uv=np.zeros((4, 2), np.float32))
    plain = Mesh(TETRAHEDRON.vertices, TETRAHEDRON.faces)
    turned = Mesh(TETRAHEDRON.vertices, TETRAHEDRON.faces[:, ::-1].copy())
    assert len({mesh_digest(mesh) for mesh in (TETRAHEDRON, plain, turned)}) == 3


def test_only_known_suffixes_and_meshes_with_faces_are_written(tmp_path: Path) -> None:
    with pytest.raises(Verdict3DError, match=r"\.glb"):
        write_mesh(TETRAHEDRON, tmp_path / "t.stl")
    empty = Mesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32))
    with pytest.raises(ItemFailure):
        write_mesh(empty, tmp_path / "t.glb")
    assert list(tmp_path.iterdir()) == []


# --- bad files ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [KeyError("own"), TypeError("own"), ValueError("own"), AttributeError("own")]
)
def test_a_mistake_of_our_own_is_not_the_fault_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    path = tmp_path / "good.glb"
    write_mesh(TETRAHEDRON, path)

    def fail(*_: object) -> Mesh:
        raise error

    monkeypatch.setattr("verdict3d.mesh.files.merge_pieces", fail)
    with pytest.raises(type(error), match="own"):
        read_mesh(path)


def test_a_message_is_the_same_each_time(tmp_path: Path) -> None:
    """What is written to the quarantine must not hold the address of an object."""
    text = "mtllib a.mtl\nusemtl m\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nf 1/1 2/1 3/1\n"
    (tmp_path / "a.mtl").write_text("newmtl m\nmap_Kd a.png\n")
    (tmp_path / "a.png").write_bytes(b"GIF89a or anything else")
    (tmp_path / "a.obj").write_text(text)
    said = {read_mesh(tmp_path / "a.obj", up_axis="z").notes[0].text for _ in range(2)}
    assert len(said) == 1 and " at 0x" not in said.pop()


def test_missing_and_unknown_files(tmp_path: Path) -> None:
    assert refused(tmp_path / "no.glb") == "missing_file"
    (tmp_path / "a.fbx").write_bytes(b"x")
    assert refused(tmp_path / "a.fbx") == "unsupported_format"


@pytest.mark.parametrize("suffix", [".glb", ".obj", ".ply", ".stl"])
def test_empty_and_random_bytes(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"bad{suffix}"
    for content in (b"", b"\0", b"\xff" * 500, b"solid\n", np.random.default_rng(0).bytes(3000)):
        path.write_bytes(content)
        assert refused(path) in ("broken_file", "no_faces", "too_many_faces")


@pytest.mark.parametrize("suffix", [".glb", ".ply", ".stl"])
def test_every_truncation_fails_cleanly(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"whole{suffix}"
    if suffix == ".stl":
        trimesh.Trimesh(TETRAHEDRON.vertices, TETRAHEDRON.faces, process=False).export(path)
    else:
        write_mesh(TETRAHEDRON, path)
    content = path.read_bytes()
    for length in range(0, len(content) - 4, 7):
        path.write_bytes(content[:length])
        assert refused(path) in ("broken_file", "no_faces", "index_out_of_range")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_flipped_bytes_of_a_glb_never_crash(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(encode_glb(TETRAHEDRON))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("flip") / "flip.glb"
    path.write_bytes(bytes(content))
    try:
        mesh = read_mesh(path)
    except ItemFailure as failure:
        assert failure.reason
    else:
        assert np.isfinite(mesh.vertices).all() and mesh.faces.max() < len(mesh.vertices)


def test_limits_are_checked_before_work_is_done(tmp_path: Path) -> None:
    mesh = mesh_from_parts(make_furniture("sofa", np.random.default_rng(0)))
    for suffix in (".glb", ".ply", ".obj"):
        path = tmp_path / f"sofa{suffix}"
        write_mesh(mesh, path)
        assert refused(path, MeshLimits(faces=100)) == "too_many_faces"
        assert refused(path, MeshLimits(file_mib=0.01)) == "file_too_large"
    announced = tmp_path / "huge.ply"
    announced.write_bytes(
        (tmp_path / "sofa.ply").read_bytes().replace(b"element face ", b"element face 9999999")
    )
    assert refused(announced) == "too_many_faces"
    stl = tmp_path / "huge.stl"
    stl.write_bytes(b"\0" * 80 + struct.pack("<I", 2**32 - 1) + b"\0" * 50)
    assert refused(stl) == "too_many_faces"
    assert refused(changed(tmp_path, accessors__2__count=10**12)) == "too_many_faces"
    assert refused(changed(tmp_path, accessors__2__count=10**5)) == "broken_file"


def test_one_mesh_used_by_many_nodes_counts_every_time(tmp_path: Path) -> None:
    nodes = [{"mesh": 0} for _ in range(1000)]
    path = changed(tmp_path, nodes=nodes, scenes__0__nodes=list(range(1000)))
    assert len(read_mesh(path).faces) == 4000
    assert refused(path, MeshLimits(faces=3999)) == "too_many_faces"


def test_node_loops_and_bad_indices(tmp_path: Path) -> None:
    assert refused(changed(tmp_path, nodes=[{"mesh": 0, "children": [0]}])) == "broken_file"
    assert refused(changed(tmp_path, scenes__0__nodes=[-1])) == "broken_file"
    assert refused(changed(tmp_path, scenes__0__nodes=[7])) == "broken_file"
    assert refused(changed(tmp_path, bufferViews__0__byteOffset=-4)) == "broken_file"
    assert refused(changed(tmp_path, bufferViews__0__byteLength=10**9)) == "broken_file"
    assert refused(changed(tmp_path, accessors__0__componentType=1)) == "broken_file"
    assert refused(changed(tmp_path, meshes__0__primitives=[])) == "no_faces"
    assert refused(changed(tmp_path, meshes__0__primitives__0__mode=1)) == "no_faces"
    assert refused(changed(tmp_path, extensionsRequired=["EXT_folded_space"])) == "unsupported_feature"
    assert refused(changed(tmp_path, nodes=[{"mesh": 0, "scale": [float("1e39")] * 3}])) == "non_finite"


def test_arrays_that_do_not_belong_together(tmp_path: Path) -> None:
    """Three colours for four vertices, and a face that names the fourth of three vertices."""
    assert refused(changed(tmp_path, accessors__1__count=3)) == "broken_file"
    assert refused(changed(tmp_path, accessors__0__count=3)) == "index_out_of_range"


def test_glb_with_a_vertex_out_of_range_or_not_a_number(tmp_path: Path) -> None:
    document, binary = document_of(encode_glb(TETRAHEDRON))
    view = document["bufferViews"][document["meshes"][0]["primitives"][0]["indices"]]
    content = bytearray(binary)
    struct.pack_into("<I", content, view["byteOffset"], 99)
    path = tmp_path / "bad.glb"
    path.write_bytes(glb(document, bytes(content)))
    assert refused(path) == "index_out_of_range"
    content = bytearray(binary)
    struct.pack_into("<f", content, 0, float("nan"))
    path.write_bytes(glb(document, bytes(content)))
    assert refused(path) == "non_finite"


@pytest.mark.parametrize(
    "uri",
    ["../secret.bin", "%2e%2e/secret.bin", "file:///etc/passwd", "http://example.org/x", "/x.bin", "a.txt"],
)
def test_a_glb_may_not_refer_to_a_file_elsewhere(tmp_path: Path, uri: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.bin").write_bytes(b"\0" * 100000)
    (tmp_path / "in/a.txt").write_bytes(b"\0" * 100000)
    assert refused(changed(tmp_path / "in", buffers__0__uri=uri)) == "external_reference"


def test_a_glb_may_hold_its_buffer_as_data(tmp_path: Path) -> None:
    document, binary = document_of(encode_glb(TETRAHEDRON))
    document["buffers"][0]["uri"] = (
        "data:application/octet-stream;base64," + base64.b64encode(binary).decode()
    )
    (tmp_path / "d.glb").write_bytes(glb(document))
    assert mesh_digest(read_mesh(tmp_path / "d.glb")) == mesh_digest(TETRAHEDRON)


TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\n"


@pytest.mark.parametrize(
    "reference",
    [
        "../out.mtl",
        "/etc/passwd",
        "sub/../../out.mtl",
        "..\\out.mtl",
        "C:\\out.mtl",
        "link.mtl",
        "http://x/o.mtl",
        "a.txt",
    ],
)
def test_an_obj_never_opens_a_material_outside_its_folder(tmp_path: Path, reference: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "out.mtl").write_text("newmtl m\nKd 1 0 0\n")
    (folder / "link.mtl").symlink_to(tmp_path / "out.mtl")
    (folder / "a.txt").write_text("newmtl m\n")
    (folder / "t.obj").write_text(f"mtllib {reference}\n{TRIANGLE}usemtl m\nf 1 2 3\n")
    assert refused(folder / "t.obj", MeshLimits(refuse_untextured=True)) == "external_reference"
    mesh = read_mesh(folder / "t.obj", up_axis="z")
    assert mesh.colors is None and mesh.notes[0].text.startswith("external_reference: refers to ")


def test_textures_of_an_obj(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "out.png").write_bytes(png(np.zeros((4, 4, 3), np.uint8)))
    (folder / "wide.png").write_bytes(png(np.zeros((64, 64, 3), np.uint8)))
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    (folder / "torn.png").write_bytes(png(noise)[:400])
    (folder / "t.obj").write_text(f"mtllib t.mtl\n{TRIANGLE}vt 0 0\nusemtl m\nf 1/1 2/1 3/1\n")
    limits = MeshLimits(texture_px=32, refuse_untextured=True)
    for name, reason in {
        "../out.png": "external_reference",
        "gone.png": "missing_reference",
        "wide.png": "texture_too_large",
        "torn.png": "broken_texture",
    }.items():
        (folder / "t.mtl").write_text(f"newmtl m\nmap_Kd {name}\n")
        assert refused(folder / "t.obj", limits) == reason
        mesh = read_mesh(folder / "t.obj", MeshLimits(texture_px=32), up_axis="z")
        assert mesh.texture is None and [note.kind for note in mesh.notes] == ["untextured"]
        assert mesh.notes[0].text.startswith(f"{reason}: ")
    (folder / "t.mtl").unlink()
    assert refused(folder / "t.obj", limits) == "missing_reference"


def test_a_ply_texture_follows_the_same_rule(tmp_path: Path) -> None:
    text = (
        "ply\nformat ascii 1.0\ncomment TextureFile {}\nelement vertex 3\n"
        "property float x\nproperty float y\nproperty float z\nproperty float s\nproperty float t\n"
        "element face 1\nproperty list uchar int vertex_indices\nend_header\n"
        "0 0 0 0 0\n1 0 0 1 0\n0 1 0 0 1\n3 0 1 2\n"
    )
    (tmp_path / "t.ply").write_text(text.format("../t.png"))
    assert refused(tmp_path / "t.ply", MeshLimits(refuse_untextured=True)) == "external_reference"
    assert read_mesh(tmp_path / "t.ply").notes[0].kind == "untextured"
    (tmp_path / "t.png").write_bytes(png(np.full((2, 2, 3), 7, np.uint8)))
    (tmp_path / "t.ply").write_text(text.format("t.png"))
    mesh = read_mesh(tmp_path / "t.ply")
    assert mesh.texture is not None and mesh.texture.shape == (2, 2, 3)
    assert mesh.uv is not None and mesh.uv.tolist() == [[0, 0], [1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (TRIANGLE, "no_faces"),
        (TRIANGLE + "f 1 2\n", "no_faces"),
        (TRIANGLE + "f 1 2 4\n", "index_out_of_range"),
        (TRIANGLE + "f 0 1 2\n", "index_out_of_range"),
        (TRIANGLE + "f -4 1 2\n", "index_out_of_range"),
        (TRIANGLE + "f 1 2 x\n", "broken_file"),
        ("v 0 0\n" + TRIANGLE + "f 1 2 3\n", "broken_file"),
        (TRIANGLE.replace("1", "nan") + "f 1 2 3\n", "non_finite"),
        (TRIANGLE.replace("1", "1e300") + "f 1 2 3\n", "non_finite"),
        (TRIANGLE + "f 1 2 9" + "9" * 30 + "\n", "broken_file"),
    ],
)
def test_bad_obj_text(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "bad.obj").write_text(text)
    assert refused(tmp_path / "bad.obj") == reason
