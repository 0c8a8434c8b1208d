"""A mesh file may refer to materials, buffers and pictures inside its own folder, and to nothing else."""

from __future__ import annotations

import contextlib
import posixpath
import unicodedata
from pathlib import Path, PurePosixPath

from verdict3d.config_generators import MeshLimits
from verdict3d.errors import ItemFailure
from verdict3d.mesh.readers.reading import Reading
from verdict3d.mesh.readers.textures import Texture, Textures

_OPENED = {".mtl", ".bin", ".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".gif", ".tga", ".tif", ".tiff"}


class OwnFolder:
    """The folder of a mesh file, the only place that its references may point to.

    A reference is refused when it leaves the folder (by ``..``, through a symbolic link, as an absolute path,
    with a drive or a scheme) or names anything but a material library, a buffer or a picture. Where a path
    leads elsewhere, a file of the same name beside the mesh is taken.

    Args:
        mesh_path: The mesh file.
        reading: Limits, budget and notes of the mesh file.
    """

    def __init__(self, mesh_path: Path, reading: Reading) -> None:
        self._folder = mesh_path.parent.resolve()
        self._reading = reading
        self.textures = Textures(reading)
        self._names: dict[Path, dict[str, str]] = {}

    def get(self, name: str) -> bytes:
        """Return the content of the referenced file, see :meth:`find`.

        Raises:
            ItemFailure: ``external_reference``, ``missing_reference``, ``file_too_large`` or ``too_costly``.
        """
        path = self.find(name)
        check_size(path, self._reading.limits)
        self._reading.spend(path.stat().st_size, name)
        return path.read_bytes()

    def has(self, name: str) -> bool:
        """Return whether there is such a file."""
        try:
            return self.find(name).is_file()
        except ItemFailure:
            return False

    def find(self, name: str) -> Path:
        """Return the referenced file.

        Names are found as they were meant: with backslashes, in another case or encoding (``name`` may be the
        bytes of UTF-8, GBK or Windows-1252 as Latin-1), and, where a path leads elsewhere, beside the mesh.

        Raises:
            ItemFailure: ``external_reference`` or ``missing_reference``.
        """
        outside = True
        for spelled in _list_spellings(name):
            relative = PurePosixPath(spelled)
            if relative.suffix.lower() not in _OPENED:
                continue
            for candidate in (relative, PurePosixPath(relative.name)):
                if candidate.is_absolute() or ":" in str(candidate):
                    continue
                path = self._find_existing(candidate)
                if path is not None and path.resolve().is_relative_to(self._folder):
                    if path.is_file():
                        return path
                elif path is None and ".." not in relative.parts and candidate == relative:
                    outside = False
        if outside:
            raise ItemFailure("external_reference", self._refuse(name))
        raise ItemFailure(
            "missing_reference", f"refers to {_list_spellings(name)[0]!r}, which is not there; add the file"
        )

    def _find_existing(self, relative: PurePosixPath) -> Path | None:
        """Return the file or folder below the own one, whatever the case and the composition of its name."""
        place = self._folder
        try:
            for part in relative.parts:
                if part == "..":
                    return None
                if (place / part).exists():
                    place /= part
                    continue
                if place not in self._names:
                    self._names[place] = {_fold(child.name): child.name for child in place.iterdir()}
                place /= self._names[place][_fold(part)]
        except (OSError, KeyError):  # too long, no folder, not there
            return None
        return place

    def read_texture(self, name: str) -> Texture:
        """Return the referenced picture.

        Raises:
            ItemFailure: As :meth:`get` and :meth:`~verdict3d.mesh.readers.textures.Textures.decode`.
        """
        return self.textures.decode(self.get(name), repr(name))

    @staticmethod
    def _refuse(name: str) -> str:
        return f"refers to {name!r}; only .mtl, .bin and pictures inside the mesh's own folder are opened"


def _list_spellings(name: str) -> list[str]:
    """Return what the bytes of a name may mean, the likeliest first, with slashes only."""
    try:
        raw = name.encode("latin-1")
    except UnicodeEncodeError:
        raw = b""
    meant = [name]
    for encoding in () if raw.isascii() else ("gbk", "cp1252", "utf-8"):
        with contextlib.suppress(UnicodeDecodeError):
            meant.insert(0 if encoding == "utf-8" else len(meant), raw.decode(encoding))
    cleaned = (one.strip().strip('"').replace("\\", "/").replace("\0", "") for one in meant)
    return list(dict.fromkeys(posixpath.normpath(one) for one in cleaned))


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


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
