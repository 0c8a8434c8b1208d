"""Stage ``pairs``: which two generations of an asset the training judge will compare."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tasks.paths import PAIRS, read_assets, read_generations, start_folder
from tasks.stage import run_stage
from verdict3d.config import Params
from verdict3d.randomness import numpy_generator
from verdict3d.records.assets import Asset
from verdict3d.records.files import write_json
from verdict3d.records.generations import Generation
from verdict3d.records.names import PairKind
from verdict3d.records.pairs import Candidate, Pair
from verdict3d.records.record import write_rows


def make_pairs(params: Params, assets: Sequence[Asset], generations: Sequence[Generation]) -> list[Pair]:
    """Return the pairs of the configured kinds, in the order of the asset manifest.

    *Contrastive*: winner (clean input, full budget) against loser (degraded input, few steps); ``expected``
    names the winner's side. *Same base*: winner against sibling, equal but for the seed; ``expected`` is
    None. Which generation is x is drawn for each pair, so that the expected side is not always the same. A
    failed generation stays in its pair: the label stage records that pair as invalid.
    """
    by_role: dict[tuple[str, str], list[Generation]] = {}
    for row in generations:
        by_role.setdefault((row.asset, row.role), []).append(row)
    return [
        _make_pair(params.seed, asset, kind, winner, other)
        for asset in assets
        for winner in by_role.get((asset.id, "winner"), [])
        for kind, other in _list_opponents(params, by_role, asset.id)
    ]


def _list_opponents(
    params: Params, by_role: dict[tuple[str, str], list[Generation]], asset: str
) -> Iterator[tuple[PairKind, Generation]]:
    """Yield (kind, generation) for everything the asset's winner is compared with."""
    roles: dict[PairKind, str] = {"contrastive": "loser", "same_base": "sibling"}
    for kind, role in roles.items():
        if kind in params.pairs.kinds:
            for row in by_role.get((asset, role), []):
                yield kind, row


def _make_pair(seed: int, asset: Asset, kind: PairKind, winner: Generation, other: Generation) -> Pair:
    """Return one pair; its side is drawn from (seed, pair id)."""
    number = f"{other.regime}-{other.number}"
    pair = f"{asset.id}-{kind}-{number}"
    winner_is_x = bool(numpy_generator(seed, "pair_side", pair).integers(2))
    x, y = (winner, other) if winner_is_x else (other, winner)
    return Pair(
        id=pair,
        kind=kind,
        asset=asset.id,
        category=asset.category,
        split=asset.split,
        reference=asset.condition,
        x=describe_candidate(x),
        y=describe_candidate(y),
        expected=None if kind == "same_base" else "x" if winner_is_x else "y",
    )


def describe_candidate(generation: Generation) -> Candidate:
    """Return what a pair says about one of its generations."""
    return Candidate(
        generation=generation.id,
        mesh=generation.mesh,
        mesh_digest=generation.mesh_digest,
        montage=generation.montage,
        failure=generation.failure,
    )


def measure_pairs(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Return counts by kind and how often x is the expected side."""
    expected = [pair.expected for pair in pairs if pair.expected]
    kinds = sorted({pair.kind for pair in pairs})
    return {
        "pairs": len(pairs),
        "by_kind": {kind: sum(pair.kind == kind for pair in pairs) for kind in kinds},
        "with_failure": sum(bool(pair.x.failure or pair.y.failure) for pair in pairs),
        "expected_x_share": expected.count("x") / len(expected) if expected else None,
    }


def run(params: Params, root: Path) -> None:
    """Run the stage below ``root``."""
    pairs = make_pairs(params, read_assets(root), read_generations(root))
    out = start_folder(root / PAIRS)
    write_rows(out / "pairs.jsonl", pairs)
    write_json(out / "metrics.json", measure_pairs(pairs))


if __name__ == "__main__":
    run_stage(run)
