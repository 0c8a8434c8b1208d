"""Samples of the machine: under MLflow's names, in order, no more than a record should hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.chain import machine_samples
from flows.chain.machine_samples import read_machine, sampling
from support.loopback import wait_until

SMI = """#!/bin/sh
case "$*" in *index,utilization.gpu,memory.used,memory.total*) ;; *) exit 2 ;; esac
echo "0, 75, 1000, 4000"
echo "1, [N/A], [N/A], 4000"
"""


def test_the_names_are_those_of_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor

    monkeypatch.setattr("shutil.which", lambda program: None)
    theirs = CPUMonitor()
    theirs.collect_metrics()
    mine = read_machine()
    assert mine.keys() == theirs.metrics.keys()
    used = mine["system_memory_usage_megabytes"]
    assert mine["system_memory_usage_percentage"] == pytest.approx(
        theirs.metrics["system_memory_usage_percentage"][0], abs=20
    )
    assert used > 100 and 0 <= mine["cpu_utilization_percentage"] <= 100


def test_samples_come_while_a_block_runs_and_end_with_it() -> None:
    with sampling(every_s=0.01) as samples:
        wait_until(lambda: len(samples.get("cpu_utilization_percentage", [])) >= 3, "three samples", 60)
    ended = {name: list(series) for name, series in samples.items()}
    times = [time_ms for time_ms, _ in ended["cpu_utilization_percentage"]]
    assert times == sorted(times) and times[0] > 1_600_000_000_000
    assert len({len(series) for name, series in ended.items() if not name.startswith("gpu")}) == 1


def test_a_long_run_keeps_fewer_samples_over_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_samples, "MOST_SAMPLES", 8)
    longest = 0
    with sampling(every_s=0.001) as samples:

        def halved() -> bool:
            nonlocal longest
            before, longest = longest, max(longest, len(samples.get("cpu_utilization_percentage", [])))
            return before >= 4 and len(samples["cpu_utilization_percentage"]) < longest

        wait_until(halved, "every other sample to go", 60)
        first = samples["cpu_utilization_percentage"][0]
    assert all(len(series) <= 8 for series in samples.values())
    assert samples["cpu_utilization_percentage"][0] == first


def test_gpus_are_asked_through_the_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(SMI)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = {name: value for name, value in read_machine().items() if name.startswith("gpu_")}
    assert found == {
        "gpu_0_utilization_percentage": 75.0,
        "gpu_0_memory_usage_megabytes": pytest.approx(1048.576),
        "gpu_0_memory_usage_percentage": 25.0,
    }
    program.write_text("#!/bin/sh\nexit 9\n")
    assert not [name for name in read_machine() if name.startswith("gpu_")]
