"""Run in several processes at once: trains every arm of the tests, then a tiny project's."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch

import tasks.train
from support.arm_examples import ARMS, make_inputs, section
from verdict3d.adapt.method import Fit, FitInputs
from verdict3d.adapt.parallel import ALONE, Processes, join_processes, leave_processes
from verdict3d.adapt.registry import find_method
from verdict3d.config import load_params


def fit_arm(inputs: FitInputs, arm: str, folder: Path, processes: Processes = ALONE) -> Fit:
    """Train one arm with its checkpoints in a folder of its name."""
    params = section(ARMS[arm])
    own = FitInputs(**{**vars(inputs), "checkpoints": folder / arm, "processes": processes})
    own.checkpoints.mkdir(parents=True, exist_ok=True)
    return find_method(params.method).fit(own, params)


def main(folder: Path, project: Path) -> None:
    processes = join_processes(torch.device("cpu"))
    (folder / f"{processes.rank}.pid").write_text(str(os.getpid()))
    inputs = make_inputs(folder / f"inputs-{processes.rank}")
    for arm in ARMS:
        fit = fit_arm(inputs, arm, folder, processes)
        known = processes.from_main(lambda fit=fit: [fit.losses, fit.best_step, dict(fit.tensors)])
        assert known[:2] == [fit.losses, fit.best_step]
        assert all(torch.equal(value, fit.tensors[name]) for name, value in known[2].items())
    tasks.train.run(load_params(project / "params.yaml"), project, "conditioner_repair", processes)
    leave_processes(processes)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
