"""The champion as the stages see it: a copy of its adapter in ``data/registry``, put there from the registry.

``data/registry/champion`` holds ``champion.json`` (:class:`verdict3d.records.decisions.Champion`) with the
adapter's files, or nothing: then the base is the champion. ``tasks.registry.promotion`` writes it, stages
only read.
"""

from __future__ import annotations

from pathlib import Path

from tasks.paths import CHAMPION, CHAMPION_RECORD
from verdict3d.config_arms import OutsideArmParams
from verdict3d.config_generators import AnyOutside
from verdict3d.errors import Verdict3DError
from verdict3d.records.adapters import (
    adapter_files,
    adapter_identity,
    copy_adapter,
    read_card,
    remove_adapter,
)
from verdict3d.records.decisions import Champion
from verdict3d.records.record import read_record, write_record

BASE = Champion(name="the base", version=None, arm=None, adapter=None)
"""The champion before any other."""


def make_champion(version: int, arm: str, adapter: str) -> Champion:
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
    whole = all((folder / name).is_file() for name in adapter_files(folder))
    if not whole or adapter_identity(folder) != champion.adapter:
        raise Verdict3DError(
            f"{folder} does not hold the adapter of {champion.name}; `verdict3d promote` fetches it again"
        )
    return champion


def find_champion_generator(root: Path) -> AnyOutside | None:
    """Return the generator of a champion that is an outside one; None for any other champion.

    Raises:
        Verdict3DError: The champion's adapter is not the one that its record names.
    """
    if read_champion(root).version is None:
        return None
    params = read_card(root / CHAMPION).params
    return params.generator if isinstance(params, OutsideArmParams) else None


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
    remove_adapter(folder)
    if adapter is not None:
        copy_adapter(adapter, folder)
        write_record(record, champion)
    return True
