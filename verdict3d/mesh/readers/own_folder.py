"""A mesh file may refer to materials, buffers and pictures inside its own folder, and to nothing else."""

from __future__ import annotations

from pathlib import Path

from verdict3d.config import MeshLimits
from verdict3d.errors import ItemFailure
from verdict3d.mesh.readers.reading import Reading
from verdict3d.mesh.readers.textures import Texture, Textures

_OPENED = {".mtl", ".bin", ".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".gif", ".tga", ".tif", ".tiff"}


class OwnFolder:
    """The folder of a mesh file, the only place that its references may point to.

    A reference is refused when it is absolute, has a scheme or a drive, leaves the folder (by ``..`` or
    through a symbolic link), or names anything but a material library, a buffer or a picture.

    Args:
        mesh_path: The mesh file.
        reading: Limits, budget and notes of the mesh file.
    """

    def __init__(self, mesh_path: Path, reading: Reading) -> None:
        self._folder = mesh_path.parent.resolve()
        self._reading = reading
        self.textures = Textures(reading)

    def get(self, name: str) -> bytes:
        """Return the content of the referenced file.

        Raises:
            ItemFailure: ``external_reference``, ``missing_reference``, ``file_too_large`` or ``too_costly``.
        """
        cleaned = name.strip().strip('"').replace("\\", "/").replace("\0", "")
        relative = Path(cleaned)
        if not cleaned or relative.is_absolute() or ":" in cleaned or relative.suffix.lower() not in _OPENED:
            raise ItemFailure("external_reference", self._refusal(name))
        path = (self._folder / relative).resolve()
        if not path.is_relative_to(self._folder):
            raise ItemFailure("external_reference", self._refusal(name))
        if not path.is_file():
            raise ItemFailure(
                "missing_reference",
                f"refers to {name!r}, which is not there; add the file or remove the reference",
            )
        check_size(path, self._reading.limits)
        self._reading.spend(path.stat().st_size, name)
        return path.read_bytes()

    def texture(self, name: str) -> Texture:
        """Return the referenced picture; see ``get`` and :meth:`Textures.decode`."""
        return self.textures.decode(self.get(name), repr(name))

    @staticmethod
    def _refusal(name: str) -> str:
        return f"refers to {name!r}; only .mtl, .bin and pictures inside the mesh's own folder are opened"


def check_size(path: Path, limits: MeshLimits) -> None:
    """Refuse a file that is larger than allowed.

    Raises:
        ItemFailure: ``file_too_large``.
    """
    size_mib = path.stat().st_size / 2**20
    if size_mib > limits.file_mib:
        raise ItemFailure(
            "file_too_large", f"{path.name} has {size_mib:.1f} MiB; allowed: {limits.file_mib:g} MiB"
        )
