"""The benchmark of the whole chain, with small networks: the stages take what it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import full_chain


@pytest.mark.slow
def test_stages_run_on_what_the_benchmark_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stages = ["assets", "degrade", "generate", "pairs"]
    full_chain.main(["--into", str(tmp_path), "--tiny", "--objects", "2", "1", "1", "--stages", *stages])
    found = json.loads((tmp_path / "full_chain.json").read_text())
    assert [(use["stage"], use["status"]) for use in found] == [(stage, 0) for stage in stages]
    assert all(use["seconds"] > 0 and use["host_gib"] > 0 and use["out_mib"] > 0 for use in found)
    made = [call for call in found[2]["calls"] if call["kind"] == "generate"]
    assert sum(call["items"] for call in made) == 2 * 3 + 3, "two training objects, and one held out"
    assert found[2]["networks_s"] == pytest.approx(sum(call["end"] - call["begin"] for call in made))
    assert found[2]["networks_s"] < found[2]["seconds"] and found[2]["around"] > 0.9
    assert "GPU hours" in capsys.readouterr().out
