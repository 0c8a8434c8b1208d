"""Damage to meshes in five grades: controls with a known answer, and training data for judges.

Every operator takes a mesh in the unit box, a grade from 1 (barely visible) to 5 (ruined) and a generator.
The same inputs give the same mesh. Operators act on geometry only: colours follow their vertices.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse

from verdict3d.errors import Verdict3DError
from verdict3d.mesh.mesh import Mesh
from verdict3d.mesh.sampling import compute_areas_and_normals
from verdict3d.mesh.soundness import find_components, weld

GRADES = (1, 2, 3, 4, 5)
WELDED_DECIMALS = 5
"""Meshes are damaged as if vertices that agree to this many decimals were one."""
Operator = Callable[[Mesh, int, np.random.Generator], Mesh]


def _with(mesh: Mesh, vertices: np.ndarray, faces: np.ndarray, source: np.ndarray | None = None) -> Mesh:
    """Return a mesh of other geometry; ``source`` maps each vertex to the one whose colour it takes."""
    colors = mesh.colors if mesh.colors is None or source is None else mesh.colors[source]
    return Mesh(vertices.astype(np.float32), faces.astype(np.int32), colors)


def _weld(vertices: np.ndarray) -> np.ndarray:
    """Return the place (V,) of each vertex; vertices that differ by rounding alone share one."""
    return weld(np.round(vertices, WELDED_DECIMALS))


def _patch(mesh: Mesh, share: float, seeds: int, rng: np.random.Generator) -> np.ndarray:
    """Mark the faces nearest to ``seeds`` random faces until they hold ``share`` of the area."""
    centers = mesh.vertices[mesh.faces].mean(axis=1)
    chosen = centers[rng.choice(len(centers), size=min(seeds, len(centers)), replace=False)]
    distance = np.min(np.linalg.norm(centers[:, None] - chosen[None], axis=2), axis=1)
    order = np.argsort(distance, kind="stable")
    areas = compute_areas_and_normals(mesh)[0][order]
    marked = np.zeros(len(centers), dtype=bool)
    marked[order[np.cumsum(areas) <= share * areas.sum()]] = True
    return marked


def _refine(mesh: Mesh, max_edge: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split long edges; return vertices, faces and the original vertex that colours each new one."""
    vertices, faces, source = mesh.vertices.astype(np.float64), mesh.faces, np.arange(len(mesh.vertices))
    for _ in range(5):
        corners = vertices[faces]
        lengths = np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=2).max(axis=1)
        long = lengths > max_edge
        if not long.any() or len(faces) > 60_000:
            break
        # Splitting whole components keeps neighbours welded: one rule for every edge of the mesh.
        edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
        keys, inverse = np.unique(edges[:, 0] * np.int64(len(vertices)) + edges[:, 1], return_inverse=True)
        unique = np.stack(np.divmod(keys, len(vertices)), axis=1)
        middle = (len(vertices) + inverse.reshape(3, -1)).T
        vertices = np.concatenate([vertices, vertices[unique].mean(axis=1)])
        source = np.concatenate([source, source[unique[:, 0]]])
        a, b, c = faces.T
        ab, bc, ca = middle.T
        faces = np.concatenate(
            [np.stack(t, axis=1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))]
        )
    return vertices, faces, source


def drop_faces(mesh: Mesh, grade: int, rng: np.random.Generator) -> Mesh:
    """Tear holes: 5 to 50% of the surface, in one to six patches."""
    marked = _patch(mesh, (0.05, 0.12, 0.22, 0.35, 0.5)[grade - 1], int(rng.integers(1, 7)), rng)
    return _with(mesh, mesh.vertices, mesh.faces[~marked]) if not marked.all() else mesh


