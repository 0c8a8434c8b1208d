"""Random generators keyed by (seed, purpose, item), so that no item depends on its neighbours."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def seed_for(seed: int, purpose: str, *item: str | int) -> int:
    """Derive a 63-bit seed from a base seed, a purpose and the item's identity.

    Args:
        seed: Base seed of the run.
        purpose: What the randomness is for, such as ``"structure_noise"``.
        *item: Identity of the item, such as an asset id and a draw number.

    Returns:
        An integer in [0, 2**63).
    """
    key = json.dumps([seed, purpose, *item], separators=(",", ":")).encode()
    return int.from_bytes(hashlib.sha256(key).digest()[:8], "big") >> 1


def numpy_generator(seed: int, purpose: str, *item: str | int) -> np.random.Generator:
    """Return a PCG64 generator for (seed, purpose, item)."""
    return np.random.Generator(np.random.PCG64(seed_for(seed, purpose, *item)))


def torch_generator(seed: int, purpose: str, *item: str | int) -> torch.Generator:
    """Return a CPU ``torch.Generator`` for (seed, purpose, item)."""
    import torch

    return torch.Generator().manual_seed(seed_for(seed, purpose, *item))
