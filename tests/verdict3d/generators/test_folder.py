"""Finished meshes as a generator: file stem = photo stem, in the folder of the regime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from support.outside import outside
from support.tiny_trellis import tiny_photo
from verdict3d.errors import ItemFailure
from verdict3d.furniture.catalogue import make_furniture
from verdict3d.furniture.part_mesh import mesh_from_parts
from verdict3d.generators.generator import Request
from verdict3d.generators.registry import load_generator
from verdict3d.mesh.files import read_mesh, write_mesh
from verdict3d.mesh.mesh import Mesh, mesh_digest, normalize
from verdict3d.randomness import numpy_generator


def chair(number: int) -> Mesh:
    return mesh_from_parts(make_furniture("chair", numpy_generator(0, "chair", number)))


def ask(root: Path, stem: str, regime: str = "clean", sample: int = 0, **settings: object) -> object:
    settings = {"frame": {"up": "y", "front": "z"}, **settings}
    generator = load_generator(outside(kind="folder", meshes="meshes", **settings), root)
    return generator.generate([Request(tiny_photo(0), 1, stem, regime, sample)])[0]


@pytest.fixture
def meshes(tmp_path: Path) -> Path:
    for number, name in enumerate(("clean/a", "clean/a-2", "clean/b-1", "severe/a", "c")):
        write_mesh(chair(number), tmp_path / f"meshes/{name}.glb")
    (tmp_path / "meshes/clean/broken.glb").write_bytes(b"no mesh")
    return tmp_path


def digest(number: int, root: Path) -> str:
    """Digest of a chair that went through a file."""
    write_mesh(chair(number), root / "again.glb")
    mesh = normalize(read_mesh(root / "again.glb"))
    return mesh_digest(Mesh(mesh.vertices, mesh.faces))


def test_photo_regime_and_sample_name_the_file(meshes: Path) -> None:
    places = [("a", "clean", 0), ("a", "clean", 1), ("b", "clean", 0), ("a", "severe", 0), ("c", "", 0)]
    for number, place in enumerate(places):
        found = ask(meshes, *place)
        assert isinstance(found, Mesh) and mesh_digest(found) == digest(number, meshes)


def test_what_is_missing_or_broken_is_a_failure_of_the_item(meshes: Path) -> None:
    for place, reason in ((("c", "clean", 0), "missing_mesh"), (("a", "severe", 1), "missing_mesh")):
        found = ask(meshes, *place)
        assert isinstance(found, ItemFailure) and found.reason == reason
    broken = ask(meshes, "broken")
    assert isinstance(broken, ItemFailure) and broken.reason != "missing_mesh"


@pytest.mark.parametrize(
    ("frame", "axes"),
    [
        ({"up": "y", "front": "z"}, ("x", "y", "z")),
        ({"up": "y", "front": "x"}, ("-z", "y", "x")),
        ({"up": "y", "front": "-z"}, ("-x", "y", "-z")),
        ({"up": "z", "front": "-y"}, ("x", "z", "-y")),
        ({"up": "z", "front": "x"}, ("y", "z", "x")),
    ],
)
def test_files_of_any_frame_become_one(
    meshes: Path, frame: dict[str, str], axes: tuple[str, str, str]
) -> None:
    """``axes`` are those of the file that point to an object's right hand, up and front, as seen by us."""
    ours = normalize(chair(7)).vertices
    right, up, front = ours[:, 0], ours[:, 2], -ours[:, 1]
    written = np.zeros_like(ours)
    for axis, values in zip(axes, (right, up, front), strict=True):
        written[:, "xyz".index(axis[-1])] = -values if axis.startswith("-") else values
    path = meshes / "meshes/clean/framed.ply"
    rows = [" ".join(map(repr, row)) for row in written.astype(float).tolist()]
    faces = [f"3 {a} {b} {c}" for a, b, c in chair(7).faces.tolist()]
    head = ["ply", "format ascii 1.0", f"element vertex {len(rows)}", *(f"property float {a}" for a in "xyz")]
    head += [f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header"]
    path.write_text("\n".join([*head, *rows, *faces, ""]))
    found = ask(meshes, "framed", frame=frame)
    assert isinstance(found, Mesh)
    assert np.abs(found.vertices - ours).max() < 1e-5


def test_a_surface_that_is_none_is_not_drawn(meshes: Path) -> None:
    bare = ask(meshes, "a")
    assert isinstance(bare, Mesh) and bare.colors is None and bare.texture is None
    coloured = ask(meshes, "a", surface="vertex_colour")
    assert isinstance(coloured, Mesh) and (coloured.colors is not None or coloured.texture is not None)
