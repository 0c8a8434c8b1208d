"""Kind ``folder``: finished meshes, ``<regime>/<stem>.glb`` for the photo ``<stem>`` of that regime.

Further samples of a photo are ``<stem>-2.glb``, ``<stem>-3.glb``; the first may be ``<stem>-1.glb``. Photos
without a regime have their meshes in the folder itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from verdict3d.config_generators import FolderParams
from verdict3d.errors import ItemFailure
from verdict3d.generators.generator import Request
from verdict3d.generators.outputs import find_output, read_output
from verdict3d.mesh.mesh import MeshOrFailure
from verdict3d.records.generators import GeneratorRecord


@dataclass(frozen=True)
class FolderGenerator:
    """Finished meshes as a generator.

    Attributes:
        settings: Where they are, and how they lie.
        record: What made them.
        root: What paths are relative to.
    """

    settings: FolderParams
    record: GeneratorRecord
    root: Path

    def generate(self, requests: Sequence[Request]) -> list[MeshOrFailure]:
        """Read the mesh of each request; a seed is not asked for."""
        return [self._read(request) for request in requests]

    def _read(self, request: Request) -> MeshOrFailure:
        folder = self.root / self.settings.meshes / request.regime
        names = [f"{request.stem}-{request.sample + 1}"] + ([request.stem] if request.sample == 0 else [])
        for name in names:
            if path := find_output(folder, name):
                return read_output(path, self.settings)
        return ItemFailure("missing_mesh", f"no {' or '.join(names)} in {folder.relative_to(self.root)}")


def load(settings: FolderParams, record: GeneratorRecord, root: Path) -> FolderGenerator:
    """Return the folder as a generator."""
    return FolderGenerator(settings, record, root)
