"""A Ray cluster of pretended nodes on loopback; its nodes come and die as a test wants.

Ray replaces 127.0.0.1 and localhost by an address that other machines reach; 127.0.0.2 stays what it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.places import ROOT

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

LOOPBACK = "127.0.0.2"
TOKEN = "0123456789abcdef" * 4
"""What whoever talks to the cluster has to know."""
LEAN = {"include_dashboard": False, "include_log_monitor": False}
QUICK = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_failure_threshold": 4,
    "worker_niceness": 0,
}
"""A node that is gone is noticed in two seconds; workers do not starve beside other tests."""


@contextmanager
def ray_cluster(code: Path = ROOT) -> Iterator[Cluster]:
    """Start a head without room for work; nodes are added later. Workers import the project in ``code``."""
    own = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
        "RAY_ADDRESS": "",
        "PYTHONPATH": os.pathsep.join([str(code), str(code / "tests")]),  # of the workers
    }
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    import ray
    from ray.cluster_utils import Cluster

    head = {
        "num_cpus": 0,
        "node_ip_address": LOOPBACK,
        "no_monitor": True,
        "_system_config": QUICK,
    }
    cluster = patiently(lambda: Cluster(initialize_head=True, head_node_args={**LEAN, **head}))
    os.environ["RAY_ADDRESS"] = cluster.address
    try:
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def patiently(start: Callable[[], Any]) -> Any:
    """Start a node; Ray waits 30 s for its five processes, which a busy machine does not always hold."""
    for _ in range(3):
        try:
            return start()
        except Exception as error:
            if "timed out during startup" not in str(error):
                raise
    return start()


def add_node(cluster: Cluster, **resources: int) -> None:
    """Add a node."""
    own = {**LEAN, "node_ip_address": LOOPBACK, **resources}
    patiently(lambda: cluster.add_node(**own))


def remove_nodes(cluster: Cluster) -> None:
    """Kill the processes of all nodes but the head, as a power cut does."""
    for node in list(cluster.worker_nodes):
        cluster.remove_node(node, allow_graceful=False)
