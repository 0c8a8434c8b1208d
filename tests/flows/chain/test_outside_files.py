"""Files of outside generators that DVC does not look at itself are listed for it, of the champion too."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from flows.chain.outside_files import watch_generators
from support.adapters import make_origin
from support.outside import box_settings, outside
from support.outside_project import OUTSIDE, write_outside_project
from tasks.paths import WATCHED_GENERATORS
from tasks.scoring.champion import BASE, make_champion, place_champion
from verdict3d.adapt.adapter import save_adapter
from verdict3d.config_arms import OutsideArmParams
from verdict3d.errors import Verdict3DError
from verdict3d.project import Workspace
from verdict3d.records.adapters import adapter_identity
from verdict3d.records.files import read_json


def listed(root: Path) -> dict[str, list[int]]:
    watch_generators(Workspace(root, root, None))
    found: dict[str, list[int]] = (
        read_json(root / WATCHED_GENERATORS) if (root / WATCHED_GENERATORS).exists() else {}
    )
    return found


def test_files_elsewhere_are_listed_of_the_base_the_arms_and_the_champion(tmp_path: Path) -> None:
    root, weights = tmp_path / "project", tmp_path / "weights"
    write_outside_project(root)
    assert listed(root) == {}, "all is in data/generators"
    weights.mkdir()
    (weights / "one.bin").write_bytes(b"1")
    values = yaml.safe_load((root / "params.yaml").read_text())
    values["train"][OUTSIDE]["generator"]["files"] = [str(weights)]
    (root / "params.yaml").write_text(yaml.safe_dump(values))
    assert list(listed(root)) == [f"{weights}: one.bin"]
    (root / WATCHED_GENERATORS).write_bytes(b"damaged")
    assert list(listed(root)) == [f"{weights}: one.bin"]

    theirs = tmp_path / "champion.bin"
    theirs.write_bytes(b"1")
    arm = OutsideArmParams(method="outside", generator=outside(**box_settings(root, files=[str(theirs)])))
    save_adapter({}, make_origin("boxes", "digest", arm), {"parameters": 0}, tmp_path / "adapter")
    champion = make_champion(1, "boxes", adapter_identity(tmp_path / "adapter"))
    place_champion(root, champion, tmp_path / "adapter")
    before = listed(root)
    assert len(before) == 2
    theirs.write_bytes(b"22")
    changed = listed(root)
    assert [name for name in changed if changed[name] != before[name]] == [f"{theirs}: ."]
    theirs.unlink()
    with pytest.raises(Verdict3DError, match=r"champion\.bin', which is not there"):
        listed(root)
    place_champion(root, BASE, None)
    assert list(listed(root)) == [f"{weights}: one.bin"]
