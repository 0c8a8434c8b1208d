"""Servers that misbehave below the protocol, or that want to be asked in another way."""

import asyncio
import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.judge_examples import params, request
from support.scripted_server import answer, dripping, http, scripted
from verdict3d import exchange
from verdict3d.errors import Verdict3DError
from verdict3d.judge.loading import load_judge
from verdict3d.judge.remote.remote import RemoteJudge
from verdict3d.judge.verdict import Verdict

KEY = "loopback-secret"
VARIABLE = "TEST_JUDGE_KEY"
PAIRS = [request(2 * number, 2 * number + 1) for number in range(20)]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def remote(address: str, batch_size: int = 4, **changes: object) -> RemoteJudge:
    values = {"url": f"{address}/v1", "key_variable": VARIABLE, "timeout_s": 20.0, "pause_s": 0.01}
    values |= {"attempts": 3, "concurrency": 1}
    judge = load_judge(params(Path("judge"), batch_size, endpoint=values | changes), Path())
    assert isinstance(judge, RemoteJudge)
    return judge


def informing() -> Iterator[bytes]:
    while True:
        yield b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"
        time.sleep(0.05)


def trickling() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    while True:
        yield b" "
        time.sleep(0.05)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("endless", [dripping, informing, trickling])
def test_the_time_limit_is_for_the_whole_reply(endless: Any) -> None:
    with scripted(lambda _: endless()) as (address, seen):
        judge = remote(address, timeout_s=0.4, attempts=2)
        with pytest.raises(Verdict3DError, match=r"reply took longer than 0\.4 s"):
            judge.compare(PAIRS[:1])
    assert len(seen) == 4


def test_what_is_waited_for_is_said_once_in_a_while(capsys: pytest.CaptureFixture[str]) -> None:
    def busy_at_first(asked: dict[str, Any]) -> Iterable[bytes]:
        yield answer() if len(seen) > 3 else http(503, f"busy, {KEY}".encode())

    with scripted(busy_at_first) as (address, seen):
        (verdict,) = remote(address, attempts=5).compare(PAIRS[:1])
    assert verdict.valid
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "endpoint" in line]
    assert line.startswith(
        f"the judge's endpoint {address}/v1: HTTP 503: busy, <key>; attempt 2 of 5 in 0.0 s"
    )


@pytest.mark.timeout(60)
def test_an_interrupted_run_does_not_wait_for_the_server() -> None:
    def silent(asked: dict[str, Any]) -> Iterable[bytes]:
        os.kill(os.getpid(), signal.SIGINT)
        yield b"HTTP/1.1 200 OK\r\n"
        gone.wait()

    gone = threading.Event()
    with scripted(silent) as (address, seen):
        judge = remote(address, timeout_s=600.0)
        with pytest.raises(KeyboardInterrupt):
            judge.compare(PAIRS[:1])
        gone.set()
    assert len(seen) == 1


@pytest.mark.parametrize("status", [402, 410, 413, 422, 451, 498, 501, 507, 508, 520, 524])
def test_what_lasts_stops_the_run_with_the_words_of_the_server(status: int) -> None:
    answered: list[dict[str, Any]] = []

    def four_then_none(asked: dict[str, Any]) -> Iterable[bytes]:
        answered.append(asked)
        yield answer() if len(answered) <= 4 else http(status, b"the quota is used up")

    with scripted(four_then_none) as (address, _):
        judge = remote(address, attempts=1)
        verdicts: list[Verdict] = []
        with pytest.raises(Verdict3DError, match=f"HTTP {status}: the quota is used up"):
            for pair in PAIRS:
                verdicts += judge.compare([pair])
    assert [verdict.valid for verdict in verdicts[:2]] == [True, True] and len(verdicts) < 8


def test_refusals_between_answers_spoil_their_own_questions_only() -> None:
    def every_other(asked: dict[str, Any]) -> Iterable[bytes]:
        seen_before = len(seen)
        yield http(413, b"too large") if seen_before % 2 else answer()

    with scripted(every_other) as (address, seen):
        verdicts = remote(address).compare(PAIRS)
    assert [verdict.reason for verdict in verdicts] == ["endpoint_refused"] * len(PAIRS)


@pytest.mark.parametrize("answers", ["logprobs", "text"])
def test_fields_that_a_server_refuses_are_named_otherwise_or_left_out(answers: str) -> None:
    def newer(asked: dict[str, Any]) -> Iterable[bytes]:
        if "max_tokens" in asked["body"]:
            words = b"Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
            yield http(400, json.dumps({"error": {"message": words.decode()}}).encode())
        elif "temperature" in asked["body"]:
            yield http(400, b"Unsupported value: 'temperature' does not support 0.0 with this model.")
        elif answers == "text":
            yield http(200, json.dumps({"choices": [{"message": {"content": "A"}}]}).encode())
        else:
            yield answer()

    with scripted(newer) as (address, seen):
        verdicts = remote(address, answers=answers, text_tokens=2000).compare(PAIRS[:2])
    assert all(verdict.valid for verdict in verdicts)
    assert len(seen) == 4 + 2  # it is told once, not with every question
    expected = 1 if answers == "logprobs" else 2000
    for asked in seen[2:]:
        assert asked["body"]["max_completion_tokens"] == expected
        assert not {"max_tokens", "temperature"} & set(asked["body"])


def test_another_refusal_is_not_asked_again() -> None:
    with scripted(lambda _: [http(400, b"max_tokens must be at least 16")]) as (address, seen):
        judge = remote(address)
        with pytest.raises(Verdict3DError, match="max_tokens must be at least 16"):
            judge.compare(PAIRS[:1])
    assert len(seen) == 2


