"""Every pair of a folder that ``verdict3d compare`` wrote, as entries of the page of pairs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from verdict3d.judge.modes import TEXTURE_MODE
from verdict3d.judge.rubric import digest_prompt
from verdict3d.products.compare import COLOUR_ROWS, DOCUMENT, ROWS
from verdict3d.products.comparison_page import mesh_key, photo_key, picture_names
from verdict3d.records.comparisons import Comparison, PairedMesh, PairOfMeshes
from verdict3d.records.record import read_record, read_rows
from verdict3d.view.pairs.entry import Entry, Shape, make_word


def compared_questions(folder: Path) -> dict[str, str]:
    """Return what the judge of a comparison was asked, by digest.

    Raises:
        Verdict3DError: The folder holds no comparison.
    """
    texts = read_record(folder / DOCUMENT, Comparison).texts
    return {digest_prompt(text): text for text in texts.values()}


def compared_entries(folder: Path) -> Iterator[Entry]:
    """Yield the pairs of a comparison, with the pictures of its page.

    Args:
        folder: Where its page is.

    Raises:
        Verdict3DError: The folder holds no comparison.
    """
    comparison = read_record(folder / DOCUMENT, Comparison)
    rows = read_rows(folder / ROWS, PairOfMeshes)
    colours = read_rows(folder / COLOUR_ROWS, PairOfMeshes) if comparison.colours.surfaces else []
    names = picture_names(rows, colours)
    places = {side.name: Path(side.folder) for side in comparison.sides}
    judge = comparison.judge

    def shape(mesh: PairedMesh, in_colour: bool, mode: str) -> Shape:
        there = mesh.mesh_digest is not None
        return Shape(
            name=mesh.side,
            generation=mesh.file or "",
            mesh=str((places[mesh.side] / mesh.file).absolute()) if mesh.file and there else None,
            mesh_digest=mesh.mesh_digest,
            montages={mode: str(folder / names[mesh_key(mesh, in_colour)])} if there else {},
            failure=mesh.failure,
            truth={},
        )

    for row, in_colour in [*((row, False) for row in rows), *((row, True) for row in colours)]:
        mode = TEXTURE_MODE if in_colour else judge.mode
        yield Entry(
            place="compare_texture" if in_colour else "compare",
            group=folder.name,
            name=f"{row.object}-{row.sample}",
            arm=row.x,
            against=row.y,
            object=row.object,
            category=row.tag,
            regime="",
            control="",
            defect="",
            grade=None,
            known=None,
            reference=str(folder / names[photo_key(row)]),
            condition=None,
            x=shape(row.mine, in_colour, mode),
            y=shape(row.theirs, in_colour, mode),
            word=make_word(
                row,
                comparison.role,
                judge.model,
                judge.panel,
                mode,
                digest_prompt(comparison.texts[mode]),
            ),
            others=[],
        )
