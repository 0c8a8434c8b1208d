"""The training judge as a search asks it: which of two meshes of a photo is better?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from verdict3d.adapt.method import Tools
from verdict3d.adapt.registry import modules_of, parts_of
from verdict3d.asking.certificates import with_chosen_panels
from verdict3d.asking.pairings import STORE
from verdict3d.config import Params
from verdict3d.config_arms import SearchParams
from verdict3d.errors import ItemFailure
from verdict3d.generators.search import Prefers
from verdict3d.judge.identity import identify
from verdict3d.judge.loading import load_judge
from verdict3d.judge.panel import PairRequest, make_picture, make_requests
from verdict3d.judge.store import VerdictStore
from verdict3d.mesh.mesh import Mesh, mesh_digest
from verdict3d.provenance import code_of
from verdict3d.records.adapters import adapter_identity, read_card
from verdict3d.records.record import RecordPart
from verdict3d.render.renderer import Renderer
from verdict3d.render.rig import Rig


def make_search_tools(params: Params, root: Path) -> Tools:
    """Return the tools of a search below ``root``; the judge is loaded when it is first asked."""
    return Tools(lambda: load_training_judge(params, root), params.seed)


class AdapterDependencies(RecordPart):
    """What meshes with an adapter on a generator depend on besides the generator.

    Attributes:
        adapter: Identity of its weights and card.
        code: Digest of each file of the arm's methods, by path.
        judge: Digest and settings of the training judge; None where no search asks it.
    """

    adapter: str
    code: dict[str, str]
    judge: tuple[str, dict[str, Any]] | None


def find_adapter_dependencies(params: Params, root: Path, folder: Path) -> AdapterDependencies:
    """Return what meshes with the adapter in ``folder`` on the base depend on besides the base.

    Args:
        params: The judges.
        root: The project's folder, which the judge and its audit are below.
        folder: Folder of the adapter's ``card.json`` and weights.

    Raises:
        Verdict3DError: The card is missing or wrong, or there is no such judge.
    """
    settings = read_card(folder).params
    asks = any(isinstance(part, SearchParams) and part.pick == "judge" for part in parts_of(settings))
    judge = with_chosen_panels(params, root, ["training"]).judges.training if asks else None
    return AdapterDependencies(
        adapter=adapter_identity(folder),
        code=code_of("verdict3d.making.arms", *modules_of(settings), *([__name__] if asks else [])),
        judge=(identify(judge, root).digest, judge.model_dump(mode="json")) if judge else None,
    )


def load_training_judge(params: Params, root: Path) -> Prefers:
    """Load the training judge; the store of verdicts keeps it from being asked twice.

    The returned function gives, for each (photo, mesh, mesh), the preference d for the first mesh in nats
    (log-odds, above 0 where it is the better one), and 0 where the two orders disagree, the verdict is
    invalid or a mesh cannot be drawn.

    Raises:
        Verdict3DError: The judge cannot be loaded.
    """
    settings = with_chosen_panels(params, root, ["training"]).judges.training
    judge, store = load_judge(settings, root), VerdictStore(root / STORE)
    renderer = Renderer(Rig(view_px=params.judges.view_px))
    views = renderer.rig.set_digests[: settings.views]

    def request(photo: Image.Image, x: Mesh, y: Mesh) -> tuple[PairRequest, ...] | None:
        try:
            mine, theirs = (list(renderer.montages(mesh, settings.mode, len(views))) for mesh in (x, y))
            return make_requests(make_picture(photo), (mine, theirs), (mesh_digest(x), mesh_digest(y)), views)
        except ItemFailure:
            return None

    def prefers(matches: Sequence[tuple[Image.Image, Mesh, Mesh]]) -> list[float]:
        asked = [request(*match) for match in matches]
        answers = iter(store.ask(judge, [one for one in asked if one is not None]))
        verdicts = [next(answers) if one is not None else None for one in asked]
        return [
            verdict.d if verdict is not None and verdict.decisive and verdict.d is not None else 0.0
            for verdict in verdicts
        ]

    return prefers
