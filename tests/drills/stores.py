"""The MLflow stores that drills are held against: a SQLite file, PostgreSQL, a server on a SQLite file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.chain.environment import make_project_environment
from flows.service.services import USER, run_mlflow_server, run_postgres
from support.loopback import free_port
from support.places import ROOT, TESTS

STORES = ("sqlite", "postgres", "server")


def drill_environment() -> dict[str, str]:
    """Return the environment for the processes of a drill."""
    found = make_project_environment(ROOT) | {"PYTHONPATH": os.pathsep.join([str(TESTS), str(ROOT)])}
    return found | {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}


@contextmanager
def mlflow_store(kind: str, folder: Path) -> Iterator[str]:
    """Yield the address of an empty store with its tables made.

    Args:
        kind: One of :data:`STORES`.
        folder: Empty; gets files and logs.
    """
    environment = make_project_environment(ROOT)
    if kind == "sqlite":
        yield _prepared(f"sqlite:///{folder / 'mlflow.db'}")
    elif kind == "postgres":
        folder.chmod(0o711)  # root runs PostgreSQL as another user, who must get through
        port = free_port()
        with run_postgres(folder, port, environment):
            password = (folder / "password").read_text(encoding="utf-8")
            yield _prepared(f"postgresql://{USER}:{password}@127.0.0.1:{port}/mlflow")
    else:
        port, log_file = free_port(), folder / "mlflow.log"
        store = _prepared(f"sqlite:///{folder / 'mlflow.db'}")
        with run_mlflow_server(
            folder, port, environment, store, artifacts=folder / "artifacts", log_file=log_file
        ):
            yield f"http://127.0.0.1:{port}"


@contextmanager
def open_folder() -> Iterator[Path]:
    """Yield an empty folder that other users, such as PostgreSQL's, can reach."""
    with tempfile.TemporaryDirectory(prefix="verdict3d-drill-") as name:
        Path(name).chmod(0o711)
        yield Path(name).resolve()


def _prepared(uri: str) -> str:
    """Make the tables of a database before several processes try it at once."""
    from mlflow import MlflowClient

    client = MlflowClient(uri, registry_uri=uri)
    client.search_experiments(max_results=1)
    client.search_registered_models(max_results=1)
    return uri
