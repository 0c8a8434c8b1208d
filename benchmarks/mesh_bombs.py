"""Mesh files that are small and cost much: what a reader with one budget for a file makes of them.

    python -m benchmarks.mesh_bombs [--scale 0.1] [--only NAME ...]

Each is written, read in a process of its own (read_mesh, normalize, mesh_digest), and reported with seconds
on the clock and on a processor, the peak of memory of the process and its decoders, and the outcome. Ends
with status 1 where one takes 5 s of a processor or 1 GiB.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.support.gltf_files import SQUARE_UV, GltfFile, glb_of, png

SECONDS, MIB = 5.0, 1024.0
_WAIT_S = 180

_READ = """
import json, resource, sys, time
from verdict3d.errors import ItemFailure
from verdict3d.mesh.files import read_mesh
from verdict3d.mesh.mesh import mesh_digest, normalize
start, used = time.perf_counter(), time.process_time()
try:
    mesh = normalize(read_mesh(sys.argv[1]))
    mesh_digest(mesh)
    outcome = f"read, {len(mesh.faces)} faces"
except ItemFailure as failure:
    outcome = failure.reason
children = resource.getrusage(resource.RUSAGE_CHILDREN)
used = time.process_time() - used + children.ru_utime + children.ru_stime
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
peak += children.ru_maxrss
print(json.dumps([time.perf_counter() - start, used, peak / 1024, outcome]))
"""


_READ_BY_TRIMESH = """
import json, resource, sys, time, warnings
from pathlib import Path
import trimesh
warnings.simplefilter("ignore")
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
start, used = time.perf_counter(), time.process_time()
try:
    outcome = f"read, {len(trimesh.load_scene(sys.argv[1]).to_geometry().faces)} faces"
