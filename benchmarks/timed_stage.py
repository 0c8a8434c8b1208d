"""Runs a stage as `python -m tasks.NAME` does, and writes down when its networks worked.

    python -m benchmarks.timed_stage CALLS.json NAME [WORDS...]

`CALLS.json` gets one entry for each call of a generator or a judge, each loading and each step of training:
what, begin and end (seconds of the epoch), items, sampler steps, and on a GPU the memory before it and at its
peak (GiB). With several processes for one stage only this one's calls are seen.
"""

from __future__ import annotations

import json
import runpy
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

CALLS: list[dict[str, Any]] = []
INFERRING = {"audit", "certify", "challenge", "evaluate", "generate", "label", "train"}
GIB = 2**30


def timed(kind: str, function: Callable[..., Any], outer: bool = True) -> Callable[..., Any]:
    """Return ``function`` that writes its calls down; ``outer`` ones measure memory, too."""
    import torch

    def call(self: Any, *words: Any, **named: Any) -> Any:
        on_gpu = torch.cuda.is_initialized()
        before = torch.cuda.memory_allocated() / GIB if on_gpu else None
        if on_gpu and outer:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        first = words[0] if words and isinstance(words[0], Sequence) else []
        steps = getattr(first[0], "steps", None) if len(first) and not isinstance(first, str) else None
        entry: dict[str, Any] = {
            "kind": kind,
            "items": len(first),
            "steps": None if steps is None else steps.structure,
            "before_gib": before,
            "begin": time.time(),
        }
        try:
            return function(self, *words, **named)
        finally:
            if torch.cuda.is_initialized():
                torch.cuda.synchronize()
                entry["peak_gib"] = torch.cuda.max_memory_allocated() / GIB
            CALLS.append(entry | {"end": time.time()})

    return call


def watch() -> None:
    """Time what the networks of a stage do."""
    from torch.optim.optimizer import register_optimizer_step_post_hook

    from tasks.making.generation import GenerationWorker
    from verdict3d.judge.served.client import LocalJudge
    from verdict3d.trellis.pipeline import TrellisPipeline

    begun = GenerationWorker.__init__

    def begin(self: Any, generator: Any, *words: Any, **named: Any) -> None:
        begun(self, generator, *words, **named)
        self.generator = Timed(generator)

    GenerationWorker.__init__ = begin  # type: ignore[method-assign]
    LocalJudge.compare = timed("judge", LocalJudge.compare)  # type: ignore[method-assign]
    for part in ("encode", "sample_structure", "sample_latents", "decode_meshes"):
        setattr(TrellisPipeline, part, timed(part, getattr(TrellisPipeline, part), outer=False))
    load: Any = TrellisPipeline.from_pretrained.__func__  # type: ignore[attr-defined]
    TrellisPipeline.from_pretrained = classmethod(timed("load generator", load))  # type: ignore[assignment]
    register_optimizer_step_post_hook(lambda *_: CALLS.append({"kind": "step", "end": time.time()}))


class Timed:
    """A generator whose calls are written down."""

    def __init__(self, generator: Any) -> None:
        self.record = generator.record
        self._generator = generator

    def generate(self, requests: Sequence[Any]) -> Any:
        """Make one mesh for each request."""
        return _generate(self._generator, requests)


def _generate(generator: Any, requests: Sequence[Any]) -> Any:
    return timed("generate", type(generator).generate)(generator, requests)


def main() -> None:
    """Run the stage, and write down what was seen, however it ends."""
    out, name, *words = sys.argv[1:]
    sys.argv = [f"tasks.{name}", *words]
    if name in INFERRING:
        watch()
    try:
        runpy.run_module(f"tasks.{name}", run_name="__main__", alter_sys=True)
    finally:
        Path(out).write_text(json.dumps(CALLS))


if __name__ == "__main__":
    main()
