"""The same faces give the same picture, in whatever order a file lists them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from support.solids import box, join, sphere
from verdict3d.mesh.mesh import Mesh
from verdict3d.render.order import order_faces
from verdict3d.render.renderer import Renderer
from verdict3d.render.rig import Camera

MODES = ("normal", "clay", "rgb", "splat")


@pytest.fixture(scope="module")
def renderer():
    made = Renderer()
    yield made
    made.release()


def reversed_faces(mesh: Mesh) -> Mesh:
    return replace(mesh, faces=np.ascontiguousarray(mesh.faces[::-1]))


def resaved(mesh: Mesh, seed: int) -> Mesh:
    """The same triangles: vertices and faces in other places, faces that begin at another corner."""
    rng = np.random.default_rng(seed)
    at, turns = rng.permutation(len(mesh.vertices)), rng.integers(3, size=len(mesh.faces))
    faces = np.argsort(at)[mesh.faces].astype(np.int32)
    faces = np.take_along_axis(faces, (turns[:, None] + np.arange(3)) % 3, axis=1)
    return replace(
        mesh,
        vertices=mesh.vertices[at],
        faces=np.ascontiguousarray(rng.permutation(faces)),
        colors=None if mesh.colors is None else mesh.colors[at],
    )


def inside_out(mesh: Mesh) -> Mesh:
    return replace(mesh, faces=np.ascontiguousarray(mesh.faces[:, [0, 2, 1]]))


def shade(other_diagonal: bool = False) -> tuple[Mesh, Mesh]:
    """An open cone of quads, and the same quads seen from inside, cut along one diagonal or the other."""
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ring = np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1)
    vertices = np.concatenate([ring * 0.5, ring * 0.3 + [0, 0, 0.6]]).astype(np.float32)
    i, j = np.arange(24), (np.arange(24) + 1) % 24
    one = np.concatenate([np.stack([i, j, i + 24], 1), np.stack([j, j + 24, i + 24], 1)])
    two = np.concatenate([np.stack([i, j, j + 24], 1), np.stack([i, j + 24, i + 24], 1)])
    inside = (two if other_diagonal else one)[:, [0, 2, 1]]
    return Mesh(vertices, one.astype(np.int32)), Mesh(vertices, np.ascontiguousarray(inside, dtype=np.int32))


def painted(mesh: Mesh, *color: int) -> Mesh:
    return replace(mesh, colors=np.tile(np.array(color, np.uint8), (len(mesh.vertices), 1)))


def shelf() -> Mesh:
    """Boards that touch, overlap and lie in one plane, some of them twice in another colour."""
    colors = ((200, 40, 40), (40, 200, 40), (40, 40, 200), (200, 200, 40), (10, 10, 10))
    boards = [
        box((1, 0.4, 0.1), (0, 0, 0)),
        box((0.1, 0.4, 1), (0.45, 0, 0.45)),
        box((0.5, 0.4, 0.1), (0.3, 0, 0)),  # inside the first, three of its sides coplanar
        box((1, 0.4, 0.1), (0, 0, 0)),
        inside_out(box((0.1, 0.4, 1), (0.45, 0, 0.45))),
    ]
    parts = [painted(board, *color) for board, color in zip(boards, colors, strict=True)]
    return replace(join(*parts), colors=np.concatenate([part.colors for part in parts]))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("subject", ["shelf", "back to back", "sphere"])
def test_the_order_of_faces_changes_no_pixel(renderer, mode, subject):
    mesh = {"shelf": shelf(), "back to back": join(*shade()), "sphere": sphere(3)}[subject]
    expected = renderer.montage(mesh, mode, 96)
    for other in (reversed_faces(mesh), resaved(mesh, 1), resaved(mesh, 2)):
        np.testing.assert_array_equal(renderer.montage(other, mode, 96), expected)


@pytest.mark.parametrize("other_diagonal", [False, True])
def test_of_faces_back_to_back_the_one_that_looks_at_the_camera_is_seen(renderer, other_diagonal):
    outside, inside = shade(other_diagonal)
    assert (renderer.montage(outside, "normal", 96)[..., 2] < 120).any()  # one sheet alone shows its back
    first, second = (
        renderer.montage(mesh, "normal", 96) for mesh in (join(outside, inside), join(inside, outside))
    )
    assert (first[..., 2] >= 127).all()
    np.testing.assert_array_equal(first, second)


def test_a_thin_plate_still_has_two_sides(renderer):
    """What lies behind by a twothousandth of the object is not taken as coincident."""
    plate = box((1, 0.0005, 1))
    front = renderer.render(plate, Camera(20, 10), "normal", 64)[32, 32].astype(int)
    turned = renderer.render(inside_out(plate), Camera(20, 10), "normal", 64)[32, 32].astype(int)
    assert front[2] > 200 and turned[2] < 56


def test_of_equal_faces_the_brighter_is_seen_at_any_size_and_place(renderer):
    dark, bright = painted(sphere(2), 40, 0, 0), painted(sphere(2), 0, 250, 0)
    both = replace(join(dark, bright), colors=np.concatenate([dark.colors, bright.colors]))
    expected = renderer.montage(bright, "rgb", 48)
    for scale in (1.0, 0.37, 113.0):
        moved = replace(both, vertices=(both.vertices * scale + scale).astype(np.float32))
        picture = renderer.montage(moved, "rgb", 48).astype(int)
        shown = picture[(picture < 250).any(axis=-1)]
        assert (shown[:, 0] <= shown[:, 1]).all()
    np.testing.assert_array_equal(renderer.montage(both, "rgb", 48), expected)


def test_ordering_keeps_every_face_and_its_winding():
    mesh = resaved(shelf(), 3)

    def triangles(one: Mesh) -> list[bytes]:
        corners = np.concatenate([one.vertices[one.faces], one.colors[one.faces]], axis=2)
        first = [min(range(3), key=lambda at, rows=rows: rows[at].tobytes()) for rows in corners]
        return sorted(np.roll(rows, -at, axis=0).tobytes() for rows, at in zip(corners, first, strict=True))

    assert triangles(order_faces(mesh)) == triangles(mesh)
    np.testing.assert_array_equal(order_faces(mesh).vertices, mesh.vertices)


@pytest.mark.parametrize("mode", ["normal", "clay"])
def test_rounded_places_of_coincident_faces_change_hardly_a_pixel(renderer, mode):
    """As programs do that keep positions as whole numbers of 14 bits."""
    for mesh in (shelf(), join(*shade()), join(*shade(other_diagonal=True))):
        low, side = mesh.vertices.min(axis=0), np.ptp(mesh.vertices, axis=0).max()
        whole = np.rint((mesh.vertices - low) / side * (2**14 - 1))
        rounded = replace(mesh, vertices=(whole / (2**14 - 1) * side + low).astype(np.float32))
        assert not np.array_equal(rounded.vertices, mesh.vertices)
        expected, found = (renderer.montage(one, mode, 160).astype(int) for one in (mesh, rounded))
        drawn = (expected < 250).any(axis=-1)
        assert (np.abs(expected - found).max(axis=-1) > 24).sum() < 0.005 * drawn.sum()
