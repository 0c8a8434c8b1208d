"""A process of its own that decompresses: the decoders are C++ and read what strangers wrote.

It is started by path and imports nothing of the project. It reads one line of JSON with its jobs, then their
data; it limits its own memory and time before it looks at them, and answers alike: one line, then arrays.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any, BinaryIO


def main(source: BinaryIO, sink: BinaryIO) -> None:
    """Do all jobs of ``source`` and write their arrays to ``sink``."""
    header = json.loads(source.readline())
    decoders = {"draco": _decode_draco, "meshopt": _decode_meshopt}
    for kind in {job["kind"] for job in header["jobs"]}:
        decoders[kind](b"", None)  # imports, before the limits: libraries reserve more than they use
    _limit(header["bytes"], header["seconds"])
    shapes, contents = [], []
    for job in header["jobs"]:
        arrays = decoders[job["kind"]](source.read(job["length"]), job)
        shapes.append({name: [array.dtype.str, list(array.shape)] for name, array in arrays.items()})
        contents += [array.tobytes() for array in arrays.values()]
    sink.write(json.dumps(shapes).encode() + b"\n")
    sink.writelines(contents)


def _limit(more_bytes: int, seconds: float) -> None:
    """Allow so much memory beyond what is taken now, and so much time on a processor."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + more_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    used = resource.getrusage(resource.RUSAGE_SELF)
    end = int(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (end, end))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _decode_draco(content: bytes, job: dict[str, Any] | None) -> dict[str, Any]:
    """Return ``faces`` (F, 3) and each wanted attribute (V, width) by its name in the job."""
    import DracoPy
    import numpy as np

    if job is None:
        return {}
    mesh = DracoPy.decode(content)
    arrays = {"faces": np.asarray(mesh.faces, dtype="<u4").reshape(-1, 3)}
    for name, number in job["attributes"].items():
        values = np.asarray(mesh.get_attribute_by_unique_id(number)["data"])
        arrays[name] = values.reshape(len(values), -1).astype(values.dtype.newbyteorder("<"))
    return arrays


def _decode_meshopt(content: bytes, job: dict[str, Any] | None) -> dict[str, Any]:
    """Return ``rows``: (count * size) bytes."""
    import meshopt
    import numpy as np

    if job is None:
        return {}
    rows = meshopt.decode_gltf_buffer(content, job["count"], job["size"], job["mode"], job["filter"])
    return {"rows": np.ascontiguousarray(rows).reshape(-1).view(np.uint8)}


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
