"""Broken mesh files by the thousand: each is read, or refused with a reason, soon and in little memory.

    python -m benchmarks.fuzz_meshes [--cases 5000] [--seed 0] [--only glb obj]

Good files are changed at random: values, keys and links in the JSON of a GLB, words and lines of texts, bytes
of everything. A case is what (seed, kind, number) give, so that one can be made again. Ends with status 1
when an exception other than ItemFailure comes out, or a case takes 5 s.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import resource
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from tests.support.gltf_files import SQUARE, SQUARE_UV, GltfFile, glb_of, png
from verdict3d.errors import ItemFailure
from verdict3d.mesh.files import read_mesh
from verdict3d.mesh.mesh import mesh_digest, normalize
from verdict3d.randomness import numpy_generator

SECONDS = 5.0
_VALUES: tuple[Any, ...] = (
    *(0, 1, -1, 3, 255, 10**6, 2**31, 2**63, 10**30, 0.5, -1e-9, 1e39, 1e308, True, None),
    *("", "x", "data:,", "data:;base64,AAAA", "../a.bin", "VEC3", "MASK", [], {}, [0], [[]], {"a": 1}),
)
_WORDS = (
    *("0", "-1", "1e999", "nan", "inf", "1.#IND", "1/2/3", "1//", "/", "-", "99999999999", "#", "\\", "\0"),
    *("v", "f", "vt", "usemtl", "mtllib", "map_Kd", "end_header", "element", "list", "facet", "\u00e9"),
    "a" * 999,
)


@dataclass
class Tally:
    """What came out of the cases of one kind.

    Attributes:
        outcomes: How often a mesh was ``read`` or refused, by reason.
        faults: Other exceptions, with the number of the case.
        slowest_s: Seconds of the slowest case.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest_s: float = 0.0


def fuzz(kind: str, cases: int, seed: int, folder: Path) -> Tally:
    """Read ``cases`` broken files of one kind of ``KINDS``, written into ``folder``."""
    tally, make = Tally(), KINDS[kind]
    for number in range(cases):
        path = make(folder, numpy_generator(seed, "fuzz", f"{kind} {number}"))
        start = time.perf_counter()
        try:
            mesh_digest(normalize(read_mesh(path)))
            tally.outcomes["read"] += 1
        except ItemFailure as failure:
            tally.outcomes[failure.reason] += 1
        except Exception as error:
            tally.faults.append(f"{kind} {number}: {type(error).__name__}: {error}")
        tally.slowest_s = max(tally.slowest_s, time.perf_counter() - start)
    return tally


def _make_rich_gltf() -> GltfFile:
    """Return a file with a little of everything."""
    made = GltfFile()
    pixels = np.full((8, 8, 4), 200, np.uint8)
    pixels[:4, :, 3] = 0
    texture = made.picture(png(pixels), {"wrapS": 33071, "wrapT": 33648})
    cut = made.material(texture, (1, 0.5, 1, 1), alphaMode="MASK", alphaCutoff=0.3)
    plain = made.material(made.picture(png(pixels[..., :3])), alphaMode="BLEND")
    glossy = {"KHR_materials_pbrSpecularGlossiness": {"diffuseFactor": [1, 0, 0, 1]}}
    moved = {"KHR_texture_transform": {"offset": [0.1, 0], "rotation": 0.3, "scale": [2, 2]}}
    made.json["materials"][plain]["pbrMetallicRoughness"]["baseColorTexture"]["extensions"] = moved
    colors = np.full((4, 4), 0.5, np.float32)
    joints, weights = np.zeros((4, 4), np.uint8), np.float32([[1, 0, 0, 0]] * 4)
    sparse = made.primitive(TEXCOORD_0=SQUARE_UV, material=cut)
    made.json["accessors"][sparse["attributes"]["POSITION"]]["sparse"] = {
        "count": 1,
        "indices": {"bufferView": made.view(bytes(2)), "componentType": 5123},
        "values": {"bufferView": made.view(bytes(12))},
    }
    places = made.accessor(np.eye(3, dtype=np.float32))
    instancing = {"EXT_mesh_gpu_instancing": {"attributes": {"TRANSLATION": places}}}
    first = made.shape(sparse, extensions=instancing, rotation=[0, 0, 0, 1])
    made.shape(made.primitive(COLOR_0=colors, TEXCOORD_0=SQUARE_UV, material=plain), scale=[1, -1, 1])
    skin = made.add("skins", {"joints": [first]})
    made.shape(made.primitive(JOINTS_0=joints, WEIGHTS_0=weights), skin=skin)
    target = {"POSITION": made.accessor(SQUARE)}
    material = made.add("materials", {"extensions": glossy})
    last = made.shape(made.primitive(targets=[target], material=material, mode=5), weights=[0.5])
    made.json["nodes"][first]["extensions"]["MSFT_lod"] = {"ids": [last]}
    return made


