"""The pairs of a run and its report, for the pages that the library makes of them."""

from __future__ import annotations

from pathlib import Path

from tasks.paths import read_assets
from verdict3d.config import load_params
from verdict3d.errors import ItemFailure
from verdict3d.mesh.mesh import Mesh, mesh_digest
from verdict3d.products.pair_index import RunReader
from verdict3d.project import PARAMETERS
from verdict3d.view.pairs.entry import Entry


def read_pairs(root: Path) -> tuple[list[Entry], dict[str, str]]:
    """Return every pair that the stages left below ``root``, and the texts of questions by digest.

    Raises:
        Verdict3DError: A record cannot be read.
    """
    from flows.products.pair_entries import PairReader
    from flows.products.pair_records import RunRecords

    records = RunRecords(load_params(root / PARAMETERS), root)
    return list(PairReader(records).entries()), records.questions


def render_report(root: Path, pairs_page: str) -> str:
    """Return the report of what the stages left, with links to the page of pairs.

    Raises:
        Verdict3DError: A record cannot be read.
    """
    from tasks.report import gather
    from verdict3d.view.page import render_page

    return render_page(gather(load_params(root / PARAMETERS), root), pairs_page)


def remake_mesh(root: Path, name: str, digest: str) -> Mesh:
    """Return the mesh of a control, made again as its stage made it.

    Args:
        root: Where ``params.yaml`` and ``data`` are.
        name: Id of its specimen.
        digest: Of the mesh that was drawn.

    Raises:
        ItemFailure: ``other_mesh``: it would be another one now; or its source is gone.
        Verdict3DError: A record cannot be read.
    """
    from tasks.asking.specimens import make_specimen
    from tasks.controls import plan_cells, plan_specimens

    params, assets = load_params(root / PARAMETERS), read_assets(root)
    planned = {one.id: one for one in plan_specimens(params, assets, plan_cells(params, assets))}
    made = make_specimen(planned[name], params.seed, root) if name in planned else None
    if made is None or mesh_digest(made) != digest:
        raise ItemFailure("other_mesh", "parameters, assets or code have changed since this mesh was drawn")
    return made


READER = RunReader(
    read_pairs,
    render_report,
    remake_mesh,
    tuple(Path(__file__).with_name(name) for name in ("pair_entries.py", "pair_records.py")),
)