def _find_parts(mesh: Mesh, share: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a part number for each face and the parts' shares of the area.

    A mesh that is nearly one piece, as generated ones are, is cut by a plane into two parts; the second holds
    about ``share``.
    """
    parts = find_components(_weld(mesh.vertices)[mesh.faces])[1]
    areas = compute_areas_and_normals(mesh)[0]
    sizes = np.bincount(parts, weights=areas) / max(areas.sum(), 1e-12)
    if len(sizes) < 3 or sizes.max() > 0.9:
        direction = rng.normal(size=3)
        along = mesh.vertices[mesh.faces].mean(axis=1) @ (direction / np.linalg.norm(direction))
        order = np.argsort(along, kind="stable")
        beyond = order[np.cumsum(areas[order]) > (1.0 - share) * areas.sum()]
        parts = np.zeros(len(mesh.faces), dtype=np.int64)
        parts[beyond] = 1
        sizes = np.array([1.0 - share, share])
    return parts, sizes


def drop_parts(mesh: Mesh, grade: int, rng: np.random.Generator) -> Mesh:
    """Remove whole parts, 6 to 50% of the surface."""
    share = (0.06, 0.13, 0.22, 0.35, 0.5)[grade - 1]
    parts, sizes = _find_parts(mesh, share, rng)
    removed: list[int] = []
    total = 0.0
    for part in [1] if len(sizes) == 2 else rng.permutation(len(sizes))[:-1]:
        if removed and total >= share:
            break
        if total + sizes[part] <= max(1.8 * share, float(sizes.min())):
            removed.append(part)
            total += sizes[part]
    keep = ~np.isin(parts, removed)
    return _with(mesh, mesh.vertices, mesh.faces[keep]) if keep.any() else mesh


def move_parts(mesh: Mesh, grade: int, rng: np.random.Generator) -> Mesh:
    """Shift a third of the parts by 0.04 to 0.3 of the box."""
    distance = (0.04, 0.08, 0.13, 0.2, 0.3)[grade - 1]
    parts, sizes = _find_parts(mesh, 0.35, rng)
    shifts = rng.normal(size=(len(sizes), 3))
    shifts *= distance / np.linalg.norm(shifts, axis=1, keepdims=True)
    moving = rng.random(len(sizes)) < 0.34
    moving[0], moving[1 if len(sizes) == 2 else int(rng.integers(1, len(sizes)))] = False, True
    shifts[~moving] = 0.0
    # every face gets corners of its own, so that parts that share vertices come apart
    corners = mesh.faces.reshape(-1)
    vertices = mesh.vertices[corners] + np.repeat(shifts[parts], 3, axis=0)
    return _with(mesh, vertices, np.arange(len(corners)).reshape(-1, 3), corners)


def add_floaters(mesh: Mesh, grade: int, rng: np.random.Generator) -> Mesh:
    """Add 1 to 11 loose blocks inside the unit box."""
    count = (1, 2, 4, 7, 11)[grade - 1]
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
    sides = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
    block = np.array([triangle for a, b, c, d in sides for triangle in ((a, b, c), (a, c, d))])
    centers = rng.uniform(-0.45, 0.45, size=(count, 1, 3))
    sizes = rng.uniform(0.02, 0.07, size=(count, 1, 3))
    turn = np.linalg.qr(rng.normal(size=(count, 3, 3)))[0]
    turn[np.linalg.det(turn) < 0, :, 0] *= -1
    blocks = centers + np.einsum("nij,nkj->nki", turn, corners * sizes)
    offset = len(mesh.vertices) + 8 * np.arange(count)[:, None, None]
    vertices = np.concatenate([mesh.vertices, blocks.reshape(-1, 3)])
    faces = np.concatenate([mesh.faces, (block[None] + offset).reshape(-1, 3)])
    source = np.concatenate([np.arange(len(mesh.vertices)), rng.integers(len(mesh.vertices), size=8 * count)])
    return _with(mesh, vertices, faces, source)


def invert_normals(mesh: Mesh, grade: int, rng: np.random.Generator) -> Mesh:
    """Turn the winding of 10 to 100% of the surface inside out."""
    share = (0.1, 0.22, 0.4, 0.65, 1.0)[grade - 1]
    marked = (
        np.ones(len(mesh.faces), bool) if grade == 5 else _patch(mesh, share, int(rng.integers(1, 5)), rng)
    )
    faces = mesh.faces.copy()
    faces[marked] = faces[marked][:, ::-1]
    return _with(mesh, mesh.vertices, faces)


def smooth_over(mesh: Mesh, grade: int, rng: np.random.Generator) -> Mesh:
    """Melt the shape by Laplacian smoothing, 2 to 40 passes over a refined surface."""
    del rng
    vertices, faces, source = _refine(mesh, 0.1)
    welded = _weld(vertices)
    points, joined = vertices[np.unique(welded, return_index=True)[1]], welded[faces]
    edges = np.concatenate([joined[:, [0, 1]], joined[:, [1, 2]], joined[:, [2, 0]]])
    size = len(points)
    graph = sparse.coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(size, size)).tocsr()
    graph = ((graph + graph.T) > 0).astype(np.float64)
    degree = np.maximum(np.asarray(graph.sum(axis=1)), 1.0)
    for _ in range((2, 5, 10, 20, 40)[grade - 1]):
        points = 0.4 * points + 0.6 * (graph @ points) / degree
    return _with(mesh, points[welded], faces, source)


def stretch(mesh: Mesh, grade: int, rng: np.random.Generator) -> Mesh:
    """Change the proportions: one axis by a factor of 1.12 to 2.2, or its inverse."""
    factor = (1.12, 1.25, 1.45, 1.75, 2.2)[grade - 1]
    scale = np.ones(3)
    scale[rng.integers(3)] = factor if rng.random() < 0.5 else 1.0 / factor
    return _with(mesh, mesh.vertices * scale, mesh.faces)


def roughen(mesh: Mesh, grade: int, rng: np.random.Generator) -> Mesh:
    """Cover the surface with bumps of standard deviation 0.006 to 0.05."""
    vertices, faces, source = _refine(mesh, 0.1)
    welded = _weld(vertices)
    bumps = rng.normal(scale=(0.006, 0.012, 0.02, 0.033, 0.05)[grade - 1], size=(int(welded.max()) + 1, 3))
    return _with(mesh, vertices + bumps[welded], faces, source)


def cut_away(mesh: Mesh, grade: int, rng: np.random.Generator) -> Mesh:
    """Cut through everything with one plane and drop what lies beyond, 8 to 55% of the extent."""
    share = (0.08, 0.16, 0.26, 0.4, 0.55)[grade - 1]
    vertices, faces, source = _refine(mesh, 0.1)
    direction = rng.normal(size=3)
    along = vertices[faces].mean(axis=1) @ (direction / np.linalg.norm(direction))
    kept = along <= along.max() - share * np.ptp(along)
    return _with(mesh, vertices, faces[kept], source) if kept.any() else mesh


def add_plate(mesh: Mesh, grade: int, rng: np.random.Generator) -> Mesh:
    """Put a plate under the object, as wide as 0.3 to 1 of the box: the floor that a generator took along."""
    width = (0.3, 0.45, 0.6, 0.8, 1.0)[grade - 1] / 2
    turn = rng.uniform(0.0, np.pi)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) @ np.array(
        [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]
    )
    floor = float(mesh.vertices[:, 2].min())
    plate = np.concatenate(
        [np.column_stack([width * corners, np.full(4, floor + height)]) for height in (0.0, -0.02)]
    )
    sides = ((0, 1, 2, 3), (7, 6, 5, 4), *((i, 4 + i, 4 + (i + 1) % 4, (i + 1) % 4) for i in range(4)))
    faces = np.array([corner for a, b, c, d in sides for corner in ((a, b, c), (a, c, d))])
    source = np.concatenate([np.arange(len(mesh.vertices)), np.full(8, mesh.vertices[:, 2].argmin())])
    return _with(
        mesh,
        np.concatenate([mesh.vertices, plate]),
        np.concatenate([mesh.faces, faces + len(mesh.vertices)]),
        source,
    )


def shear(mesh: Mesh, grade: int, rng: np.random.Generator) -> Mesh:
    """Lean the object over: the top moves by 0.12 to 1 of the height, to any side."""
    slope, turn = (0.12, 0.25, 0.45, 0.7, 1.0)[grade - 1], rng.uniform(0.0, 2 * np.pi)
    height = mesh.vertices[:, 2:].astype(np.float64)
    return _with(
        mesh,
        mesh.vertices + slope * height * np.array([[np.cos(turn), np.sin(turn), 0.0]]),
        mesh.faces,
    )


def bend(mesh: Mesh, grade: int, rng: np.random.Generator) -> Mesh:
    """Bend the object along a horizontal axis to an arc of 20 to 160 degrees."""
    angle = np.radians((20.0, 40.0, 70.0, 110.0, 160.0)[grade - 1])
    vertices, faces, source = _refine(mesh, 0.1)
    along, sign = int(rng.integers(2)), 1.0 if rng.random() < 0.5 else -1.0
    at, height = vertices[:, along] * angle, sign * vertices[:, 2]
    radius = 1.0 / angle - height
    bent = vertices.copy()
    bent[:, along] = radius * np.sin(at)
    bent[:, 2] = sign * (1.0 / angle - radius * np.cos(at))
    return _with(mesh, bent, faces, source)


def dent(mesh: Mesh, grade: int, rng: np.random.Generator) -> Mesh:
    """Warp the surface by smooth waves about a third of the box long, 0.01 to 0.09 deep."""
    depth = (0.01, 0.02, 0.035, 0.06, 0.09)[grade - 1]
    vertices, faces, source = _refine(mesh, 0.06)
    waves = rng.normal(size=(12, 3, 3)) * 14.0 / np.sqrt(3)
    phases = rng.uniform(0.0, 2 * np.pi, size=(12, 3))
    shifts = np.sin(np.einsum("vk,wak->vwa", vertices, waves) + phases).sum(axis=1)
    return _with(mesh, vertices + depth * shifts / np.sqrt(6.0), faces, source)


DEFECTS: dict[str, Operator] = {
    "dropped_faces": drop_faces,
    "missing_parts": drop_parts,
    "moved_parts": move_parts,
    "floaters": add_floaters,
    "inverted_normals": invert_normals,
    "over_smoothed": smooth_over,
    "wrong_proportions": stretch,
    "rough_surface": roughen,
}
"""Kinds that judges may be taught."""

UNTAUGHT: dict[str, Operator] = {
    "cut_away": cut_away,
    "base_plate": add_plate,
    "sheared": shear,
    "bent": bend,
    "dented": dent,
}
"""Kinds that no judge of this project is taught: pretraining draws from ``DEFECTS`` alone."""

KINDS = {**DEFECTS, **UNTAUGHT}


def damage(mesh: Mesh, defect: str, grade: int, rng: np.random.Generator) -> Mesh:
    """Damage a mesh.

    Args:
        mesh: Undamaged mesh in the unit box; a texture is dropped, vertex colours are kept.
        defect: A name in ``KINDS``.
        grade: 1 to 5.
        rng: The same state gives the same mesh.

    Raises:
        Verdict3DError: Unknown defect or grade.
    """
    if defect not in KINDS or grade not in GRADES:
        raise Verdict3DError(
            f"no defect {defect!r} of grade {grade!r}; defects: {', '.join(KINDS)}; grades: 1 to 5"
        )
    return KINDS[defect](mesh, grade, rng)
