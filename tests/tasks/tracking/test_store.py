"""The address of a store, as people may see it."""

from __future__ import annotations

import pytest

from tasks.tracking.store import hide_secrets, shown_uri


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("", "sqlite:///mlflow.db"),
        ("http://10.0.0.1:5000", "http://10.0.0.1:5000"),
        ("http://ann:s3cret@host:5000/ml", "http://***@host:5000/ml"),
        ("https://a-token-of-somebody@host", "https://***@host"),
        ("http://ann:p@ss/w0rd@host", "http://***@host"),
        (
            "postgresql+psycopg2://ann:p%40ss@db/ml?sslmode=require",
            "postgresql+psycopg2://***@db/ml?sslmode=require",
        ),
        ("postgresql://db/ml?user=ann&password=s3cret", "postgresql://db/ml?user=ann&password=***"),
        ("sqlite:////home/a@b/mlflow.db", "sqlite:////home/a@b/mlflow.db"),
    ],
)
def test_an_address_is_shown_without_its_secrets(
    uri: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert shown_uri() == shown


def test_a_password_is_hidden_wherever_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://ann:p%40ss@db/ml")
    assert hide_secrets("login ann p@ss failed at ann:p%40ss@db") == "login ann *** failed at ***@db"
