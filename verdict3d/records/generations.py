"""Meshes that a generator made, and how near they are to the asset's own."""

from __future__ import annotations

from typing import ClassVar

from verdict3d.records.names import Regime, Split
from verdict3d.records.record import Record, RecordPart


class Steps(RecordPart):
    """Sampler steps of the two flows."""

    structure: int
    latents: int


class Truth(RecordPart):
    """A mesh beside the asset's own, as :func:`verdict3d.mesh.accuracy.compare_meshes` measures it.

    Attributes:
        empty: Whether there is no surface to measure.
        f_score: In [0, 1].
        chamfer_distance: In object units.
        normal_consistency: In [0, 1].
        components: Parts that no vertex joins.
        pieces: Groups of components that touch or overlap.
        floating_share: Share of the area outside the largest piece.
        watertight_share: Share of the area that belongs to closed components.
        degenerate_share: Share of the faces without area.
        boundary_edge_share: Share of the edges with one face.
        non_manifold_edge_share: Share of the edges with more than two faces.
    """

    empty: bool
    f_score: float
    chamfer_distance: float | None
    normal_consistency: float | None
    components: int | None
    pieces: int | None
    floating_share: float | None
    watertight_share: float | None
    degenerate_share: float | None
    boundary_edge_share: float | None
    non_manifold_edge_share: float | None


class Generation(Record):
    """One mesh, made or failed: ``generations.jsonl`` of the stages that generate.

    Attributes:
        id: Unique name; names the files.
        asset: Id of the asset.
        category: Its category.
        split: Its split.
        regime: Regime of the condition.
        role: What the generation is for (:mod:`tasks.generate`), or the arm.
        number: Which of several equal generations this is, from 0.
        seed: Of the noise.
        condition: Path of the condition picture.
        generator: Digest of the record of the generator (:mod:`verdict3d.records.generators`).
        steps: Sampler steps; None where the generator is not ours.
        failure: Why there is no mesh, as a short code. What it does not have is None.
        failure_message: The same for people.
        mesh: Path of the mesh.
        mesh_digest: Of its content.
        montage: Path of the montage that the judge of this split looks at.
        montages: Paths of all montages, by mode.
        truth: How near it is to the asset's own mesh.
    """

    SCHEMA: ClassVar[str] = "verdict3d/generation/2"

    id: str
    asset: str
    category: str
    split: Split
    regime: Regime
    role: str
    number: int
    seed: int
    condition: str
    generator: str
    steps: Steps | None
    failure: str | None
    failure_message: str | None
    mesh: str | None
    mesh_digest: str | None
    montage: str | None
    montages: dict[str, str] | None
    truth: Truth | None
