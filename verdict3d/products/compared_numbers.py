"""What the folders of a comparison hold, and what the verdicts on their pairs amount to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations

from verdict3d.config import Params
from verdict3d.folders import readable
from verdict3d.products.compared_files import MeshFolder
from verdict3d.products.drawn_meshes import DrawnMeshes
from verdict3d.randomness import numpy_generator
from verdict3d.records.comparisons import Duel, PairOfMeshes, SideFiles
from verdict3d.stats.winrate import summarise, summarise_slices


def describe_side(side: MeshFolder, photos: Iterable[str], meshes: DrawnMeshes) -> SideFiles:
    """Return what a folder holds of the compared photos.

    Args:
        side: The folder.
        photos: Stems of the photos.
        meshes: Has read its files.
    """
    files = [side.files.get((photo, sample)) for photo in photos for sample in side.samples]
    drawn = [meshes.look(file) for file in files]
    notes = Counter(kind for one in drawn for kind in {note.kind for note in one.notes})
    return SideFiles(
        name=side.name,
        folder=readable(str(side.folder)),
        meshes=sum(one.failure is None for one in drawn),
        failures=dict(sorted(Counter(one.failure for one in drawn if one.failure).items())),
        unmatched=side.unmatched,
        notes=dict(sorted(notes.items())),
    )


def count_duels(
    rows: Sequence[PairOfMeshes], sides: Sequence[str], params: Params, axis: str = "compare"
) -> list[Duel]:
    """Return every two sides that met, with their win-rates over all pairs and by tag.

    Args:
        rows: The pairs.
        sides: Names of the sides.
        params: Seed, resamples and level of the intervals.
        axis: Key of the random numbers.
    """
    resamples, confidence = params.evaluate.bootstrap, params.evaluate.confidence
    duels = []
    for x, y in combinations(sides, 2):
        mine = [row for row in rows if (row.x, row.y) == (x, y)]
        if not mine:
            continue
        tagged = [row for row in mine if row.tag]
        duels.append(
            Duel(
                x=x,
                y=y,
                summary=summarise(mine, numpy_generator(params.seed, axis, x, y), resamples, confidence),
                by_tag=summarise_slices(
                    tagged,
                    lambda row: row.tag,
                    lambda tag: numpy_generator(params.seed, axis, x, y, tag),  # noqa: B023
                    resamples,
                    confidence,
                ),
                failed_x=sum(row.mine.failure is not None and row.outcome == "loss" for row in mine),
                failed_y=sum(row.theirs.failure is not None and row.outcome == "win" for row in mine),
            )
        )
    return duels
