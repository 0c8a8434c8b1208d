"""The drill of bad inputs, every so-manieth case; ``python -m drills.bad_inputs`` tries all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from drills import bad_inputs
from support.places import ROOT, TESTS
from verdict3d.config import Params


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_bad_inputs_are_refused_in_a_message(tiny_chain: tuple[Path, Params]) -> None:
    command = [sys.executable, "-m", "drills.bad_inputs", "--project", str(tiny_chain[0]), "--every", "16"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), str(ROOT)])}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.split(" ")[1] for line in done.stdout.splitlines()[2:]] == list(bad_inputs.GROUPS)


def test_what_is_wrong_is_called_so() -> None:
    case = bad_inputs.Case("a case", (), "photo.png")
    assert bad_inputs.judge_outcome(case, 1, "photo.png: not an image") == []
    assert bad_inputs.judge_outcome(case, 0, "photo.png") == ["accepted"]
    assert bad_inputs.judge_outcome(case, None, "") == ["no end within 120 s"]
    said = f"Traceback (most recent call last): {bad_inputs.PASSWORD}"
    assert bad_inputs.judge_outcome(case, 70, said) == [
        "Traceback (most recent",
        "secretpw",
        "status 70",
        "'photo.png' is not named",
    ]
