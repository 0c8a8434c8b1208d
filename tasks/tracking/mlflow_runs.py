"""Finished runs sent to MLflow: ``python -m tasks.tracking.mlflow_runs PROJECT`` sends what waits.

Only this module, its neighbours :mod:`~tasks.tracking.lease`, :mod:`~tasks.tracking.registered_model` and
:mod:`~tasks.tracking.store`, :mod:`tasks.registry.versions` and what uses it know MLflow. This one writes
from the files of the outbox, never from inside a stage. ``dvc.lock`` identifies a run, and one process at a
time records the run of a key, so the same results are recorded once, whoever sends them how often and from
where. A store that cannot be reached is no failure; the run waits in the outbox for the next time.

By hand, set ``DO_NOT_TRACK=true`` before this module or MLflow, which otherwise reports its use.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, Experiment, InputTag, LoggedModelOutput, Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import (
    MLFLOW_DATASET_CONTEXT,
    MLFLOW_PARENT_RUN_ID,
    MLFLOW_RUN_NAME,
    MLFLOW_SOURCE_NAME,
)

from tasks.tracking.lease import BusyError, turn
from tasks.tracking.outbox import EXPERIMENT, Outbox, RecordError
from tasks.tracking.registered_model import add_use, name_model
from tasks.tracking.run_record import RunPart, RunRecord, collect_run
from tasks.tracking.store import (
    DATABASE,
    EMBEDDED_STORE,
    StoreError,
    hide_secrets,
    make_paths_relative,
    mask_uri,
    open_store,
    read_tracking_uri,
    saying_failures,
)
from verdict3d.errors import Verdict3DError

KEY_TAG = "dvc.lock"
REFUSALS = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")
"""What MLflow says of a record that it will never take."""
MOST_RUNS = 1000
PARAMS_A_REQUEST = 100
METRICS_A_REQUEST = 1000
LONGEST_PARAM = 6000
LONGEST_TAG = 8000
LONGEST_DIGEST = 36
NOTE_TAG = "mlflow.note.content"
SEPARATOR = "\n\n---\n\n"
"""Between the description of a run and what was decided on it later."""


def send_waiting(outbox: Outbox, key: str = "") -> dict[str, str]:
    """Send every run that waits, oldest first; return the MLflow ids of their parent runs, by key.

    A record that MLflow refuses, or that cannot be read, is set aside with the reason; the others go on.

    Args:
        outbox: What waits.
        key: Send only the run with this key; "": all of them.

    Raises:
        StoreError: The store cannot be used; unsent runs stay where they are.
    """
    sent = {}
    try:
        with outbox.alone(), saying_failures():
            client = open_store()
            experiment = _open_experiment(client)
            homes = [home for home in outbox.list_waiting() if key in ("", home.name)]
            _end_left_overs(client, experiment, {home.name for home in homes})
            for home in homes:
                try:
                    sent[home.name] = _send(client, experiment, outbox.read(home))
                except RecordError as error:
                    place = outbox.set_aside(home, hide_secrets(str(error)))
                    print(f"run {home.name[:8]} cannot be recorded and is set aside in {place}: {error}")
                except BaseException:
                    outbox.postpone(home)
                    raise
                else:
                    outbox.remove(home, sent[home.name])
    except StoreError as error:
        raise StoreError(
            f"{error}\n{len(outbox.list_waiting())} run(s) wait in {outbox.folder}; `verdict3d sync` or the "
            "next `verdict3d run` sends them."
        ) from error
    return sent


def _open_experiment(client: MlflowClient) -> str:
    found: Experiment | None = client.get_experiment_by_name(EXPERIMENT)
    if found is None:
        try:
            client.create_experiment(EXPERIMENT)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # by somebody else, in this moment
                raise
        return _open_experiment(client)
    if not found.experiment_id:
        raise StoreError(
            f"MLflow at {mask_uri()} cannot be used: its answers are empty; is it MLflow's server?"
        )
    if read_tracking_uri() == EMBEDDED_STORE:
        make_paths_relative(DATABASE)
    return str(found.experiment_id)


def _send(client: MlflowClient, experiment: str, record: RunRecord) -> str:
    """Make the parent run and a child for each arm, unless they are there; return the parent's id.

    Raises:
        RecordError: MLflow refuses the record.
    """
    with turn(client, f"recording of {record.key}", wait=True) as lease:
        if finished := _clear(client, experiment, record.key):
            return finished
        end_ms = int(time.time() * 1000)
        start_ms = end_ms - int(record.seconds * 1000)
        try:
            parent = _make_run(client, experiment, record.parent, record.key, start_ms)
            for arm in record.arms:
                arm.tags[MLFLOW_PARENT_RUN_ID] = parent
                client.set_terminated(
                    _make_run(client, experiment, arm, record.key, start_ms), "FINISHED", end_ms
                )
        except MlflowException as error:
            lease.check()  # somebody who took over has deleted the run, which is no fault of the record
            if error.error_code in REFUSALS:
                _clear(client, experiment, record.key)
                raise RecordError(f"MLflow refuses it: {str(error).splitlines()[0]}") from error
            raise
        if record.use:
            add_use(client, name_model(record.preset), record.use)
        lease.check()
        client.set_terminated(parent, "FINISHED", end_ms)
        return _clear(client, experiment, record.key) or parent


def _clear(client: MlflowClient, experiment: str, key: str) -> str | None:
    """End and delete what is left of earlier attempts to record ``key``; return its finished parent run.

    Left are the runs of a killed process, and those whose making was answered too late. Whoever calls has
    the turn, so nobody works on them.
    """
    found = client.search_runs([experiment], f"tags.`{KEY_TAG}` = '{key}'", max_results=MOST_RUNS)
    parents = [run for run in found if MLFLOW_PARENT_RUN_ID not in run.data.tags]
    finished = [run for run in parents if run.info.status == "FINISHED"]
    kept = min((run.info for run in finished), key=lambda info: info.end_time).run_id if finished else None
    for run in found:
        whole = run.info.status == "FINISHED"
        if not (whole and kept in (run.info.run_id, run.data.tags.get(MLFLOW_PARENT_RUN_ID))):
            if not whole:
                client.set_terminated(run.info.run_id, "KILLED")
            _delete_models(client, experiment, run.info.run_id)
            client.delete_run(run.info.run_id)
    return kept


def _end_left_overs(client: MlflowClient, experiment: str, except_for: set[str]) -> None:
    """Clear runs that never ended and are nobody's: of killed processes, here or elsewhere."""
    running = client.search_runs([experiment], "attributes.status = 'RUNNING'", max_results=MOST_RUNS)
    keys = {run.data.tags[KEY_TAG] for run in running if KEY_TAG in run.data.tags}
    for key in sorted(keys - except_for):
        with suppress(BusyError), turn(client, f"recording of {key}", wait=False):
            _clear(client, experiment, key)


