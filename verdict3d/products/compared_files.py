"""Which mesh file of which folder is a mesh of which photo."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from verdict3d.errors import Verdict3DError
from verdict3d.folders import readable
from verdict3d.mesh.mesh import SUFFIXES
from verdict3d.products.photo_plan import find_photos, without_originals

_SAMPLE = re.compile(r"(?P<photo>.+)-(?P<sample>\d+)")
ONLY = ""
"""Name of the sample of a folder with one mesh a photo."""


@dataclass(frozen=True)
class MeshFolder:
    """One folder of meshes.

    Attributes:
        name: How it is called.
        folder: Where it is.
        files: Mesh files by photo stem and sample.
        unmatched: Names of mesh files that belong to no photo.
    """

    name: str
    folder: Path
    files: dict[tuple[str, str], Path] = field(default_factory=dict)
    unmatched: list[str] = field(default_factory=list)

    @property
    def samples(self) -> list[str]:
        """Names of the samples that a photo should have: all that any photo has, numbers in their order."""
        return sorted({sample for _, sample in self.files}, key=lambda name: (len(name), name))


def find_compared_photos(folder: str) -> list[Path]:
    """Return the photos of a folder or pattern, originals of cut-out ones left out.

    Raises:
        Verdict3DError: There is none, or several have one name.
    """
    photos, _ = without_originals(find_photos([folder]))
    twice = sorted(name for name, count in Counter(photo.stem for photo in photos).items() if count > 1)
    if twice:
        raise Verdict3DError(
            f"several photos in {folder} are named {', '.join(twice[:5])}; meshes are matched by that name: "
            "keep one of each"
        )
    return photos


def match_files(folders: Sequence[Path], photos: Sequence[str]) -> list[MeshFolder]:
    """Return the sides: each mesh file by the photo whose name it has.

    ``chair.glb`` belongs to the photo ``chair``, and so do ``chair-1.glb``, ``chair-2.glb``, ... as samples
    of it, unless there is a photo ``chair-1``. Of files that differ in their suffix only, the first in the
    order of :data:`verdict3d.mesh.mesh.SUFFIXES` is taken.

    Args:
        folders: At least two, all different.
        photos: Stems of the photos.

    Raises:
        Verdict3DError: A folder is missing, named twice, holds no mesh of any photo, or has numbered samples
            of some photos and bare names for others.
    """
    missing = [str(folder) for folder in folders if not folder.is_dir()]
    if missing:
        raise Verdict3DError(f"no such folder: {', '.join(missing)}")
    if len({folder.resolve() for folder in folders}) < max(2, len(folders)):
        raise Verdict3DError("name at least two folders of meshes, each once")
    known = set(photos)
    sides = [_match(name, folder, known) for name, folder in zip(name_sides(folders), folders, strict=True)]
    for side in sides:
        if len(side.samples) > 1 and ONLY in side.samples:
            bare = next(path.name for (_, sample), path in side.files.items() if sample == ONLY)
            raise Verdict3DError(
                f"{side.folder} has numbered samples of some photos and {bare} without a number; name all "
                "meshes of a folder one way"
            )
        if not side.files:
            raise Verdict3DError(
                f"{side.folder} has no mesh ({', '.join(SUFFIXES)}) with the name of a photo, such as "
                f"{min(known)}{SUFFIXES[0]}" + (f"; it has {side.unmatched[0]}" if side.unmatched else "")
            )
    return sides


def _match(name: str, folder: Path, photos: set[str]) -> MeshFolder:
    side = MeshFolder(name, folder)
    files = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file()]
    for path in sorted(files, key=lambda path: (path.stem, SUFFIXES.index(path.suffix.lower()), path.name)):
        photo, sample = path.stem, ONLY
        if photo not in photos and (found := _SAMPLE.fullmatch(path.stem)) and found["photo"] in photos:
            photo, sample = found["photo"], found["sample"]
        if photo in photos:
            side.files.setdefault((photo, sample), path)
        else:
            side.unmatched.append(readable(path.name))
    return side


def name_sides(folders: Sequence[Path]) -> list[str]:
    """Return the shortest ends of the paths that differ from each other."""
    parts = [Path(readable(str(folder.resolve()))).parts for folder in folders]
    longest = max(map(len, parts))
    for length in range(1, longest + 1):
        names = ["/".join(part[-length:]).replace("//", "/") for part in parts]
        if len(set(names)) == len(names):
            return names
    return [readable(str(folder)) for folder in folders]


def read_tags(path: Path) -> dict[str, str]:
    """Return the tag of each photo stem from a CSV file with the columns ``stem`` and ``tag``.

    Raises:
        Verdict3DError: It cannot be read, a column is missing, or a stem stands there twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            if not {"stem", "tag"} <= set(reader.fieldnames or ()):
                raise Verdict3DError(f"{path} needs a first line with the columns `stem` and `tag`")
            rows = [(row["stem"] or "", row["tag"] or "") for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Verdict3DError(f"{path} cannot be read as CSV: {error}") from error
    twice = [stem for stem, count in Counter(stem for stem, _ in rows).items() if count > 1]
    if twice:
        raise Verdict3DError(f"{path} has several lines for {', '.join(sorted(twice)[:5])}; keep one of each")
    return dict(rows)
