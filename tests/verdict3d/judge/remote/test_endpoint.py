"""The judge behind a server: the embedded judge's verdicts through HTTP, whatever the server does wrong."""

import json
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.judge_examples import load, params, request
from support.judge_server import KEY, MODEL
from support.loopback import free_port, server
from support.places import ROOT, TESTS
from verdict3d.errors import Verdict3DError
from verdict3d.judge.identity import JudgeIdentity, identify
from verdict3d.judge.loading import load_judge
from verdict3d.judge.panel import PairRequest, Panel
from verdict3d.judge.remote.endpoint import match_model
from verdict3d.judge.remote.remote import RemoteJudge
from verdict3d.judge.store import VerdictStore
from verdict3d.pretrain.embedded import PROMPT

pytestmark = pytest.mark.services

VARIABLE = "TEST_JUDGE_KEY"
SERVER = TESTS / "support/judge_server.py"
DIRECTORY = ROOT / "data/checkpoints/judge-train"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """The shipped training judge's directory, and the address of a process that serves it."""
    port = free_port()
    command = [sys.executable, str(SERVER), str(port), str(DIRECTORY)]
    log = tmp_path_factory.mktemp("served") / "log.txt"
    with server(command, f"http://127.0.0.1:{port}/seen", log):
        yield DIRECTORY, f"http://127.0.0.1:{port}"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY)


def remote(
    address: str, batch_size: int = 4, panel: str = "three_images", model: str = MODEL, **endpoint: object
) -> RemoteJudge:
    values = {"url": f"{address}/v1", "key_variable": VARIABLE, "timeout_s": 20.0, "pause_s": 0.01}
    values |= {"top_logprobs": 64, "least_mass": 0.0}  # the small judges learned the letters' difference only
    asked = params(Path(model), batch_size, panel=panel, endpoint=values | {"prompt": PROMPT} | endpoint)
    judge = load_judge(asked, Path())
    assert isinstance(judge, RemoteJudge)
    return judge


def plan(address: str, *faults: str) -> None:
    body = json.dumps(faults).encode()
    urllib.request.urlopen(urllib.request.Request(f"{address}/faults", body, method="POST")).close()


