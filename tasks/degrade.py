"""Stage ``degrade``: a picture of every asset for each regime that it is generated from.

Writes ``data/degrade/``: ``images/<regime>/<asset>.png``, ``conditions.jsonl`` (one
:class:`Condition` a picture) and ``metrics.json``.
The clean regime is the asset's own condition picture and is not written again.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from tasks.making.executors import start_helpers
from tasks.paths import DEGRADE, read_assets, start_folder
from tasks.stage import run_stage
from verdict3d.config import Params
from verdict3d.config_inputs import RegimeParams
from verdict3d.degrade.operators import OPERATORS
from verdict3d.degrade.regimes import degrade_by_regime, regime_params
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.provenance import digest_bytes
from verdict3d.randomness import numpy_generator
from verdict3d.records.assets import Asset, Condition
from verdict3d.records.files import write_bytes, write_json
from verdict3d.records.names import Regime
from verdict3d.records.record import write_rows


def run(params: Params, root: Path) -> None:
    """Run the stage below ``root``.

    Raises:
        Verdict3DError: The asset manifest or a condition picture is missing or unreadable, or a regime names
            an unknown operator.
    """
    assets = read_assets(root)
    used = {*params.generate.pair_regimes, *params.generate.heldout_regimes} - {"clean"}
    regimes: dict[Regime, RegimeParams | None] = {
        name: regime_params(params.degrade, name) for name in sorted(used)
    }
    out = start_folder(root / DEGRADE)
    rows: list[Condition] = []

    degrade = partial(_degrade, root, params.seed, regimes)
    bar = tqdm(total=len(assets) * len(regimes), desc="degrade", unit="picture")
    with start_helpers() as pool, bar as progress:
        for made in pool.map(degrade, assets):
            rows += made
            progress.update(len(made))
    write_rows(out / "conditions.jsonl", rows)
    write_json(out / "metrics.json", measure_degradations(rows))


def _degrade(
    root: Path, seed: int, regimes: Mapping[Regime, RegimeParams | None], asset: Asset
) -> list[Condition]:
    clean = _read_condition(root / asset.condition)
    rows = []
    for name, regime in regimes.items():
        rng = numpy_generator(seed, "degrade", asset.id, name)
        try:
            image, operators = degrade_by_regime(clean, regime, rng)
        except ItemFailure as failure:
            raise Verdict3DError(f"condition picture of asset {asset.id}: {failure}") from failure
        rows.append(_write_picture(root, asset, name, image, operators))
    return rows


def _read_condition(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            return image.convert("RGBA")
    except OSError as error:
        raise Verdict3DError(f"{path} cannot be read ({error}); run the assets stage again") from error


def _write_picture(
    root: Path, asset: Asset, regime: Regime, image: Image.Image, operators: list[tuple[str, int]]
) -> Condition:
    content = io.BytesIO()
    image.save(content, format="PNG")
    path = DEGRADE / "images" / regime / f"{asset.id}.png"
    write_bytes(root / path, content.getvalue())
    return Condition(
        asset=asset.id,
        split=asset.split,
        regime=regime,
        operators=operators,
        image=str(path),
        digest=digest_bytes(content.getvalue()),
    )


def measure_degradations(rows: Sequence[Condition]) -> dict[str, Any]:
    """Return the number of pictures, by regime, and how often each operator was applied at each severity."""
    applied = Counter((operator, severity) for row in rows for operator, severity in row.operators)
    by_operator: dict[str, dict[str, int]] = {name: {} for name in OPERATORS}
    for (operator, severity), count in sorted(applied.items()):
        by_operator[operator][f"severity_{severity}"] = count
    return {
        "pictures": len(rows),
        "by_regime": dict(sorted(Counter(row.regime for row in rows).items())),
        "by_operator": by_operator,
    }


if __name__ == "__main__":
    run_stage(run)
