"""Where stages leave their records, and the records that several stages read.

Paths inside records are relative to the project's top folder, from which every stage runs.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from verdict3d.errors import Verdict3DError
from verdict3d.records.files import Row, read_jsonl

ASSETS = Path("data/assets")
DEGRADE = Path("data/degrade")
GENERATE = Path("data/generate")
PAIRS = Path("data/pairs")
CONTROLS = Path("data/controls")
AUDIT = Path("data/audit")
LABEL = Path("data/label")
PREFLIGHT = Path("data/preflight")
TRAIN = Path("data/train")
EVALUATE = Path("data/evaluate")
CHALLENGE = Path("data/challenge")
GATE = Path("data/gate")
DECISION = GATE / "decision.json"
REGISTRY = Path("data/registry")

Conditions = dict[tuple[str, str], str]
"""Path of the condition picture of (asset, regime)."""


def read_assets(root: Path) -> list[Row]:
    """Return the asset manifest, in its own order."""
    return read_jsonl(root / ASSETS / "assets.jsonl")


def read_conditions(root: Path, assets: Sequence[Row]) -> Conditions:
    """Return the condition pictures of ``assets``: the clean ones and those of the degrade stage."""
    conditions = {(asset["id"], "clean"): asset["condition"] for asset in assets}
    for row in read_jsonl(root / DEGRADE / "conditions.jsonl"):
        conditions[row["asset"], row["regime"]] = row["image"]
    return conditions


def condition_of(conditions: Conditions, asset: str, regime: str) -> str:
    """Return the condition picture of an asset.

    Raises:
        Verdict3DError: The degrade stage made none for this regime.
    """
    try:
        return conditions[asset, regime]
    except KeyError:
        known = sorted({name for _, name in conditions})
        raise Verdict3DError(
            f"asset {asset} has no {regime!r} condition; the degrade stage made: {', '.join(known)}"
        ) from None


def start_folder(folder: Path) -> Path:
    """Make ``folder`` and remove what an earlier run left there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
