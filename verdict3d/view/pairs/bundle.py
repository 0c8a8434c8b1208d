"""The pages of pairs as files: for any web server, and for a browser that opens them from disk.

Data lies in scripts, because a page that was opened from disk may fetch nothing.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from tqdm import tqdm

from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.records.files import read_object, write_bytes, write_json
from verdict3d.view.pairs.index import PairIndex
from verdict3d.view.pairs.meshes import REMADE, count_faces_within, make_mesh_document
from verdict3d.view.pairs.pictures import count_view_sets, make_montage, make_picture
from verdict3d.view.pairs.query import Query
from verdict3d.view.pairs.server import BESIDE, STATIC, collect_facts, read_static, render_shell

SHARD_ROWS = 1000
MARK = "pairs.json"
"""File that says which index a bundle is of, and whether it is whole."""
NOT_HELD = "a bundle holds no damaged meshes; `verdict3d view` makes them again; their pictures are below"
FOLDERS = ("data", "pictures", "static")


@dataclass(frozen=True)
class Bundled:
    """What a bundle holds.

    Attributes:
        pairs: Pairs.
        pictures: Pictures.
        meshes: Meshes.
        missing: Pictures and meshes whose files are gone or cannot be read.
        faces: Most faces of a mesh.
        mesh_bytes: Bytes of all meshes.
        all_bytes: Bytes of everything.
    """

    pairs: int
    pictures: int
    meshes: int
    missing: int
    faces: int
    mesh_bytes: int
    all_bytes: int


def write_bundle(
    index: PairIndex, output: Path, budget_bytes: int, beside: Mapping[str, str], say: Callable[[str], None]
) -> Bundled:
    """Write the pages of all pairs into a folder; what an earlier try finished is not made again.

    Args:
        index: The pairs.
        output: The folder: new, empty, or of an earlier bundle.
        budget_bytes: What all meshes together may take, though each keeps some faces.
        beside: Pages whose numbers lead to their pairs, by name.
        say: Called with a line for people.

    Raises:
        Verdict3DError: The folder holds something else.
    """
    state = index.fact("state")
    _start(output, state)
    there = index.files("mesh")
    meshes = [(key, source) for key, source in there if source.suffix != REMADE]
    faces = count_faces_within(budget_bytes, len(meshes))
    say(f"{len(meshes)} meshes within {budget_bytes / 1e6:.0f} MB: at most {faces} faces each")
    for name in STATIC:
        write_bytes(output / "static" / name, read_static(name))
    write_bytes(output / "static/LICENSE.model-viewer.txt", read_static("LICENSE.model-viewer.txt"))
    _write_data(index, output)
    pictures = list(_list_pictures(index))
    missing = sum(
        not _make(output / f"pictures/{name}.webp", make)
        for name, make in tqdm(pictures, desc="pictures", unit="picture", mininterval=1.0)
    )
    for key, source in there:
        if source.suffix == REMADE:
            write_bytes(output / f"data/mesh-{key}.js", _write_script(f"mesh-{key}", {"error": NOT_HELD}))
    for key, source in tqdm(meshes, desc="meshes", unit="mesh", mininterval=1.0):
        path = output / f"data/mesh-{key}.js"
        if not path.is_file():
            value = _read_mesh(source, faces)
            missing += "error" in value
            write_bytes(path, _write_script(f"mesh-{key}", value))
    for name in BESIDE:
        if name in beside:
            write_bytes(output / name, beside[name].encode())
        else:
            (output / name).unlink(missing_ok=True)
    write_bytes(output / "index.html", render_shell(bundle=True, beside=beside).encode())
    write_json(output / MARK, {"state": state, "whole": True})
    return Bundled(
        pairs=len(index),
        pictures=len(pictures),
        meshes=len(meshes),
        missing=missing,
        faces=faces,
        mesh_bytes=_sum_sizes(output.glob("data/mesh-*.js")),
        all_bytes=_sum_sizes(output.rglob("*")),
    )


def _start(output: Path, state: str) -> None:
    """Make the folder ready: empty, unless an earlier try of the same pairs is there."""
    if output.exists() and not output.is_dir():
        raise Verdict3DError(f"{output} is a file; name a folder for the bundle")
    if output.is_dir() and any(output.iterdir()) and not (output / MARK).is_file():
        raise Verdict3DError(f"{output} does not hold a bundle of pairs; name a new folder")
    if (output / MARK).is_file() and read_object(output / MARK).get("state") != state:
        for name in FOLDERS:
            shutil.rmtree(output / name, ignore_errors=True)
    write_json(output / MARK, {"state": state, "whole": False})


def _write_data(index: PairIndex, output: Path) -> None:
    """Write what the list filters, and what the page of each pair shows."""
    shard: list[dict[str, Any]] = []
    shards = 0
    for columns, row in index.rows():
        shard.append({"columns": columns, "row": row.model_dump()})
        if len(shard) == SHARD_ROWS:
            write_bytes(output / f"data/rows-{shards}.js", _write_script(f"rows-{shards}", shard))
            shard, shards = [], shards + 1
    if shard:
        write_bytes(output / f"data/rows-{shards}.js", _write_script(f"rows-{shards}", shard))
        shards += 1
    for prefix, names in groupby(sorted(index.ids(Query())), key=lambda name: name[:2]):
        found = {name: index.document(name) for name in names}
        documents = {name: one.model_dump(mode="json") for name, one in found.items() if one}
        write_bytes(output / f"data/documents-{prefix}.js", _write_script(f"documents-{prefix}", documents))
    write_bytes(output / "data/facts.js", _write_script("facts", {**collect_facts(index), "shards": shards}))


def _list_pictures(index: PairIndex) -> Iterable[tuple[str, Callable[[], bytes]]]:
    """Yield the name of every picture with what makes it."""
    for key, _ in index.files("photo"):
        yield key, lambda key=key: make_picture(index, key)  # type: ignore[misc]
    for key, path in index.files("montage"):
        for number in range(count_view_sets(path)):
            yield f"{key}-{number}", lambda path=path, number=number: make_montage(path, number)  # type: ignore[misc]


def _make(path: Path, make: Callable[[], bytes]) -> bool:
    """Write a picture that is not there; return whether it is there now."""
    if not path.is_file():
        try:
            content = make()
        except ItemFailure:
            return False
        write_bytes(path, content)
    return True


def _read_mesh(path: Path, faces: int) -> dict[str, Any]:
    try:
        return make_mesh_document(path, faces).model_dump()
    except ItemFailure as failure:
        return {"error": str(failure)}


def _write_script(name: str, value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return f"V3D.receive({json.dumps(name)},{text});\n".encode()


def _sum_sizes(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths if path.is_file())