def test_a_text_that_is_cut_off_is_not_asked_again() -> None:
    choice = {"message": {"content": "It looks like\nA"}, "finish_reason": "length"}
    reply = http(200, json.dumps({"choices": [choice]}).encode())
    with scripted(lambda _: [reply]) as (address, seen):
        judge = remote(address, answers="text")
        with pytest.raises(Verdict3DError, match=r"raise endpoint\.text_tokens"):
            judge.compare(PAIRS[:1])
    assert len(seen) == 2 and seen[0]["body"]["max_tokens"] == 64


def test_a_redirect_is_not_followed_and_the_key_stays() -> None:
    with scripted(lambda _: [answer()]) as (elsewhere, seen_there):
        moved = http(307, b"", f"Location: {elsewhere}/v1/chat/completions")
        with scripted(lambda _: [moved]) as (address, seen):
            judge = remote(address)
            with pytest.raises(Verdict3DError, match="HTTP 307"):
                judge.compare(PAIRS[:1])
    assert f"Bearer {KEY}" in seen[0]["headers"] and seen_there == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost"])
def test_this_machine_is_not_reached_through_a_proxy(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(lambda _: [answer()]) as (proxy, seen_by_proxy):
        monkeypatch.setenv("HTTP_PROXY", proxy)
        monkeypatch.setenv("ALL_PROXY", proxy)
        with scripted(lambda _: [answer()]) as (address, _):
            judge = remote(address.replace("127.0.0.1", host), attempts=1)
            with contextlib.suppress(Verdict3DError):  # nothing listens at 127.0.0.2
                judge.compare(PAIRS[:1])
    assert seen_by_proxy == []


def test_another_machine_is_reached_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(lambda _: [answer()]) as (proxy, seen):
        monkeypatch.setenv("HTTP_PROXY", proxy)
        verdicts = remote("http://judge.invalid", key_variable=None).compare(PAIRS[:1])
    assert verdicts[0].valid and seen[0]["path"] == "http://judge.invalid/v1/chat/completions"


@pytest.mark.parametrize(
    ("name", "value"), [("ALL_PROXY", "socks5://127.0.0.1:1"), ("SSL_CERT_FILE", "/nowhere/ca.pem")]
)
def test_an_environment_without_connections_is_named(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(Verdict3DError, match=f"check .*{name}"):
        remote("https://judge.invalid").compare(PAIRS[:1])


@pytest.mark.parametrize("value", ["two words", "line\nend", "schl\u00fcssel"])
def test_a_key_that_cannot_be_sent_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(Verdict3DError, match=f"{VARIABLE} holds no key") as refused:
        remote("http://127.0.0.1:1")
    assert value not in str(refused.value)


@pytest.mark.parametrize("port", ["port", "99999999"])
def test_an_address_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(Verdict3DError, match="is no address"):
        remote(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize(
    "garbled",
    [
        http(200, b"no gzip at all", "Content-Encoding: gzip"),
        http(200, b"[" * 200_000),
        b"SSH-2.0-OpenSSH_9.6\r\n",
    ],
)
def test_garbled_replies_pass(garbled: bytes) -> None:
    def first_garbled(asked: dict[str, Any]) -> Iterable[bytes]:
        yield answer() if len(seen) > 1 else garbled

    with scripted(first_garbled) as (address, seen):
        (verdict,) = remote(address).compare(PAIRS[:1])
    assert verdict.valid and len(seen) == 3


def test_half_a_character_goes_back_to_the_judge() -> None:
    def half(asked: dict[str, Any]) -> Iterable[bytes]:
        text = "A" if len(asked["body"]["messages"]) > 1 else "\\ud800"
        yield http(200, f'{{"choices": [{{"message": {{"content": "{text}"}}}}]}}'.encode())

    with scripted(half) as (address, _):
        (verdict,) = remote(address, answers="text").compare(PAIRS[:1])
    assert (verdict.m1, verdict.m2) == (1.0, 1.0)


def test_messages_are_one_line_without_the_key() -> None:
    def echoing(asked: dict[str, Any]) -> Iterable[bytes]:
        words = f"{'x' * 290} {KEY}\u2028\u0085\n is not known here"
        yield answer() if len(seen) > 2 else http(400, words.encode())

    with scripted(echoing) as (address, seen):
        verdicts = remote(address).compare(PAIRS[:2])
    assert verdicts[0].reason == "endpoint_refused" and len(verdicts[0].message.splitlines()) == 1
    assert "loopback" not in verdicts[0].message and "<key>" in verdicts[0].message
    unread = http(200, json.dumps({"choices": [{"message": {"content": f"your key {KEY}"}}]}).encode())
    with scripted(lambda _: [unread]) as (address, _):
        judge = remote(address, answers="text")
        with pytest.raises(Verdict3DError, match="your key <key>"):
            judge.compare(PAIRS[:1])


@pytest.mark.parametrize(
    ("asked", "wait_s"),
    [
        ("3", 3.0),
        ("-3", 0.0),
        ("soon", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 5.0),
        ("Wed, 21 Oct 2015 07:27:00 GMT", 0.0),
    ],
)
def test_servers_say_how_long_to_wait(asked: str, wait_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1445412475.0)  # 07:27:55
    assert exchange._retry_after_s(httpx.Headers({"Retry-After": asked})) == wait_s


def test_an_event_loop_of_the_caller_is_no_obstacle() -> None:
    async def notebook() -> list[Verdict]:
        return remote(address).compare(PAIRS[:2])

    with scripted(lambda _: [answer()]) as (address, _):
        verdicts = asyncio.run(notebook())
    assert all(verdict.valid for verdict in verdicts)
