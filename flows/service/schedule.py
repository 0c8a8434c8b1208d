"""The scheduled flow on a Prefect server: ``python -m flows.service.schedule PROJECT [POOL [PRESET]]``.

Without a pool this process runs the flow itself when it is due. With one it deploys ``prefect.yaml`` and
works for the pool. Either way runs that have stopped sending heartbeats are marked as crashed.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import warnings
from datetime import timedelta
from pathlib import Path

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy, StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.schedules import Cron
from prefect.types.entrypoint import EntrypointType

from flows.chain.environment import HEARTBEAT_S
from flows.service.retrain import SKIPPED, retrain
from verdict3d.config import load_params
from verdict3d.project import find_project

AUTOMATION = "verdict3d: runs without a heartbeat have crashed"
SILENCE_S = 5 * HEARTBEAT_S // 2
_HEARTBEAT = "prefect.flow-run.heartbeat"


def read_schedule() -> dict[str, str]:
    """Return the project's cron and time zone, as a build step of prefect.yaml, which passes nothing."""
    schedule = load_params(find_project() / "params.yaml").schedule
    return {"cron": schedule.cron, "timezone": schedule.timezone}


def make_crash_automation() -> AutomationCore:
    """Return the rule that ends a run whose process was killed: no heartbeat and no end for a while."""
    ends = ("Completed", SKIPPED, "Failed", "Cancelled", "Crashed")
    return AutomationCore(
        name=AUTOMATION,
        description="A run whose process was killed sends no heartbeats and would stay Running for ever.",
        trigger=EventTrigger(
            after={_HEARTBEAT},
            expect={_HEARTBEAT, *(f"prefect.flow-run.{name}" for name in ends)},
            match={"prefect.resource.id": ["prefect.flow-run.*"]},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=SILENCE_S),
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                name="Crashed",
                message=f"no heartbeat for {SILENCE_S} s: its process was killed",
                force=False,
            )
        ],
    )


async def ensure_crash_automation() -> None:
    """Create :func:`make_crash_automation` on the server, unless it is there."""
    async with get_client() as client:
        if not await client.read_automations_by_name(AUTOMATION):
            await client.create_automation(make_crash_automation())


def serve_here(project: Path, preset: str | None) -> None:
    """Run the flow in child processes of this one when it is due, never two at a time, until a signal."""
    schedule = load_params(project / "params.yaml").schedule
    # Prefect's runner does not await its own end at SIGTERM; the supervisor ends what it has started
    warnings.filterwarnings("ignore", "coroutine 'Runner.astop' was never awaited", RuntimeWarning)
    retrain.serve(
        name="retrain",
        schedule=Cron(schedule.cron, timezone=schedule.timezone, slug="retrain"),
        parameters={"preset": preset},
        global_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE),
        entrypoint_type=EntrypointType.MODULE_PATH,
        print_starting_message=False,
    )


def work_for(pool: str) -> None:
    """Deploy ``prefect.yaml`` to a pool of local processes, made when missing, and become a worker of it."""
    prefect = [sys.executable, "-m", "prefect"]
    make = [*prefect, "work-pool", "create", pool, "--type", "process", "--overwrite"]
    deploy = [*prefect, "--no-prompt", "deploy", "--name", "retrain", "--pool", pool]
    for command in (make, deploy):
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    os.execv(sys.executable, [*prefect, "worker", "start", "--pool", pool, "--type", "process"])


def main(project: str, pool: str = "", preset: str = "") -> None:
    """Serve the flow until a signal ends this process."""
    asyncio.run(ensure_crash_automation())
    if pool:
        work_for(pool)
    else:
        serve_here(Path(project), preset or None)


if __name__ == "__main__":
    main(*sys.argv[1:])
