"""Judges in a process that outlives a stage: the same answers as here, and a stage does without it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import torch

from support.judge_examples import noise_picture, params, request
from verdict3d.config_judges import JudgeParams
from verdict3d.errors import Verdict3DError
from verdict3d.judge.loading import load_judge
from verdict3d.judge.local.vlm import TransformersJudge
from verdict3d.judge.panel import PairRequest, Panel
from verdict3d.judge.served import client
from verdict3d.judge.served.client import LocalJudge, connect
from verdict3d.judge.served.wire import ADDRESS
from verdict3d.judge.store import VerdictStore
from verdict3d.pretrain.embedded import build_judge

ASKED = [
    request(1, 2),
    request(2, 3, size_px=96),
    request(3, 3),
    PairRequest.of(Panel(noise_picture(1), noise_picture(2, 8), noise_picture(3)), "small", "y", "rig"),
]


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> JudgeParams:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("judge")
    build_judge("internvl", seed=7).save(folder)
    return params(folder, panel="seven_images")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """A server on a socket with a path that is longer than sockets' own paths may be."""
    address = tmp_path / ("deep" * 20) / ("deeper" * 10) / "judges.sock"
    command = [sys.executable, "-m", "verdict3d.judge.served.server", str(address)]
    process = subprocess.Popen(command)
    monkeypatch.setenv(ADDRESS, str(address))
    try:
        for _ in range(600):
            try:
                connect(str(address)).close()
                break
            except OSError:
                time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait()


def refuse_to_load(*_: object) -> None:
    raise AssertionError("a judge is loaded")


def test_the_server_gives_the_same_bits_and_nothing_is_loaded_here(
    judge: JudgeParams, server: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here = TransformersJudge.from_pretrained(judge, Path())
    monkeypatch.setattr(TransformersJudge, "from_pretrained", refuse_to_load)
    there = LocalJudge(judge, Path())
    assert there.identity == here.identity and there.digest == here.digest
    wanted = here.compare(ASKED)
    assert there.compare(ASKED) == wanted and [one.reason for one in wanted] == ["", "", "", "bad_image"]
    shown = (two.showing("two_sheets", "rgb") for two in (there, here))
    theirs, ours = ((one.identity, one.compare(ASKED)) for one in shown)
    assert theirs == ours and theirs[0] != there.identity
    assert there.compare(ASKED[:2]) == here.compare(ASKED[:2]), "the first panel again"
    address = next(tmp_path.rglob("judges.sock"))
    assert address.is_socket() and address.stat().st_mode & 0o077 == 0


def test_a_stage_goes_on_when_the_server_dies(
    judge: JudgeParams, server: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    there = LocalJudge(judge, Path())
    first = there.compare(ASKED[:2])
    assert not capsys.readouterr().err
    server.kill()
    server.wait()
    assert there.compare(ASKED[:2]) == first == there.compare(ASKED[:2])
    assert capsys.readouterr().err.count("the run's judge server does not answer") == 1


def test_other_files_than_the_stage_found_are_refused(
    server: subprocess.Popen[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build_judge("internvl", seed=7).save(tmp_path / "judge")
    there = LocalJudge(params(tmp_path / "judge"), Path())
    build_judge("internvl", seed=8).save(tmp_path / "judge")
    with pytest.raises(Verdict3DError, match="changed while"):
        there.compare(ASKED[:1])
    assert "its files are others here than there" in capsys.readouterr().err


def test_the_server_outlives_clients_that_speak_otherwise(
    judge: JudgeParams, server: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    address = str(next(tmp_path.rglob("judges.sock")))
    for words in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\2\0\0\0\0{}", b"\0\0\0\2\0\0\0\0[]", b"\x80\x05."):
        with closing(connect(address)) as connection:
            connection.sendall(words)
    monkeypatch.setattr(TransformersJudge, "from_pretrained", refuse_to_load)
    assert LocalJudge(judge, Path()).compare(ASKED[:1])[0].valid


def test_nothing_is_loaded_where_every_answer_is_on_record(
    judge: JudgeParams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, pairs = VerdictStore(tmp_path / "store.db"), [(one,) for one in ASKED[:2]]
    first = store.ask(LocalJudge(judge, Path()), pairs)
    monkeypatch.setattr(TransformersJudge, "from_pretrained", refuse_to_load)
    assert store.ask(LocalJudge(judge, Path()), pairs) == first


def test_torch_is_settled_with_the_weights_and_not_before(
    judge: JudgeParams, server: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    settled: list[bool] = []
    monkeypatch.setattr(client, "settle_torch", lambda: settled.append(True))
    there = load_judge(judge, Path(), settled=True)
    assert there.compare(ASKED[:1])[0].valid and not settled
    server.kill()
    server.wait()
    assert there.compare(ASKED[:1])[0].valid and settled == [True]
    assert LocalJudge(judge, Path()).load() and settled == [True], "nobody asked for it"
