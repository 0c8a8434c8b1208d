"""The assets of a run: procedural furniture, or a folder of somebody's meshes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verdict3d.config_generators import MeshLimits
from verdict3d.config_inputs import AssetsParams
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.folders import files_below, readable
from verdict3d.furniture.catalogue import CATEGORIES, World, make_furniture
from verdict3d.furniture.part_mesh import mesh_from_parts
from verdict3d.mesh.axes import Up
from verdict3d.mesh.files import read_mesh
from verdict3d.mesh.likeness import are_copies, are_near, measure_likeness, write_likeness_key
from verdict3d.mesh.mesh import SUFFIXES, Mesh, mesh_digest, normalize
from verdict3d.randomness import numpy_generator, seed_for
from verdict3d.records.assets import Quarantined
from verdict3d.records.names import Split

SPLITS: tuple[Split, ...] = ("train", "validation", "heldout")
UNKNOWN_CATEGORY = "unknown"

_FIRST_NUMBER = {"train": 0, "validation": 60_000, "heldout": 80_000}
_LAST_NUMBER = {"train": 60_000, "validation": 80_000, "heldout": 100_000}
_OTHER_MESHES = (".fbx", ".dae", ".3mf", ".off", ".usd", ".usda", ".usdc", ".usdz", ".blend", ".3ds")


@dataclass(frozen=True, eq=False)
class LoadedAsset:
    """One object: normalised mesh and where it comes from.

    Attributes:
        id: ``chair-00012``, or a slug of the file name with eight digits of the digest.
        category: One of the procedural categories, the folder a file lies in, or ``unknown``.
        split: ``train``, ``validation`` or ``heldout``.
        source: ``procedural``, or the file's path below the folder.
        mesh: In the object frame, longest side 1.
        digest: ``mesh_digest`` of ``mesh``.
    """

    id: str
    category: str
    split: Split
    source: str
    mesh: Mesh
    digest: str


def procedural_assets(params: AssetsParams, seed: int) -> Iterator[LoadedAsset]:
    """Yield the furniture of all splits, categories in turn.

    An object depends on (seed, split, index) alone, so that more assets in one split change nothing else.

    Raises:
        Verdict3DError: A split has more assets than its range of numbers.
    """
    for split in SPLITS:
        count = getattr(params, split)
        room = _LAST_NUMBER[split] - _FIRST_NUMBER[split]
        if count > room:
            raise Verdict3DError(f"assets.{split} is {count}; at most {room} procedural assets are possible")
        for index in range(count):
            yield procedural_asset(split, index, seed)


def procedural_asset(split: Split, index: int, seed: int, world: World = "usual") -> LoadedAsset:
    """Return procedural object number ``index`` of a split, from one of the worlds of furniture."""
    category = CATEGORIES[index % len(CATEGORIES)]
    mesh = mesh_from_parts(make_furniture(category, numpy_generator(seed, "furniture", split, index), world))
    name = f"{category}-{_FIRST_NUMBER[split] + index:05d}"
    return LoadedAsset(name, category, split, "procedural", mesh, mesh_digest(mesh))


def mesh_paths(directory: Path) -> list[Path]:
    """Return every file below ``directory`` that looks like a mesh, sorted; hidden ones are left out.

    Raises:
        Verdict3DError: ``directory`` is not a folder, or holds no such file.
    """
    if not directory.is_dir():
        raise Verdict3DError(
            f"{str(directory)!r} is not a folder; give a folder of meshes (assets.source: or `procedural`)"
        )
    known = (*SUFFIXES, *_OTHER_MESHES)
    found = [
        path
        for path in files_below(directory)
        if path.suffix.lower() in known
        and not any(part.startswith(".") for part in path.relative_to(directory).parts)
    ]
    if not found:
        raise Verdict3DError(f"no mesh below {directory}; readable are {', '.join(SUFFIXES)}")
    return sorted(found, key=lambda path: path.relative_to(directory).as_posix())


@dataclass(frozen=True, eq=False)
class FoundMesh:
    """A file below a folder that holds an object which no file before it holds.

    Attributes:
        source: Its path below the folder, as text.
        mesh: In the object frame, as large as in the file.
        normalised: Centred, its longest side 1.
        measures: Of the normalised mesh; copies share them.
    """

    source: str
    mesh: Mesh
    normalised: Mesh
    measures: NDArray[np.float64]


def read_folder(
    directory: Path, paths: Sequence[Path], limits: MeshLimits, up_axis: Up
) -> Iterator[FoundMesh | Quarantined]:
    """Read files below ``directory`` in their order; of several that hold one object the first is kept."""
    kept: list[Path] = []
    measured = np.zeros((0, 4))
    for path in paths:
        source = readable(path.relative_to(directory).as_posix())
        try:
            mesh = read_mesh(path, limits, up_axis)
            normalised = normalize(mesh)
        except ItemFailure as failure:
            yield Quarantined(source=source, reason=failure.reason, message=readable(str(failure)))
            continue
        except MemoryError:
            message = "needs more memory than there is; simplify it, or set assets.limits lower"
            yield Quarantined(source=source, reason="out_of_memory", message=message)
            continue
        measures = measure_likeness(normalised)
        for number in np.flatnonzero(are_near(measures, measured)):
            if are_copies(normalised, normalize(read_mesh(kept[number], limits, up_axis))):
                message = f"same object as {readable(kept[number].relative_to(directory).as_posix())}"
                yield Quarantined(source=source, reason="duplicate", message=message)
                break
        else:
            kept.append(path)
            measured = np.vstack([measured, measures])
            yield FoundMesh(source, mesh, normalised, measures)


def folder_assets(directory: Path, params: AssetsParams, seed: int) -> Iterator[LoadedAsset | Quarantined]:
    """Yield for every mesh below ``directory`` an asset or the reason why it takes no part.

    The split follows from the shape alone (and ``seed``), so that it stays when files are added, moved or
    renamed, and so that an object in other colours does not stand in another split. Copies of one object
    (:mod:`verdict3d.mesh.likeness`) are left out.

    Raises:
        Verdict3DError: The folder is missing or holds no meshes, or all split shares are 0.
    """
    paths = mesh_paths(directory)
    split_of("", params.split_shares, seed)
    crowds = Counter(_top_folder(readable(path.relative_to(directory).as_posix())) for path in paths)
    for found in read_folder(directory, paths, params.limits, params.up_axis):
        if isinstance(found, Quarantined):
            yield found
            continue
        digest, top = mesh_digest(found.normalised), _top_folder(found.source)
        yield LoadedAsset(
            id=f"{_slug(Path(found.source).stem)}-{digest[:8]}",
            category=top if top and crowds[top] > 1 else UNKNOWN_CATEGORY,
            split=split_of(write_likeness_key(found.measures), params.split_shares, seed),
            source=found.source,
            mesh=found.normalised,
            digest=digest,
        )


def split_of(key: str, shares: Mapping[Any, float], seed: int) -> Split:
    """Return the split of an object from its key: a number drawn from it falls into one of the shares.

    Raises:
        Verdict3DError: No share is positive.
    """
    total = sum(shares.get(split, 0.0) for split in SPLITS)
    if not total > 0:
        raise Verdict3DError("assets.split_shares are all 0; give at least one split a positive share")
    place = seed_for(seed, "split", key) / 2**63 * total
    for split in SPLITS:
        place -= shares.get(split, 0.0)
        if place < 0:
            return split
    return max(SPLITS, key=lambda split: shares.get(split, 0.0))


def _top_folder(source: str) -> str:
    return source.partition("/")[0] if "/" in source else ""


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "mesh"