def seen(address: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{address}/seen") as response:
        return json.load(response)


ASKED = [request(1, 2), request(3, 4, reference=998), request(5, 5), request(2, 1)]


@pytest.mark.parametrize("panel", ["three_images", "seven_images"])
def test_verdicts_are_those_of_the_local_judge(served: tuple[Path, str], panel: str) -> None:
    directory, address = served
    plan(address)
    far, near = remote(address, panel=panel).compare(ASKED), load(directory, panel=panel).compare(ASKED)
    for one, other in zip(far, near, strict=True):
        assert (one.m1, one.m2) == pytest.approx((other.m1, other.m2), abs=2e-5)
    assert far[2].m1 == far[2].m2 and far[3] == far[0].flip()
    assert seen(address)["requests"] == 5  # 2 + 2 + 1; the swapped pair is the first one's question
    assert seen(address)["bodies"][0] == {
        **{"model": MODEL, "max_tokens": 1, "temperature": 0.0, "logprobs": True, "top_logprobs": 64}
    }


def test_text_answers_have_a_direction(served: tuple[Path, str]) -> None:
    directory, address = served
    plan(address, "prose_once")
    far, near = remote(address, answers="text", concurrency=1).compare(ASKED), load(directory).compare(ASKED)
    assert abs(far[0].m1 or 0.0) == 1.0  # answered when asked again, with the first answer before its eyes
    found = [far[0].m2, far[1].m1, far[1].m2, far[2].m1, far[2].m2]
    local = [near[0].m2, near[1].m1, near[1].m2, near[2].m1, near[2].m2]
    assert found == [1.0 if margin > 0 else -1.0 for margin in local]
    assert far[3] == far[0].flip() and seen(address)["requests"] == 5 + 1


@pytest.mark.parametrize(
    "fault", ["429", "500", "503", "cut", "malformed", "truncated", "truncated_json", "empty", "no_logprobs"]
)
def test_what_passes_is_tried_again(served: tuple[Path, str], fault: str) -> None:
    _, address = served
    judge = remote(address)
    plan(address)
    right = judge.compare(ASKED[:2])
    plan(address, fault, "", fault)
    again = judge.compare(ASKED[:2])
    if fault == "no_logprobs":  # concerns one question; two of four have no margin then
        assert {verdict.reason for verdict in again} <= {"", "no_logprobs"} and again != right
    else:
        assert again == right and seen(address)["requests"] == 4 + 2


@pytest.mark.parametrize("fault", ["hang", "trickle"])
def test_a_silent_server_is_left(served: tuple[Path, str], fault: str) -> None:
    _, address = served
    judge = remote(address, timeout_s=1.0)
    plan(address, fault)
    assert all(verdict.valid for verdict in judge.compare(ASKED[:1]))
    assert seen(address)["requests"] == 3


def test_a_question_that_keeps_failing_is_invalid_and_the_rest_goes_on(served: tuple[Path, str]) -> None:
    _, address = served
    judge = remote(address, concurrency=1, attempts=2)
    plan(address, "400", "", "500", "500")
    verdicts = judge.compare(ASKED[:2])
    assert [verdict.reason for verdict in verdicts] == ["endpoint_refused", "endpoint_failed"]
    assert "HTTP 500" in verdicts[1].message and "HTTP 400" in verdicts[0].message
    plan(address, *["prose"] * 3)
    text = remote(address, concurrency=1, answers="text").compare(ASKED[:2])
    assert text[0].reason == "unreadable_answer" and "have merits" in text[0].message and text[1].valid


def test_a_dead_server_stops_the_run_and_loses_nothing(served: tuple[Path, str], tmp_path: Path) -> None:
    _, address = served
    judge = remote(address, batch_size=1, attempts=2)
    store = VerdictStore(tmp_path / "verdicts.db")
    plan(address, "", "", *["500"] * 4)
    with pytest.raises(Verdict3DError, match=r"none of 2 questions.*goes on with the rest"):
        store.ask(judge, [(one,) for one in ASKED[:2]])
    assert len(store.rows()) == 1
    plan(address)
    answers = store.ask(remote(address), [(one,) for one in ASKED[:2]])
    assert all(answer.valid for answer in answers) and seen(address)["requests"] == 2


def test_never_more_at_once_than_allowed(served: tuple[Path, str]) -> None:
    _, address = served
    plan(address)
    remote(address, batch_size=8, concurrency=3).compare([request(2 * n, 2 * n + 1) for n in range(8)])
    assert 1 < seen(address)["most_at_once"] <= 3


def test_what_does_not_pass_stops_at_once(served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    _, address = served
    plan(address, "wrong_model")
    with pytest.raises(Verdict3DError, match="'another-model' answered"):
        remote(address, concurrency=1).compare(ASKED[:1])
    plan(address, *["no_logprobs"] * 2)
    with pytest.raises(Verdict3DError, match=r"set endpoint\.answers to text"):
        remote(address, concurrency=1).compare(ASKED[:1])
    with pytest.raises(Verdict3DError, match="HTTP 404"):
        remote(address, concurrency=1, model="unknown").compare(ASKED[:1])
    monkeypatch.setenv(VARIABLE, "wrong-secret")
    plan(address)
    with pytest.raises(Verdict3DError, match="HTTP 401") as refused:
        remote(address, concurrency=1).compare(ASKED[:1])
    assert "wrong-secret" not in str(refused.value) and "<key>" in str(refused.value)
    assert seen(address)["requests"] == 1


def test_keys_come_from_the_environment_and_stay_on_encrypted_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Verdict3DError, match="use an https address"):
        remote("http://judge.example")
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(Verdict3DError, match=f"{VARIABLE} .* is not set"):
        remote("https://judge.example")
    for address in ("ftp://x", "https://name:password@x", "https://x/?key=1"):
        with pytest.raises(ValueError, match="url"):
            remote(address)


def test_another_server_prompt_or_way_of_answering_is_another_judge() -> None:
    here = remote("http://127.0.0.1:1").identity
    assert remote("http://127.0.0.1:1", concurrency=2, timeout_s=5.0).identity.digest == here.digest
    others = [
        remote("http://127.0.0.1:2").identity,
        remote("http://127.0.0.1:1", answers="text").identity,
        remote("http://127.0.0.1:1", prompt=None).identity,
        remote("http://127.0.0.1:1", top_logprobs=5).identity,
        remote("http://127.0.0.1:1", least_mass=0.5).identity,
        JudgeIdentity(**here.model_dump() | {"model": "x"}),
    ]
    assert [other.digest == here.digest for other in others] == [False] * 5 + [True]
    showing = remote("http://127.0.0.1:1").showing("two_sheets", "rgb")
    assert showing.identity == identify(
        params(
            Path(MODEL),
            panel="two_sheets",
            mode="rgb",
            endpoint={"url": "http://127.0.0.1:1/v1", "prompt": PROMPT}
            | {"top_logprobs": 64, "least_mass": 0.0},
        ),
        Path(),
    )


def test_a_bad_picture_is_not_sent(served: tuple[Path, str]) -> None:
    _, address = served
    plan(address)
    panel = ASKED[0].panel
    bad = PairRequest(Panel(panel.reference, panel.x[:4], panel.y), "r", "x", "y", "rig")
    verdicts = remote(address).compare([bad, ASKED[1]])
    assert verdicts[0].reason == "bad_image" and verdicts[1].valid and seen(address)["requests"] == 2


def test_names_of_models() -> None:
    assert match_model("Qwen/Qwen2.5-VL-7B-Instruct", "Qwen2.5-VL-7B-Instruct")
    assert match_model("gpt-4o", "gpt-4o-2024-08-06") and not match_model("gpt-4o", "gpt-4o-mini")
    assert not match_model("judge", "another")
