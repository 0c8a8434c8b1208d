"""Prefect's servers: who gets in, what becomes of one that dies, and of one that does not answer."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import httpx
import pytest

from flows.chain import prefect_server
from flows.chain.environment import make_project_environment
from flows.chain.prefect_server import (
    ADDRESS,
    KEY,
    KEY_FILE,
    USER,
    answers,
    ask_status,
    find_server,
    keep_secret,
    provide_server,
    run_prefect_server,
    wait_for_server,
)
from support.loopback import free_port, processes_of, wait_until, webhook
from support.scripted_server import dripping, scripted
from verdict3d.errors import Verdict3DError


def test_a_server_on_loopback_is_asked_directly_whatever_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    with webhook() as (address, _):
        assert answers(address)
    assert not answers(address)


def running(project: Path) -> dict[int, str]:
    """Return the server's process, without its supervisor."""
    found = processes_of(project).items()
    return {pid: line for pid, line in found if "prefect_app" in line and "supervisor.py" not in line}


@pytest.mark.services
@pytest.mark.usefixtures("prefect_home")
def test_a_server_of_our_own_answers_its_key_its_pages_and_loopback_only_and_is_started_again(
    tmp_path: Path,
) -> None:
    project, said = tmp_path.resolve(), list[str]()
    environment = make_project_environment(project)
    environment = {name: value for name, value in environment.items() if name not in (ADDRESS, KEY)}
    log_file, key_file = tmp_path / "server.log", tmp_path / "key"
    with run_prefect_server(project, environment, log_file, said.append, key_file=key_file) as server:
        wait_for_server(server)
        protected = f"{server.url}/admin/version"
        assert [ask_status(protected, key) for key in ("", "verdict3d:wrong", server.key)] == [401, 401, 200]
        assert key_file.stat().st_mode & 0o777 == 0o600 and key_file.read_text() == server.key

        own, evil = server.url.removesuffix("/api"), "http://evil.example"
        for origin, allowed in ((own, own), (evil, None)):
            asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            asked = httpx.options(f"{server.url}/flows/filter", headers=asks, trust_env=False)
            assert asked.headers.get("access-control-allow-origin") == allowed
        assert httpx.get(own, headers={"Host": "evil.example"}, trust_env=False).status_code == 400
        assert httpx.get(f"{own}/ui-settings", trust_env=False).json()["auth"] == "BASIC"

        client = environment | server.client
        assert find_server(client) is False
        for key, problem in ((None, "wants a key"), ("verdict3d:wrong", "does not accept the key")):
            wrong = {ADDRESS: server.url} | ({KEY: key} if key else {})
            with (
                pytest.raises(Verdict3DError, match=problem),
                provide_server(project, wrong, log_file, print),
            ):
                pytest.fail("it was let in")
        with (
            pytest.raises(Verdict3DError, match="in use"),
            run_prefect_server(project, environment, log_file, print, port=int(own.rpartition(":")[2])),
        ):
            pytest.fail("it took the port of another server")

        assert all(server.key not in line for line in processes_of(project).values())
        (first,) = running(project)
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: said, "the end to be noticed", 30)
        wait_for_server(server)  # what is asked meanwhile waits
        assert ask_status(protected, server.key) == 200 and first not in running(project)
        assert said == ["Prefect's server has died; it is started again"]
    assert processes_of(project) == {} or list(processes_of(project)) == [os.getpid()]
    assert server.key not in log_file.read_text()


@pytest.mark.services
def test_a_server_that_cannot_start_is_given_up_in_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefect_server, "RESTARTS", 0)
    said: list[str] = []
    environment = make_project_environment(tmp_path) | {"PREFECT_API_DATABASE_CONNECTION_URL": "nonsense://"}
    with (
        pytest.raises(Verdict3DError, match=r"did not start; its output is in .*server\.log"),
        run_prefect_server(tmp_path, environment, tmp_path / "server.log", said.append) as server,
    ):
        wait_for_server(server)
    assert server.gone.is_set() and [line.partition(":")[0] for line in said] == [
        "Prefect's server dies whenever it is started"
    ]


def test_a_configured_server_that_does_not_answer_is_replaced_and_said(tmp_path: Path) -> None:
    said: list[str] = []
    silent = f"http://ann:s3cret@127.0.0.1:{free_port()}/api"
    environment = make_project_environment(tmp_path) | {ADDRESS: silent}
    with provide_server(tmp_path, environment, tmp_path / "server.log", said.append) as client:
        assert client[ADDRESS] != silent and client[KEY]
    assert len(said) == 1 and "does not answer" in said[0] and "s3cret" not in said[0]


@pytest.mark.timeout(30)
def test_a_server_whose_answer_has_no_end_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefect_server, "ANSWER_S", 0.4)
    with scripted(lambda _: dripping()) as (address, _):
        assert not answers(address)


@pytest.mark.parametrize("left", ["", USER, "\0" * 53, f"{USER}AAAA"], ids=repr)
def test_a_damaged_key_is_no_key(left: str, tmp_path: Path) -> None:
    """A server whose key is an empty text lets everybody in."""
    key_file = tmp_path / KEY_FILE
    whole = keep_secret(key_file, USER)
    assert whole == keep_secret(key_file, USER)
    key_file.write_text(left)
    with pytest.raises(Verdict3DError, match=f"{KEY_FILE} is damaged"):
        keep_secret(key_file, USER)
