"""Restore what DVC's cache already holds: ``python flows/chain/restore.py`` in the folder of ``dvc.yaml``.

Starting DVC costs more than a second a stage. This is ``dvc repro --keep-going`` that refuses to run
commands: whatever needs no running is checked out, and the rest is left for ``run_stage_through_dvc``. Only
``identity`` is run, which takes a second: what the others depend on is what it writes.

DVC has no option for that, so this replaces ``dvc.stage.run.cmd_run``, a function inside DVC that is promised
to nobody. The exact pin of DVC is the guard: with a version that starts commands elsewhere, the stages would
run here, one after the other (a test of :func:`flows.chain.dvc_stages.restore_through_dvc` would say so).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from flows.chain.dvc_digests import drop_damaged_listings


def main() -> int:
    """Restore; DVC says what became of each stage."""
    import dvc.stage.run
    from dvc.cli import main as dvc_main
    from dvc.repo import Repo

    with Repo() as repo:
        drop_damaged_listings(Path(repo.cache.local.path))

    start = dvc.stage.run.cmd_run  # what starts a stage's command

    def start_identity(stage: Any, *arguments: Any, **options: Any) -> None:
        if stage.name != "identity":
            raise RuntimeError("not in DVC's cache, so it has to run")
        start(stage, *arguments, **options)

    dvc.stage.run.cmd_run = start_identity
    return int(dvc_main(["repro", "--keep-going"]))


if __name__ == "__main__":
    sys.exit(main())
