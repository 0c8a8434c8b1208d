"""Does an outside generator give what was evaluated? Asked before the alias moves to its version.

Some evaluated meshes are made again: of a generator that says ``bitwise`` they have to be the same, of
another one as near to the true meshes as those that were judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from tasks.making.describing import TRUTH_POINTS
from tasks.paths import EVALUATE, read_assets, read_generations
from tasks.registry.promotion_record import PROGRESS, RefusedError
from tasks.registry.versions import Registry
from verdict3d.asking.preferences import make_search_tools
from verdict3d.config import Params
from verdict3d.errors import ItemFailure
from verdict3d.generators.generator import Request
from verdict3d.making.arms import load_adapted
from verdict3d.making.base import choose_full_steps
from verdict3d.mesh.accuracy import compare_meshes, sample_true_surface
from verdict3d.mesh.files import read_mesh
from verdict3d.mesh.mesh import Mesh, MeshOrFailure, mesh_digest, normalize
from verdict3d.randomness import numpy_generator, seed_for
from verdict3d.records.adapters import read_card
from verdict3d.records.generations import Generation
from verdict3d.records.generators import GENERATOR, GeneratorRecord
from verdict3d.records.record import read_record
from verdict3d.stats.intervals import compute_sign_flip_p_value

REPEATED = 16
"""Held-out items that are made again."""
WORSE = 0.05
"""One-sided level at which the repeated meshes are worse than those that were judged."""
_STEPS = 1000
"""Of a difference of F-scores: the exact test takes whole numbers."""


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
        surface = sample_true_surface(read_mesh(truth), seed, TRUTH_POINTS)
        return compare_meshes(normalize(outcome), surface, seed, TRUTH_POINTS).f_score
    except ItemFailure:
        return 0.0
