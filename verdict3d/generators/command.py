"""Kind ``command``: a program run once for each photo, in a process group that ends with the stage."""

from __future__ import annotations

import os
import shutil
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from verdict3d.config_generators import CommandParams
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.generators.attempts import make_each
from verdict3d.generators.generator import Request
from verdict3d.mesh.mesh import MeshOrFailure
from verdict3d.processes.commands import run_supervised
from verdict3d.records.generators import GeneratorRecord

SHOWN_LINES = 5
SHOWN_CHARACTERS = 500


@dataclass(frozen=True)
class CommandGenerator:
    """A program as a generator.

    Attributes:
        settings: What is run, and for how long.
        record: What it is.
        root: Where it is run.
    """

    settings: CommandParams
    record: GeneratorRecord
    root: Path

    def generate(self, requests: Sequence[Request]) -> list[MeshOrFailure]:
        """Run the program for each request."""
        return make_each(requests, self.settings, self._run)

    def _run(self, photo: Path, seed: int, output: Path) -> None:
        said: deque[str] = deque(maxlen=SHOWN_LINES)
        ended = run_supervised(
            [word.format(photo=photo, seed=seed, output=output) for word in self.settings.run],
            cwd=self.root,
            environment=dict(os.environ),
            on_line=lambda line, redraws: said.append(line),
            timeout_s=self.settings.timeout_s,
        )
        if ended.timed_out:
            raise ItemFailure("timed_out", f"no mesh within {self.settings.timeout_s:g} s")
        if ended.status != 0:
            words = " | ".join(said)[-SHOWN_CHARACTERS:].replace(str(photo.parents[1]), "...")
            how = "was stopped" if ended.status is None else f"ended with status {ended.status}"
            raise ItemFailure("command_failed", f"{self.settings.run[0]} {how}: {words or 'it said nothing'}")


def load(settings: CommandParams, record: GeneratorRecord, root: Path) -> CommandGenerator:
    """Return the program as a generator.

    Raises:
        Verdict3DError: There is no such program.
    """
    program = settings.run[0]
    if shutil.which(program) is None and shutil.which(root / program) is None:
        raise Verdict3DError(
            f"the generator {settings.name!r} runs {program!r}, which is no program on PATH or below {root}"
        )
    return CommandGenerator(settings, record, root)
