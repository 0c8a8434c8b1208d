"""What a run says to people: its hints are for its own preset, and what is to run is a line each."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.chain.run import describe_changes, describe_results
from support.adapters import make_origin
from support.decisions import decided
from support.toy_chain import ARM, RESULTS, write_toy_chain
from tasks.paths import EVALUATE
from verdict3d.project import TRAIN, Workspace
from verdict3d.records.adapters import AdapterCard
from verdict3d.records.record import write_record


@pytest.mark.parametrize("preset", [None, "quick"])
def test_every_hint_leads_to_the_results_of_this_preset(tmp_path: Path, preset: str | None) -> None:
    root = write_toy_chain(tmp_path / "place")
    card = AdapterCard(**dict(make_origin(ARM, base_digest="none")), weights_digest="none", measures={})
    write_record(root / TRAIN / ARM / "card.json", card)
    (root / TRAIN / ARM / "adapter_model.safetensors").write_bytes(b"weights")
    write_record(root / EVALUATE / ARM / "results.json", RESULTS)
    decided(root, "HOLD")
    said = describe_results(Workspace(tmp_path, root, preset))
    option = f" --preset {preset}" if preset else ""
    assert f"`verdict3d promote --explain{option}`" in said and f"`verdict3d ui{option} --last`" in said
    assert said.count("--preset") == (2 if preset else 0)


def test_a_stage_with_many_reasons_takes_one_short_line(tmp_path: Path) -> None:
    paths = [f"verdict3d/some/module_{number}.py" for number in range(60)]
    place = Workspace(tmp_path, tmp_path, None)
    fresh = describe_changes(place, {f"stage{number}": {"changed deps": paths} for number in range(16)})
    assert fresh.startswith("16 stages to run: ") and len(fresh) < 200 and "\n" not in fresh
    (tmp_path / "dvc.lock").touch()
    assert describe_changes(place, {"label": {"changed deps": paths}}) == (
        "label: changed deps: verdict3d/some/module_0.py and 59 more"
    )
