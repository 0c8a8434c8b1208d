"""The MLflow store in use: its address, which people see without its secrets, and its failures in one line.

MLflow is imported where it is used: it takes seconds, and most of what asks for the address needs no more.
"""

from __future__ import annotations

import logging
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from verdict3d.errors import Verdict3DError

if TYPE_CHECKING:
    from mlflow import MlflowClient

EMBEDDED_STORE = "sqlite:///mlflow.db"
"""Where runs go unless ``MLFLOW_TRACKING_URI`` says otherwise; relative to the project."""
HIDDEN = "***"
_USER = re.compile(r"(?!sqlite|file)[^/]*://(.*)@", re.IGNORECASE)
_SECRET_QUERY = re.compile(r"[?&](\w*(?:pass|pwd|secret|token|key)\w*)=([^&#]*)", re.IGNORECASE)
LONGEST_REASON = 300


class StoreError(Verdict3DError):
    """The store cannot be used; nothing is wrong with what it was given."""


def tracking_uri() -> str:
    """Return the MLflow store in use, secrets included: for MLflow only."""
    return os.environ.get("MLFLOW_TRACKING_URI") or EMBEDDED_STORE


def shown_uri() -> str:
    """Return the address of the store in use as it may be printed and kept: without what is secret."""
    return hide_secrets(tracking_uri())


def hide_secrets(text: str) -> str:
    """Return a text without what is secret in the address of the store in use.

    A user's name goes with it, because some servers take a token there.
    """
    uri = tracking_uri()
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

    uri = tracking_uri()
    # what it would print with tracebacks is in the error, which is said once
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    with saying_failures():
        if not uri.startswith("sqlite:") and _is_database(uri):
            _connect_once(uri)
        return MlflowClient(uri, registry_uri=uri)


def _is_database(uri: str) -> bool:
    from mlflow.store.db.db_types import DATABASE_ENGINES

    return urlsplit(uri).scheme.partition("+")[0] in DATABASE_ENGINES


def _connect_once(uri: str) -> None:
    """Connect to a database: MLflow itself tries for minutes."""
    from sqlalchemy import create_engine

    engine = create_engine(uri)
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
            f"MLflow at {shown_uri()} cannot be used: {hide_secrets(reason)[:LONGEST_REASON]}"
        ) from error
