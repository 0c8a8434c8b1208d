"""Small files that cost much, and broken ones: read, or refused with a reason, in little memory.

``python -m benchmarks.mesh_bombs`` and ``python -m benchmarks.fuzz_meshes`` try the full sizes and numbers.
"""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from benchmarks import mesh_bombs
from benchmarks.fuzz_meshes import KINDS, fuzz
from verdict3d.config_generators import MeshLimits
from verdict3d.errors import ItemFailure
from verdict3d.mesh.files import read_mesh

SCALE = 0.02
BUDGET_MIB = 8
READ = {
    "nodes_with_one_mesh",
    "primitives_with_one_accessor",
    "one_picture_forty_times",
    "forty_tints",
    "sixty_parts_of_one_texture",
    "grey_of_16_bits",
    "texture_that_repeats_without_end",
}


@pytest.mark.parametrize("make", mesh_bombs.GLTF, ids=lambda make: make.__name__)
def test_costly_gltf_ends_within_its_budget(tmp_path: Path, make: mesh_bombs.Maker) -> None:
    path = make(tmp_path, SCALE)
    read_mesh(mesh_bombs.nodes_with_one_mesh(tmp_path, SCALE))  # so that imports are not counted
    tracemalloc.start()
    try:
        outcome = f"{len(read_mesh(path, MeshLimits(decoded_mib=BUDGET_MIB)).faces)} faces"
    except ItemFailure as failure:
        outcome = failure.reason
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 3 * BUDGET_MIB * 2**20
    if make.__name__ in READ:
        assert outcome.endswith("faces")
    else:
        assert outcome in ("too_costly", "no_faces", "index_out_of_range")


@pytest.mark.parametrize("kind", KINDS)
def test_broken_files_are_read_or_refused_with_a_reason(tmp_path: Path, kind: str) -> None:
    cases = 10 if kind == "draco" else 150  # each of these starts a process
    tally = fuzz(kind, cases, 1, tmp_path)
    assert tally.faults == []
    assert tally.outcomes.total() == cases and tally.outcomes["read"] and tally.outcomes["broken_file"]
