"""Stages that ask judges in the run's server start in seconds: they import no networks of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from support.places import ROOT

LIGHT = ("admission", "audit", "certify", "gate", "label", "pairs", "preflight", "report")


@pytest.mark.parametrize(
    ("stages", "heavy"),
    [(LIGHT, ("torch", "transformers")), (("challenge",), ("transformers", "torch._inductor"))],
)
def test_a_stage_imports_no_networks_before_it_needs_them(
    stages: tuple[str, ...], heavy: tuple[str, ...]
) -> None:
    names = ", ".join(f"tasks.{stage}" for stage in stages)
    code = f"import sys, {names}; print([name for name in {heavy!r} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True, cwd=ROOT) == "[]\n"
