"""Stage ``controls``: pairs of meshes whose better one is known, for the audit of the judges.

From the base's clean generations of held-out objects, which no judge and no adapter has learned from, come
copies, damaged copies in five grades and recoloured ones; from the assets come perfect meshes of other
objects. Everything is drawn once, here, for all judges. Writes ``data/controls/``: ``montages``,
``pairs.jsonl`` (one :class:`ControlPair` a question) and ``metrics.json``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tasks.asking.specimens import Specimen, drawn
from tasks.paths import CONTROLS, read_assets, read_generations
from tasks.stage import run_stage
from verdict3d.config import Params
from verdict3d.errors import Verdict3DError
from verdict3d.judge.modes import montage_modes
from verdict3d.mesh.damage import DEFECTS, GRADES
from verdict3d.randomness import numpy_generator
from verdict3d.records.assets import Asset
from verdict3d.records.files import write_json
from verdict3d.records.generations import Generation
from verdict3d.records.pairs import ControlPair, Shown
from verdict3d.records.record import write_rows

COMPARED_GRADE = 4
"""Grade of the pairs that are asked in several ways: clear, and not yet absurd."""
WRONG_GRADE = 2
"""Grade of the right but damaged mesh against a perfect one of another object."""


@dataclass(frozen=True)
class Cell:
    """One held-out object and the defect it is given.

    Attributes:
        id: Unique name.
        generation: Row of the base's clean generation.
        asset: Row of the asset.
        defect: Name of the defect.
        other: Asset row of another object, of another category where there is one.
        stranger: Asset row of a third object, whose picture is the shuffled reference.
    """

    id: str
    generation: Generation
    asset: Asset
    defect: str
    other: Asset
    stranger: Asset


def plan_cells(params: Params, assets: Sequence[Asset], generations: Sequence[Generation]) -> list[Cell]:
    """Return ``audit.rows_per_defect`` cells for each defect, in turn; few objects are used several times.

    Raises:
        Verdict3DError: There is no clean generation of a held-out object, or only one asset.
    """
    clean = [
        row
        for row in generations
        if row.role == "heldout" and row.regime == "clean" and row.number == 0 and not row.failure
    ]
    if not clean or len(assets) < 2:
        raise Verdict3DError(
            f"a judge cannot be audited on {len(clean)} clean generations of held-out objects and "
            f"{len(assets)} assets; at least one generation (generate.heldout_regimes with `clean`) and two "
            "assets are needed"
        )
    by_id = {asset.id: asset for asset in assets}
    rows = params.audit.rows_per_defect
    cells: list[Cell] = []
    for turn in range(rows):
        for place, defect in enumerate(DEFECTS):
            generation = clean[(place * rows + turn) % len(clean)]
            name = f"{len(cells):03d}-{generation.asset}"
            asset = by_id[generation.asset]
            rng = numpy_generator(params.seed, "control_others", name)
            other, stranger = _others(assets, asset, rng)
            cells.append(Cell(name, generation, asset, defect, other, stranger))
    return cells


def _others(assets: Sequence[Asset], asset: Asset, rng: np.random.Generator) -> tuple[Asset, Asset]:
    """Draw another object and a third one, unlike ``asset`` in category as far as there are any."""
    unlike = [row for row in assets if row.category != asset.category]
    pool = unlike or [row for row in assets if row.id != asset.id]
    other = pool[int(rng.integers(len(pool)))]
    thirds = [row for row in pool if row.id != other.id] or pool
    return other, thirds[int(rng.integers(len(thirds)))]


def plan_specimens(params: Params, cells: Sequence[Cell]) -> list[Specimen]:
    """Return every mesh to draw; the original's own montages are those of the generate stage."""
    modes = montage_modes(params.judges)
    specimens: dict[str, Specimen] = {}

    def add(id: str, source: str, kind: str, modes: tuple[str, ...], **defect: str | int) -> None:
        specimens.setdefault(id, Specimen(id, source, kind, id, modes, **defect))  # type: ignore[arg-type]

    for number, cell in enumerate(cells):
        mesh, compared = cell.generation.mesh, number < params.audit.compared
        assert mesh is not None  # no cell has a failed generation
        if number < params.audit.copies:
            add(f"{cell.id}-copy", mesh, "copy", modes)
        for grade in GRADES:
            splat = ("splat",) if compared and grade == COMPARED_GRADE else ()
            name = f"{cell.id}-{cell.defect}-{grade}"
            add(name, mesh, "damaged", (*modes, *splat), defect=cell.defect, grade=grade)
        if compared:
            add(f"{cell.id}-original", mesh, "original", ("splat", "rgb"))
            add(f"{cell.id}-recoloured", mesh, "recoloured", ("rgb",))
        add(f"true-{cell.other.id}", cell.other.mesh, "original", modes)
    # all grades of a cell draw the same random numbers, so that a defect grows instead of moving about
    return [
        replace(one, key=one.id.rpartition("-")[0]) if one.kind == "damaged" else one
        for one in specimens.values()
    ]


