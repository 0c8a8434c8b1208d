"""The champion as the stages see it: a copy of its adapter in ``data/registry``, put there from the registry.

``data/registry/champion`` holds ``champion.json`` (:class:`verdict3d.records.promotion.Champion`) with the
adapter's files, or nothing: then the base is the champion. ``data/registry/holdout.json`` lists, by digest of
the held-out set, the adapters that it has decided on. ``tasks.registry.promotion`` writes both; stages only
read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tasks.paths import CHAMPION, CHAMPION_RECORD, HOLDOUT
from verdict3d.errors import Verdict3DError
from verdict3d.provenance import digest_file, digest_json
from verdict3d.records.adapters import CARD, WEIGHTS, adapter_identity
from verdict3d.records.assets import Asset
from verdict3d.records.files import read_json, write_bytes
from verdict3d.records.promotion import Champion
from verdict3d.records.record import read_record, write_record
from verdict3d.records.verdicts import HeldoutVerdict

Used = dict[str, dict[str, int]]
"""By digest of the held-out set and by adapter: how much the evaluation judge was asked to decide on it."""
"""The files of an adapter, as :mod:`verdict3d.adapt.adapter` writes them (which would load torch here)."""

BASE = Champion(name="the base", version=None, arm=None, adapter=None)
"""The champion before any other."""


def registered_champion(version: int, arm: str, adapter: str) -> Champion:
    """Return a version of the registry as the champion."""
    return Champion(name=f"version {version} ({arm})", version=version, arm=arm, adapter=adapter)


def read_champion(root: Path) -> Champion:
    """Return the champion below ``root``.

    Raises:
        Verdict3DError: Its adapter is not the one that its record names.
    """
    record = root / CHAMPION_RECORD
    if not record.exists():
        return BASE
    champion = read_record(record, Champion)
    folder = root / CHAMPION
    whole = all((folder / name).is_file() for name in (WEIGHTS, CARD))
    if not whole or adapter_identity(folder) != champion.adapter:
        raise Verdict3DError(
            f"{folder} does not hold the adapter of {champion.name}; `verdict3d promote` fetches it again"
        )
    return champion


def place_champion(root: Path, champion: Champion, adapter: Path | None) -> bool:
    """Make ``champion`` the one below ``root``; tell whether that changed anything.

    Args:
        root: Folder of ``params.yaml``.
        champion: Who it is.
        adapter: Folder with the adapter's files; None for the base.
    """
    folder, record = root / CHAMPION, root / CHAMPION_RECORD
    try:
        if read_champion(root) == champion:
            return False
    except Verdict3DError:
        pass  # damaged: placed anew
    record.unlink(missing_ok=True)
    for name in (WEIGHTS, CARD):
        (folder / name).unlink(missing_ok=True)
        if adapter is not None:
            write_bytes(folder / name, (adapter / name).read_bytes())
    if adapter is not None:
        write_record(record, champion)
    return True


def holdout_digest(root: Path, assets: Sequence[Asset]) -> str:
    """Return the identity of the held-out set: its objects with their meshes and clean pictures."""
    rows = [row for row in assets if row.split == "heldout"]
    return digest_json(
        sorted([row.id, digest_file(root / row.mesh), digest_file(root / row.condition)] for row in rows)
    )


def questions(*verdicts: Sequence[HeldoutVerdict]) -> int:
    """Return how many answers of the evaluation judge on held-out objects these verdicts are: two each."""
    return 2 * sum(row.outcome != "invalid" for rows in verdicts for row in rows)


def read_holdout(root: Path) -> Used:
    """Return what each held-out set has been used for."""
    path = root / HOLDOUT
    return read_json(path) if path.exists() else {}
