"""Mesh extraction against recordings of the reference and against known solids."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from support.places import GOLDENS
from verdict3d.trellis.flexicubes_tables import EDGES, list_corner_offsets, list_quad_corners, make_tables
from verdict3d.trellis.mesh_extraction import extract_meshes


@pytest.fixture(scope="module")
def recording() -> dict[str, torch.Tensor]:
    return load_file(GOLDENS / "mesh_extract.safetensors")


def sphere(
    n: int, radius: float, centre: tuple[float, float, float] = (0, 0, 0), band: float = 3.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cubes of a ball and ``band`` cells around it, and features whose sdf is exact, bias undone.

    (A hollow set would get an inner surface: grid vertices without an active cube count as outside.)
    """
    cubes = torch.stack(torch.meshgrid(*[torch.arange(n)] * 3, indexing="ij"), dim=-1).reshape(-1, 3)
    offset = torch.tensor(centre, dtype=torch.float32)
    near = (((cubes + 0.5) / n - 0.5 - offset).norm(dim=1) - radius) < band / n
    cubes = cubes[near]
    corners = (cubes[:, None] + torch.from_numpy(list_corner_offsets())) / n - 0.5 - offset
    features = torch.zeros(len(cubes), 101)
    features[:, :8] = corners.norm(dim=2) - radius + 1 / n
    return torch.cat([torch.zeros_like(cubes[:, :1]), cubes], dim=1).int(), features


def test_equals_the_recorded_reference(recording: dict[str, torch.Tensor]) -> None:
    (mesh,) = extract_meshes(recording["in.coords"], recording["in.feats"], 12)
    assert torch.equal(mesh.faces, recording["out.eval.faces"].long())
    torch.testing.assert_close(mesh.vertices, recording["out.eval.vertices"], atol=2e-5, rtol=0)
    torch.testing.assert_close(mesh.attributes, recording["out.eval.vertex_attrs"], atol=2e-5, rtol=0)


def test_equals_the_recorded_meshes_of_a_batch() -> None:
    recorded = load_file(GOLDENS / "slat_mesh_decoder.safetensors")
    meshes = extract_meshes(recorded["out.coords"], recorded["out.feats"], 32)
    assert len(meshes) == 2
    for item, mesh in enumerate(meshes):
        assert torch.equal(mesh.faces, recorded[f"out.mesh{item}.faces"].long())
        torch.testing.assert_close(mesh.vertices, recorded[f"out.mesh{item}.vertices"], atol=2e-5, rtol=0)
        torch.testing.assert_close(
            mesh.attributes, recorded[f"out.mesh{item}.vertex_attrs"], atol=2e-5, rtol=0
        )


def test_tables_are_consistent() -> None:
    tables = make_tables()
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    edges = np.array(EDGES)
    crossing = bits[:, edges[:, 0]] != bits[:, edges[:, 1]]
    assert np.array_equal(tables.edge_group >= 0, crossing)
    assert tables.groups[0] == tables.groups[255] == 0
    assert np.array_equal(tables.groups, tables.edge_group.max(axis=1) + 1)
    sizes = (tables.group_edges >= 0).sum(axis=(1, 2))
    assert np.array_equal(sizes, crossing.sum(axis=1))
    assert (tables.ambiguous_step != 0).any(axis=1).sum() == 36
    # two opposite corners of a cube are two bodies; two corners of one edge are one
    assert tables.groups[0b10000001] == 2 and tables.groups[0b00000011] == 1
    # four corners that touch nowhere along edges: four dual vertices
    assert tables.groups[0b01101001] == 4


def test_the_four_cubes_of_a_quad_share_the_grid_edge() -> None:
    offsets = list_corner_offsets()
    for layout in list_quad_corners():
        ends = [
            tuple(map(tuple, offsets[list(EDGES[edge])] + step))
            for edge, step in zip(layout.edges, layout.steps, strict=True)
        ]
        assert len(set(ends)) == 1


