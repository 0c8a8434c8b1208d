"""Where networks run and what makes them repeat: one answer for the generator, the judges and training."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from verdict3d.errors import Verdict3DError

if TYPE_CHECKING:
    import torch


def pick_device(device: str | torch.device) -> torch.device:
    """Return the device; ``"auto"`` is a CUDA GPU where there is one, else the CPU.

    Args:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ...

    Raises:
        Verdict3DError: There is no such device, or a CUDA GPU is asked for that is not there.
    """
    import torch

    usable = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        return torch.device("cuda" if usable else "cpu")
    try:
        picked = torch.device(device)
    except RuntimeError as error:
        choice = "'auto', 'cpu', 'cuda' or 'cuda:1'"
        raise Verdict3DError(f"there is no device {device!r}; choose {choice}") from error
    if picked.type == "cuda" and (picked.index or 0) >= usable:
        raise Verdict3DError(
            f"device '{picked}' is configured, but {usable} CUDA GPUs are usable here; set it to 'auto' or "
            "'cpu', or check the driver (nvidia-smi) and CUDA_VISIBLE_DEVICES"
        )
    return picked


def settle_torch() -> dict[str, Any]:
    """Ask torch for deterministic algorithms and return what else its results depend on.

    Sums are split over threads and kernels differ between versions and GPUs, so results repeat bit for bit on
    one machine with one torch; unfinished work of another is not continued. The thread count is torch's own
    choice (all physical cores, or ``OMP_NUM_THREADS``). An operation without a deterministic algorithm warns.

    Returns:
        Versions, thread count and accelerator, as JSON values for :func:`tasks.making.batches.resuming`.
    """
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    accelerator = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"torch": torch.__version__, "threads": torch.get_num_threads(), "accelerator": accelerator}