def _make_run(client: MlflowClient, experiment: str, part: RunPart, key: str, start_ms: int) -> str:
    """Make a run, which has its key from its first moment: it is found whatever happens next."""
    tags = {MLFLOW_RUN_NAME: part.name, MLFLOW_SOURCE_NAME: "dvc.yaml", **part.tags, KEY_TAG: key}
    if part.note:
        tags[NOTE_TAG] = part.note
    tags = {name: text[:LONGEST_TAG] for name, text in tags.items()}
    run_id: str = client.create_run(experiment, start_ms, tags=tags).info.run_id
    params = [Param(name, text[:LONGEST_PARAM]) for name, text in part.params.items()]
    for first in range(0, len(params), PARAMS_A_REQUEST):
        client.log_batch(run_id, params=params[first : first + PARAMS_A_REQUEST])
    if part.datasets:
        client.log_inputs(run_id, [_make_dataset(one) for one in part.datasets])
    now = int(time.time() * 1000)
    model = _make_model(client, experiment, run_id, part, key) if part.model else None
    metrics = [Metric(name, value, now, 0, model_id=model) for name, value in part.metrics.items()]
    metrics += [
        Metric(name, value, now, step, model_id=model)
        for name, points in part.series.items()
        for step, value in points
    ]
    metrics += [
        Metric(name, value, time_ms, step)
        for name, points in part.timed.items()
        for step, (time_ms, value) in enumerate(points)
    ]
    for first in range(0, len(metrics), METRICS_A_REQUEST):
        client.log_batch(run_id, metrics=metrics[first : first + METRICS_A_REQUEST])
    for path, folder in part.artifacts:
        client.log_artifact(run_id, path, folder or None)
    return run_id