def test_a_sphere_is_closed_outward_and_round() -> None:
    coords, features = sphere(24, 0.33)
    features[:, 53:56] = 100.0  # colour of corner 0 only: averaged with the other cubes' zeros
    mesh = extract_meshes(coords, features, 24)[0]
    assert mesh.success and (mesh.vertices.norm(dim=1) - 0.33).abs().max() < 0.01
    directed = torch.cat([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]])
    forward = set(map(tuple, directed.tolist()))
    assert len(forward) == len(directed) and all((b, a) in forward for a, b in forward)
    assert len(mesh.vertices) - len(directed) // 2 + len(mesh.faces) == 2
    corners = mesh.vertices[mesh.faces].double()
    volume = torch.linalg.det(corners).sum() / 6
    assert volume == pytest.approx(4 / 3 * np.pi * 0.33**3, rel=0.02)


def test_a_surface_that_leaves_the_active_cubes_is_still_meshed() -> None:
    """One inside vertex at the border of the active set: its inactive cubes are surface cubes too."""
    features = torch.zeros(1, 53)
    features[0, :8] = 1.0
    features[0, 7] = -1.0
    mesh = extract_meshes(torch.tensor([[0, 2, 2, 2]]), features, 6)[0]
    assert len(mesh.vertices) == 8 and len(mesh.faces) == 12  # a little closed box around vertex (3, 3, 3)
    assert mesh.attributes.shape == (8, 0)
    centre = mesh.vertices.mean(dim=0)
    torch.testing.assert_close(centre, torch.zeros(3), atol=0.05, rtol=0)


def test_items_of_a_batch_do_not_influence_each_other(recording: dict[str, torch.Tensor]) -> None:
    coords, features = recording["in.coords"], recording["in.feats"].float()
    other_coords, other_features = sphere(12, 0.3)
    empty = torch.ones_like(features[:5])
    batch_coords = [coords.clone(), coords[:5].clone(), other_coords.clone(), coords.clone()]
    for item, part in enumerate(batch_coords):
        part[:, 0] = item
    joint = extract_meshes(
        torch.cat(batch_coords), torch.cat([features, empty, other_features, features]), 12, items=5
    )
    alone = extract_meshes(coords, features, 12)[0]
    for mesh, single in ((joint[0], alone), (joint[2], extract_meshes(other_coords, other_features, 12)[0])):
        assert torch.equal(mesh.faces, single.faces) and torch.equal(mesh.vertices, single.vertices)
    assert torch.equal(joint[3].vertices, alone.vertices) and torch.equal(joint[3].faces, alone.faces)
    assert not joint[1].success and len(joint[1].vertices) == 0
    assert not joint[4].success and joint[4].faces.shape == (0, 3)


def test_small_tables_give_the_same_meshes(
    recording: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    coords, features = recording["in.coords"], recording["in.feats"]
    two = torch.cat([coords, torch.cat([coords[:, :1] + 1, coords[:, 1:]], dim=1)])
    together = extract_meshes(two, features.repeat(2, 1), 12)
    monkeypatch.setattr("verdict3d.trellis.mesh_extraction.SITES_AT_ONCE", 1)
    apart = extract_meshes(two, features.repeat(2, 1), 12)
    for one, other in zip(together, apart, strict=True):
        assert torch.equal(one.vertices, other.vertices) and torch.equal(one.faces, other.faces)


def test_the_order_of_the_cubes_is_irrelevant(recording: dict[str, torch.Tensor]) -> None:
    coords, features = recording["in.coords"], recording["in.feats"].float()
    order = torch.randperm(len(coords), generator=torch.Generator().manual_seed(3))
    straight, shuffled = (
        extract_meshes(coords, features, 12)[0],
        extract_meshes(coords[order], features[order], 12)[0],
    )
    assert torch.equal(straight.faces, shuffled.faces) and torch.equal(straight.vertices, shuffled.vertices)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="channels"):
        extract_meshes(torch.zeros(1, 4, dtype=torch.int32), torch.zeros(1, 7), 4)
    with pytest.raises(ValueError, match=r"0\.\.3"):
        extract_meshes(torch.tensor([[0, 0, 4, 0]]), torch.zeros(1, 101), 4)
    assert extract_meshes(torch.zeros(0, 4, dtype=torch.int32), torch.zeros(0, 101), 4) == []
