"""A function as a generator: loaded once, in a process that can be ended."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from support.loopback import processes_of, wait_until
from support.outside import box_settings, outside
from support.tiny_trellis import tiny_photo
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.generators.generator import Generator, Request
from verdict3d.generators.registry import load_generator
from verdict3d.mesh.mesh import Mesh

TOOL = """
import os, runpy, sys, time
from pathlib import Path

with Path("loaded").open("a") as stream:
    stream.write("once ")

def make(photo, seed, output):
    if photo.stem.startswith("dies"):
        os._exit(3)
    if photo.stem.startswith("raises"):
        raise ValueError("no box for this photo")
    if photo.stem.startswith("hangs"):
        time.sleep(600)
    sys.argv = ["box.py", str(photo), str(seed), str(output)]
    runpy.run_path("data/generators/box.py", run_name="__main__")
"""


def tool(root: Path, text: str = TOOL, **settings: object) -> Generator:
    values = {name: value for name, value in box_settings(root).items() if name != "run"}
    (root / "data/generators/tool.py").write_text(text)
    values |= {"kind": "callable", "function": "data.generators.tool:make", **settings}
    return load_generator(outside(**values), root)


def ask(generator: Generator, *stems: str) -> list[str | None]:
    made = generator.generate([Request(tiny_photo(0), 3, stem) for stem in stems])
    assert all(isinstance(one, Mesh | ItemFailure) for one in made)
    return [one.reason if isinstance(one, ItemFailure) else None for one in made]


def test_the_function_is_loaded_once_and_its_failures_are_recorded(tmp_path: Path) -> None:
    generator = tool(tmp_path)
    assert "data.generators.tool" in generator.record.digests
    assert ask(generator, "chair", "raises", "silent", "table") == [
        None,
        "callable_failed",
        "missing_mesh",
        None,
    ]
    assert (tmp_path / "loaded").read_text() == "once "
    del generator
    gc.collect()
    wait_until(lambda: not processes_of(tmp_path), "the process to end", 20)


def test_a_function_that_ends_its_process_or_hangs_costs_its_own_photo(tmp_path: Path) -> None:
    generator = tool(tmp_path, timeout_s=15.0)
    assert ask(generator, "dies", "chair") == ["callable_ended", None]
    quick = tool(tmp_path, timeout_s=4.0)
    assert ask(quick, "hangs", "chair") == ["timed_out", None]


def test_a_function_that_is_not_there_stops_the_stage(tmp_path: Path) -> None:
    with pytest.raises(Verdict3DError, match=r"cannot import data.generators.tool:make: .*no such library"):
        ask(tool(tmp_path, "raise ImportError('no such library')"), "chair")
    with pytest.raises(Verdict3DError, match=r"no module 'data.generators.absent'"):
        tool(tmp_path, function="data.generators.absent:make")
