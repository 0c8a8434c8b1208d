"""Recorded runs by what people call them: ``python -m tasks.registry.recorded PRESET FOLDER NAME...``.

A name is a version of the registered model, the id of a run or the beginning of one, or the git commit that a
run was made with. FOLDER gets ``NUMBER/params.yaml`` and ``NUMBER/dvc.lock`` of each name by its place, and
``found.json``, a :class:`~verdict3d.records.recorded_runs.RecordedRuns`.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from tasks.registry.versions import Registry
from tasks.tracking.outbox import EXPERIMENT
from tasks.tracking.run_record import NO_PRESET
from tasks.tracking.store import mask_uri, saying_failures
from verdict3d.errors import Verdict3DError, one_message
from verdict3d.records.record import write_record
from verdict3d.records.recorded_runs import PastRate, RecordedRuns, RunNamed
from verdict3d.run_keys import run_key

INPUTS = ("params.yaml", "dvc.lock")
LEAST_PREFIX = 4
MOST_RUNS = 1000
PAST_RUNS = 30
"""Runs that the history goes back."""
_HEX = re.compile(r"[0-9a-f]+")


def find_run(registry: Registry, name: str) -> Run:
    """Return the run that a name means; of an arm's run, the one that it belongs to.

    Args:
        registry: Where versions and runs are.
        name: Version, run id or beginning of one, or git commit.

    Raises:
        Verdict3DError: No run has this name, or several have.
    """
    client = registry.client
    if name.isdecimal():
        try:
            version = registry.find_version(int(name))
        except Verdict3DError:
            if not _list_named(client, name):  # the beginning of an id may have no letter
                raise
        else:
            return _find_parent(client, client.get_run(version.run_id or ""))
    found = {run.info.run_id: run for run in _list_named(client, name)}
    if not found:
        raise Verdict3DError(
            f"no recorded run is called {name!r} at {mask_uri()}; give a version, the id of a run or its "
            f"beginning ({LEAST_PREFIX} digits or more), or the git commit of one (`verdict3d ui` lists them)"
        )
    if len(found) > 1:
        listed = ", ".join(f"{run.info.run_id} ({run.info.run_name})" for run in found.values())
        raise Verdict3DError(f"{name!r} means several runs: {listed}")
    return next(iter(found.values()))


def _find_parent(client: MlflowClient, run: Run) -> Run:
    parent = run.data.tags.get(MLFLOW_PARENT_RUN_ID)
    return client.get_run(parent) if parent else run


def _list_named(client: MlflowClient, name: str) -> list[Run]:
    """Return the runs with this id, its beginning, or the newest one of this commit."""
    try:
        return [_find_parent(client, client.get_run(name))]
    except MlflowException:
        if len(name) < LEAST_PREFIX or not _HEX.fullmatch(name):
            return []
    found = list_finished(client)
    of_commit = [run for run in found if run.data.tags.get("git.commit", "").startswith(name)]
    return [run for run in found if run.info.run_id.startswith(name)] + of_commit[:1]


def list_finished(client: MlflowClient, preset: str | None = None) -> list[Run]:
    """Return the finished whole runs, newest first; of one preset ("": none), or of all."""
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        return []
    only = "" if preset is None else f" and tags.preset = '{preset or NO_PRESET}'"
    runs = client.search_runs(
        [experiment.experiment_id],
        f"attributes.status = 'FINISHED'{only}",
        max_results=MOST_RUNS,
        order_by=["attributes.end_time DESC"],
    )
    return [run for run in runs if MLFLOW_PARENT_RUN_ID not in run.data.tags]


def fetch_inputs(client: MlflowClient, run: Run, folder: Path) -> RunNamed:
    """Fetch ``params.yaml`` and ``dvc.lock`` of a run into a folder, and return what it is called.

    Raises:
        Verdict3DError: They are not those that the run was recorded with.
    """
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as kept:
        for name in INPUTS:
            shutil.copyfile(client.download_artifacts(run.info.run_id, name, kept), folder / name)
    tags = run.data.tags
    if run_key(folder) != tags.get("dvc.lock"):
        raise Verdict3DError(f"run {run.info.run_id} does not hold the dvc.lock that it was recorded with")
    return RunNamed(
        name=run.info.run_name, key=tags["dvc.lock"], run=run.info.run_id, commit=tags.get("git.commit")
    )


def collect_history(client: MlflowClient, preset: str) -> list[PastRate]:
    """Return ties and flips of the last runs of a preset, oldest first: a row for each arm and regime."""
    rows = []
    for run in reversed(list_finished(client, preset)[:PAST_RUNS]):
        ended = datetime.fromtimestamp(run.info.end_time / 1000, UTC).date().isoformat()
        numbers = run.data.metrics
        for name in sorted(numbers):
            if match := re.fullmatch(r"ties/(.+)/(.+)/tie_rate", name):
                arm, regime = match.groups()
                rows.append(
                    PastRate(
                        run=run.info.run_id,
                        ended=ended,
                        arm=arm,
                        regime=regime,
                        half_credit=numbers.get(f"ties/{arm}/{regime}/half_credit"),
                        tie_rate=numbers[name],
                        flip_rate=numbers.get(f"ties/{arm}/{regime}/flip_rate"),
                    )
                )
    return rows


def main(preset: str, folder: str, *names: str) -> None:
    """Fetch the runs and describe them."""
    with one_message(), saying_failures():
        registry = Registry(preset)
        runs = [
            fetch_inputs(registry.client, find_run(registry, name), Path(folder, str(number)))
            for number, name in enumerate(names)
        ]
        history = collect_history(registry.client, preset)
        write_record(Path(folder, "found.json"), RecordedRuns(runs=runs, history=history))


if __name__ == "__main__":
    main(*sys.argv[1:])
