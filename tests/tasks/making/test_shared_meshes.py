"""Another process reads a mesh as it is, and nothing of it stays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tasks.making.shared_meshes import sharing
from verdict3d.mesh.mesh import Mesh, mesh_digest

VERTICES = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
FACES = np.int32([[0, 1, 2], [2, 3, 4]])
COLORS = np.uint8(np.arange(15).reshape(5, 3))
TEXTURE = np.uint8(np.arange(105).reshape(5, 7, 3))
READER = """
import sys
from tasks.making.shared_meshes import SharedMesh
from verdict3d.mesh.mesh import mesh_digest
print(mesh_digest(SharedMesh(sys.argv[1], eval(sys.argv[2])).open()))
"""


@pytest.mark.parametrize(
    "mesh",
    [
        Mesh(VERTICES, FACES, COLORS, VERTICES[:, :2].copy(), TEXTURE),
        Mesh(np.asfortranarray(VERTICES), FACES),
        Mesh(VERTICES[:0], FACES[:0]),
    ],
    ids=["all arrays", "another order in memory", "empty"],
)
def test_another_process_reads_what_is_shared(mesh: Mesh) -> None:
    with sharing(mesh) as shared:
        asked = [sys.executable, "-c", READER, shared.path, repr(shared.arrays)]
        found = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
        here = shared.open()
    assert found == mesh_digest(mesh) == mesh_digest(here), "what was opened stays readable"
    assert not Path(shared.path).exists()
    with pytest.raises(ValueError, match="read-only"):
        here.vertices[:] = 0
