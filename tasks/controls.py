"""Stage ``controls``: pairs of meshes whose better one is known, for the audit of the judges.

From the base's clean generations of held-out objects, which no judge and no adapter has learned from, come
copies, damaged copies in five grades and recoloured ones; from the assets come perfect meshes of other
objects. Everything is drawn once, here, for all judges. Writes ``data/controls/``: ``montages``,
``pairs.jsonl`` (one question a row: ``id``, ``control``, ``pair``, ``object``, ``category``, ``reference`` (a
path, None for a blank picture), sides ``x`` (the better one, where one is) and ``y`` with ``mesh_digest``,
``montages`` by mode and ``failure``, ``defect``, ``grade``) and ``metrics.json``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tasks.asking.specimens import Specimen, drawn
from tasks.paths import CONTROLS, GENERATE, read_assets
from tasks.stage import run_stage
from verdict3d.config import Params
from verdict3d.errors import Verdict3DError
from verdict3d.judge.panel import montage_modes
from verdict3d.mesh.damage import DEFECTS, GRADES
from verdict3d.randomness import numpy_generator
from verdict3d.records.files import Row, read_jsonl, write_json, write_jsonl

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
    generation: Row
    asset: Row
    defect: str
    other: Row
    stranger: Row


def plan_cells(params: Params, assets: Sequence[Row], generations: Sequence[Row]) -> list[Cell]:
    """Return ``audit.rows_per_defect`` cells for each defect, in turn; few objects are used several times.

    Raises:
        Verdict3DError: There is no clean generation of a held-out object, or only one asset.
    """
    clean = [
        row
        for row in generations
        if row["role"] == "heldout" and row["regime"] == "clean" and row["number"] == 0 and not row["failure"]
    ]
    if not clean or len(assets) < 2:
        raise Verdict3DError(
            f"a judge cannot be audited on {len(clean)} clean generations of held-out objects and "
            f"{len(assets)} assets; at least one generation (generate.heldout_regimes with `clean`) and two "
            "assets are needed"
        )
    by_id = {asset["id"]: asset for asset in assets}
    rows = params.audit.rows_per_defect
    cells: list[Cell] = []
    for turn in range(rows):
        for place, defect in enumerate(DEFECTS):
            generation = clean[(place * rows + turn) % len(clean)]
            name = f"{len(cells):03d}-{generation['asset']}"
            asset = by_id[generation["asset"]]
            rng = numpy_generator(params.seed, "control_others", name)
            other, stranger = _others(assets, asset, rng)
            cells.append(Cell(name, generation, asset, defect, other, stranger))
    return cells


def _others(assets: Sequence[Row], asset: Row, rng: np.random.Generator) -> tuple[Row, Row]:
    """Draw another object and a third one, unlike ``asset`` in category as far as there are any."""
    unlike = [row for row in assets if row["category"] != asset["category"]]
    pool = unlike or [row for row in assets if row["id"] != asset["id"]]
    other = pool[int(rng.integers(len(pool)))]
    thirds = [row for row in pool if row["id"] != other["id"]] or pool
    return other, thirds[int(rng.integers(len(thirds)))]


def plan_specimens(params: Params, cells: Sequence[Cell]) -> list[Specimen]:
    """Return every mesh to draw; the original's own montages are those of the generate stage."""
    modes = montage_modes(params.judges)
    specimens: dict[str, Specimen] = {}

    def add(id: str, source: str, kind: str, modes: tuple[str, ...], **defect: str | int) -> None:
        specimens.setdefault(id, Specimen(id, source, kind, id, modes, **defect))  # type: ignore[arg-type]

    for number, cell in enumerate(cells):
        mesh, compared = cell.generation["mesh"], number < params.audit.compared
        if number < params.audit.copies:
            add(f"{cell.id}-copy", mesh, "copy", modes)
        for grade in GRADES:
            splat = ("splat",) if compared and grade == COMPARED_GRADE else ()
            name = f"{cell.id}-{cell.defect}-{grade}"
            add(name, mesh, "damaged", (*modes, *splat), defect=cell.defect, grade=grade)
        if compared:
            add(f"{cell.id}-original", mesh, "original", ("splat", "rgb"))
            add(f"{cell.id}-recoloured", mesh, "recoloured", ("rgb",))
        add(f"true-{cell.other['id']}", cell.other["mesh"], "original", modes)
    # all grades of a cell draw the same random numbers, so that a defect grows instead of moving about
    return [
        replace(one, key=one.id.rpartition("-")[0]) if one.kind == "damaged" else one
        for one in specimens.values()
    ]