def plan_pairs(
    params: Params, cells: Sequence[Cell], sides: dict[str, Shown], generations: Sequence[Generation]
) -> Iterator[ControlPair]:
    """Yield every question; X is the better mesh where one is better.

    Args:
        params: Section ``audit``.
        cells: From :func:`plan_cells`.
        sides: What each specimen is shown as.
        generations: Rows of the generate stage.
    """
    for number, cell in enumerate(cells):
        original, reference = side_of(cell.generation), cell.asset.condition
        about = {"object": cell.asset.id, "category": cell.asset.category, "pair": cell.id}
        shown = {"reference": reference, "x": original, "defect": cell.defect, "grade": None}
        common: dict[str, Any] = {**about, **shown}
        if number < params.audit.copies:
            yield _pair("null", common, y=sides[f"{cell.id}-copy"], defect=None)
        for grade in GRADES:
            yield _pair("ladder", common, y=sides[f"{cell.id}-{cell.defect}-{grade}"], grade=grade)
        right = sides[f"{cell.id}-{cell.defect}-{WRONG_GRADE}"]
        wrong: dict[str, Any] = {"x": right, "y": sides[f"true-{cell.other.id}"], "grade": WRONG_GRADE}
        yield _pair("clean_but_wrong", common, **wrong)
        yield _pair("reference_shuffled", common, **wrong | {"reference": cell.stranger.condition})
        yield _pair("reference_removed", common, **wrong | {"reference": None})
        if number < params.audit.compared:
            drawn = sides[f"{cell.id}-original"]
            damaged = sides[f"{cell.id}-{cell.defect}-{COMPARED_GRADE}"]
            yield _pair("splat", common, x=drawn, y=damaged, grade=COMPARED_GRADE)
            yield _pair("texture", common, x=drawn, y=sides[f"{cell.id}-recoloured"], defect=None)
    yield from _generated_pairs(cells, generations)


def _generated_pairs(cells: Sequence[Cell], generations: Sequence[Generation]) -> Iterator[ControlPair]:
    """Yield pairs of the base's own generations: two seeds, and clean against degraded inputs."""
    by_asset: dict[str, list[Generation]] = {}
    for row in generations:
        if row.split == "heldout":
            by_asset.setdefault(row.asset, []).append(row)
    for cell in {cell.asset.id: cell for cell in cells}.values():
        about: dict[str, Any] = {
            **{"object": cell.asset.id, "category": cell.asset.category, "pair": cell.asset.id},
            **{"reference": cell.asset.condition, "x": side_of(cell.generation)},
            **{"defect": None, "grade": None},
        }
        for row in by_asset[cell.asset.id]:
            if row.role == "heldout_control":
                yield _pair("base_vs_base", about, y=side_of(row))
            elif row.number == 0 and row.regime != "clean":
                pair = f"{cell.asset.id}-{row.regime}"
                yield _pair("truth", about, pair=pair, y=side_of(row))


def side_of(generation: Generation) -> Shown:
    """Return what a pair says about a generation."""
    return Shown(
        mesh_digest=generation.mesh_digest,
        montages=generation.montages,
        failure=generation.failure,
        truth=generation.truth,
    )


def _pair(control: str, common: Mapping[str, Any], **changes: Any) -> ControlPair:
    fields = {**common, **changes}
    grade = "" if fields["grade"] is None or control != "ladder" else f"-{fields['grade']}"
    return ControlPair(id=f"{control}-{fields['pair']}{grade}", control=control, **fields)


def run(params: Params, root: Path) -> None:
    """Run the stage below ``root``."""
    assets, generations = read_assets(root), read_generations(root)
    cells = plan_cells(params, assets, generations)
    with drawn(params, plan_specimens(params, cells), root) as sides:
        pairs = list(plan_pairs(params, cells, sides, generations))
        write_rows(root / CONTROLS / "pairs.jsonl", pairs)
        failed = Counter(side.failure for side in sides.values() if side.failure)
        metrics = {
            "pairs": dict(sorted(Counter(pair.control for pair in pairs).items())),
            "objects": len({cell.asset.id for cell in cells}),
            "meshes": len(sides),
            "failures": dict(sorted(failed.items())),
        }
        write_json(root / CONTROLS / "metrics.json", metrics)


if __name__ == "__main__":
    run_stage(run)
