"""A version of the registry for a generator that we do not serve: what it is, and what was evaluated of it.

The folder holds the arm's adapter (its card, and no weights), the record of the generator, the parameters,
the digests of the evaluated meshes and a card for people. ``outside_repetition`` beside makes some of these
meshes again before the alias moves.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tasks.paths import EVALUATE, read_generations
from tasks.registry.promotion_record import describe_decision
from verdict3d.project import TRAIN
from verdict3d.provenance import digest_json
from verdict3d.records.adapters import copy_adapter
from verdict3d.records.files import write_bytes
from verdict3d.records.generators import GENERATOR, GeneratorRecord
from verdict3d.records.promotion import EvaluatedMeshes, PromotionRecord
from verdict3d.records.record import read_record, write_record

MESHES = "meshes.json"


def is_outside(folder: Path) -> bool:
    """Tell whether the arm in ``folder`` is made by a generator that is not ours."""
    record = folder / GENERATOR
    return record.exists() and read_record(record, GeneratorRecord).kind != "trellis"


def read_evaluated_meshes(root: Path, arm: str) -> EvaluatedMeshes:
    """Return what the evaluation got from the generator of ``arm``."""
    return EvaluatedMeshes(
        generator=read_record(root / TRAIN / arm / GENERATOR, GeneratorRecord),
        meshes={row.id: row.mesh_digest for row in read_generations(root, EVALUATE / arm)},
    )


def make_generator_tags(root: Path, arm: str) -> dict[str, str]:
    """Return what a version says of its generator and of the evaluated meshes."""
    meshes = read_evaluated_meshes(root, arm)
    return {
        "generator": meshes.generator.title,
        "generator.kind": meshes.generator.kind,
        "generator.determinism": meshes.generator.determinism,
        "generator.record": meshes.generator.digest,
        "meshes": digest_json(meshes.meshes),
    }


def write_version(root: Path, arm: str, record: PromotionRecord, folder: Path) -> str:
    """Write the version of ``arm`` into ``folder``; return its card (Markdown).

    Args:
        root: Folder of ``params.yaml`` and ``data``.
        arm: The arm.
        record: The promotion record, for the card.
        folder: Made here.
    """
    artifacts = folder / "artifacts"
    copy_adapter(root / TRAIN / arm, artifacts / "adapter")
    shutil.copyfile(root / "params.yaml", artifacts / "params.yaml")
    meshes = read_evaluated_meshes(root, arm)
    write_record(artifacts / MESHES, meshes)
    text = describe_version(arm, meshes, record)
    write_bytes(artifacts / "README.md", text.encode())
    return text


def describe_version(arm: str, meshes: EvaluatedMeshes, record: PromotionRecord) -> str:
    """Return what people should know about a version."""
    generator = meshes.generator
    made = sum(digest is not None for digest in meshes.meshes.values())
    again = (
        "gave the same bytes again"
        if generator.determinism == "bitwise"
        else "gave meshes that are not shown to be worse than those that were judged"
    )
    lines = [
        f"# {generator.title}, the arm {arm}",
        "",
        *describe_decision(record, arm),
        "",
        f"A generator of kind `{generator.kind}`, which this project did not train and does not serve: ask "
        f"it where it runs. Before it became champion it {again}.",
        "",
        f"* determinism {generator.determinism}, surface {generator.surface}, licence {generator.licence}",
        f"* post-processing: {generator.post_processing}",
        *(f"* {name}: {digest}" for name, digest in generator.digests.items()),
        f"* {made} of {len(meshes.meshes)} evaluated meshes, their digests in `{MESHES}`",
        "",
        "The decision says how well it works on the held-out objects it was measured on, and nothing about "
        "others.",
    ]
    return "\n".join(lines) + "\n"
