"""What every test module gets."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def own_thread_count() -> Iterator[None]:
    """Give torch its threads back after a module that set them: the bytes of results depend on them."""
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else None
    yield
    if torch and threads:
        torch.set_num_threads(threads)
