"""Stage ``controls``: pairs of meshes whose better one is known, for the audit of the judges.

They are made of the objects' own meshes alone, so that a judge that cannot see them is known before anything
is generated: damaged copies in five grades, the same object in other clothes, in wrong colours, and perfect
meshes of other objects. Held-out objects come first, then those of validation, then the others; no judge has
learned from any. Everything is drawn once, here, for all judges. Writes ``data/controls/``: ``montages``,
``pairs.jsonl`` (one :class:`ControlPair` a question) and ``metrics.json``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tasks.asking.specimens import Modes, Specimen, draw_specimens
from tasks.paths import CONTROLS, read_assets
from tasks.stage import run_stage
from verdict3d.config import Params
from verdict3d.errors import Verdict3DError
from verdict3d.judge.modes import TEXTURE_MODE, list_modes
from verdict3d.mesh.damage import KINDS
from verdict3d.mesh.equivalents import EQUIVALENTS
from verdict3d.randomness import numpy_generator
from verdict3d.records.assets import Asset
from verdict3d.records.files import write_json
from verdict3d.records.names import Split
from verdict3d.records.pairs import CLEAR_GRADES, ControlPair, Shown
from verdict3d.records.record import write_rows

COMPARED_GRADE = 4
"""Grade of the pairs that are asked in several ways: clear, and not yet absurd."""
WRONG_GRADES = (1, 2)
"""Grades of a right but damaged mesh against a perfect one of another object."""


ORDER: tuple[Split, ...] = ("heldout", "validation", "train")
"""Splits in the order in which their objects are taken."""


@dataclass(frozen=True)
class Cell:
    """One object and the damage it is given.

    Attributes:
        id: Unique name.
        asset: Row of the asset.
        defect: Kind of damage.
        mild: The grade from 1 to 3 that it is shown in besides the clear ones, which the certificate is
            about.
        other: Asset row of another object, of another category where there is one.
        stranger: Asset row of a third object, whose picture is the shuffled reference.
    """

    id: str
    asset: Asset
    defect: str
    mild: int
    other: Asset
    stranger: Asset

    @property
    def grades(self) -> tuple[int, ...]:
        """The grades that it is shown in."""
        return (self.mild, *CLEAR_GRADES)


def plan_cells(params: Params, assets: Sequence[Asset]) -> list[Cell]:
    """Return ``audit.rows_per_defect`` cells for each kind, in turn; few objects are used several times.

    Raises:
        Verdict3DError: There is only one asset.
    """
    if len(assets) < 2:
        raise Verdict3DError(f"a judge cannot be audited on {len(assets)} assets; at least two are needed")
    objects = order_by_split(assets)
    rows = params.audit.rows_per_defect
    cells: list[Cell] = []
    for turn in range(rows):
        for place, defect in enumerate(KINDS):
            asset = objects[(place * rows + turn) % len(objects)]
            name = f"{len(cells):03d}-{asset.id}"
            rng = numpy_generator(params.seed, "control_others", name)
            other, stranger = _draw_others(assets, asset, rng)
            cells.append(Cell(name, asset, defect, 1 + turn % 3, other, stranger))
    return cells


def order_by_split(assets: Sequence[Asset]) -> list[Asset]:
    """Return the assets, those of the first split in :data:`ORDER` first."""
    return sorted(assets, key=lambda asset: ORDER.index(asset.split))


def _draw_others(assets: Sequence[Asset], asset: Asset, rng: np.random.Generator) -> tuple[Asset, Asset]:
    """Draw another object and a third one, unlike ``asset`` in category as far as there are any."""
    unlike = [row for row in assets if row.category != asset.category]
    pool = unlike or [row for row in assets if row.id != asset.id]
    other = pool[int(rng.integers(len(pool)))]
    thirds = [row for row in pool if row.id != other.id] or pool
    return other, thirds[int(rng.integers(len(thirds)))]


def plan_specimens(params: Params, assets: Sequence[Asset], cells: Sequence[Cell]) -> list[Specimen]:
    """Return every mesh to draw, each once.

    Args:
        params: Modes and view sets of the judges, and section ``audit``.
        assets: Rows of the assets stage.
        cells: From :func:`plan_cells`.
    """
    modes = tuple(list_modes(params.judges).items())
    specimens: dict[str, Specimen] = {}

    def add(asset: Asset, change: str | None, modes: Modes, id: str, key: str = "", **grade: int) -> None:
        specimens.setdefault(id, Specimen(id, asset.mesh, change, key or id, modes, **grade))

    for clothes, asset in plan_clothes(params, assets):
        add(asset, None, modes, asset.id)
        add(asset, clothes, modes, f"{asset.id}-{clothes}")
    for number, cell in enumerate(cells):
        compared = number < params.audit.compared
        add(cell.asset, None, modes, cell.asset.id)
        if cell.mild in WRONG_GRADES:
            add(cell.other, None, modes, cell.other.id)
        for grade in cell.grades:
            splat = (("splat", 1),) if compared and grade == COMPARED_GRADE else ()
            # all grades draw the same random numbers, so that a defect grows instead of moving about
            add(cell.asset, cell.defect, (*modes, *splat), _name_damaged(cell, grade), cell.id, grade=grade)
        if compared:
            add(cell.asset, None, (("splat", 1),), f"{cell.id}-splat")
    for asset in select_coloured(params, assets):
        add(asset, None, ((TEXTURE_MODE, 1),), f"{asset.id}-coloured")
        add(asset, "recoloured", ((TEXTURE_MODE, 1),), f"{asset.id}-recoloured")
    return list(specimens.values())


def plan_clothes(params: Params, assets: Sequence[Asset]) -> list[tuple[str, Asset]]:
    """Return ``audit.copies`` objects for each kind of clothes, others for each where there are enough."""
    objects, copies = order_by_split(assets), params.audit.copies
    return [
        (clothes, objects[number % len(objects)])
        for place, clothes in enumerate(EQUIVALENTS)
        for number in range(place * copies, (place + 1) * copies)
    ]


def select_coloured(params: Params, assets: Sequence[Asset]) -> list[Asset]:
    """Return the objects whose colours are asked about."""
    return order_by_split(assets)[: params.audit.coloured]


def _name_damaged(cell: Cell, grade: int) -> str:
    return f"{cell.id}-{cell.defect}-{grade}"


def plan_pairs(
    params: Params, assets: Sequence[Asset], cells: Sequence[Cell], sides: Mapping[str, Shown]
) -> Iterator[ControlPair]:
    """Yield every question; X is the better mesh where one is better.

    Args:
        params: Section ``audit``.
        assets: Rows of the assets stage.
        cells: From :func:`plan_cells`.
        sides: What each specimen is shown as.
    """
    for clothes, asset in plan_clothes(params, assets):
        name = f"{asset.id}-{clothes}"
        yield _make_pair("null", asset, name, x=sides[asset.id], y=sides[name], defect=clothes)
    for number, cell in enumerate(cells):
        common: dict[str, Any] = {
            "asset": cell.asset,
            "pair": cell.id,
            "x": sides[cell.asset.id],
            "defect": cell.defect,
        }
        for grade in cell.grades:
            yield _make_pair("ladder", **common, y=sides[_name_damaged(cell, grade)], grade=grade)
        if number < params.audit.compared:
            pictures = {"x": sides[f"{cell.id}-splat"], "y": sides[_name_damaged(cell, COMPARED_GRADE)]}
            yield _make_pair("splat", **common | pictures, grade=COMPARED_GRADE)
        if cell.mild in WRONG_GRADES:
            right, wrong = sides[_name_damaged(cell, cell.mild)], sides[cell.other.id]
            unlike: dict[str, Any] = {**common, "x": right, "y": wrong, "grade": cell.mild}
            yield _make_pair("clean_but_wrong", **unlike)
            yield _make_pair("reference_shuffled", **unlike, reference=cell.stranger.condition)
            yield _make_pair("reference_removed", **unlike, reference=None)
    for asset in select_coloured(params, assets):
        right, wrong = sides[f"{asset.id}-coloured"], sides[f"{asset.id}-recoloured"]
        yield _make_pair("colour", asset, asset.id, x=right, y=wrong)


def _make_pair(
    control: str,
    asset: Asset,
    pair: str,
    *,
    x: Shown,
    y: Shown,
    defect: str | None = None,
    grade: int | None = None,
    **reference: str | None,
) -> ControlPair:
    return ControlPair(
        id=f"{control}-{pair}" + (f"-{grade}" if control == "ladder" else ""),
        control=control,
        pair=pair,
        object=asset.id,
        category=asset.category,
        reference=reference.get("reference", asset.condition),
        x=x,
        y=y,
        defect=defect,
        grade=grade,
    )


def run(params: Params, root: Path) -> None:
    """Run the stage below ``root``."""
    assets = read_assets(root)
    cells = plan_cells(params, assets)
    with draw_specimens(params, plan_specimens(params, assets, cells), root) as sides:
        pairs = list(plan_pairs(params, assets, cells, sides))
        write_rows(root / CONTROLS / "pairs.jsonl", pairs)
        failed = Counter(side.failure for side in sides.values() if side.failure)
        metrics = {
            "pairs": dict(sorted(Counter(pair.control for pair in pairs).items())),
            "objects": len({pair.object for pair in pairs}),
            "meshes": len(sides),
            "failures": dict(sorted(failed.items())),
        }
        write_json(root / CONTROLS / "metrics.json", metrics)


if __name__ == "__main__":
    run_stage(run)
