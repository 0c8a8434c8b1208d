"""A mesh file may refer to materials and pictures inside its own folder, and to nothing else."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from verdict3d.config import MeshLimits
from verdict3d.errors import ItemFailure
from verdict3d.mesh.readers.reading import Reading

_MATERIALS = (".mtl",)
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tga", ".tif", ".tiff")
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TGA", "TIFF")


class OwnFolder:
    """The folder of a mesh file, the only place that its references may point to.

    A reference is refused when it is absolute, has a scheme or a drive, leaves the folder (by ``..`` or
    through a symbolic link), or names anything but a material library or a picture.

    Args:
        mesh_path: The mesh file.
        reading: Limits, budget and notes of the mesh file.
    """

    def __init__(self, mesh_path: Path, reading: Reading) -> None:
        self._folder = mesh_path.parent.resolve()
        self._reading = reading

    def get(self, name: str) -> bytes:
        """Return the content of the referenced file.

        Raises:
            ItemFailure: ``external_reference``, ``missing_reference``, ``file_too_large`` or ``too_costly``.
        """
        cleaned = name.strip().strip('"').replace("\\", "/").replace("\0", "")
        relative = Path(cleaned)
        if (
            not cleaned
            or relative.is_absolute()
            or ":" in cleaned
            or relative.suffix.lower()
            not in (
                *_MATERIALS,
                *_PICTURES,
            )
        ):
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

    def picture(self, name: str) -> NDArray[np.uint8]:
        """Return the referenced picture as (H, W, 3) uint8; see ``get`` and ``read_picture``."""
        return read_picture(self.get(name), self._reading)

    @staticmethod
    def _refusal(name: str) -> str:
        return f"refers to {name!r}; only .mtl files and pictures inside the mesh's own folder are opened"


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


def read_picture(content: bytes, reading: Reading) -> NDArray[np.uint8]:
    """Decode a texture, (H, W, 3) uint8; its size is checked before it is decoded.

    Raises:
        ItemFailure: ``texture_too_large``, ``broken_texture`` or ``too_costly``.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
                if max(image.size) > reading.limits.texture_px:
                    size = f"{image.width} x {image.height} px"
                    message = f"a texture has {size}; allowed: {reading.limits.texture_px} px a side"
                    raise ItemFailure("texture_too_large", message)
                reading.spend(4 * image.width * image.height, "a texture")
                return np.asarray(image.convert("RGB"), dtype=np.uint8).copy()
    except Image.DecompressionBombError as error:
        raise ItemFailure("texture_too_large", f"a texture is too large: {error}") from error
    except UnidentifiedImageError as error:  # its own message holds an address
        raise ItemFailure("broken_texture", f"a texture is no picture ({', '.join(_FORMATS)})") from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise ItemFailure("broken_texture", f"a texture cannot be decoded: {error}") from error