_RICH = _make_rich_gltf()


def _make_glb(folder: Path, rng: np.random.Generator) -> Path:
    document, binary = copy.deepcopy(_RICH.document()), bytearray(_RICH.binary)
    for _ in range(rng.integers(1, 4)):
        _change_json(document, rng)
    for _ in range(rng.integers(0, 3)):
        numbers = (float("nan"), float("inf"), 1e38, -1.0, 0.0)
        struct.pack_into(
            "<f", binary, int(rng.integers(0, len(binary) - 4)), numbers[rng.integers(len(numbers))]
        )
    path = folder / "case.glb"
    path.write_bytes(_with_wrong_bytes(glb_of(document, bytes(binary)), rng, 0.2))
    return path


def _make_draco(folder: Path, rng: np.random.Generator) -> Path:
    """Return a GLB whose compressed geometry has wrong bytes; its decoder is a process of its own."""
    import DracoPy

    made, shape = GltfFile(), trimesh.creation.icosphere(1)
    content = DracoPy.encode(shape.vertices, shape.faces.astype(np.uint32))
    said = {"bufferView": made.view(_with_wrong_bytes(content, rng, 1.0)), "attributes": {"POSITION": 0}}
    positions = {"componentType": 5126, "count": len(shape.vertices), "type": "VEC3"}
    corners = {"componentType": 5125, "count": shape.faces.size, "type": "SCALAR"}
    made.shape(
        {
            "attributes": {"POSITION": made.add("accessors", positions)},
            "indices": made.add("accessors", corners),
            "extensions": {"KHR_draco_mesh_compression": said},
        }
    )
    return made.write(folder / "case.glb")


def _change_json(document: Any, rng: np.random.Generator) -> None:
    """Change a value somewhere in a document, take it away, repeat it or put another part in its place."""
    places: list[tuple[Any, Any]] = []
    waiting = [document]
    while waiting:
        part = waiting.pop()
        keys = range(len(part)) if isinstance(part, list) else list(part)
        for key in keys:
            places.append((part, key))
            if isinstance(part[key], dict | list):
                waiting.append(part[key])
    part, key = places[rng.integers(len(places))]
    match rng.integers(5):
        case 0:
            del part[key]
        case 1:
            other, there = places[rng.integers(len(places))]
            part[key] = copy.deepcopy(other[there])
        case 2 if isinstance(part, list):
            part += [copy.deepcopy(part[key]) for _ in range(rng.integers(1, 50))]
        case 3 if isinstance(part[key], int):
            part[key] += int(rng.integers(-3, 4))
        case _:
            part[key] = copy.deepcopy(_VALUES[rng.integers(len(_VALUES))])


def _with_wrong_bytes(content: bytes, rng: np.random.Generator, share: float) -> bytes:
    """Return the content, in ``share`` of the cases with wrong, missing or repeated bytes."""
    if rng.random() >= share or not content:
        return content
    changed = bytearray(content)
    for _ in range(rng.integers(1, 8)):
        changed[rng.integers(len(changed))] = int(rng.integers(256))
    start, end = sorted(int(place) for place in rng.integers(0, len(changed) + 1, 2))
    match rng.integers(4):
        case 0:
            del changed[start : start + min(64, end - start)]
        case 1:
            changed[start:start] = changed[start : min(end, start + 64)]
        case 2:
            del changed[end:]
        case _:
            pass
    return bytes(changed)


