"""The scheduled flow: fetch, look for changes, bring the chain up to date, push, tell.

A run with nothing new ends in the state *Skipped*, unless an earlier one was killed before it acted on the
gate's decision. Otherwise the flow of :mod:`flows.chain.pipeline` runs inside it, stage by stage. However it
ends, the webhook hears of it.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated, Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import Flow
from prefect.settings import PREFECT_API_URL
from prefect.states import Completed, Failed
from pydantic import Field

from flows.chain.environment import make_project_environment
from flows.chain.lost_server import leave_if_lost, leaving_lost_server
from flows.chain.notify import notify
from flows.chain.pipeline import run_flow
from flows.chain.promotion_step import Say, refresh_champion, tell
from flows.chain.results import describe_win_rate, read_win_rates
from flows.chain.run import choose_jobs, describe_changes, locate_stages_file, look_for_changes
from flows.chain.shared import Chain
from flows.chain.tracking_step import send_kept
from flows.chain.workspace import PRESET, open_workspace
from flows.processes.run_lock import run_lock
from flows.promotion.promote import act_on_decision
from tasks.registry.promotion_record import has_waiting_decision
from verdict3d.config import ScheduleParams, load_params
from verdict3d.errors import Verdict3DError
from verdict3d.processes.commands import ending_with_parent
from verdict3d.project import Workspace, find_project
from verdict3d.run_keys import run_key

SKIPPED = "Skipped"
Preset = Annotated[str, Field(pattern=f"^({PRESET})$")]


def tell_failure(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Tell the webhook that a scheduled run failed, crashed or was cancelled."""
    schedule = load_params(find_project() / "params.yaml").schedule
    name = "Cancelled" if state.is_cancelling() else state.name
    reason = (state.message or "").partition("\n")[0]
    notify(
        "failure",
        f"Verdict3D: run {flow_run.name} ended as {name}: {reason}",
        {"run": flow_run.name, "run_id": str(flow_run.id), "state": name, "reason": reason},
        variable=schedule.webhook_env,
        say=print,
    )


@flow(
    name="retrain",
    persist_result=False,
    on_failure=[tell_failure],
    on_crashed=[tell_failure],
    on_cancellation=[tell_failure],
)
def retrain(preset: Preset | None = None) -> State[Any]:
    """Bring the chain up to date with new assets, parameters and code, and decide what becomes of the result.

    Args:
        preset: Name of the preset, None for the project's own parameters.
    """
    logger = get_run_logger()
    state: State[Any]
    try:
        workspace = open_workspace(find_project(), preset)
        with ending_with_parent():
            with run_lock(workspace.state / "run.lock", logger.info) as lock:
                state = _retrain(workspace, lock, logger.info)
            send_kept(workspace.project, make_project_environment(workspace.project), logger.info)
    except Verdict3DError as error:
        state = Failed(message=str(error))
    failed = not state.is_completed()
    leave_if_lost(_address(), int(failed), lambda: _tell_lost(state.message) if failed else None)
    return state


def _retrain(workspace: Workspace, lock: int, say: Say) -> State[Any]:
    schedule = load_params(workspace.root / "params.yaml").schedule
    environment = make_project_environment(workspace.project)
    if schedule.use_remote:
        exchange_task(workspace, environment, "fetch")
    changed = look_for_changes(workspace, environment, say)
    if not changed:
        if not has_waiting_decision(workspace.project, workspace.root, workspace.preset or ""):
            return Completed(name=SKIPPED, message="no asset, parameter or code has changed")
        say("nothing has changed, but the last decision has not been acted on")
    say(describe_changes(workspace, changed))
    refresh_champion(workspace, environment, lock, say)
    chain = Chain(workspace, environment, choose_jobs(), None, lock, schedule.stage_retries, compares=True)

    def finish_alone(succeeded: bool) -> None:
        """Do without Prefect's server what is left; the next run pushes, and sends what is kept."""
        if not succeeded:
            _tell_lost("a stage failed")
            return
        if has_waiting_decision(workspace.project, workspace.root, workspace.preset or ""):
            _act(workspace, environment, lock, _print, _print)
        _tell_results(workspace, schedule, _print)

    with leaving_lost_server(_address(), chain.begun, chain.ended, finish_alone):
        state = run_flow(chain, locate_stages_file(workspace))
    if not state.is_completed():
        return Failed(message=state.message)
    if schedule.use_remote:
        exchange_task(workspace, environment, "push")
    if has_waiting_decision(workspace.project, workspace.root, workspace.preset or ""):
        promote_task(workspace, environment, lock)
    return _tell_results(workspace, schedule, say)


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="promotion")
def promote_task(workspace: Workspace, environment: dict[str, str], lock: int) -> None:
    """Act on the gate's decision; a registry that is down stops no run, the next one acts on it."""
    logger = get_run_logger()
    _act(workspace, environment, lock, logger.info, logger.warning)


def _act(workspace: Workspace, environment: dict[str, str], lock: int, say: Say, warn: Say) -> None:
    try:
        act_on_decision(workspace, environment, lock, say)
    except Verdict3DError as error:
        text = f"the decision was not acted on: {error}"
        tell(workspace, text, {"moved": False, "reason": str(error)}, warn)


def _tell_lost(reason: str | None) -> None:
    """Tell the webhook of a failure that Prefect cannot tell any more."""
    schedule = load_params(find_project() / "params.yaml").schedule
    text = f"Verdict3D: a scheduled run failed, and Prefect's server is gone: {reason}"
    notify("failure", text, {"reason": reason}, variable=schedule.webhook_env, say=_print)


def _address() -> str:
    return str(PREFECT_API_URL.value()).rstrip("/")


def _print(text: str) -> None:
    print(text, flush=True)


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="{direction}")
def exchange_task(workspace: Workspace, environment: dict[str, str], direction: str) -> None:
    """Fetch results from DVC's default remote, or push them; a remote that is down stops no run."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", direction, "--run-cache"],
        cwd=workspace.root,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        reason = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        get_run_logger().warning("dvc %s did not work, the run goes on: %s", direction, " ".join(reason))


def _tell_results(workspace: Workspace, schedule: ScheduleParams, say: Say) -> State[Any]:
    sentences = [describe_win_rate(rate) for rate in read_win_rates(workspace.root)]
    text = f"retrained: {'; '.join(sentences) or 'no win-rates'}"
    facts = {"dvc.lock": run_key(workspace.root), "preset": workspace.preset or "none"}
    notify("retrained", f"Verdict3D: {text}", facts, variable=schedule.webhook_env, say=say)
    return Completed(message=text)
