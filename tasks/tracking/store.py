"""The MLflow store in use: its address, which people see without its secrets, and its failures in one line.

The default store is embedded: ``mlflow.db`` with the artifacts in ``mlruns``. MLflow writes absolute
artifact paths into such a database, which break when the folder moves; they are made relative here, and
MLflow resolves relative paths from the folder it is started in: ``verdict3d ui`` starts it in the project's
folder.

MLflow is imported where it is used: it takes seconds, and most of what asks for the address needs no more.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import chdir, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from verdict3d.errors import Verdict3DError

if TYPE_CHECKING:
    from mlflow import MlflowClient

DATABASE = Path("mlflow.db")
EMBEDDED_STORE = f"sqlite:///{DATABASE}"
"""Where runs go unless ``MLFLOW_TRACKING_URI`` says otherwise; relative to the project."""
_FILE = "sqlite:///"
HIDDEN = "***"
_USER = re.compile(r"(?!sqlite|file)[^/]*://(.*)@", re.IGNORECASE)
_SECRET_QUERY = re.compile(r"[?&](\w*(?:pass|pwd|secret|token|key)\w*)=([^&#]*)", re.IGNORECASE)
LONGEST_REASON = 300
CONNECT_S = 20
"""Seconds in which a database has to let a client in, whatever that may do afterwards."""
_PATH_COLUMNS = (
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
)


class StoreError(Verdict3DError):
    """The store cannot be used; nothing is wrong with what it was given."""


def read_tracking_uri() -> str:
    """Return the MLflow store in use, secrets included: for MLflow only."""
    return os.environ.get("MLFLOW_TRACKING_URI") or EMBEDDED_STORE


def mask_uri(uri: str | None = None) -> str:
    """Return an address as it may be printed and kept, without what is secret; None: of the store in use."""
    uri = uri or read_tracking_uri()
    return hide_secrets(uri, uri)


def hide_secrets(text: str, uri: str | None = None) -> str:
    """Return a text without what is secret in an address; None: that of the store in use.

    A user's name goes with it, because some servers take a token there.
    """
    uri = uri or read_tracking_uri()
    secrets = {value for _, value in _SECRET_QUERY.findall(uri)}
    if found := _USER.match(uri):
        text = text.replace(f"{found[1]}@", f"{HIDDEN}@")
        secrets.add(found[1].partition(":")[2])
    secrets |= {unquote(secret) for secret in secrets}
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def open_store() -> MlflowClient:
    """Return a client of the store in use.

    Raises:
        StoreError: It is a database that does not answer.
    """
    from mlflow import MlflowClient

    uri = read_tracking_uri()
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"  # with the password, for every run
    # what it would print with tracebacks is in the error, which is said once
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    with saying_failures():
        if uri == EMBEDDED_STORE and not DATABASE.exists():
            _make_database()
        elif _is_database(uri) and (not uri.startswith(_FILE) or Path(uri.removeprefix(_FILE)).exists()):
            _connect_once(uri)
        return MlflowClient(uri, registry_uri=uri)


def make_registered_model(client: MlflowClient, name: str, description: str) -> None:
    """Make a registered model when it is missing."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, description=description)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _make_database() -> None:
    """Make the embedded store's database elsewhere and put it here when it is whole.

    A kill while its tables are made would leave half of them, and MLflow cannot make them in a folder with
    an apostrophe in its path.
    """
    from mlflow import MlflowClient

    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, DATABASE)
        with chdir(folder):
            MlflowClient(f"sqlite:///{made}").search_experiments(max_results=1)
        make_paths_relative(made)
        copy = DATABASE.with_suffix(f".{os.getpid()}.new")
        shutil.copyfile(made, copy)
    try:
        os.link(copy, DATABASE)  # unless another process has made it in the meantime
    except FileExistsError:
        return
    except OSError:  # a disk without links
        copy.replace(DATABASE)
    finally:
        copy.unlink(missing_ok=True)


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


def _is_database(uri: str) -> bool:
    from mlflow.store.db.db_types import DATABASE_ENGINES

    try:
        return urlsplit(uri).scheme.partition("+")[0] in DATABASE_ENGINES
    except ValueError as error:
        raise StoreError(f"MLflow at {mask_uri()} cannot be used: {error}") from error


def _connect_once(uri: str) -> None:
    """Connect to a database: MLflow itself tries for minutes."""
    from sqlalchemy import create_engine

    answers = {"connect_timeout": CONNECT_S} if urlsplit(uri).scheme.startswith(("postgres", "mysql")) else {}
    engine = create_engine(uri, connect_args=answers)
    try:
        engine.connect().close()
    finally:
        engine.dispose()


@contextmanager
def saying_failures() -> Iterator[None]:
    """Turn what MLflow and its database raise into one line that names the store.

    Raises:
        StoreError: The block failed.
    """
    from alembic.util.exc import CommandError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, CommandError, OSError, ImportError, sqlite3.Error) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise StoreError(
            f"MLflow at {mask_uri()} cannot be used: {hide_secrets(reason)[:LONGEST_REASON]}"
        ) from error
