"""The paths below ``data`` that only stages use, and the records that several of them read.

Those that commands of the library read as well are in :mod:`verdict3d.project`; no other module spells one.

Paths are relative to the project's top folder, from which every stage runs; so are the paths inside records.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from verdict3d.errors import Verdict3DError
from verdict3d.project import DATA
from verdict3d.records.assets import Asset, Condition
from verdict3d.records.generations import Generation
from verdict3d.records.record import read_rows

MESHES = DATA / "meshes"
LORAS = DATA / "loras"
GENERATORS = DATA / "generators"
VOTES = DATA / "votes"
COUNTED_VOTES = VOTES / "votes.jsonl"
WATCHED = DATA / "watched"
WATCHED_LISTING = WATCHED / "listing.json"
WATCHED_GENERATORS = WATCHED / "generators.json"
IDENTITY = DATA / "identity"
ASSETS = DATA / "assets"
DEGRADE = DATA / "degrade"
GENERATE = DATA / "generate"
PAIRS = DATA / "pairs"
CONTROLS = DATA / "controls"
ADMISSION = DATA / "admission"
LABEL = DATA / "label"
PREFLIGHT = DATA / "preflight"
EVALUATE = DATA / "evaluate"
CHALLENGE = DATA / "challenge"
GATE = DATA / "gate"
DECISION = GATE / "decision.json"
REGISTRY = DATA / "registry"
CHAMPION = REGISTRY / "champion"
CHAMPION_RECORD = CHAMPION / "champion.json"
HOLDOUT = REGISTRY / "holdout.json"

Conditions = dict[tuple[str, str], str]
"""Path of the condition picture of (asset, regime)."""


def locate_identity(stage: str) -> Path:
    """Return where what a stage (``<stage>`` or ``<stage>@<item>``) depends on is written down."""
    return IDENTITY / f"{stage.replace('@', '/')}.json"


def read_assets(root: Path) -> list[Asset]:
    """Return the asset manifest, in its own order."""
    return read_rows(root / ASSETS / "assets.jsonl", Asset)


def read_generations(root: Path, stage: Path = GENERATE) -> list[Generation]:
    """Return the generations that a stage left, in the order of its manifest."""
    return read_rows(root / stage / "generations.jsonl", Generation)


def read_conditions(root: Path, assets: Sequence[Asset]) -> Conditions:
    """Return the condition pictures of ``assets``: the clean ones and those of the degrade stage."""
    conditions: Conditions = {(asset.id, "clean"): asset.condition for asset in assets}
    for row in read_rows(root / DEGRADE / "conditions.jsonl", Condition):
        conditions[row.asset, row.regime] = row.image
    return conditions


def find_condition(conditions: Conditions, asset: str, regime: str) -> str:
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
