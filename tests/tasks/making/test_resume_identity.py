"""Unfinished work is continued for the same thing only: what an answer depends on decides, all of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import tasks.evaluate
import tasks.generate
import tasks.train
from support.tiny_project import write_tiny_project
from tasks.making.generation import GenerationWorker
from verdict3d.config import load_params

ARM = "searched"
REPAIR = {
    "method": "conditioner_repair",
    "steps": 2,
    "batch_size": 2,
    "learning_rate": 1e-3,
    "hidden": 8,
    "clean_share": 0.2,
    "draws": 1,
    "regimes": ["severe"],
    "checkpoint_every": 2,
}


def set_samples(root: Path, samples: int) -> None:
    """Give the project one arm, a stack that ends in a search, and train it."""
    values = yaml.safe_load((root / "params.yaml").read_text())
    search = {"method": "search", "samples": samples, "pick": "random"}
    values["train"]["arms"] = values["promotion"]["arms"] = [ARM]
    values["train"][ARM] = {"method": "stack", "parts": [REPAIR, search]}
    (root / "params.yaml").write_text(yaml.safe_dump(values))
    tasks.train.run(load_params(root / "params.yaml"), root, ARM)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the base's generations and the arm trained with 8 samples."""
    root = tmp_path_factory.mktemp("project")
    tasks.generate.run(write_tiny_project(root), root)
    set_samples(root, 8)
    return root


def interrupted(root: Path, monkeypatch: pytest.MonkeyPatch, batches: int) -> int:
    """Evaluate below ``root`` until so many batches are made or a judge is asked; return their number."""
    made = 0
    work = GenerationWorker.__call__

    def counted(worker, items, folder):
        nonlocal made
        if made == batches:
            raise KeyboardInterrupt
        made += 1
        return work(worker, items, folder)

    def stop(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(GenerationWorker, "__call__", counted)
        patched.setattr(tasks.evaluate, "judge_pairings", stop)
        tasks.evaluate.run(load_params(root / "params.yaml"), root, ARM)
    return made


def test_a_search_with_other_settings_takes_over_no_batch(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert interrupted(project, monkeypatch, 1) == 1
    assert interrupted(project, monkeypatch, 2) == 1, "the same settings go on where they were"
    set_samples(project, 4)
    assert interrupted(project, monkeypatch, 2) == 2, "a batch of 8 samples went into a result of 4"
