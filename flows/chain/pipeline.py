"""The chain as a Prefect flow: one task for each DVC stage, then what tracking will need.

Prefect gives order, retries, logs and artifacts; DVC alone decides what has to run, so tasks cache nothing
and pass nothing but the fact that they are done. The command line starts this module as a process of its
own (:func:`flows.chain.run.run_chain`), under a supervisor, so that nothing of it outlives a killed run.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.flows import Flow
from prefect.futures import PrefectFuture
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.tasks import Task

from flows.chain.difference_step import compare_with_before
from flows.chain.dvc_stages import (
    StageBusyError,
    StageFailedError,
    StageRun,
    read_stage_graph,
    remove_left_over,
    restore_through_dvc,
    run_stage_through_dvc,
)
from flows.chain.environment import make_project_environment
from flows.chain.judge_server import serving_judges
from flows.chain.lost_server import leave_at_once, leaving_lost_server
from flows.chain.machine_samples import sampling
from flows.chain.prefect_artifacts import leave_artifacts_task, leave_difference, leave_stage_numbers
from flows.chain.prefect_server import ADDRESS, is_reachable
from flows.chain.shared import Chain
from flows.chain.tracking_step import keep_run
from verdict3d.processes.commands import stopping_all_on_error
from verdict3d.project import Workspace
from verdict3d.records.record import write_record
from verdict3d.records.stages import StageEnd, StageEnds
from verdict3d.records.yaml_files import read_yaml

BUSY_DELAYS_S: list[float] = [1, 2, 4, 8, 16]
SERVER_LOST = "FinishedWithoutServer"


def make_retry_condition(stage_retries: int) -> Callable[[Task[..., Any], TaskRun, State], Awaitable[bool]]:
    """Return when a stage is tried again: files in use, or no more than ``stage_retries`` failures so far."""

    async def may_retry(task_: Task[..., Any], task_run: TaskRun, state: State) -> bool:
        try:
            await state.aresult()
        except StageBusyError:
            return True
        except Exception:
            return task_run.run_count <= stage_retries
        return False

    return may_retry


@task(
    cache_policy=NO_CACHE,
    retries=len(BUSY_DELAYS_S),
    retry_delay_seconds=BUSY_DELAYS_S,
    retry_condition_fn=make_retry_condition(0),
    persist_result=False,
)
def run_stage_task(chain: Chain, stage: str) -> StageRun | State[Any]:
    """Run one stage through DVC; a failed stage is a failed task, without our own stack frames."""
    logger = get_run_logger()
    if done := chain.at_rest.result().get(stage):
        logger.info("%s (%.1f s)", done.outcome, done.seconds)
        return done
    try:
        with chain.slots:
            done = run_stage_through_dvc(
                stage,
                root=chain.workspace.root,
                environment=chain.environment,
                say=logger.info,
                log_file=chain.log_file(stage),
                timeout_s=chain.timeout_s,
                lock_descriptor=chain.lock_descriptor,
            )
    except StageFailedError as error:
        logger.error(str(error).partition("\n")[0])
        return Failed(message=f"{stage} failed")
    logger.info("%s (%.1f s)", done.outcome, done.seconds)
    if is_reachable(chain.environment):
        leave_stage_numbers(chain.workspace, stage, logger.warning)
    return done


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="tracking")
def track_task(chain: Chain, stages_file: Path) -> None:
    """Keep what is to be recorded in MLflow; it is sent when the run is done and its lock is free."""
    keep_run(chain.workspace, stages_file)


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="difference")
def compare_task(chain: Chain) -> None:
    """Say what changed since the finished run before; without it, the run is as good."""
    logger = get_run_logger()
    try:
        difference = compare_with_before(chain.workspace, chain.environment, logger.info)
        if difference is not None and is_reachable(chain.environment):
            leave_difference(difference)
    except Exception as error:  # also whatever Prefect's client raises
        logger.warning("no comparison with the run before: %s", error)


def make_pipeline(chain: Chain, needs: Mapping[str, set[str]], stages_file: Path) -> Flow[..., State[Any]]:
    """Return the flow that runs all stages in order, independent ones side by side, and keeps the run.

    Its parameters are what Prefect shows of a run; what its tasks share stands beside them.

    Args:
        chain: What the tasks share.
        needs: Stages in an order in which they can run, with the stages each needs.
        stages_file: Gets what became of every stage, also when one fails.
    """

    @flow(name="verdict3d", validate_parameters=False, persist_result=False)
    def pipeline(preset: str, arms: list[str], parameters: dict[str, Any]) -> State[Any]:
        return _run_stages(chain, needs, stages_file)

    return pipeline


def _run_stages(chain: Chain, needs: Mapping[str, set[str]], stages_file: Path) -> State[Any]:
    chain.begun.set()
    futures: dict[str, PrefectFuture[StageRun]] = {}
    try:
        with stopping_all_on_error():
            again = make_retry_condition(chain.stage_retries)
            for stage, first in needs.items():
                first_futures = [futures[name] for name in sorted(first)]
                # the name is what a task that waits is called, the run's name what one that runs is
                named = run_stage_task.with_options(name=stage, task_run_name=stage, retry_condition_fn=again)
                futures[stage] = named.submit(chain, stage, wait_for=first_futures)  # type: ignore[call-overload]
            for future in futures.values():
                future.wait()
    finally:
        ends = [_describe_stage(stage, future) for stage, future in futures.items()]
        write_record(stages_file, StageEnds(stages=ends, machine=dict(chain.machine)))
    unfinished = [stage for stage, future in futures.items() if not future.state.is_completed()]
    if unfinished:
        chain.ended.set_result(False)
        return Failed(message=f"not finished: {', '.join(unfinished)}")
    recorded = False
    try:
        if chain.compares:
            compare_task(chain)
        track_task(chain, stages_file)
        recorded = True
    finally:
        chain.ended.set_result(recorded)
    leave_artifacts_task(chain.workspace, list_arms(needs))
    return Completed()


def _say_outcomes_only(record: logging.LogRecord) -> bool:
    """Keep Prefect from saying that a task has completed, or waits in vain: the table at the end does."""
    return not record.getMessage().startswith(("Finished in state Completed(", "Finished in state NotReady("))


def list_arms(stages: Iterable[str]) -> list[str]:
    """Return the arms that are evaluated."""
    return sorted(stage.partition("@")[2] for stage in stages if stage.startswith("evaluate@"))


def _describe_stage(stage: str, future: PrefectFuture[StageRun]) -> StageEnd:
    """Return what became of a stage."""
    if future.state.is_completed():
        done = future.result()
        return StageEnd(stage=stage, outcome=done.outcome, seconds=done.seconds, max_rss_mib=done.max_rss_mib)
    failed = future.state.is_failed() or future.state.is_crashed()
    return StageEnd(stage=stage, outcome="failed" if failed else "not run", seconds=None, max_rss_mib=None)


def run_flow(chain: Chain, stages_file: Path) -> State[Any]:
    """Run all stages with a thread for each, alone or inside another flow; return how that ended."""
    needs = read_stage_graph(chain.workspace.root, chain.environment)
    remove_left_over(chain.workspace.root, needs)
    runner: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=len(needs) + 1)
    logging.getLogger("prefect.task_runs").addFilter(_say_outcomes_only)
    preset, arms = chain.workspace.preset or "default", list_arms(needs)
    chosen = make_pipeline(chain, needs, stages_file).with_options(
        task_runner=runner,  # type: ignore[arg-type]
        flow_run_name=f"{preset}: {', '.join(arms)}",
    )
    parameters = read_yaml(chain.workspace.root / "params.yaml")
    try:
        # restoring goes on while Prefect's server starts
        judges = serving_judges(chain.workspace.state, chain.environment)
        with (
            ThreadPoolExecutor(1) as beside,
            judges as variables,
            stopping_all_on_error(),
            sampling() as chain.machine,
        ):
            chain.environment = chain.environment | variables
            chain.at_rest = beside.submit(
                restore_through_dvc,
                root=chain.workspace.root,
                environment=chain.environment,
                log_file=chain.log_file("restore"),
                lock_descriptor=chain.lock_descriptor,
            )
            state: State[Any] = chosen(preset, arms, parameters, return_state=True)
    except httpx.HTTPError as error:  # Prefect's server went away; stages and tracking do not need it
        end = Completed if chain.ended.done() and chain.ended.result() else Failed
        return end(name=SERVER_LOST, message=f"Prefect's server went away ({type(error).__name__})")
    return state


def main(arguments: list[str]) -> int:
    """Run the flow: project, preset or "", number of jobs, stage limit in seconds or 0, lock descriptor."""
    project, preset, jobs, timeout_s, lock_descriptor, stages_file = arguments
    workspace = Workspace(
        Path(project),
        Path(project, ".verdict3d/presets", preset) if preset else Path(project),
        preset or None,
    )
    environment = make_project_environment(workspace.project)
    chain = Chain(workspace, environment, int(jobs), float(timeout_s) or None, int(lock_descriptor))
    with leaving_lost_server(environment[ADDRESS].rstrip("/"), chain.begun, chain.ended):
        state = run_flow(chain, Path(stages_file))
    if state.name == SERVER_LOST:
        leave_at_once(state.message or "", 0 if state.is_completed() else 1)
    return 0 if state.is_completed() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
