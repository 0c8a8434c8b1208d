"""The webhook: one message with its facts, tries again, never a failure, never the address in a log."""

from __future__ import annotations

import pytest

from flows.chain import notify as module
from flows.chain.notify import notify
from support.loopback import free_port, webhook

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
    assert said == [f"the webhook of {VARIABLE} could not be told (it answered 500): it failed"]


@pytest.mark.parametrize("address", [f"http://127.0.0.1:{free_port()}/secret", "secret, no address"])
def test_an_address_that_does_not_answer_stays_secret(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setenv(VARIABLE, address)
    assert not notify("failure", "it failed", {}, variable=VARIABLE, say=said.append)
    assert len(said) == 1 and "secret" not in said[0]