except (Exception, MemoryError) as error:
    outcome = type(error).__name__
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([time.perf_counter() - start, time.process_time() - used, peak / 1024, outcome]))
"""
READERS = {"verdict3d": _READ, "trimesh": _READ_BY_TRIMESH}


def _repeat(scale: float, full: int) -> int:
    return max(2, int(full * scale))


def _make_picture(side_px: int, shade: int = 0) -> bytes:
    """Return a picture that is small as a file."""
    stream = io.BytesIO()
    Image.new("RGB", (side_px, side_px), (shade, 90, 60)).save(stream, "PNG", compress_level=9)
    return stream.getvalue()


def _make_large_vertices(scale: float) -> np.ndarray:
    return np.random.default_rng(0).random((_repeat(scale, 100_000), 3), dtype=np.float32)


def nodes_with_one_mesh(folder: Path, scale: float) -> Path:
    """Thousands of nodes place one mesh, of whose many vertices one face uses three."""
    made = GltfFile()
    made.shape(made.primitive(_make_large_vertices(scale), np.uint32([[0, 1, 2]])))
    for _ in range(_repeat(scale, 3000)):
        made.json["scenes"][0]["nodes"].append(made.add("nodes", {"mesh": 0}))
    return made.write(folder / "nodes.glb")


def primitives_with_one_accessor(folder: Path, scale: float) -> Path:
    made = GltfFile()
    primitive = made.primitive(_make_large_vertices(scale), np.uint32([[0, 1, 2]]))
    made.shape(*[primitive] * _repeat(scale, 3000))
    return made.write(folder / "primitives.glb")


def primitives_by_the_million(folder: Path, scale: float) -> Path:
    made = GltfFile()
    position = made.accessor(np.eye(3, dtype=np.float32))
    made.shape(*[{"attributes": {"POSITION": position}}] * _repeat(scale, 1_000_000))
    return made.write(folder / "million.glb")


def instances(folder: Path, scale: float) -> Path:
    """One node asks for millions of copies whose places are zeros that the file need not hold."""
    made = GltfFile()
    count = _repeat(scale, 50_000_000)
    where = made.add("accessors", {"componentType": 5126, "count": count, "type": "VEC3"})
    made.shape(
        made.primitive(), extensions={"EXT_mesh_gpu_instancing": {"attributes": {"TRANSLATION": where}}}
    )
    return made.write(folder / "instances.glb")


def zeros(folder: Path, scale: float) -> Path:
    """An accessor without a buffer view stands for zeros, as many as it likes."""
    made = GltfFile()
    primitive = made.primitive()
    count = _repeat(scale, 500_000_000)
    primitive["attributes"]["POSITION"] = made.add(
        "accessors", {"componentType": 5126, "count": count, "type": "VEC3"}
    )
    made.shape(primitive)
    return made.write(folder / "zeros.glb")


def nodes_deep(folder: Path, scale: float) -> Path:
    made = GltfFile()
    last = made.shape(made.primitive())
    for _ in range(_repeat(scale, 300_000)):
        last = made.add("nodes", {"children": [last]})
    made.json["scenes"][0]["nodes"] = [last]
    return made.write(folder / "deep.glb")


def one_picture_forty_times(folder: Path, scale: float) -> Path:
    return _make_textured(folder / "pictures.glb", [_make_picture(_repeat(scale, 8192))] * 40)


def forty_pictures(folder: Path, scale: float) -> Path:
    return _make_textured(
        folder / "different.glb", [_make_picture(_repeat(scale, 8192), shade) for shade in range(40)]
    )


def forty_tints(folder: Path, scale: float) -> Path:
    """One large texture, forty times with another colour factor."""
    made = GltfFile()
    texture = made.picture(_make_picture(_repeat(scale, 8192)))
    parts = [
        made.primitive(TEXCOORD_0=SQUARE_UV, material=made.material(texture, (1, number / 40, 1, 1)))
        for number in range(40)
    ]
    made.shape(*parts)
    return made.write(folder / "tints.glb")


def sixty_parts_of_one_texture(folder: Path, scale: float) -> Path:
    made = GltfFile()
    material = made.material(made.picture(_make_picture(_repeat(scale, 8192))))
    made.shape(*[made.primitive(TEXCOORD_0=SQUARE_UV, material=material) for _ in range(60)])
    return made.write(folder / "parts.glb")


def grey_of_16_bits(folder: Path, scale: float) -> Path:
    side = _repeat(scale, 8192)
    return _make_textured(folder / "grey.glb", [png(np.zeros((side, side), np.uint16))])


def mask_on_many_faces(folder: Path, scale: float) -> Path:
    """Every face of many is cut by the finest checkers."""
    made = GltfFile()
    checkers = np.full((2048, 2048, 4), 255, np.uint8)
    checkers[..., 3] = 255 * (np.indices((2048, 2048)).sum(axis=0) % 2)
    material = made.material(made.picture(png(checkers)), alphaMode="MASK")
    count = _repeat(scale, 300_000)
    vertices = np.random.default_rng(0).random((3 * count, 3), dtype=np.float32)
    uv = np.random.default_rng(1).random((3 * count, 2), dtype=np.float32)
    made.shape(
        made.primitive(vertices, np.arange(3 * count, dtype=np.uint32), TEXCOORD_0=uv, material=material)
    )
    return made.write(folder / "mask.glb")


def texture_that_repeats_without_end(folder: Path, _scale: float) -> Path:
    made = GltfFile()
    uv = SQUARE_UV * np.float32(90_000)
    parts = [
        made.primitive(TEXCOORD_0=uv, material=made.material(made.picture(_make_picture(64, shade))))
        for shade in range(2)
    ]
    made.shape(*parts)
    return made.write(folder / "repeats.glb")


def percent_data(folder: Path, scale: float) -> Path:
    document = GltfFile().document()
    document["buffers"] = [{"byteLength": 3, "uri": "data:," + "%41" * _repeat(scale, 10_000_000)}]
    document["accessors"] = [{"bufferView": 0, "componentType": 5121, "count": 1, "type": "VEC3"}]
    document["bufferViews"] = [{"buffer": 0, "byteLength": 3}]
    document["meshes"] = [{"primitives": [{"attributes": {"POSITION": 0}}]}]
    document |= {"nodes": [{"mesh": 0}], "scenes": [{"nodes": [0]}]}
    (folder / "percent.glb").write_bytes(glb_of(document))
    return folder / "percent.glb"


def base64_data(folder: Path, scale: float) -> Path:
    made = GltfFile()
    made.shape(made.primitive())
    document = made.document()
    content = bytes(made.binary) + bytes(_repeat(scale, 100_000_000))
    document["buffers"][0]["uri"] = "data:;base64," + base64.b64encode(content).decode()
    (folder / "base64.gltf").write_text(json.dumps(document))
    return folder / "base64.gltf"


def long_list(folder: Path, scale: float) -> Path:
    text = b'{"asset":{"version":"2.0"},"extras":[' + b"0," * _repeat(scale, 45_000_000) + b"0]}"
    (folder / "list.gltf").write_bytes(text)
    return folder / "list.gltf"


def draco_announces_little(folder: Path, scale: float) -> Path:
    """Compressed geometry that decodes to 4.5 million faces, where the file says one."""
    import DracoPy

    width = 3  # a square would take the encoder hours
    across, up = np.meshgrid(np.arange(width), np.arange(_repeat(scale, 1_125_000)))
    points = np.stack([across, up, across * 0], axis=-1).reshape(-1, 3).astype(np.float32)
    first = (np.arange(len(up) - 1)[:, None] * width + np.arange(width - 1)).reshape(-1, 1)
    faces = np.concatenate(
        [first + np.array(corners) for corners in ((0, 1, width), (1, width + 1, width))]
    ).astype(np.uint32)
    content = DracoPy.encode(points, faces, quantization_bits=8, compression_level=7)
    made = GltfFile()
    primitive = {"attributes": {}, "extensions": {"KHR_draco_mesh_compression": {}}}
    primitive["attributes"]["POSITION"] = made.add(
        "accessors", {"componentType": 5126, "count": 3, "type": "VEC3"}
    )
    primitive["indices"] = made.add("accessors", {"componentType": 5125, "count": 3, "type": "SCALAR"})
    said = {"bufferView": made.view(content), "attributes": {"POSITION": 0}}
    primitive["extensions"]["KHR_draco_mesh_compression"] = said
    made.shape(primitive)
    made.json["extensionsRequired"] = ["KHR_draco_mesh_compression"]
    return made.write(folder / "draco.glb")


def _make_textured(path: Path, pictures: list[bytes]) -> Path:
    """Write a file with a square for each picture; equal pictures share one view."""
    made = GltfFile()
    views: dict[bytes, int] = {}
    parts = []
    for content in pictures:
        if content not in views:
            views[content] = made.view(content)
        image = made.add("images", {"bufferView": views[content], "mimeType": "image/png"})
        material = made.material(made.add("textures", {"source": image}))
        parts.append(made.primitive(TEXCOORD_0=SQUARE_UV, material=material))
    made.shape(*parts)
    return made.write(path)


def obj_names_one_picture_forty_times(folder: Path, scale: float) -> Path:
    content = _make_picture(_repeat(scale, 8192))
    materials, lines = [], ["mtllib m.mtl", "v 0 0 0", "v 1 0 0", "v 0 1 0", "vt 0 0", "vt 1 0", "vt 0 1"]
    (folder / "p.png").write_bytes(content)
    for number in range(40):
        materials += [f"newmtl m{number}", f"map_Kd {'./' * number}p.png"]
        lines += [f"usemtl m{number}", "f 1/1 2/2 3/3"]
    (folder / "m.mtl").write_text("\n".join(materials))
    (folder / "pictures.obj").write_text("\n".join(lines))
    return folder / "pictures.obj"


def obj_names_one_library_often(folder: Path, scale: float) -> Path:
    line = "newmtl m\nKd 1 0 0\n"
    (folder / "big.mtl").write_text(line * (_repeat(scale, 9_000_000) // len(line)))
    lines = ["mtllib big.mtl"] * 2000 + ["v 0 0 0", "v 1 0 0", "v 0 1 0", "usemtl m", "f 1 2 3"]
    (folder / "library.obj").write_text("\n".join(lines))
    return folder / "library.obj"


def obj_of_vertices(folder: Path, scale: float) -> Path:
    text = b"v 1 2 3\n" * _repeat(scale, 32_000_000)
    (folder / "vertices.obj").write_bytes(text + b"f 1 2 3\n")
    return folder / "vertices.obj"


def obj_of_newlines(folder: Path, scale: float) -> Path:
    text = b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n" + b"\n" * _repeat(scale, 262_000_000)
    (folder / "newlines.obj").write_bytes(text)
    return folder / "newlines.obj"


def obj_of_materials(folder: Path, scale: float) -> Path:
    lines = ["v 0 0 0", "v 1 0 0", "v 0 1 0"]
    for number in range(_repeat(scale, 500_000)):
        lines += [f"usemtl {number}", "f 1 2 3"]
    (folder / "materials.obj").write_text("\n".join(lines))
    return folder / "materials.obj"


def ply_of_one_polygon(folder: Path, scale: float) -> Path:
    count = _repeat(scale, 9_000_000)
    head = (
        "ply\nformat binary_little_endian 1.0\nelement vertex 3\nproperty float x\nproperty float y\n"
        "property float z\nelement face 1\nproperty list uint uint vertex_indices\nend_header\n"
    )
    body = np.eye(3, dtype="<f4").tobytes() + np.uint32(count).tobytes() + np.zeros(count, "<u4").tobytes()
    (folder / "polygon.ply").write_bytes(head.encode() + body)
    return folder / "polygon.ply"


def stl_as_text(folder: Path, scale: float) -> Path:
    facet = "facet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\nendloop\nendfacet\n"
    (folder / "text.stl").write_text(f"solid a\n{facet * _repeat(scale, 1_800_000)}endsolid a\n")
    return folder / "text.stl"


def stl_of_solids_as_text(folder: Path, scale: float) -> Path:
    facet = "facet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\nendloop\nendfacet\n"
    solid = f"solid a\n{facet * _repeat(scale, 700_000)}endsolid a\n"
    (folder / "solids.stl").write_text(solid * 2)
    return folder / "solids.stl"


Maker = Callable[[Path, float], Path]
GLTF: tuple[Maker, ...] = (
    nodes_with_one_mesh,
    primitives_with_one_accessor,
    primitives_by_the_million,
    instances,
    zeros,
    nodes_deep,
    one_picture_forty_times,
    forty_pictures,
    forty_tints,
    sixty_parts_of_one_texture,
    grey_of_16_bits,
    mask_on_many_faces,
    texture_that_repeats_without_end,
    percent_data,
    base64_data,
    long_list,
    draco_announces_little,
)
OTHERS: tuple[Maker, ...] = (
    obj_names_one_picture_forty_times,
    obj_names_one_library_often,
    obj_of_vertices,
    obj_of_newlines,
    obj_of_materials,
    ply_of_one_polygon,
    stl_as_text,
    stl_of_solids_as_text,
)


def measure(path: Path, reader: str) -> dict[str, Any]:
    """Read a file in a process of its own and return its size, seconds, MiB and outcome."""
    start = time.perf_counter()
    try:
        done = subprocess.run(
            [sys.executable, "-c", READERS[reader], str(path)],
            capture_output=True,
            text=True,
            timeout=_WAIT_S,
            check=False,
        )
        seconds, used, mib, outcome = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        seconds, used, mib, outcome = time.perf_counter() - start, float("nan"), float("nan"), "no end"
    except IndexError:
        last = (done.stderr.strip().splitlines() or ["killed"])[-1]
        seconds, used, mib, outcome = time.perf_counter() - start, float("nan"), float("nan"), last
    size = path.stat().st_size
    return {"bytes": size, "seconds": seconds, "used": used, "mib": mib, "outcome": outcome}


def main() -> int:
    """Write and read each bomb; print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full sizes")
    parser.add_argument("--only", nargs="*", default=(), help="names of bombs; all by default")
    parser.add_argument(
        "--reader", choices=READERS, default="verdict3d", help="who reads; the other to compare"
    )
    options = parser.parse_args()
    print("| file | MB | seconds | of a processor | MiB | outcome |\n|---|---|---|---|---|---|")
    bad = 0
    for make in (*GLTF, *OTHERS):
        if options.only and make.__name__ not in options.only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            found = measure(make(Path(folder), options.scale), options.reader)
        bad += not (found["used"] < SECONDS and found["mib"] < MIB)
        name = make.__name__.replace("_", " ")
        times = f"{found['seconds']:.1f} | {found['used']:.1f}"
        row = f"{found['bytes'] / 1e6:.2f} | {times} | {found['mib']:.0f} | {found['outcome']}"
        print(f"| {name} | {row} |", flush=True)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
