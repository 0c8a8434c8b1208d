"""Stage ``generate``: meshes by the base generator.

Roles on the first ``generate.pair_assets`` training assets: ``winner`` (clean input, full budget),
``sibling`` (the same with another seed) and, for each regime of ``generate.pair_regimes``, ``loser``
(degraded input, few steps). The pairs stage makes quality-contrastive pairs of winner and loser and same-
base pairs of winner and sibling. Roles on held-out assets: ``heldout`` for each regime and seed, the base's
side of the evaluation, and ``heldout_control``, a second clean sample for base against base. The seed does
not depend on the regime: a degraded input meets the same noise as the clean one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tasks.making.generation import GenerationItem, generating
from tasks.paths import GENERATE, Conditions, find_condition, read_assets, read_conditions
from tasks.stage import run_stage
from verdict3d.config import Params
from verdict3d.making.base import choose_full_steps, load_base
from verdict3d.randomness import seed_for
from verdict3d.records.assets import Asset
from verdict3d.records.files import write_json
from verdict3d.records.generations import Generation, Steps
from verdict3d.records.names import Regime
from verdict3d.stats.averages import average


def plan_generations(params: Params, assets: Sequence[Asset], conditions: Conditions) -> list[GenerationItem]:
    """Return everything the stage generates, in the order of the asset manifest."""
    full, least = choose_full_steps(params), params.generate.low_budget_steps
    low = full and Steps(structure=min(least, full.structure), latents=min(least, full.latents))
    items = []

    def add(
        asset: Asset, role: str, regime: Regime, number: int, steps: Steps | None, sample: int = 0
    ) -> None:
        items.append(
            GenerationItem(
                id=f"{asset.id}-{role}-{regime}-{number}",
                asset=asset.id,
                category=asset.category,
                split=asset.split,
                regime=regime,
                role=role,
                number=number,
                seed=seed_for(params.seed, "generation", asset.id, role, number),
                picture=(picture := find_condition(conditions, asset.id, regime)),
                latents_picture=picture,
                truth=asset.mesh,
                steps=steps,
                sample=sample,
            )
        )

    training = [asset.id for asset in assets if asset.split == "train"]
    paired = set(training[: params.generate.pair_assets])
    for asset in assets:
        if asset.id in paired:
            add(asset, "winner", "clean", 0, full)
            if "same_base" in params.pairs.kinds:
                add(asset, "sibling", "clean", 0, full, sample=1)
            if "contrastive" in params.pairs.kinds:
                for regime in params.generate.pair_regimes:
                    add(asset, "loser", regime, 0, low)
        elif asset.split == "heldout":
            for number in range(params.evaluate.seeds):
                for regime in params.generate.heldout_regimes:
                    add(asset, "heldout", regime, number, full, sample=number)
            add(asset, "heldout_control", "clean", 0, full, sample=params.evaluate.seeds)
    return items


def measure_generations(rows: Sequence[Generation]) -> dict[str, Any]:
    """Return counts, failures by reason, the share of non-empty meshes and mean measures by group."""
    groups: dict[str, dict[str, list[float]]] = {
        key: defaultdict(list) for key in ("role", "regime", "category")
    }
    scores = [row.truth.f_score for row in rows if row.truth]
    for row in rows:
        for key, group in groups.items():
            if row.truth:
                group[getattr(row, key)].append(row.truth.f_score)
    made = sum(row.failure is None for row in rows)
    return {
        "generations": len(rows),
        "non_empty_share": made / len(rows) if rows else None,
        "failures": dict(sorted(Counter(row.failure for row in rows if row.failure).items())),
        "f_score_mean": average(scores),
        **{
            f"f_score_by_{key}": {name: average(values) for name, values in sorted(group.items())}
            for key, group in groups.items()
        },
    }


def run(params: Params, root: Path) -> None:
    """Run the stage below ``root``."""
    assets = read_assets(root)
    with generating(
        plan_generations(params, assets, read_conditions(root, assets)),
        partial(load_base, params, root),
        params=params,
        root=root,
        stage="generate",
        out=GENERATE,
    ) as rows:
        write_json(root / GENERATE / "metrics.json", measure_generations(rows))


if __name__ == "__main__":
    run_stage(run)