def _make_dataset(values: Mapping[str, str]) -> DatasetInput:
    """Return data as MLflow lists it; DVC's digest of a folder just fits into MLflow's 36 characters."""
    dataset = Dataset(
        name=values["name"],
        digest=values["digest"][:LONGEST_DIGEST],
        source_type="dvc",
        source=json.dumps({"path": values["source"], "md5": values["digest"]}),
    )
    return DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, values["context"])])


def _make_model(client: MlflowClient, experiment: str, run_id: str, part: RunPart, key: str) -> str:
    """Make the model of an arm's run, which its metrics are linked to; its files are the run's."""
    model = client.create_logged_model(
        experiment,
        part.model,
        source_run_id=run_id,
        model_type="adapter",
        tags={KEY_TAG: key},
        params={name: text[:LONGEST_PARAM] for name, text in part.params.items()},
    )
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])
    client.finalize_logged_model(model.model_id, "READY")
    return str(model.model_id)


def _delete_models(client: MlflowClient, experiment: str, run_id: str) -> None:
    """Delete the models of a run that is deleted."""
    for model in client.search_logged_models([experiment], f"source_run_id = '{run_id}'"):
        client.delete_logged_model(model.model_id)


def record_decision(
    project: Path, root: Path, preset: str, arm: str, word: str, record: Path, note: str
) -> dict[str, str]:
    """Attach a promotion record to the run of the results below ``root``, which is recorded first if need be.

    Args:
        project: The checkout, whose outbox sends.
        root: Folder of ``params.yaml``, ``dvc.lock`` and ``data``.
        preset: Name of the preset the results were made with.
        arm: The candidate.
        word: PROMOTE, HOLD or REJECT.
        record: The record's file.
        note: The record for people, shown on the run's page.

    Returns:
        Ids of the arms' runs, by arm.

    Raises:
        Verdict3DError: The store cannot be used.
    """
    outbox = Outbox(project)
    parent = outbox.run_id(root)
    if parent is None:
        home = outbox.put(collect_run(root, preset))
        parent = send_waiting(outbox, home.name).get(home.name)
    if parent is None:
        raise Verdict3DError("the run of these results cannot be recorded, and so nothing is decided on it")
    client = open_store()
    client.log_artifact(parent, str(record), "promotion")
    client.set_tag(parent, f"decision.{arm}", word)
    first, *rest = note.splitlines()
    listed = "\n".join(f"* {line.strip()}" for line in rest)
    run = client.get_run(parent)
    told = run.data.tags.get(NOTE_TAG, "").partition(SEPARATOR)[0]
    client.set_tag(parent, NOTE_TAG, f"{told}{SEPARATOR}**{first}**\n\n{listed}"[:LONGEST_TAG])
    experiment = run.info.experiment_id
    children = client.search_runs([experiment], f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent}'")
    return {run.data.tags["arm"]: str(run.info.run_id) for run in children}


def main(project: str) -> int:
    """Send whatever waits, which is expected to arrive; return the exit status."""
    outbox = Outbox(Path(project))
    try:
        for run_id in send_waiting(outbox).values():
            print(f"recorded in MLflow ({mask_uri()}) as run {run_id}")
    except Verdict3DError as error:
        print(f"not recorded yet: {error}", file=sys.stderr)
        return 1
    return 1 if outbox.list_refused() else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
