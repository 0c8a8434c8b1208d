"""What becomes of a folder of meshes: read, read with notes, or refused and why, with a picture of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from verdict3d.config_generators import MeshLimits
from verdict3d.errors import ItemFailure
from verdict3d.library import FoundMesh, mesh_paths, read_folder
from verdict3d.mesh.axes import Up
from verdict3d.mesh.posture import lies
from verdict3d.products.contact_sheet import Exhibit, draw_contact_sheet, make_painter
from verdict3d.records.assets import Quarantined

COLUMNS = 8
_NAMED_NOTES = 3


@dataclass(frozen=True)
class MeshFinding:
    """What became of one file.

    Attributes:
        source: Path below the folder.
        reason: Why it is refused (a short code), None when it is read.
        message: The reason in words.
        triangles: Their number.
        size: Extents along x, y and z of the object frame (z up), in the file's units.
        lies: The shape says that another axis points up.
        notes: What was changed or guessed while reading, each as a kind and words.
    """

    source: str
    reason: str | None = None
    message: str = ""
    triangles: int | None = None
    size: tuple[float, float, float] | None = None
    lies: bool = False
    notes: tuple[tuple[str, str], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as JSON values."""
        return asdict(self)


def examine_meshes(directory: Path, limits: MeshLimits, up_axis: Up, sheet: Path) -> Iterator[MeshFinding]:
    """Yield one finding for each mesh below ``directory``, and at the end draw all that were read.

    Raises:
        Verdict3DError: The folder is missing or holds no meshes.
    """
    paths = mesh_paths(directory)
    paint = make_painter()
    exhibits = []
    for outcome in read_folder(directory, paths, limits, up_axis):
        if isinstance(outcome, Quarantined):
            yield MeshFinding(outcome.source, outcome.reason, outcome.message)
            continue
        try:
            exhibits.append(Exhibit(Path(outcome.source).name, (paint(outcome.normalised),)))
        except ItemFailure as failure:
            yield MeshFinding(outcome.source, failure.reason, str(failure))
        else:
            yield _describe(outcome)
    if exhibits:
        draw_contact_sheet(exhibits, sheet, COLUMNS)


def _describe(outcome: FoundMesh) -> MeshFinding:
    x, y, z = np.ptp(outcome.mesh.vertices.astype(np.float64), axis=0).tolist()
    return MeshFinding(
        outcome.source,
        triangles=len(outcome.mesh.faces),
        size=(x, y, z),
        lies=lies(outcome.normalised),
        notes=tuple((note.kind, note.text) for note in outcome.mesh.notes),
    )


def describe_finding(finding: MeshFinding) -> str:
    """Return a finding as one line for people."""
    if finding.reason is not None or finding.size is None:
        return f"BAD  {finding.source}: {finding.reason}: {finding.message}"
    size = " x ".join(f"{side:.4g}" for side in finding.size)
    words = [text for _, text in finding.notes[:_NAMED_NOTES]]
    words += [f"and {len(finding.notes) - _NAMED_NOTES} more"] if len(finding.notes) > _NAMED_NOTES else []
    words += ["it seems to lie: look at it, and try another --up"] if finding.lies else []
    told = f"  ({'; '.join(words)})" if words else ""
    return f"{'note' if words else 'ok  '} {finding.source}: {finding.triangles} triangles, {size}{told}"


def summarise_findings(findings: Sequence[MeshFinding]) -> list[str]:
    """Return how many files were read, read with notes, and refused, with the commonest reasons."""
    refused = Counter(finding.reason for finding in findings if finding.reason is not None)
    kinds = Counter(kind for finding in findings for kind in {kind for kind, _ in finding.notes})
    noted = sum(bool(finding.notes) for finding in findings)
    lines = [f"{len(findings) - refused.total()} of {len(findings)} files can be used, {noted} with notes"]
    for title, counts in (("notes", kinds), ("refused", refused)):
        if counts:
            lines.append(f"{title}: " + ", ".join(f"{count} {name}" for name, count in counts.most_common()))
    return lines
