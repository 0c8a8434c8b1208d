"""The gallery: held-out pairs chosen by name, never by result, with their pictures embedded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from verdict3d.records.files import Row
from verdict3d.view.content import REGIMES, Exhibit, Picture
from verdict3d.view.pictures import embed_picture

PICTURE_PX = 320
MOST_PICTURE_BYTES = 4_000_000


def gallery(
    root: Path,
    verdicts: Mapping[str, Sequence[Row]],
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
    rows = [row | {"arm_name": arm} for arm, found in verdicts.items() for row in found]
    exhibits: list[Exhibit] = []
    embedded_bytes = 0
    for row in gallery_order(rows)[:most]:
        exhibit = _exhibit(root, row, conditions)
        pictures = (exhibit.clean, exhibit.degraded, exhibit.base, exhibit.adapted)
        embedded_bytes += sum(len(picture.uri) for picture in pictures if picture)
        if embedded_bytes > MOST_PICTURE_BYTES:
            break
        exhibits.append(exhibit)
    return tuple(exhibits), len(rows)


def gallery_order(rows: Sequence[Row]) -> list[Row]:
    """Return verdict rows (with ``arm_name`` added) in the gallery's order, whatever their outcome.

    Objects come category by category; each is first shown under one (arm, regime), which rotates so that all
    of them appear, then under the next. Only the first seed of an object is used.
    """
    categories = sorted({row["category"] for row in rows})
    cells = sorted(
        {(row["arm_name"], row["regime"]) for row in rows},
        key=lambda cell: (-REGIMES.index(cell[1]) if cell[1] in REGIMES else -len(REGIMES), cell[0]),
    )
    objects: dict[str, list[str]] = {}
    for row in sorted(rows, key=lambda row: row["object"]):
        mine = objects.setdefault(row["category"], [])
        if row["object"] not in mine:
            mine.append(row["object"])
    first_seed: dict[tuple[str, str, str], Row] = {}
    for row in sorted(rows, key=lambda row: row["seed"]):
        first_seed.setdefault((row["object"], row["arm_name"], row["regime"]), row)

    def place(row: Row) -> tuple[int, int, int]:
        rank = objects[row["category"]].index(row["object"])
        category = categories.index(row["category"])
        turn = (cells.index((row["arm_name"], row["regime"])) - rank - category) % len(cells)
        return turn, rank, category

    return sorted(first_seed.values(), key=place)


def _exhibit(root: Path, row: Row, conditions: Mapping[tuple[str, str], str]) -> Exhibit:
    asset, regime, arm = row["object"], row["regime"], row["arm_name"]
    base, adapted = row.get("base") or {}, row.get("arm") or {}

    def montage(side: Mapping[str, Any], whose: str) -> Picture | None:
        if not side.get("montage"):
            return None
        alt = f"Four views of the mesh of {asset} that {whose} made"
        return embed_picture(root / side["montage"], PICTURE_PX, alt)

    def condition(shown: str) -> Picture | None:
        path = conditions.get((asset, shown))
        alt = f"{shown.capitalize()} input picture of {asset}"
        return embed_picture(root / path, PICTURE_PX, alt) if path else None

    return Exhibit(
        object=asset,
        category=row["category"],
        arm=arm,
        regime=regime,
        outcome=row["outcome"],
        m1=row.get("m1"),
        m2=row.get("m2"),
        clean=condition("clean"),
        degraded=None if regime == "clean" else condition(regime),
        base=montage(base, "the base generator"),
        adapted=montage(adapted, f"the arm {arm}"),
        base_f_score=base.get("f_score"),
        arm_f_score=adapted.get("f_score"),
    )
