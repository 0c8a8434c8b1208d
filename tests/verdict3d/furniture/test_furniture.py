"""Furniture: determinism, frame, closed parts, connected objects, variety, and the distance field."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

from verdict3d.errors import Verdict3DError
from verdict3d.furniture.catalogue import CATEGORIES, World, make_furniture
from verdict3d.furniture.outlines import arc, ball, band, ellipse, turn_sideways
from verdict3d.furniture.part_mesh import mesh_from_parts
from verdict3d.furniture.parts import (
    MIN_HALF_THICKNESS,
    Part,
    bar,
    box,
    lathe,
    measure_bounds,
    normalize_parts,
    prism,
    rod,
    turn,
)
from verdict3d.furniture.patterns import checked
from verdict3d.mesh.sampling import sample_surface
from verdict3d.pretrain.sdf import find_nearest_color, measure_parts, pack_parts, signed_distance

RED, BLUE = np.array([200, 20, 10], np.uint8), np.array([10, 20, 200], np.uint8)
SEEDS = range(8)


PIECES = [f"{world} {category}" for world in get_args(World) for category in CATEGORIES]


def draw(piece: str, seed: int) -> tuple[Part, ...]:
    world, category = piece.split()
    return make_furniture(category, np.random.default_rng([CATEGORIES.index(category), seed]), world)


def as_trimesh(parts: tuple[Part, ...] | list[Part]) -> trimesh.Trimesh:
    mesh = mesh_from_parts(parts)
    return trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)


def test_ten_categories_and_a_clear_message_for_others() -> None:
    assert len(CATEGORIES) == len(set(CATEGORIES)) == 10
    with pytest.raises(Verdict3DError, match=r"wardrobe.*chair"):
        make_furniture("wardrobe", np.random.default_rng(0))


@pytest.mark.parametrize("category", PIECES)
def test_same_generator_state_gives_same_mesh(category: str) -> None:
    first, again, other = (mesh_from_parts(draw(category, seed)) for seed in (3, 3, 4))
    assert first.vertices.tobytes() == again.vertices.tobytes()
    assert first.faces.tobytes() == again.faces.tobytes()
    assert first.colors is not None and again.colors is not None
    assert first.colors.tobytes() == again.colors.tobytes()
    assert first.vertices.tobytes() != other.vertices.tobytes()


@pytest.mark.parametrize("category", PIECES)
def test_objects_are_normalised_closed_and_not_thin(category: str) -> None:
    for seed in SEEDS:
        parts = draw(category, seed)
        low, high = measure_bounds(parts)
        assert (high - low).max() == pytest.approx(1.0)
        assert np.abs(low + high).max() < 1e-9
        for part in parts:
            assert part.half_size.min() >= MIN_HALF_THICKNESS - 1e-9
            assert part.half_size[:2].min() * part.taper >= 0.9 * MIN_HALF_THICKNESS
            assert part.rotation @ part.rotation.T == pytest.approx(np.eye(3), abs=1e-9)
            assert np.linalg.det(part.rotation) == pytest.approx(1.0)
            assert 0 < part.taper <= 1 and 0 <= part.rounding < part.half_size.min()
        shells = as_trimesh(parts)
        assert shells.is_watertight and shells.is_winding_consistent
        assert all(shell.volume > 0 for shell in shells.split(only_watertight=False))
        assert 24 <= len(shells.faces) <= 6000
        assert np.abs(shells.bounds).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("category", PIECES)
def test_no_part_floats(category: str) -> None:
    for seed in SEEDS:
        parts = draw(category, seed)
        rng = np.random.default_rng(0)
        inner = np.stack([_points_inside(part, rng) for part in parts])
        points = torch.tensor(inner.reshape(1, -1, 3), dtype=torch.float32)
        touches = np.stack(
            [
                signed_distance(points, pack_parts([[part]])).reshape(len(parts), -1).amin(1).numpy() < 6e-3
                for part in parts
            ]
        )
        count, _ = connected_components(touches | touches.T)
        assert count == 1, f"{category} {seed} falls apart"


def _points_inside(part: Part, rng: np.random.Generator) -> np.ndarray:
    """Return points of the part: some of its corners, and of its faces."""
    shell = mesh_from_parts([part])
    corners = shell.vertices[shell.faces[rng.integers(len(shell.faces), size=1000)]]
    spread = (corners * rng.dirichlet((0.5, 0.5, 0.5), size=1000)[..., None]).sum(axis=1)
    return np.concatenate([spread, shell.vertices[rng.integers(len(shell.vertices), size=200)]])


@pytest.mark.parametrize("category", PIECES)
def test_objects_stand_on_the_floor_with_several_colors(category: str) -> None:
    several = 0
    for seed in SEEDS:
        parts = draw(category, seed)
        assert measure_bounds(parts)[0, 2] == pytest.approx(measure_bounds([_lowest(parts)])[0, 2])
        several += len({part.color.tobytes() for part in parts}) > 1
    assert several >= len(SEEDS) // 2


def _lowest(parts: tuple[Part, ...]) -> Part:
    return min(parts, key=lambda part: float(measure_bounds([part])[0, 2]))


def _occupancy(category: str, seed: int, grid: torch.Tensor) -> torch.Tensor:
    return signed_distance(grid, pack_parts([draw(category, seed)]))[0] < 0


@pytest.mark.parametrize("world, least", [("usual", 0.45), ("free", 0.18)])
def test_categories_are_told_apart_by_their_shape(world: World, least: float) -> None:
    """A nearest-mean rule on coarse occupancy recognises more unseen objects than chance: forms are many."""
    axis = (torch.arange(12) + 0.5) / 12 - 0.5
    grid = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).reshape(1, -1, 3)
    known = torch.stack(
        [
            torch.stack([_occupancy(f"{world} {name}", seed, grid).float() for seed in range(24)]).mean(0)
            for name in CATEGORIES
        ]
    )
    hits = []
    for number, name in enumerate(CATEGORIES):
        for seed in range(100, 106):
            seen = _occupancy(f"{world} {name}", seed, grid).float()
            hits.append(int((known - seen).square().sum(1).argmin()) == number)
    assert np.mean(hits) > least  # by chance 0.1


@pytest.mark.parametrize("category", PIECES)
def test_surface_lies_on_the_zero_of_the_distance(category: str) -> None:
    for seed in range(4):
        parts = draw(category, seed)
        points, _ = sample_surface(mesh_from_parts(parts), 1500, np.random.default_rng(0))
        distance = signed_distance(torch.from_numpy(points)[None], pack_parts([parts]))[0]
        assert distance.max() < 1e-3
        for part in parts:
            alone, _ = sample_surface(mesh_from_parts([part]), 100, np.random.default_rng(0))
            assert signed_distance(torch.from_numpy(alone)[None], pack_parts([[part]])).abs().max() < 1e-3


SOLIDS = {
    "box": box((0.1, -0.2, 0.05), (0.5, 0.3, 0.2), RED),
    "rounded": box((0.0, 0.1, 0.0), (0.6, 0.4, 0.2), RED, 0.06),
    "cylinder": rod((0.1, 0.0, -0.3), (-0.2, 0.1, 0.3), 0.1, RED),
    "cone": rod((0.1, 0.0, -0.3), (-0.2, 0.1, 0.3), 0.06, RED, 0.2),
    "bar": bar((0.0, 0.1, -0.3), (0.1, -0.1, 0.3), 0.1, RED, 0.06),
    "ellipse": prism(ellipse(0.6, 0.4), -0.1, 0.2, RED),
    "bent sheet": turn_sideways(band([(-0.3, -0.3), (0.2, -0.2), (0.3, 0.4)], 0.1), -0.2, 0.1, RED),
    "curved wall": prism(arc(0.8, 0.6, 0.12, -20, 230), -0.2, 0.1, RED),
    "vase": lathe([(0.1, -0.4), (0.3, -0.1), (0.08, 0.2), (0.2, 0.4)], RED, axis=(0.1, 0.0)),
    "ball": lathe(ball(0.3, -0.3, 0.3, 15), RED),
}
CONVEX = ("box", "rounded", "cylinder", "cone", "bar", "ellipse", "ball")


@pytest.mark.parametrize("name", SOLIDS)
def test_distance_agrees_with_the_triangles_everywhere(name: str) -> None:
    """Oracle: distance to every triangle, and the side of every face."""
    part = turn([SOLIDS[name]], "x", 20)[0]
    shell = as_trimesh([part])
    points = np.random.default_rng(0).uniform(-0.6, 0.6, (300, 3))
    corners = np.repeat(shell.triangles[None], len(points), axis=0).reshape(-1, 3, 3)
    nearest = trimesh.triangles.closest_point(corners, np.repeat(points, len(shell.faces), axis=0))
    distance = np.linalg.norm(nearest.reshape(len(points), -1, 3) - points[:, None], axis=2).min(axis=1)
    beyond = np.einsum("nfk,fk->nf", points[:, None] - shell.triangles[:, 0], shell.face_normals)
    inside = (beyond < 0).all(axis=1) if name in CONVEX else _winding(shell, points) > 0.5
    value = signed_distance(torch.tensor(points[None], dtype=torch.float32), pack_parts([[part]]))[0].numpy()
    assert ((value < 0) == inside)[distance > 2e-3].all()
    near = distance < 0.03 if name == "bar" else np.ones(len(points), dtype=bool)
    assert np.abs(np.abs(value) - distance)[near].max() < 2e-3


def _winding(shell: trimesh.Trimesh, points: np.ndarray) -> np.ndarray:
    """Return how often the shell goes around each point: the solid angle of its triangles over 4 pi."""
    a, b, c = (shell.triangles[None, :, i] - points[:, None] for i in range(3))
    la, lb, lc = (np.linalg.norm(corner, axis=2) for corner in (a, b, c))
    over = np.einsum("nfk,nfk->nf", a, np.cross(b, c))
    dots = (np.einsum("nfk,nfk->nf", x, y) for x, y in ((a, b), (b, c), (c, a)))
    ab, bc, ca = dots
    return np.arctan2(over, la * lb * lc + ab * lc + bc * la + ca * lb).sum(axis=1) / (2 * np.pi)


def test_no_sheet_is_thinner_than_the_grid_sees() -> None:
    """Every outline is at some place as deep as the thinnest part, and squeezed bands are widened."""
    for category in PIECES:
        for seed in SEEDS:
            for part in draw(category, seed):
                if part.outline is not None:
                    inner = _points_inside(part, np.random.default_rng(1))
                    tight = (inner[:600] + inner[600:]) / 2
                    points = torch.tensor(
                        np.concatenate([tight, part.center[None]])[None], dtype=torch.float32
                    )
                    assert signed_distance(points, pack_parts([[part]])).min() < -0.5 * MIN_HALF_THICKNESS
    sheet = turn_sideways(band([(-50, 0), (0, 0), (0, 80)], 0.5), -20, 20, RED)
    (wide,) = normalize_parts([sheet])
    assert wide.outline is not None
    flat = wide.outline * wide.half_size[:2]
    assert np.linalg.norm(flat - flat[::-1], axis=1).min() >= 0.95 * 2 * MIN_HALF_THICKNESS


@pytest.mark.parametrize("name", ["bent sheet", "curved wall", "vase"])
def test_reach_of_outlines_is_that_of_their_corners(name: str) -> None:
    part = turn(turn([SOLIDS[name]], "x", 20), "z", 50)[0]
    assert np.abs(as_trimesh([part]).bounds - measure_bounds([part])).max() < 0.01


def test_stripes_and_checks_fill_their_box() -> None:
    fields = checked((0, 0, 0), (1.0, 0.2, 0.6), (4, 3), (RED, BLUE))
    assert len(fields) == 12 and measure_bounds(fields) == pytest.approx(
        np.array([[-0.5, -0.1, -0.3], [0.5, 0.1, 0.3]])
    )
    assert sum(8 * float(part.half_size.prod()) for part in fields) == pytest.approx(0.12)
    assert sum(bool((part.color == RED).all()) for part in fields) == 6


def test_distance_of_hand_placed_solids() -> None:
    parts = [box((0, 0, 0), (1, 1, 1), RED), rod((2, 0, -1), (2, 0, 1), 0.5, BLUE)]
    points = torch.tensor([[[0.0, 0, 0], [0, 0, 1.5], [-1.5, 1.5, 0.5], [2, 0, 0], [2, 0, 3], [1, 0, 0]]])
    distance, color = measure_parts(points, pack_parts([parts]))
    assert distance[0].tolist() == pytest.approx([-0.5, 1.0, 2**0.5, -0.5, 2.0, 0.5], abs=1e-5)
    assert color[0, :5].tolist() == [RED.tolist()] * 3 + [BLUE.tolist()] * 2
    assert find_nearest_color(points, pack_parts([parts])).equal(color)


def test_batches_do_not_mix_and_padding_is_invisible() -> None:
    objects = [draw(name, 1) for name in PIECES[:4]] + [()]
    points = torch.rand(5, 200, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    together = signed_distance(points, pack_parts(objects))
    for row, parts in enumerate(objects[:-1]):
        alone = signed_distance(points[row : row + 1], pack_parts([parts]))
        assert torch.allclose(together[row], alone[0], atol=1e-6)
    assert (together[-1] > 100).all()


@settings(max_examples=30, deadline=None)
@given(
    half=st.tuples(*[st.floats(0.02, 0.5)] * 3),
    rounding=st.floats(0, 0.07),
    angle=st.floats(-180, 180),
    axis=st.sampled_from(["x", "y", "z"]),
)
def test_reach_of_turned_boxes_is_that_of_their_corners(
    half: tuple[float, float, float], rounding: float, angle: float, axis: str
) -> None:
    solid = box((0.1, 0.2, 0.3), np.array(half) * 2, RED, rounding)
    part = turn([solid], axis, angle)[0]  # type: ignore[arg-type]
    reach, shell = measure_bounds([part]), as_trimesh([part])
    assert shell.is_watertight and shell.volume > 0
    assert (shell.bounds[0] >= reach[0] - 1e-6).all() and (shell.bounds[1] <= reach[1] + 1e-6).all()
    assert np.abs(shell.bounds - reach).max() < (1e-6 if part.kind == "box" else 0.02)
