"""What a long list of questions leaves in the heap: freed memory that the allocator keeps."""

from __future__ import annotations

import ctypes

_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None)


def give_back_heap() -> None:
    """Give free pages of the heap back to the system, where the allocator can (glibc); takes milliseconds.

    Tensors of changing sizes leave holes between what is kept. glibc gives back only what is free at the end
    of its heap, so a process that asks for hours would grow with nothing in it.
    """
    if _TRIM is not None:
        _TRIM(0)
