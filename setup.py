"""Adds what a checkout has beside the package to a wheel: ``params.yaml`` and the checkpoints it names."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHIPPED = ("params.yaml", "data/checkpoints")
"""What :mod:`verdict3d.project` expects in ``verdict3d/shipped`` of an installed package."""


class WithCheckpoints(build_py):
    """Copies them into the package; an editable installation reads those of the checkout."""

    def run(self) -> None:
        """Build the package."""
        super().run()
        if self.editable_mode:
            return
        top = Path(__file__).parent
        shipped = Path(self.build_lib) / "verdict3d/shipped"
        shutil.rmtree(shipped, ignore_errors=True)
        for name in SHIPPED:
            source, target = top / name, shipped / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                shutil.copyfile(source, target)


setup(cmdclass={"build_py": WithCheckpoints})
