"""A version of the registry for a generator that we do not serve: what it is, and what was evaluated of it.

The folder holds the arm's adapter (its card, and no weights), the record of the generator, the parameters,
the digests of the evaluated meshes and a card for people. Before the alias moves, some evaluated meshes are
made again: of a generator that says ``bitwise`` they have to be the same, of another one as near to the true
meshes as those that were judged.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from tasks.asking.preferences import make_search_tools
from tasks.making.arms import load_adapted
from tasks.making.base import choose_full_steps
from tasks.making.generation import TRUTH_POINTS
from tasks.paths import EVALUATE, TRAIN, read_assets, read_generations
from tasks.registry.promotion_record import PROGRESS, RefusedError, describe_decision
from tasks.registry.versions import Registry
from verdict3d.config import Params
from verdict3d.errors import ItemFailure
from verdict3d.generators.generator import Request
from verdict3d.mesh.accuracy import compare_meshes, true_surface
from verdict3d.mesh.files import read_mesh
from verdict3d.mesh.mesh import Mesh, MeshOrFailure, mesh_digest, normalize
from verdict3d.provenance import digest_json
from verdict3d.randomness import numpy_generator, seed_for
from verdict3d.records.adapters import copy_adapter, read_card
from verdict3d.records.files import write_bytes
from verdict3d.records.generations import Generation
from verdict3d.records.generators import GENERATOR, GeneratorRecord
from verdict3d.records.promotion import EvaluatedMeshes, PromotionRecord
from verdict3d.records.record import read_record, write_record
from verdict3d.stats.intervals import compute_sign_flip_p_value

MESHES = "meshes.json"
REPEATED = 16
"""Held-out items that are made again."""
WORSE = 0.05
"""One-sided level at which the repeated meshes are worse than those that were judged."""
_STEPS = 1000
"""Of a difference of F-scores: the exact test takes whole numbers."""


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


@dataclass(frozen=True)
class Repetition:
    """Evaluated items made again.

    Attributes:
        rows: What the evaluation got.
        outcomes: What came now.
        scores: F-scores of both, then and now, 0 where there is no mesh; None without true meshes.
    """

    rows: list[Generation]
    outcomes: list[MeshOrFailure]
    scores: list[tuple[float, float]]


def verify_outside(params: Params, root: Path, arm: str, registry: Registry, version: int) -> None:
    """Make some evaluated items again by what the registered version says, and compare.

    Raises:
        RefusedError: They are other bytes (``bitwise``), or worse meshes.
        Verdict3DError: The generator is not what it was, or cannot be reached.
    """
    with registry.fetch_adapter(version) as adapter:
        record = read_record(adapter / GENERATOR, GeneratorRecord)
        found = repeat(params, root, arm, adapter)
    differing = [
        row.id for row, now in zip(found.rows, found.outcomes, strict=True) if row.mesh_digest != _digest(now)
    ]
    items = len(found.rows)
    if record.determinism == "bitwise":
        registry.tag(version, verified=f"{items - len(differing)} of {items} items")
        if differing:
            raise RefusedError(
                f"version {version} ({record.title}) does not give the evaluated meshes again for "
                f"{len(differing)} of {items} held-out items, such as {', '.join(differing[:3])}; the "
                "champion stays. If it does not repeat itself, say `determinism: seeded` or `none`"
            )
        return
    then, now = ([pair[side] for pair in found.scores] for side in (0, 1))
    p_value = compute_sign_flip_p_value([round((a - b) * _STEPS) for a, b in found.scores], "greater")
    words = (
        f"repeated statistically ({record.determinism}): {items} items, mean F-score {sum(now) / items:.3f} "
        f"after {sum(then) / items:.3f}, one-sided p {p_value:.3f} of being worse"
    )
    registry.tag(version, verified=words)
    if p_value is not None and p_value < WORSE:
        raise RefusedError(f"version {version} ({record.title}) is worse than when it was judged: {words}")


def repeat(params: Params, root: Path, arm: str, adapter: Path) -> Repetition:
    """Make some evaluated items again with the adapter in a folder."""
    rows = _chosen(params, read_generations(root, EVALUATE / arm), arm)
    generator = load_adapted(params, root, adapter, read_card(adapter).arm, make_search_tools(params, root))
    truth = {asset.id: root / asset.mesh for asset in read_assets(root)}
    outcomes: list[MeshOrFailure] = []
    size = params.generate.batch_size
    for start in tqdm(range(0, len(rows), size), desc="repeat", unit="batch"):
        batch = rows[start : start + size]
        print(f"{PROGRESS}item {start + len(batch)} of {len(rows)}", flush=True)
        outcomes += generator.generate([_request(root, row) for row in batch])
    scores = [
        (row.truth.f_score if row.truth else 0.0, _score(params, row, now, truth[row.asset]))
        for row, now in zip(rows, outcomes, strict=True)
    ]
    return Repetition(rows, outcomes, scores)


def _chosen(params: Params, rows: Sequence[Generation], arm: str) -> list[Generation]:
    usable = [row for row in rows if row.steps == choose_full_steps(params)]
    order = numpy_generator(params.seed, "verified batches", arm).permutation(len(usable))[:REPEATED]
    return [usable[place] for place in sorted(order)]


def _request(root: Path, row: Generation) -> Request:
    image = Image.open(root / row.condition).convert("RGBA")
    stem = Path(row.condition).stem
    return Request(image, row.seed, stem, row.regime, row.number, steps=row.steps)


def _digest(outcome: MeshOrFailure) -> str | None:
    return mesh_digest(outcome) if isinstance(outcome, Mesh) else None


def _score(params: Params, row: Generation, outcome: MeshOrFailure, truth: Path) -> float:
    seed = seed_for(params.seed, "truth_points", row.asset)
    try:
        if isinstance(outcome, ItemFailure):
            return 0.0
        surface = true_surface(read_mesh(truth), seed, TRUTH_POINTS)
        return compare_meshes(normalize(outcome), surface, seed, TRUTH_POINTS).f_score
    except ItemFailure:
        return 0.0
