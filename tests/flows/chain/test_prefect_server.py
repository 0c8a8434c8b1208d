"""Prefect's server as a run sees it."""

from __future__ import annotations

import pytest

from flows.chain.prefect_server import answers
from support.loopback import free_port, webhook


def test_a_server_on_loopback_is_asked_directly_whatever_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    with webhook() as (address, _):
        assert answers(address)
    assert not answers(address)
