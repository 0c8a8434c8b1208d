"""Devices: what is asked for is there, or it is said what to do."""

import pytest
import torch

from verdict3d.device import pick_device
from verdict3d.errors import Verdict3DError

GPU_1 = torch.device("cuda", 1)


@pytest.fixture(params=[0, 1, 2])
def gpus(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("torch.cuda.is_available", lambda: request.param > 0)
    monkeypatch.setattr("torch.cuda.device_count", lambda: request.param)
    return int(request.param)


def test_a_gpu_is_used_where_there_is_one(gpus: int) -> None:
    assert pick_device("auto") == torch.device("cuda" if gpus else "cpu")
    assert pick_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(("asked", "least"), [("cuda", 1), ("cuda:0", 1), ("cuda:1", 2), (GPU_1, 2)])
def test_a_gpu_that_is_not_there_is_refused(gpus: int, asked: str | torch.device, least: int) -> None:
    if gpus >= least:
        assert pick_device(asked) == torch.device(asked)
        return
    with pytest.raises(Verdict3DError, match=f"but {gpus} CUDA GPUs are usable here; set it to 'auto' or"):
        pick_device(asked)


def test_a_word_that_is_no_device_is_refused() -> None:
    with pytest.raises(Verdict3DError, match="no device 'gpu'; choose 'auto', 'cpu'"):
        pick_device("gpu")
