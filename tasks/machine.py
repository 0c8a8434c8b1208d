"""What of the machine the bytes of a result depend on, and the settings that make it repeat itself."""

from __future__ import annotations

import os
from typing import Any


def settle_torch() -> dict[str, Any]:
    """Ask torch for deterministic algorithms and return what else its results depend on.

    Sums are split over threads and kernels differ between versions and GPUs, so results repeat bit for bit on
    one machine with one torch; unfinished work of another is not continued. The thread count is torch's own
    choice (all physical cores, or ``OMP_NUM_THREADS``). An operation without a deterministic algorithm warns.

    Returns:
        Versions, thread count and accelerator, as JSON values for :func:`tasks.batches.resuming`.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    accelerator = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"torch": torch.__version__, "threads": torch.get_num_threads(), "accelerator": accelerator}
