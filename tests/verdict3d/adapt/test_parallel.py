"""Training in two processes on the CPU: the weights of one, resumable, nothing left behind by a kill."""

from __future__ import annotations

import contextlib
import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import tasks.train
from support.arm_examples import ARMS, make_inputs, section
from support.parallel_arms import fit_arm
from support.places import TESTS
from support.tiny_project import write_tiny_project
from verdict3d.adapt.degraded_losses import TrainingLosses, gather_material
from verdict3d.adapt.parallel import Processes, count_processes
from verdict3d.adapt.student import make_student
from verdict3d.adapt.training import CHECKPOINT
from verdict3d.errors import Verdict3DError

pytestmark = pytest.mark.slow

ARM = "conditioner_repair"
STEPS = 300
START = (
    "import sys; from verdict3d.adapt import parallel; parallel.become_launcher(2, sys.argv[1], sys.argv[2:])"
)


def launch(module: str, *arguments: str, cwd: Path) -> subprocess.Popen[str]:
    """Start two processes as a stage does on a machine with two GPUs."""
    places = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    return subprocess.Popen(
        [sys.executable, "-c", START, module, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": places, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def runs(pid: int) -> bool:
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())  # a zombie has none
    except OSError:
        return False


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """Folders of all arms trained in two processes, and of a project whose training was killed."""
    folder, project = tmp_path_factory.mktemp("parallel"), tmp_path_factory.mktemp("project")
    write_tiny_project(project, steps=STEPS, batch_size=4, checkpoint_every=20)
    process = launch("support.parallel_arms", str(folder), str(project), cwd=project)
    try:
        while process.poll() is None and not list(project.glob(f".verdict3d/resume/train/*/*/{CHECKPOINT}")):
            time.sleep(0.01)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    _, told = process.communicate()
    assert process.returncode == -signal.SIGKILL, told
    yield folder, project


def test_a_kill_of_the_launchers_group_ends_every_process(killed):
    pids = [int((killed[0] / f"{rank}.pid").read_text()) for rank in (0, 1)]
    deadline = time.monotonic() + 10
    while any(map(runs, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(runs, pids))


@pytest.mark.parametrize("arm", ARMS)
def test_two_processes_train_the_weights_of_one(arm, killed, tmp_path):
    """Adam divides a gradient by its own size, so weights whose gradient is rounding alone move by it.

    Biases of keys are left out, whose gradients are nothing but that: they add the same to a row of scores.
    """
    fit_arm(make_inputs(tmp_path / "inputs"), arm, tmp_path)
    found = sorted((tmp_path / arm).rglob(CHECKPOINT))
    assert found
    for path in found:
        alone, shared = load_file(path), load_file(killed[0] / path.relative_to(tmp_path))
        assert alone.keys() == shared.keys()
        for kind, tolerance in (("optimizer.exp_avg.", 1e-4), ("weights.", 1e-3)):
            one, other = (
                torch.cat(
                    [
                        value.flatten()
                        for name, value in tensors.items()
                        if name.startswith(kind) and not name.endswith("key.bias")
                    ]
                )
                for tensors in (alone, shared)
            )
            assert one.norm() > 0
            assert (one - other).norm() <= tolerance * one.norm(), kind


def test_weights_of_guided_times_are_those_of_the_whole_batch(tmp_path):
    """They are divided by their mean over the batch, so losses of shares are not those of smaller batches."""
    inputs = make_inputs(tmp_path)
    guided = {"guidance": 3.0, "guidance_interval": (0.6, 0.8)}
    inputs.pipeline.structure = inputs.pipeline.structure.model_copy(update=guided)
    params = section({**ARMS["token_repair"], "batch_size": 4})
    student = make_student(inputs.pipeline, 7, tokens=params.tokens)
    torch.nn.init.normal_(student.parameters["tokens.outer.weight"], std=0.3)
    material = gather_material(inputs, params, student, inputs.train, "training")
    assert material is not None
    for step in range(6):  # on the student's own states and on noised objects
        whole, *shares = (
            TrainingLosses(inputs.pipeline, params, student, 7, processes).loss(material, step).item()
            for processes in (Processes(), Processes(0, 2), Processes(1, 2))
        )
        assert shares[0] != pytest.approx(shares[1], rel=1e-3)
        assert sum(shares) / 2 == pytest.approx(whole, rel=1e-5)


def test_killed_training_goes_on_in_two_processes_as_in_one(killed, tmp_path):
    project = killed[1]
    process = launch("tasks.train", ARM, cwd=project)
    _, told = process.communicate()
    assert process.returncode == 0, told
    assert f"/{STEPS} [" in told
    assert f" 0/{STEPS} [" not in told, "it went on from the checkpoint"
    assert not list(project.glob(".verdict3d/resume/train/*/*"))
    params = write_tiny_project(tmp_path, steps=STEPS, batch_size=4, checkpoint_every=20)
    tasks.train.run(params, tmp_path, ARM)
    one, two = (
        list(csv.DictReader((root / "data/train" / ARM / "losses.csv").read_text().splitlines()))
        for root in (tmp_path, project)
    )
    assert [row["step"] for row in two] == [str(step) for step in range(STEPS + 1)]
    assert float(one[-1]["train_loss"]) < 0.9 * float(one[1]["train_loss"])
    for name in ("train_loss", "validation_loss"):
        expected, found = ([float(row[name]) for row in rows if row[name]] for rows in (one, two))
        assert found == pytest.approx(expected, rel=1e-3)


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path):
    params = write_tiny_project(tmp_path)
    with pytest.raises(Verdict3DError, match=r"batch of 3 items .* by 2 processes"):
        tasks.train.run(params, tmp_path, ARM, Processes(1, 2))
    assert Processes(1, 2).own([5, 6, 7, 8]) == [6, 8]


@pytest.mark.parametrize(
    ("devices", "batches", "count"),
    [(0, [4], 1), (1, [4], 1), (4, [], 1), (4, [32], 4), (3, [32], 2), (8, [12, 16], 4), (2, [3], 1)],
)
def test_as_many_processes_start_as_devices_that_divide_the_batches(devices, batches, count):
    assert count_processes(devices, batches) == count
