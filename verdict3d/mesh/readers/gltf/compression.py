"""Draco and meshopt: what a document has compressed is decompressed at once, in a process with limits."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from verdict3d.errors import ItemFailure
from verdict3d.mesh.readers.gltf import decoder_process
from verdict3d.mesh.readers.reading import Reading, TooCostly

Arrays = dict[str, np.ndarray]

_WAIT_S = 120  # for a process whose time on a processor is limited anyway
_SPARE_BYTES = 64 * 2**20
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}


@dataclass(frozen=True)
class Job:
    """Compressed data and what they decode to.

    Attributes:
        kind: ``draco`` or ``meshopt``.
        content: The compressed bytes.
        options: What the decoder is told.
        decoded_bytes: Size of the result, as the file announces it.
    """

    kind: str
    content: bytes
    options: dict[str, Any]
    decoded_bytes: int


def decompress(jobs: Sequence[Job], reading: Reading) -> list[Arrays]:
    """Return the arrays of each job.

    Raises:
        ItemFailure: ``broken_file`` or ``too_costly``.
    """
    if not jobs:
        return []
    size = sum(job.decoded_bytes for job in jobs)
    reading.spend(3 * size, "compressed geometry")
    header = {
        "bytes": 4 * size + _SPARE_BYTES,
        "seconds": reading.seconds_left,
        "jobs": [{"kind": job.kind, "length": len(job.content), **job.options} for job in jobs],
    }
    with tempfile.TemporaryFile() as source:
        source.write(json.dumps(header).encode() + b"\n")
        source.writelines(job.content for job in jobs)
        source.seek(0)
        answer = _answer(source)
    line, _, rest = answer.partition(b"\n")
    return _read_arrays(json.loads(line), memoryview(rest))


def _answer(source: IO[bytes]) -> bytes:
    """Run the decoder on an open file and return what it says."""
    command = [sys.executable, "-I", decoder_process.__file__]
    done = subprocess.run(
        command, stdin=source, capture_output=True, cwd="/", env=_ENVIRONMENT, timeout=_WAIT_S, check=False
    )
    if done.returncode == 0:
        return done.stdout
    last = (done.stderr[-2000:].decode("utf-8", errors="replace").strip().splitlines() or [""])[-1]
    if -done.returncode in (signal.SIGXCPU, signal.SIGKILL) or "MemoryError" in last or "bad_alloc" in last:
        raise TooCostly("too_costly", "decompressing its geometry takes more time or memory than is allowed")
    if last.startswith("ModuleNotFoundError"):
        message = f"its geometry is compressed ({last}); type `make install`, or save it without compression"
        raise ItemFailure("unsupported_feature", message)
    raise ItemFailure("broken_file", f"its geometry cannot be decompressed: {last[:200] or done.returncode}")


def _read_arrays(shapes: list[dict[str, Any]], content: memoryview) -> list[Arrays]:
    found: list[Arrays] = []
    offset = 0
    for job in shapes:
        arrays: Arrays = {}
        for name, (kind, shape) in job.items():
            dtype = np.dtype(kind)
            count = int(np.prod(shape))
            arrays[name] = np.frombuffer(content, dtype, count, offset).reshape(shape)
            offset += count * dtype.itemsize
        found.append(arrays)
    return found
