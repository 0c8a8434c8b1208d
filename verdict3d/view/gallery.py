"""The gallery: held-out pairs chosen by name, never by result, with their pictures embedded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from verdict3d.records.verdicts import Contender, HeldoutVerdict
from verdict3d.view.content import REGIMES, Exhibit, Illustration
from verdict3d.view.pictures import embed_picture

PICTURE_PX = 320
MOST_PICTURE_BYTES = 4_000_000
JudgedArm = tuple[str, HeldoutVerdict]
"""An arm, and a verdict about it."""


def pick_gallery(
    root: Path,
    verdicts: Mapping[str, Sequence[HeldoutVerdict]],
    conditions: Mapping[tuple[str, str], str],
    most: int,
) -> tuple[tuple[Exhibit, ...], int]:
    """Return the exhibits and the number of pairs they were drawn from.

    Args:
        root: What the paths of pictures are relative to.
        verdicts: Verdict rows of the held-out pairs, by arm.
        conditions: Path of the input picture of (asset, regime).
        most: Largest number of exhibits; there are fewer when their pictures would exceed
            ``MOST_PICTURE_BYTES``.
    """
    rows = [(arm, row) for arm, found in verdicts.items() for row in found]
    exhibits: list[Exhibit] = []
    embedded_bytes = 0
    for arm, row in order_gallery(rows)[:most]:
        exhibit = _make_exhibit(root, arm, row, conditions)
        pictures = (exhibit.clean, exhibit.degraded, exhibit.base, exhibit.adapted)
        embedded_bytes += sum(len(picture.uri) for picture in pictures if picture)
        if embedded_bytes > MOST_PICTURE_BYTES:
            break
        exhibits.append(exhibit)
    return tuple(exhibits), len(rows)


def order_gallery(rows: Sequence[JudgedArm]) -> list[JudgedArm]:
    """Return verdicts in the gallery's order, whatever their outcome.

    Objects come category by category; each is first shown under one (arm, regime), which rotates so that all
    of them appear, then under the next. Only the first seed of an object is used.
    """
    categories = sorted({row.category for _, row in rows})
    cells = sorted(
        {(arm, row.regime) for arm, row in rows},
        key=lambda cell: (-REGIMES.index(cell[1]) if cell[1] in REGIMES else -len(REGIMES), cell[0]),
    )
    objects: dict[str, list[str]] = {}
    for _, row in sorted(rows, key=lambda judged: judged[1].object):
        mine = objects.setdefault(row.category, [])
        if row.object not in mine:
            mine.append(row.object)
    first_seed: dict[tuple[str, str, str], JudgedArm] = {}
    for arm, row in sorted(rows, key=lambda judged: judged[1].seed):
        first_seed.setdefault((row.object, arm, row.regime), (arm, row))

    def place(judged: JudgedArm) -> tuple[int, int, int]:
        arm, row = judged
        rank = objects[row.category].index(row.object)
        category = categories.index(row.category)
        turn = (cells.index((arm, row.regime)) - rank - category) % len(cells)
        return turn, rank, category

    return sorted(first_seed.values(), key=place)


def _make_exhibit(
    root: Path, arm: str, row: HeldoutVerdict, conditions: Mapping[tuple[str, str], str]
) -> Exhibit:
    def montage(side: Contender, whose: str) -> Illustration | None:
        if side.montage is None:
            return None
        alt = f"Four views of the mesh of {row.object} that {whose} made"
        return embed_picture(root / side.montage, PICTURE_PX, alt, montage=True)

    def condition(shown: str) -> Illustration | None:
        path = conditions.get((row.object, shown))
        alt = f"{shown.capitalize()} input picture of {row.object}"
        return embed_picture(root / path, PICTURE_PX, alt) if path else None

    return Exhibit(
        object=row.object,
        category=row.category,
        arm=arm,
        regime=row.regime,
        outcome=row.outcome,
        m1=row.m1,
        m2=row.m2,
        se=row.se,
        views=len(row.sets),
        clean=condition("clean"),
        degraded=None if row.regime == "clean" else condition(row.regime),
        base=montage(row.base, "the base generator"),
        adapted=montage(row.arm, f"the arm {arm}"),
        base_f_score=row.base.f_score,
        arm_f_score=row.arm.f_score,
    )
