"""What can a judge see in these meshes? Questions with known answers, made of the meshes themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from verdict3d.errors import ItemFailure, Verdict3DError

if TYPE_CHECKING:
    from verdict3d.interface.judge import Judge
    from verdict3d.mesh.axes import Up
    from verdict3d.products.drawn_meshes import DrawnMeshes
    from verdict3d.records.comparisons import Trial

_REFERENCE_PX = 256
_YAW_DEG, _ELEVATION_DEG = 30.0, 20.0
"""Where a mesh is seen from that has no photo."""


@dataclass(frozen=True)
class Trials:
    """What a judge was shown to see; as text, a sentence each.

    Attributes:
        trials: By what was asked: ``damage_5`` (gross) to ``damage_1`` (slight), ``other_object``,
            ``colour``, ``camera``, ``copy``, ``turned``. Each has the ``share`` in [0, 1] with its interval
            over objects, and whether the judge ``tells``.
    """

    trials: tuple[Trial, ...]

    def __str__(self) -> str:
        from verdict3d.judge.audit.trials import describe_trials

        return "\n".join(describe_trials(self.trials))


def audit(
    judge: Judge,
    meshes: Sequence[str | Path],
    photos: Sequence[str | Path] | None = None,
    *,
    up: Up = "auto",
    seed: int = 0,
) -> Trials:
    """Try a judge on copies, damaged copies, recoloured copies and other objects of these meshes.

    At most 16 of the meshes are used. The trials are those of ``verdict3d compare``; a certificate, which a
    judge needs before it labels or decides in a run, asks much more (``verdict3d audit``).

    Args:
        judge: Who is tried.
        meshes: Mesh files (GLB, glTF, OBJ, PLY, STL).
        photos: A picture of each mesh's object, in the same order. None: a view of the mesh itself.
        up: Axis of the files that points up; ``auto``: y in glTF, guessed elsewhere.
        seed: Of the choice of meshes and of the damage.

    Returns:
        What it can tell on these meshes and what not.

    Raises:
        Verdict3DError: A file is not there, the lists differ in length, or no mesh can be read and drawn.
    """
    from verdict3d.config import load_params
    from verdict3d.judge.store import VerdictStore
    from verdict3d.products.drawn_meshes import DrawnMeshes
    from verdict3d.products.judge_trials import Sample, TrialRules, try_judge
    from verdict3d.project import PARAMETERS, find_models

    files = [Path(mesh).resolve() for mesh in meshes]
    given = None if photos is None else [Path(photo).resolve() for photo in photos]
    for path in [*files, *(given or [])]:
        if not path.is_file():
            raise Verdict3DError(f"{path}: there is no such file")
    if given is not None and len(given) != len(files):
        raise Verdict3DError(f"{len(files)} meshes and {len(given)} photos; give one photo for each mesh")
    settings, rules = judge.settings, TrialRules.of(load_params(find_models() / PARAMETERS), seed)
    with TemporaryDirectory(prefix="verdict3d-audit-") as folder:
        place = Path(folder)
        drawn = DrawnMeshes(judge.rig, settings.views, settings.mode, up, place)
        pictures: Sequence[Path | None] = given or [
            _draw_view(drawn, file, place / f"{n}.png") for n, file in enumerate(files)
        ]
        samples = [
            [Sample(picture.stem if given else file.stem, picture, file)]
            for file, picture in zip(files, pictures, strict=True)
            if picture is not None
        ]
        store = VerdictStore(place / "answers.db")
        found = try_judge(judge.network, store, samples, drawn, judge.rig, place, rules)
    if not found:
        raise Verdict3DError("none of the meshes can be read and drawn; `verdict3d doctor --meshes` says why")
    return Trials(tuple(found))


def _draw_view(drawn: DrawnMeshes, file: Path, picture: Path) -> Path | None:
    """Draw a view of a mesh in place of its photo; None where it cannot be had."""
    from PIL import Image

    from verdict3d.mesh.mesh import normalize
    from verdict3d.render.renderer import Renderer
    from verdict3d.render.rig import Camera

    try:
        mesh = normalize(drawn.read(file))
        seen = Renderer().condition(mesh, Camera(_YAW_DEG, _ELEVATION_DEG), _REFERENCE_PX)
    except ItemFailure:
        return None
    Image.fromarray(seen).save(picture)
    return picture
