"""Where networks run: one answer for the generator, the judges and training."""

from __future__ import annotations

import torch

from verdict3d.errors import Verdict3DError


def pick_device(device: str | torch.device) -> torch.device:
    """Return the device; ``"auto"`` is a CUDA GPU where there is one, else the CPU.

    Args:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ...

    Raises:
        Verdict3DError: There is no such device, or a CUDA GPU is asked for that is not there.
    """
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
