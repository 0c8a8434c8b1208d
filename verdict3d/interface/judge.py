"""A judge as Python code uses it: loaded once, asked about files or meshes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from verdict3d.errors import ItemFailure, Verdict3DError

if TYPE_CHECKING:
    from verdict3d.config_judges import JudgeParams, JudgeRole, PanelKind
    from verdict3d.judge.audit.planted import AuditedJudge
    from verdict3d.judge.panel import Pixels
    from verdict3d.mesh.axes import Up
    from verdict3d.mesh.mesh import Mesh
    from verdict3d.records.comparisons import PairedMesh, PairOfMeshes
    from verdict3d.render.rig import Rig


class Judge:
    """A vision-language model that says which of two meshes shows the object of a photo better.

    It is asked in both orders and from several view sets, so that a real preference is separated from a bias
    towards the first slot. :meth:`load` makes one.

    Attributes:
        settings: Model, panel, mode, views, device (:class:`verdict3d.config_judges.JudgeParams`).
        rig: What its pictures are drawn by.
        network: The loaded model, or the server that answers for it.
    """

    def __init__(self, settings: JudgeParams, rig: Rig, network: AuditedJudge) -> None:
        from verdict3d.render.renderer import Renderer

        self.settings = settings
        self.rig = rig
        self.network = network
        self._renderer = Renderer(rig)

    @classmethod
    def load(
        cls,
        model: str | Path | None = None,
        *,
        role: JudgeRole = "evaluation",
        project: str | Path | None = None,
        revision: str | None = None,
        panel: PanelKind | None = None,
        views: int | None = None,
        device: str | None = None,
    ) -> Self:
        """Load a judge.

        Args:
            model: Folder with a model of ``transformers``, or the id of one on the Hugging Face hub. None:
                the judge of ``role`` that came with this package, a network of 2.7 MB that was trained on
                procedural furniture; :func:`verdict3d.audit` says what it can see in other meshes.
            role: Whose settings are taken (``training``, ``evaluation``), as ``params.yaml`` has them.
            project: Folder of that ``params.yaml``. None: the one that belongs to this package; the working
                directory decides nothing.
            revision: Branch, tag or commit of a hub id.
            panel: How reference and meshes are laid out: ``three_images``, ``two_sheets``, ``reference_free``
                or ``seven_images``. None: what its audit chose in this checkout, else the model's first.
            views: View sets that a verdict rests on, at least 1. None: as in ``params.yaml``.
            device: ``auto``, ``cpu`` or ``cuda``. None: as in ``params.yaml``.

        Raises:
            Verdict3DError: The model is not there or cannot be used, or a setting is not allowed.
        """
        from verdict3d.asking.certificates import with_chosen_panels
        from verdict3d.asking.roles import select_judge
        from verdict3d.config import load_params
        from verdict3d.interface.settings import change
        from verdict3d.judge.loading import load_judge
        from verdict3d.project import PARAMETERS, find_models
        from verdict3d.render.rig import Rig

        place = find_models() if project is None else Path(project)
        params = load_params(place / PARAMETERS)
        if model is None:
            params = with_chosen_panels(params, place, [role])
        settings = select_judge(params.judges, role)
        given = {"revision": revision, "panel": panel, "views": views, "device": device}
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if model is not None:
            folder = Path(model).expanduser()
            changes["model"] = str(folder.resolve()) if folder.is_dir() else str(model)
            changes["lineage"] = None
        settings = change(settings, changes, "Judge.load")
        return cls(settings, Rig(view_px=params.judges.view_px), load_judge(settings, place))

    @property
    def panel(self) -> str:
        """How reference and meshes are laid out for it."""
        return self.network.identity.panel

    @property
    def digest(self) -> str:
        """SHA-256 over all that decides its answers: weights, prompt, panel, view sets."""
        return self.network.identity.digest

    def compare(
        self, photo: str | Path, a: str | Path | Mesh, b: str | Path | Mesh, *, up: Up = "auto"
    ) -> PairOfMeshes:
        """Say which of two meshes is the better one of the object in a photo.

        A mesh that cannot be read or drawn has lost, and ``reason`` says why; where that holds for both, the
        outcome is ``invalid``.

        Args:
            photo: Picture of the object, best on a transparent background.
            a: The first mesh: a file (GLB, glTF, OBJ, PLY, STL), or a mesh in memory (z up).
            b: The second one.
            up: Axis of the files that points up (``x``, ``y``, ``z``); ``auto``: y in glTF, else guessed.

        Returns:
            The row of the pair. ``outcome`` is seen from ``a``: ``win``, ``loss``, ``flip`` (the two orders
            disagree), ``close`` (within its error), ``same`` or ``invalid``. ``d`` is the preference for
            ``a`` and ``b`` the bias towards the first slot, in nats (log-odds); ``object`` is the photo's
            name.

        Raises:
            Verdict3DError: The photo or a mesh file is not there, the photo cannot be read, or the judge's
                server cannot be used.
        """
        from verdict3d.judge.panel import make_requests, read_picture
        from verdict3d.judge.verdict import Verdict
        from verdict3d.records.comparisons import PairOfMeshes, count_lost

        photo = Path(photo)
        picture = read_picture(_require_file(photo))
        mine, x = self._draw(a, "a", up)
        theirs, y = self._draw(b, "b", up)
        if x is None or y is None or mine.mesh_digest is None or theirs.mesh_digest is None:
            first = theirs if mine.failure is None else mine
            verdict = Verdict.invalid(first.failure or "", first.message)
            values = verdict.row() | count_lost(mine, theirs)
        else:
            views = self.rig.set_digests[: self.settings.views]
            digests = (mine.mesh_digest, theirs.mesh_digest)
            requests = make_requests(picture, (list(x), list(y)), digests, views)
            same = all(request.same for request in requests)
            verdict = Verdict.same() if same else Verdict(tuple(self.network.compare(list(requests))))
            values = verdict.row()
        return PairOfMeshes(
            object=photo.stem, photo=photo.name, tag="", sample=0, mine=mine, theirs=theirs, **values
        )

    def _draw(self, given: str | Path | Mesh, side: str, up: Up) -> tuple[PairedMesh, Pixels | None]:
        """Return one side as the row has it, and its montages; None where they cannot be had."""
        from verdict3d.mesh.files import read_mesh
        from verdict3d.mesh.mesh import Mesh, mesh_digest
        from verdict3d.records.comparisons import PairedMesh

        name = None if isinstance(given, Mesh) else str(given)
        try:
            mesh = given if isinstance(given, Mesh) else read_mesh(_require_file(Path(given)), up_axis=up)
            montages = self._renderer.montages(mesh, self.settings.mode, self.settings.views)
        except ItemFailure as failure:
            lost = PairedMesh(
                side=side, file=name, mesh_digest=None, failure=failure.reason, message=str(failure)
            )
            return lost, None
        shown = PairedMesh(side=side, file=name, mesh_digest=mesh_digest(mesh), failure=None, message="")
        return shown, montages


def _require_file(path: Path) -> Path:
    """Return the path of a file that is there: a slip in a name is no verdict.

    Raises:
        Verdict3DError: It is not.
    """
    if not path.is_file():
        raise Verdict3DError(f"{path}: there is no such file")
    return path
