"""Meshes that another process of this machine reads without a copy, in memory that belongs to no file.

A mesh of the released size has 35 MiB. Memory without a name (``memfd_create``, Linux) has no limit of its
own, as ``/dev/shm`` has in a container, and is gone with the last process that holds it, however that ends.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from verdict3d.mesh.mesh import Mesh

_ARRAYS = ("vertices", "faces", "colors", "uv", "texture")
_ALIGNED = 8


@dataclass(frozen=True)
class SharedMesh:
    """Where another process finds a mesh; travels by pickle.

    Attributes:
        path: The memory, as long as the process that made it holds it.
        arrays: Name, dtype and shape of each array, in the order in which they lie there.
    """

    path: str
    arrays: tuple[tuple[str, str, tuple[int, ...]], ...]

    def open(self) -> Mesh:
        """Return the mesh; its arrays are read-only and keep the memory."""
        with open(self.path, "rb") as stream:  # noqa: PTH123 - no file of any folder
            content = mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ)
        found: dict[str, Any] = {}
        start = 0
        for name, dtype, shape in self.arrays:
            found[name] = np.ndarray(shape, dtype, content, start)
            start += found[name].nbytes + -found[name].nbytes % _ALIGNED
        return Mesh(**found)


@contextmanager
def sharing(mesh: Mesh) -> Iterator[SharedMesh]:
    """Yield a mesh as other processes can open it while the block runs; its notes stay here."""
    arrays = {name: array for name in _ARRAYS if (array := getattr(mesh, name)) is not None}
    descriptor = os.memfd_create("mesh")
    try:
        with os.fdopen(os.dup(descriptor), "wb") as stream:
            for array in arrays.values():
                stream.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
                stream.write(bytes(-array.nbytes % _ALIGNED))
            stream.write(b"\0")  # nothing can be mapped of a length of 0
        layout = tuple((name, array.dtype.str, array.shape) for name, array in arrays.items())
        yield SharedMesh(f"/proc/{os.getpid()}/fd/{descriptor}", layout)
    finally:
        os.close(descriptor)
