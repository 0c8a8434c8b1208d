"""Batches on a Ray cluster of pretended nodes, which die, join and hang while work goes on."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from support.batch_workers import (
    Making,
    begun,
    die,
    die_once,
    fail,
    files_of,
    hang_once,
    run,
    stop_once,
    wait_for_another,
)
from support.ray_cluster import add_node, ray_cluster, remove_nodes
from tasks.making import cluster as on_cluster
from tasks.making import crew
from tasks.making.cluster import ClusterCrew, ClusterHelpers, connect, is_finished, pack, unpack
from tasks.making.executors import start_helpers
from verdict3d.errors import Verdict3DError
from verdict3d.provenance import digest_file

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

pytestmark = [pytest.mark.services, pytest.mark.filterwarnings("ignore::FutureWarning:ray")]
DOUBLED = [2 * item for item in range(6)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with ray_cluster() as running:
        yield running


@pytest.fixture
def two_gpus(cluster: Cluster) -> None:
    """A node with two pretended GPUs, which stays until a test removes it."""
    if not cluster.worker_nodes:
        add_node(cluster, num_cpus=1, num_gpus=2)


@pytest.fixture(autouse=True)
def on_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERDICT3D_EXECUTOR", "ray")
    monkeypatch.delenv("VERDICT3D_WORKERS", raising=False)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files that a process leaves which works alone."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VERDICT3D_EXECUTOR", "here")
        assert run(folder, Making(folder / "log")) == DOUBLED
    return files_of(folder)


def test_an_actor_a_gpu_leaves_the_bytes_of_one_process(tmp_path, two_gpus, whole):
    assert run(tmp_path / "work", Making(tmp_path / "log", wait_for_another, 0)) == DOUBLED
    assert files_of(tmp_path / "work") == whole
    by_process = {tuple(line.split()) for lines in begun(tmp_path / "log").values() for line in lines}
    assert sorted(gpu for _, gpu in by_process) == ["0", "1"]
    assert len(list((tmp_path / "log").glob("closed-*"))) == 2
    assert not list((tmp_path / "work").glob(".[tu]*"))


def test_the_same_bytes_come_back_through_the_object_store_where_no_folder_is_shared(
    tmp_path, two_gpus, whole, monkeypatch
):
    original = ClusterCrew.__init__

    def with_a_token_that_nobody_sees(self: ClusterCrew, *arguments: Any) -> None:
        original(self, *arguments)
        self.order = replace(self.order, token=self.order.token.with_name(".token-of-another-machine"))

    monkeypatch.setattr(ClusterCrew, "__init__", with_a_token_that_nobody_sees)
    taken: list[int] = []
    monkeypatch.setattr(
        on_cluster, "unpack", lambda content, home: (taken.append(len(content)), unpack(content, home))
    )
    assert run(tmp_path / "work", Making(tmp_path / "log")) == DOUBLED
    assert files_of(tmp_path / "work") == whole
    assert len(taken) == 6
    assert not list((tmp_path / "work").glob(".unfinished*"))


def test_what_a_dead_actor_had_is_done_again(tmp_path, two_gpus, whole):
    assert run(tmp_path / "work", Making(tmp_path / "log", die_once, 3)) == DOUBLED
    assert files_of(tmp_path / "work") == whole
    assert len(begun(tmp_path / "log")[3]) == 2


def test_a_batch_that_kills_three_actors_is_named(tmp_path, two_gpus):
    with pytest.raises(Verdict3DError, match=r"(?s)batch 000003 was lost 3 times .*Its items: 3\."):
        run(tmp_path / "work", Making(tmp_path / "log", die, 3))
    assert len(begun(tmp_path / "log")[3]) == 3


def test_what_a_worker_raises_is_raised_and_not_tried_again(tmp_path, two_gpus):
    with pytest.raises(Verdict3DError, match="2 is too much"):
        run(tmp_path / "work", Making(tmp_path / "log", fail, 2))
    assert len(begun(tmp_path / "log")[2]) == 1


def test_an_actor_that_gives_no_sign_of_life_is_replaced(tmp_path, two_gpus, whole, monkeypatch):
    monkeypatch.setattr(crew, "SILENCE_S", 4.0)
    monkeypatch.setattr(on_cluster, "LIFE_S", 0.5)
    assert run(tmp_path / "work", Making(tmp_path / "log", stop_once, 5)) == DOUBLED
    assert files_of(tmp_path / "work") == whole


def test_an_actor_that_hangs_is_replaced(tmp_path, two_gpus, whole, monkeypatch):
    monkeypatch.setattr(crew, "PATIENCE_S", 4.0)
    assert run(tmp_path / "work", Making(tmp_path / "log", hang_once, 5)) == DOUBLED
    assert files_of(tmp_path / "work") == whole


def test_a_node_with_other_code_is_refused(tmp_path, two_gpus, monkeypatch):
    monkeypatch.setattr(on_cluster, "digest_sources", lambda: "0" * 64)
    with pytest.raises(Verdict3DError, match=r"the code on .* is not the driver's \(.{8}, 00000000\)"):
        run(tmp_path / "work", Making(tmp_path / "log"))
    with (
        pytest.raises(Verdict3DError, match="is not the driver's"),
        start_helpers() as pool,
    ):
        list(pool.map(abs, [-1]))


class OnTorch:
    """A worker that uses torch, which says on how many threads."""

    def __init__(self) -> None:
        self.threads = torch.get_num_threads()

    def __call__(self, items: Any, folder: Path) -> Any:
        from support.batch_workers import Piece

        (folder / "0").write_bytes(bytes(100))
        return [Piece(item=self.threads, file="0") for _ in items]


def test_actors_have_the_threads_of_their_driver_and_unlike_machines_are_refused(
    tmp_path, two_gpus, monkeypatch
):
    torch.set_num_threads(3)
    assert run(tmp_path / "work", OnTorch, 1) == [3]
    (tmp_path / "other").mkdir()
    (tmp_path / "other/machines.json").write_text('[{"accelerator": "NVIDIA H200", "torch": "2.13.0"}]')
    with pytest.raises(Verdict3DError, match=r"has no accelerator in use .* were made with NVIDIA H200"):
        run(tmp_path / "other", OnTorch, 1)
    monkeypatch.setenv("VERDICT3D_MIXED_ACCELERATORS", "1")
    assert run(tmp_path / "other", OnTorch, 1) == [3]


def test_pictures_are_made_by_tasks_in_their_order(two_gpus):
    with start_helpers() as pool:
        assert isinstance(pool, ClusterHelpers)
        assert list(pool.map(pow, range(5), [2] * 5)) == [0, 1, 4, 9, 16]
        with pytest.raises(ZeroDivisionError):
            pool.submit(divmod, 1, 0).result()


def test_nodes_die_and_join_while_work_goes_on(tmp_path, cluster, whole, monkeypatch):
    """Two nodes are killed, each after it has begun something, and another one joins."""
    monkeypatch.setattr(on_cluster, "RESOURCES_S", 0.5)
    monkeypatch.setenv("VERDICT3D_WORKERS", "1")
    remove_nodes(cluster)
    log = tmp_path / "log"
    with ThreadPoolExecutor(1) as thread:
        working = thread.submit(run, tmp_path / "work", Making(log, pause_s=0.5))
        for _ in range(2):
            before = count_begun(log)
            add_node(cluster, num_cpus=1)
            while count_begun(log) < before + 2:
                assert not working.done()
                time.sleep(0.05)
            remove_nodes(cluster)
        add_node(cluster, num_cpus=1)
        assert working.result(120) == DOUBLED
    remove_nodes(cluster)
    assert files_of(tmp_path / "work") == whole
    assert count_begun(log) > 6


def count_begun(log: Path) -> int:
    """Return how often a batch was begun."""
    return sum(map(len, begun(log).values()))


def test_a_batch_that_a_lost_actor_finished_after_all_counts_once(tmp_path):
    """The network was cut: the first worker did finish, the second one finds its folder."""
    home = tmp_path / "000000"
    for host in ("node-a", "node-b"):
        folder = tmp_path / f".unfinished-{host}"
        folder.mkdir()
        (folder / "records.json").write_bytes(b"[]\n")
        (folder / "machine.json").write_text(f'{{"host": "{host}"}}')
        unpack(pack(folder), home)
    assert (home / "machine.json").read_text() == '{"host": "node-a"}'
    assert is_finished(home, digest_file(home / "records.json")) and not is_finished(home, "other")
    assert [path.name for path in tmp_path.iterdir()] == ["000000"]


def test_a_folder_that_the_driver_does_not_see_is_waited_for_and_then_an_error(
    tmp_path, two_gpus, monkeypatch
):
    seen = {"times": 0}

    def is_late(home: Path, digest: str) -> bool:
        seen["times"] += 1
        return seen["times"] > 8 and is_finished(home, digest)

    monkeypatch.setattr(on_cluster, "is_finished", is_late)
    assert run(tmp_path / "late", Making(tmp_path / "log"), 1) == [0]
    monkeypatch.setattr(on_cluster, "is_finished", lambda home, digest: False)
    monkeypatch.setattr(on_cluster, "ARRIVAL_S", 0.5)
    with pytest.raises(Verdict3DError, match="do all nodes have the same file system at this path"):
        run(tmp_path / "never", Making(tmp_path / "log"), 1)


def test_what_a_loss_is_blamed_on(cluster, two_gpus, tmp_path):
    """Ray's own errors: memory, an actor alone, an actor with its node."""
    from ray import exceptions

    own = ClusterCrew(lambda: None, tmp_path)
    (node, *_) = [each["NodeID"] for each in own.ray.nodes() if each["Alive"]]
    place = on_cluster._Actor("here", node=node)
    gone = on_cluster._Actor("there", node="0" * 56)
    assert own._blame(place, exceptions.OutOfMemoryError("no room")) == "memory"
    assert own._blame(place, exceptions.ActorDiedError()) == "worker"
    assert own._blame(place, exceptions.WorkerCrashedError()) == "worker"
    assert own._blame(gone, exceptions.ActorDiedError()) == "machine"
    for error in (exceptions.NodeDiedError("gone"), exceptions.TaskCancelledError()):
        assert own._blame(place, error) == "machine"
    own.leave()


def test_where_no_cluster_is_named_the_message_says_how_to_start_one(monkeypatch):
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setenv("RAY_ADDRESS", "")
    with pytest.raises(Verdict3DError, match=r"RAY_ADDRESS names no cluster; .* `ray start --head"):
        connect()


def test_without_the_token_nobody_gets_in(cluster):
    """A stranger on the machine, who does not know what driver and nodes share."""
    import subprocess
    import sys

    program = "from tasks.making.cluster import connect; connect(); print('in')"
    environment = {**os.environ, "RAY_AUTH_TOKEN": "f" * 64}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode != 0 and "in" not in done.stdout.split()
