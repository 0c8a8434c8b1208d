"""The webhook: one message with its facts, tries again, never a failure, never the address in a log."""

from __future__ import annotations

import logging
import socket
import threading

import pytest

from flows.chain import notify as module
from flows.chain.notify import notify
from support.loopback import free_port, webhook
from support.scripted_server import dripping, scripted

VARIABLE = "VERDICT3D_TEST_WEBHOOK"


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_S", 0.0)
    monkeypatch.delenv(VARIABLE, raising=False)


def test_a_message_arrives_with_its_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    with webhook() as (address, heard):
        monkeypatch.setenv(VARIABLE, address)
        assert notify("decision", "promoted", {"version": 3}, variable=VARIABLE, say=pytest.fail)
    assert heard == [{"event": "decision", "text": "promoted", "version": 3}]


def test_without_an_address_nothing_is_sent_or_said() -> None:
    assert not notify("decision", "promoted", {}, variable=VARIABLE, say=pytest.fail)


def test_a_webhook_that_refuses_is_tried_again_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    with webhook(status=500) as (address, heard):
        monkeypatch.setenv(VARIABLE, address)
        assert not notify("failure", "it failed", {}, variable=VARIABLE, say=said.append)
    assert len(heard) == module.TRIES
    assert said == [f"could not reach the webhook in {VARIABLE} (it answered 500): it failed"]


def test_a_redirect_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    with webhook() as (elsewhere, heard), webhook(status=302, location=elsewhere) as (address, asked):
        monkeypatch.setenv(VARIABLE, address)
        assert not notify("failure", "it failed", {}, variable=VARIABLE, say=said.append)
    assert heard == [] and len(asked) == module.TRIES and "it answered 302" in said[0]


def test_a_webhook_that_speaks_no_http_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            for _ in range(module.TRIES):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        monkeypatch.setenv(VARIABLE, f"http://127.0.0.1:{listener.getsockname()[1]}/secret")
        assert not notify("failure", "it failed", {}, variable=VARIABLE, say=said.append)
        thread.join()
    assert len(said) == 1 and "secret" not in said[0] + caplog.text


@pytest.mark.parametrize(
    ("name", "value"), [("ALL_PROXY", "socks5://127.0.0.1:1"), ("SSL_CERT_FILE", "/nowhere/ca.pem")]
)
def test_an_environment_without_connections_is_no_failure(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setenv(name, value)
    monkeypatch.setenv(VARIABLE, "https://webhook.invalid/secret")
    assert not notify("failure", "it failed", {}, variable=VARIABLE, say=said.append)
    assert len(said) == 1 and "secret" not in said[0]


@pytest.mark.timeout(30)
def test_a_webhook_whose_answer_has_no_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(module, "TIMEOUT_S", 0.4)
    with scripted(lambda _: dripping()) as (address, heard):
        monkeypatch.setenv(VARIABLE, address)
        assert not notify("failure", "it failed", {}, variable=VARIABLE, say=said.append)
    assert len(heard) == module.TRIES and "(TimeoutError)" in said[0]


@pytest.mark.parametrize(
    "address",
    [f"http://127.0.0.1:{free_port()}/secret", "secret, no address"],
    ids=["nobody listens", "no address"],
)
def test_an_address_that_does_not_answer_stays_secret(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setenv(VARIABLE, address)
    assert not notify("failure", "it failed", {}, variable=VARIABLE, say=said.append)
    assert len(said) == 1 and "secret" not in said[0]
