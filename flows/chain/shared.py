"""What the tasks of one run of the chain share."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from pathlib import Path

from flows.chain.dvc_stages import StageRun
from verdict3d.project import Workspace
from verdict3d.records.stages import Samples


class Chain:
    """What the tasks of one run share.

    ``at_rest`` gives the stages that need no running. ``begun`` and ``ended`` tell a watch how far the run
    is, and ``ended`` whether everything succeeded. ``machine`` is what the machine does meanwhile.

    Args:
        workspace: Where it runs.
        environment: For the stages.
        jobs: Most stages at a time.
        timeout_s: Limit of one stage, None for no limit.
        lock_descriptor: Descriptor of the held run lock.
        stage_retries: How often a stage that failed is tried again.
        compares: Whether the results are compared with those of the run before.
    """

    def __init__(
        self,
        workspace: Workspace,
        environment: dict[str, str],
        jobs: int,
        timeout_s: float | None,
        lock_descriptor: int | None,
        stage_retries: int = 0,
        *,
        compares: bool = False,
    ) -> None:
        self.workspace = workspace
        self.environment = environment
        self.timeout_s = timeout_s
        self.lock_descriptor = lock_descriptor
        self.stage_retries = stage_retries
        self.compares = compares
        self.begun = threading.Event()
        self.ended: Future[bool] = Future()
        self.machine: Samples = {}
        self.at_rest: Future[dict[str, StageRun]] = Future()
        self.at_rest.set_result({})
        self.slots = threading.Semaphore(jobs)

    def log_file(self, stage: str) -> Path:
        """Return where the last output of ``stage`` is kept."""
        return self.workspace.state / "logs" / (self.workspace.preset or "default") / f"{stage}.log"
