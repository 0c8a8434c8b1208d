"""Record finished runs in MLflow: ``python -m tasks.tracking.mlflow_runs [ROOT [PRESET [STAGES_FILE]]]``.

Only this module, :mod:`tasks.registry.versions` and what uses it know MLflow. This one writes from the files
of the outbox, never from inside a stage. The same results are recorded once, whoever asks how often:
``dvc.lock`` identifies them. A store that cannot be reached is no failure; the run waits in the outbox for
the next time.

The default store is embedded: ``mlflow.db`` with the artifacts in ``mlruns``. MLflow writes absolute
artifact paths into such a database, which break when the folder moves; they are made relative here, and
MLflow resolves relative paths from the folder it is started in: ``verdict3d ui`` starts it in the project's
folder. By hand, set ``DO_NOT_TRACK=true`` before this module or MLflow, which otherwise reports its use.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Experiment, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME, MLFLOW_SOURCE_NAME

from tasks.tracking.outbox import EMBEDDED_STORE, EXPERIMENT, Outbox, tracking_uri
from tasks.tracking.run_record import Part, RunRecord, collect_run
from verdict3d.errors import Verdict3DError
from verdict3d.records.files import read_json

KEY_TAG = "dvc.lock"
PARAMS_A_REQUEST = 100
METRICS_A_REQUEST = 1000
LONGEST_PARAM = 6000
LONGEST_TAG = 8000
NOTE_TAG = "mlflow.note.content"
_PATH_COLUMNS = (
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
)


def send_waiting(outbox: Outbox) -> list[str]:
    """Send every run that waits, oldest first; return the MLflow ids of their parent runs.

    Raises:
        Verdict3DError: The store cannot be used; unsent runs stay where they are.
    """
    uri = tracking_uri()
    sent = []
    try:
        with outbox.alone():
            client = MlflowClient(uri)
            experiment = _open_experiment(client, uri)
            for home in outbox.waiting():
                run_id = _send(client, experiment, outbox.read(home))
                outbox.remove(home, run_id)
                sent.append(run_id)
    except (MlflowException, OSError, sqlite3.Error) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise Verdict3DError(
            f"MLflow at {uri} cannot be used: {reason[0][:300]}\n{len(outbox.waiting())} run(s) wait in "
            f"{outbox.folder}; `verdict3d sync` or the next `verdict3d run` sends them."
        ) from error
    return sent


def _open_experiment(client: MlflowClient, uri: str) -> str:
    experiment: Experiment | None = client.get_experiment_by_name(EXPERIMENT)
    experiment_id = experiment.experiment_id if experiment else client.create_experiment(EXPERIMENT)
    if uri == EMBEDDED_STORE:
        make_paths_relative(Path("mlflow.db"))
    return str(experiment_id)


def make_paths_relative(database: Path) -> None:
    """Make the artifact paths of an embedded store relative to its folder.

    Args:
        database: The SQLite file of the store; its artifacts are below the same folder.
    """
    prefix = f"{database.resolve().parent}/"
    with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for table, column in _PATH_COLUMNS:
            if table in tables:
                for scheme in ("", "file://"):
                    start = f"{scheme}{prefix}"
                    connection.execute(
                        f"UPDATE {table} SET {column} = substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
                        (len(start) + 1, len(start), start),
                    )


def _send(client: MlflowClient, experiment: str, record: RunRecord) -> str:
    """Make the parent run and a child for each arm, unless they are there; return the parent's id."""
    found = client.search_runs([experiment], f"tags.`{KEY_TAG}` = '{record.key}'", max_results=1000)
    parents = [run for run in found if MLFLOW_PARENT_RUN_ID not in run.data.tags]
    for run in parents:
        if run.info.status == "FINISHED":
            return str(run.info.run_id)
    for run in found:  # left by a kill in the middle of sending
        client.delete_run(run.info.run_id)
    end_ms = int(time.time() * 1000)
    start_ms = end_ms - int(record.seconds * 1000)
    parent = _make_run(client, experiment, record.parent, start_ms)
    for arm in record.arms:
        arm.tags[MLFLOW_PARENT_RUN_ID] = parent
        arm.tags[KEY_TAG] = record.key
        client.set_terminated(_make_run(client, experiment, arm, start_ms), "FINISHED", end_ms)
    client.set_terminated(parent, "FINISHED", end_ms)
    return parent


def _make_run(client: MlflowClient, experiment: str, part: Part, start_ms: int) -> str:
    tags = {MLFLOW_RUN_NAME: part.name, MLFLOW_SOURCE_NAME: "dvc.yaml", **part.tags}
    run_id: str = client.create_run(experiment, start_ms, tags={}).info.run_id
    client.log_batch(run_id, tags=[RunTag(name, text[:LONGEST_TAG]) for name, text in tags.items()])
    params = [Param(name, text[:LONGEST_PARAM]) for name, text in part.params.items()]
    for first in range(0, len(params), PARAMS_A_REQUEST):
        client.log_batch(run_id, params=params[first : first + PARAMS_A_REQUEST])
    now = int(time.time() * 1000)
    metrics = [Metric(name, value, now, 0) for name, value in part.metrics.items()]
    metrics += [Metric(name, y, now, step) for name, points in part.series.items() for step, y in points]
    for first in range(0, len(metrics), METRICS_A_REQUEST):
        client.log_batch(run_id, metrics=metrics[first : first + METRICS_A_REQUEST])
    for path, folder in part.artifacts:
        client.log_artifact(run_id, path, folder or None)
    return run_id


def record_decision(root: Path, preset: str, arm: str, word: str, record: Path, note: str) -> dict[str, str]:
    """Attach a promotion record to the run of the results below ``root``, which is recorded first if need be.

    Args:
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
    outbox = Outbox(Path.cwd())
    if outbox.run_id(root) is None:
        outbox.put(collect_run(root, preset))
    send_waiting(outbox)
    parent = outbox.run_id(root) or ""
    client = MlflowClient(tracking_uri())
    client.log_artifact(parent, str(record), "promotion")
    client.set_tag(parent, f"decision.{arm}", word)
    first, *rest = note.splitlines()
    listed = "\n".join(f"* {line.strip()}" for line in rest)
    client.set_tag(parent, NOTE_TAG, f"**{first}**\n\n{listed}"[:LONGEST_TAG])
    experiment = client.get_run(parent).info.experiment_id
    children = client.search_runs([experiment], f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent}'")
    return {run.data.tags["arm"]: str(run.info.run_id) for run in children}


def main(root: str = "", preset: str = "", stages_file: str = "") -> int:
    """Record the results below ``root`` and whatever waits from earlier; return the exit status.

    Args:
        root: Folder of ``params.yaml``, ``dvc.lock`` and ``data``, relative to the current folder; "": only
            send what waits, which is then expected to arrive.
        preset: Name of the preset the results were made with.
        stages_file: What became of every stage in this run, "" when the results were made elsewhere.
    """
    outbox = Outbox(Path.cwd())
    try:
        if root and outbox.run_id(Path(root)) is None:
            stages = read_json(stages_file) if stages_file else None
            outbox.put(collect_run(Path(root), preset, stages))
        for run_id in send_waiting(outbox):
            print(f"recorded in MLflow ({tracking_uri()}) as run {run_id}")
    except Verdict3DError as error:
        print(f"not recorded yet: {error}", file=sys.stderr)
        return 0 if root and outbox.waiting() else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
