"""The address of a store, as people may see it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from support.scripted_server import http, scripted
from tasks.tracking.mlflow_runs import send_waiting
from tasks.tracking.outbox import Outbox
from tasks.tracking.store import StoreError, hide_secrets, mask_uri, open_store, saying_failures


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
    assert mask_uri() == shown


def test_a_password_is_hidden_wherever_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://ann:p%40ss@db/ml")
    assert hide_secrets("login ann p@ss failed at ann:p%40ss@db") == "login ann *** failed at ***@db"


def test_a_folder_with_an_apostrophe_gets_a_store_with_relative_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "it's").mkdir()
    monkeypatch.chdir(tmp_path / "it's")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    client = open_store()
    assert client.get_experiment("0").artifact_location == "mlruns/0"
    made = client.create_run("0")
    client.set_terminated(made.info.run_id)
    assert [path.name for path in Path().glob("mlflow*")] == ["mlflow.db"]


def test_an_address_that_is_none_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:s3cret@[::1")
    with pytest.raises(StoreError, match=r"^MLflow at http://\*\*\*@\[::1 cannot be used: Invalid IPv6 URL$"):
        open_store()


def test_a_file_that_cannot_be_opened_is_given_up_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs.db").mkdir()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'runs.db'}")
    started = time.monotonic()
    with pytest.raises(StoreError, match="unable to open database file"):
        open_store()
    assert time.monotonic() - started < 50, "MLflow tries for 100 s"


def test_a_redirect_takes_no_key_to_another_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(lambda request: [http(200, b"{}")]) as (other, heard):
        location = f"Location: {other}/elsewhere"
        with scripted(lambda request: [http(307, b"", location)]) as (address, asked):
            monkeypatch.setenv("MLFLOW_TRACKING_URI", address.replace("//", "//ann:s3cret@"))
            with pytest.raises(StoreError), saying_failures():
                open_store().search_experiments(max_results=1)
                raise MlflowException("redirected")
    assert "authorization: basic" in asked[0]["headers"].lower()
    assert heard and all("authorization" not in request["headers"].lower() for request in heard)


def test_a_server_whose_answers_are_empty_is_no_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted(lambda request: [http(200, b"")]) as (address, _):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        with pytest.raises(StoreError, match=r"its answers are empty[^\n]*\n0 run\(s\) wait in"):
            send_waiting(Outbox(tmp_path))
