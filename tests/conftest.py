"""What every test module gets."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

if TYPE_CHECKING:
    from verdict3d.config import Params


os.environ.setdefault("OMP_NUM_THREADS", "1")
"""Networks of tests are so small that threads wait for each other; what a test starts inherits it."""


if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # a shell that starts tests in the background has them ignore Ctrl-C, which some of them send
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first, so that no worker is left alone with one of them at the end."""

    def weight(item: pytest.Item) -> int:
        limit = item.get_closest_marker("timeout")
        minutes = 4 if limit and limit.args[0] > 600 else 0
        return minutes + sum(weights[name] for name in weights if item.get_closest_marker(name))

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


def forget_mlflow_stores() -> None:
    """Make MLflow forget its open stores: it keeps them by URI, and the embedded one's is relative.

    What has not been imported holds none, and takes a second to import.
    """
    for name in ("mlflow.store.model_registry.sqlalchemy_store", "mlflow.store.tracking.sqlalchemy_store"):
        if module := sys.modules.get(name):
            module.SqlAlchemyStore._engine_map.clear()
    for name, registry in (
        ("mlflow.tracking._model_registry.registry", "ModelRegistryStoreRegistry"),
        ("mlflow.tracking._tracking_service.registry", "TrackingStoreRegistry"),
    ):
        if module := sys.modules.get(name):
            getattr(module, registry)._get_store_with_resolved_uri.cache_clear()


@pytest.fixture(autouse=True)
def own_mlflow_stores() -> Iterator[None]:
    """Let no test use a store that a fixture of its module, or the test before, has opened elsewhere."""
    forget_mlflow_stores()
    yield
    forget_mlflow_stores()


@pytest.fixture(autouse=True)
def no_opengl_error() -> Iterator[None]:
    """Fail a test that leaves an OpenGL error behind: the next one to ask would be blamed for it."""
    yield
    context = sys.modules.get("verdict3d.render.context")
    if context and os.getpid() in context._contexts:
        assert context.shared_context().error == "GL_NO_ERROR"


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a project that ``make`` writes once for all workers. It is copied before anything is changed."""
    alone = "PYTEST_XDIST_WORKER" not in os.environ
    project = (factory.getbasetemp() if alone else factory.getbasetemp().parent) / name / "project"
    project.parent.mkdir(exist_ok=True)
    with FileLock(project.with_name("lock")):
        if not (done := project.with_name("done")).exists():
            make(project)
            done.touch()
    return project


@pytest.fixture(scope="session")
def prefect_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of Prefect: a server takes seconds to make the tables."""
    from support.prefect_api import make_prefect_database

    return made_once(tmp_path_factory, "prefect", make_prefect_database) / "empty.db"


@pytest.fixture
def prefect_home(prefect_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of Prefect's database for servers that the test starts: a copy, ready to be used."""
    home = tmp_path / "prefect"
    home.mkdir()
    shutil.copyfile(prefect_database, home / "prefect.db")
    monkeypatch.setenv("PREFECT_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def toy_chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy project whose stages have run through DVC."""
    from support.toy_chain import run_toy_chain

    return made_once(tmp_path_factory, "toy", run_toy_chain)


@pytest.fixture(scope="session")
def tiny_chain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Params]:
    """A tiny project after the whole chain, with the base as champion."""
    from support.tiny_project import run_tiny_chain
    from verdict3d.config import load_params

    root = made_once(tmp_path_factory, "tiny", run_tiny_chain)
    return root, load_params(root / "params.yaml")