def plan_pairs(
    params: Params, cells: Sequence[Cell], sides: dict[str, Row], generations: Sequence[Row]
) -> Iterator[Row]:
    """Yield every question; X is the better mesh where one is better.

    Args:
        params: Section ``audit``.
        cells: From :func:`plan_cells`.
        sides: ``mesh_digest``, ``montages`` and ``failure`` of each specimen.
        generations: Rows of the generate stage.
    """
    for number, cell in enumerate(cells):
        original, reference = side_of(cell.generation), cell.asset["condition"]
        about = {"object": cell.asset["id"], "category": cell.asset["category"], "pair": cell.id}
        common = {**about, "reference": reference, "x": original, "defect": cell.defect, "grade": None}
        if number < params.audit.copies:
            yield _row("null", common, y=sides[f"{cell.id}-copy"], defect=None)
        for grade in GRADES:
            yield _row("ladder", common, y=sides[f"{cell.id}-{cell.defect}-{grade}"], grade=grade)
        right = sides[f"{cell.id}-{cell.defect}-{WRONG_GRADE}"]
        wrong = {"x": right, "y": sides[f"true-{cell.other['id']}"], "grade": WRONG_GRADE}
        yield _row("clean_but_wrong", common, **wrong)
        yield _row("reference_shuffled", common, **wrong | {"reference": cell.stranger["condition"]})
        yield _row("reference_removed", common, **wrong | {"reference": None})
        if number < params.audit.compared:
            drawn = sides[f"{cell.id}-original"]
            damaged = sides[f"{cell.id}-{cell.defect}-{COMPARED_GRADE}"]
            yield _row("splat", common, x=drawn, y=damaged, grade=COMPARED_GRADE)
            yield _row("texture", common, x=drawn, y=sides[f"{cell.id}-recoloured"], defect=None)
    yield from _generated_pairs(cells, generations)


def _generated_pairs(cells: Sequence[Cell], generations: Sequence[Row]) -> Iterator[Row]:
    """Yield pairs of the base's own generations: two seeds, and clean against degraded inputs."""
    by_asset: dict[str, list[Row]] = {}
    for row in generations:
        if row["split"] == "heldout":
            by_asset.setdefault(row["asset"], []).append(row)
    for cell in {cell.asset["id"]: cell for cell in cells}.values():
        about = {
            **{"object": cell.asset["id"], "category": cell.asset["category"], "pair": cell.asset["id"]},
            **{"reference": cell.asset["condition"], "x": side_of(cell.generation)},
            **{"defect": None, "grade": None},
        }
        for row in by_asset[cell.asset["id"]]:
            if row["role"] == "heldout_control":
                yield _row("base_vs_base", about, y=side_of(row))
            elif row["number"] == 0 and row["regime"] != "clean":
                pair = f"{cell.asset['id']}-{row['regime']}"
                yield _row("truth", about, pair=pair, y=side_of(row))


def side_of(generation: Row) -> Row:
    """Return what a pair says about a generation."""
    keys = ("mesh_digest", "montages", "failure", "truth")
    return {key: generation[key] for key in keys}


def _row(control: str, common: Row, **changes: object) -> Row:
    row = {**common, **changes}
    grade = "" if row["grade"] is None or control != "ladder" else f"-{row['grade']}"
    return {"id": f"{control}-{row['pair']}{grade}", "control": control, **row}


def run(params: Params, root: Path) -> None:
    """Run the stage below ``root``."""
    assets, generations = read_assets(root), read_jsonl(root / GENERATE / "generations.jsonl")
    cells = plan_cells(params, assets, generations)
    with drawn(params, plan_specimens(params, cells), root) as sides:
        pairs = list(plan_pairs(params, cells, sides, generations))
        write_jsonl(root / CONTROLS / "pairs.jsonl", pairs)
        failed = Counter(side["failure"] for side in sides.values() if side["failure"])
        metrics = {
            "pairs": dict(sorted(Counter(pair["control"] for pair in pairs).items())),
            "objects": len({cell.asset["id"] for cell in cells}),
            "meshes": len(sides),
            "failures": dict(sorted(failed.items())),
        }
        write_json(root / CONTROLS / "metrics.json", metrics)


if __name__ == "__main__":
    run_stage(run)
