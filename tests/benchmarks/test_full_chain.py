"""The benchmark of the whole chain, with small networks: the stages take what it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import full_chain


@pytest.mark.slow
def test_stages_run_on_what_the_benchmark_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stages = ["assets", "degrade", "generate", "pairs"]
    words = ["--into", str(tmp_path), "--tiny", "--networks", "--objects", "2", "1", "1", "--stages", *stages]
    full_chain.main(words)
    found = json.loads((tmp_path / "full_chain.json").read_text())
    assert [(use["stage"], use["status"]) for use in found] == [(stage, 0) for stage in stages]
    assert all(use["seconds"] > 0 and use["host_gib"] > 0 and use["out_mib"] > 0 for use in found)
    assert 0 < found[2]["networks_s"] < found[2]["seconds"]
    assert "generate: the networks alone need" in capsys.readouterr().out
