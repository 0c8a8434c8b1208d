"""What every test module gets."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from verdict3d.config import Params


if "PYTEST_XDIST_WORKER" in os.environ:  # the cores are the workers'; what a test starts inherits it
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first, so that no worker is left alone with one of them at the end."""

    def weight(item: pytest.Item) -> int:
        return sum(weights[name] for name in weights if item.get_closest_marker(name))

    weights = {"services": 2, "slow": 1}
    heaviest: dict[Path, int] = {}
    for item in items:
        heaviest[item.path] = max(heaviest.get(item.path, 0), weight(item))
    items.sort(key=lambda item: -heaviest[item.path])


@pytest.fixture(autouse=True, scope="module")
def own_thread_count() -> Iterator[None]:
    """Give torch its threads back after a module that set them: the bytes of results depend on them."""
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else None
    yield
    if torch and threads:
        torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def own_mlflow_stores() -> Iterator[None]:
    """Make MLflow forget its open stores: it keeps them by URI, and the embedded one's is relative."""
    yield
    if "mlflow" in sys.modules:
        from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as ModelStore
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as RunStore
        from mlflow.tracking._model_registry.registry import ModelRegistryStoreRegistry
        from mlflow.tracking._tracking_service.registry import TrackingStoreRegistry

        for store in (ModelStore, RunStore):
            store._engine_map.clear()
        for registry in (ModelRegistryStoreRegistry, TrackingStoreRegistry):
            registry._get_store_with_resolved_uri.cache_clear()


@pytest.fixture(scope="session")
def tiny_chain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Params]:
    """A tiny project after the whole chain, with the base as champion. Copy it before changing anything."""
    from support.tiny_project import run_tiny_chain

    root = tmp_path_factory.mktemp("tiny") / "project"
    return root, run_tiny_chain(root)