def _with_wrong_words(text: str, rng: np.random.Generator) -> str:
    lines = text.splitlines()
    for _ in range(rng.integers(1, 6)):
        at = int(rng.integers(len(lines)))
        words = lines[at].split(" ")
        match rng.integers(5):
            case 0:
                words[rng.integers(len(words))] = _WORDS[rng.integers(len(_WORDS))]
            case 1:
                del words[rng.integers(len(words))]
            case 2:
                words += words[: rng.integers(1, 9)]
            case 3:
                lines[at:at] = [lines[rng.integers(len(lines))]] * int(rng.integers(1, 9))
                continue
            case _:
                words = lines[rng.integers(len(lines))].split(" ")
        lines[at] = " ".join(words)
    return "\n".join(lines) + "\n"


_MTL = "newmtl a\nKd 0.8 0.2 0.1\nmap_Kd -s 2 2 2 p.png\nd 0.5\nnewmtl b\nKd 0 1 0\n"
_OBJ = (
    "mtllib m.mtl\no box\nv 0 0 0\nv 1 0 0\nv 1 1 0 1 0 0\nv 0 1 0\nv 0.5 0.5 1\n"
    "vt 0 0\nvt 1 0\nvt 3 1\nvt 0 1\n"
    "vn 0 0 1\nusemtl a\nf 1/1/1 2/2/1 3/3/1 4/4/1\nusemtl b\nf -1//1 1//1 2//1\ns off\nf 3 4 5\nl 1 2\n"
)


def _make_obj(folder: Path, rng: np.random.Generator) -> Path:
    (folder / "p.png").write_bytes(_with_wrong_bytes(png(np.full((8, 8, 3), 9, np.uint8)), rng, 0.2))
    library = _with_wrong_words(_MTL, rng) if rng.random() < 0.3 else _MTL
    (folder / "m.mtl").write_text(library, encoding="utf-8")
    content = _with_wrong_words(_OBJ, rng).encode()
    (folder / "case.obj").write_bytes(_with_wrong_bytes(content, rng, 0.2))
    return folder / "case.obj"


def _make_ply(folder: Path, rng: np.random.Generator) -> Path:
    shape = trimesh.creation.box((1, 2, 3))
    shape.visual.vertex_colors = np.arange(32, dtype=np.uint8).reshape(8, 4)
    encoding = ("ascii", "binary")[rng.integers(2)]
    content = shape.export(file_type="ply", encoding=encoding)
    head, end, body = content.partition(b"end_header\n")
    if encoding == "ascii":
        body = _with_wrong_words(body.decode(), rng).encode()
    head = _with_wrong_words(head.decode(), rng).encode() if rng.random() < 0.5 else head
    (folder / "case.ply").write_bytes(_with_wrong_bytes(head + end + body, rng, 0.5))
    return folder / "case.ply"


def _make_stl(folder: Path, rng: np.random.Generator) -> Path:
    shape = trimesh.creation.box((1, 2, 3))
    if rng.random() < 0.5:
        content = _with_wrong_words(shape.export(file_type="stl_ascii"), rng).encode()
        content = _with_wrong_bytes(content, rng, 0.2)
    else:
        content = _with_wrong_bytes(shape.export(file_type="stl"), rng, 1.0)
    (folder / "case.stl").write_bytes(content)
    return folder / "case.stl"


KINDS: dict[str, Callable[[Path, np.random.Generator], Path]] = {
    "glb": _make_glb,
    "draco": _make_draco,
    "obj": _make_obj,
    "ply": _make_ply,
    "stl": _make_stl,
}


def main() -> int:
    """Fuzz every kind and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=5000, help="files of each kind")
    parser.add_argument("--seed", type=int, default=0, help="of the changes")
    parser.add_argument("--only", nargs="*", choices=KINDS, default=list(KINDS), help="kinds of files")
    options = parser.parse_args()
    logging.getLogger("trimesh").setLevel(logging.CRITICAL)
    print("| kind | cases | read | refused | other exceptions | slowest, s | peak, MiB |")
    print("|---|---|---|---|---|---|---|")
    bad = False
    for kind in options.only:
        with tempfile.TemporaryDirectory() as folder:
            tally = fuzz(kind, options.cases, options.seed, Path(folder))
        read = tally.outcomes.pop("read", 0)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        counts = f"{read} | {sum(tally.outcomes.values())} | {len(tally.faults)}"
        print(f"| {kind} | {options.cases} | {counts} | {tally.slowest_s:.2f} | {peak:.0f} |", flush=True)
        print("\n".join(tally.faults[:20]), json.dumps(tally.outcomes), file=sys.stderr)
        bad |= bool(tally.faults) or tally.slowest_s > SECONDS
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
