"""A server as a generator, with everything that a server can do wrong."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.generator_server import make_server
from support.loopback import free_port
from support.outside import outside
from support.tiny_trellis import tiny_photo
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.generators.generator import Request
from verdict3d.generators.registry import load_generator
from verdict3d.mesh.mesh import Mesh, MeshOrFailure
from verdict3d.records.files import write_json


@pytest.fixture
def address() -> Iterator[str]:
    listener = make_server(0)
    thread = threading.Thread(target=listener.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.server_port}"
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()


def made_by(
    address: str, *stems: str, fault: dict[str, Any] | None = None, **how: Any
) -> list[MeshOrFailure]:
    settings = outside(kind="http", url=address, **{"pause_s": 0.01, "warm_up_s": 20.0, "tries": 1, **how})
    if fault:
        httpx.post(f"{address}/fault", json=fault, trust_env=False)
    generator = load_generator(settings, Path())
    return generator.generate([Request(tiny_photo(0), 5, stem) for stem in stems])


def seen(address: str) -> list[list[str]]:
    found: list[list[str]] = httpx.get(f"{address}/seen", trust_env=False).json()
    return found


def reasons(outcomes: list[MeshOrFailure]) -> list[str | None]:
    return [one.reason if isinstance(one, ItemFailure) else None for one in outcomes]


def test_a_batch_is_one_set_of_stems(address: str) -> None:
    made = made_by(address, "chair", "table", fault={"loading": 2, "busy": 1})
    assert reasons(made) == [None, None]
    (stems,) = seen(address)
    assert [stem.rsplit("-", 1)[0] for stem in stems] == ["chair", "table"]
    again = made_by(address, "chair", "table")
    assert reasons(again) == [None, None] and seen(address) == [stems, stems], "one set, one batch"


def test_what_fails_is_asked_for_again_and_then_recorded(address: str) -> None:
    made = made_by(address, "chair", "hard", "lost", fault={"fail": ["hard"], "omit": ["lost"]}, tries=2)
    assert reasons(made) == [None, "generator_failed", "missing_mesh"]
    assert str(made[1]) == "no box for this photo"
    first, second = seen(address)
    assert len(first) == 3 and len(second) == 2 and not set(first) & set(second)


def test_a_batch_that_is_late_gives_what_it_has(address: str) -> None:
    made = made_by(address, "chair", "table", fault={"slow_s": 3600.0}, timeout_s=0.2)
    assert reasons(made) == [None, "timed_out"]


def test_a_batch_that_the_server_forgot_is_posted_again(address: str) -> None:
    assert reasons(made_by(address, "chair", fault={"forget": True})) == [None]
    assert len(seen(address)) == 2 and len({tuple(stems) for stems in seen(address)}) == 1


@pytest.mark.parametrize(
    ("kind", "reason", "words"),
    [
        ("bomb", "generator_failed", "more than 1 MiB"),
        ("escape", "missing_mesh", "gave no mesh"),
        ("garbage", "generator_failed", "no readable ZIP"),
        ("many", "generator_failed", "list of members"),
    ],
)
def test_a_hostile_zip_costs_its_meshes_and_nothing_else(
    address: str, kind: str, reason: str, words: str, tmp_path: Path
) -> None:
    (one,) = made_by(address, "chair", fault={"zip": kind}, limits={"file_mib": 1})
    assert isinstance(one, ItemFailure) and one.reason == reason and words in str(one)
    assert not list(Path("/tmp").glob("chair-*.glb"))


def test_half_a_character_in_a_reason_can_be_recorded(address: str, tmp_path: Path) -> None:
    (one,) = made_by(address, "hard", fault={"fail": ["hard"], "half": True})
    assert isinstance(one, ItemFailure) and str(one) == "no box ?"
    write_json(tmp_path / "reason.json", str(one))


@pytest.mark.parametrize("name", ["half", "line\u2028", "x" * 10_000, "", 5])
def test_what_cannot_be_asked_for_is_no_id_of_a_batch(address: str, name: Any) -> None:
    with pytest.raises(Verdict3DError, match="no id of a batch") as refused:
        made_by(address, "chair", fault={"id": name}, attempts=1)
    assert len(str(refused.value)) < 700


def test_a_server_that_is_not_there_stops_the_stage() -> None:
    gone = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Verdict3DError, match=r"was not ready within 0.2 s .*start it"):
        made_by(gone, "chair", warm_up_s=0.2)


def test_a_server_that_stays_busy_stops_the_stage(address: str) -> None:
    settings = {"fault": {"busy": 1000}, "warm_up_s": 0.2}
    with pytest.raises(Verdict3DError, match=r"was not ready within 0.2 s \(HTTP 503"):
        made_by(address, "chair", **settings)


def test_meshes_come_out_whole(address: str) -> None:
    (one,) = made_by(address, "chair", frame={"up": "y", "front": "z"})
    assert isinstance(one, Mesh) and one.colors is None
    assert max(one.vertices.max(axis=0) - one.vertices.min(axis=0)) == pytest.approx(1.0)
