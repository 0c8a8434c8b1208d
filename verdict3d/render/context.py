"""One OpenGL context for each process, made when first asked for, without a display (EGL)."""

from __future__ import annotations

import os
from typing import Any

import moderngl

from verdict3d.errors import Verdict3DError

_INSTALL = (
    "Rendering needs OpenGL 3.3 through EGL. On Debian or Ubuntu: "
    "apt-get install libegl1 libgl1 libgl1-mesa-dri   (with an NVIDIA driver, the first two are enough)"
)
_SOFTWARE = ("llvmpipe", "softpipe", "swrast", "software")
_MAX_DEVICES = 8

_contexts: dict[int, moderngl.Context] = {}


def shared_context() -> moderngl.Context:
    """Return this process's context and make it current.

    The first EGL device with a hardware driver is chosen, else the first that works (Mesa's llvmpipe); a
    process that ``CUDA_VISIBLE_DEVICES`` keeps to one GPU tries the device of that number before the others.

    Raises:
        Verdict3DError: No context can be made (the message names the packages to install), or this process
            was forked from one that had a context: the drivers' threads do not survive a fork and drawing
            would hang.
    """
    process = os.getpid()
    if process not in _contexts:
        if _contexts:
            raise Verdict3DError(
                "this process was forked from one that had already rendered, which OpenGL drivers do not "
                'survive; start workers with multiprocessing.get_context("spawn")'
            )
        _contexts[process] = _create()
    context = _contexts[process]
    context.__enter__()
    return context


def is_software(context: moderngl.Context) -> bool:
    """Return whether the context draws on the CPU."""
    renderer = context.info["GL_RENDERER"].lower()
    return any(name in renderer for name in _SOFTWARE)


def _create() -> moderngl.Context:
    fallback: moderngl.Context | None = None
    problem: Exception | None = None
    own = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    for index in sorted(range(_MAX_DEVICES), key=lambda index: str(index) != own):
        settings: dict[str, Any] = {"backend": "egl", "device_index": index}
        try:
            context = moderngl.create_context(require=330, standalone=True, **settings)
        except Exception as error:  # glcontext raises bare Exception for every EGL failure
            problem = problem or error
            continue
        if not is_software(context):
            if fallback is not None:
                fallback.release()
            return context
        if fallback is None:
            fallback = context
        else:
            context.release()
    if fallback is None:
        raise Verdict3DError(f"no OpenGL context: {problem}\n{_INSTALL}")
    return fallback
