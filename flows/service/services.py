"""``verdict3d services``: PostgreSQL, MLflow on it and Prefect on it, on loopback, until a signal.

PostgreSQL comes from Debian's package ``postgresql``; its programs are used directly, in a cluster of its own
below the chosen folder: the machine's own clusters are not touched. It refuses to run as root, who therefore
runs it as the user ``postgres``.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flows.chain.environment import make_project_environment
from flows.chain.prefect_server import (
    ADDRESS,
    KEY,
    KEY_FILE,
    answers,
    keep_secret,
    run_prefect_server,
    wait_for_answer,
    wait_for_server,
)
from verdict3d.errors import Verdict3DError
from verdict3d.processes.commands import supervised
from verdict3d.processes.signals import ending_at_signals

DATABASES = ("mlflow", "prefect")
USER = "verdict3d"
START_S = 120.0
POLL_S = 0.5
_DEBIAN = Path("/usr/lib/postgresql")


@dataclass(frozen=True)
class Ports:
    """Ports on 127.0.0.1."""

    postgres: int = 5433
    mlflow: int = 5000
    prefect: int = 4200


def run_services(project: Path, folder: Path, ports: Ports, say: Callable[[str], None]) -> None:
    """Run all three until a signal; say the variables that make runs use them.

    Args:
        project: The checkout.
        folder: Keeps the database cluster, its password, the artifacts of MLflow and the logs.
        ports: Where they listen.
        say: Prints a line for people.

    Raises:
        Verdict3DError: Something is missing, in use, or ended by itself.
    """
    environment = make_project_environment(project)
    with ending_at_signals(), contextlib.ExitStack() as stack:
        folder.mkdir(parents=True, exist_ok=True)
        say("starting PostgreSQL")
        database = stack.enter_context(run_postgres(folder, ports.postgres, environment))
        password = (folder / "password").read_text(encoding="utf-8")
        where = f"{USER}:{password}@127.0.0.1:{ports.postgres}"
        say("starting MLflow and Prefect")
        mlflow = stack.enter_context(
            run_mlflow_server(
                project,
                ports.mlflow,
                environment,
                f"postgresql://{where}/mlflow",
                artifacts=folder / "artifacts",
                log_file=folder / "mlflow.log",
            )
        )
        environment["PREFECT_API_DATABASE_CONNECTION_URL"] = f"postgresql+asyncpg://{where}/prefect"
        key_file = folder / KEY_FILE
        served = run_prefect_server(
            project, environment, folder / "prefect.log", say, port=ports.prefect, key_file=key_file
        )
        prefect = stack.enter_context(served)
        wait_for_server(prefect)
        say("ready; in another shell:\n")
        say(f"    export MLFLOW_TRACKING_URI=http://127.0.0.1:{ports.mlflow}")
        say(f"    export {ADDRESS}={prefect.url}")
        say(f'    export {KEY}="$(cat {shlex.quote(str(key_file))})"\n')
        say(f"Prefect's pages ask for the key in {key_file}")
        say(f"data and logs are in {folder}; Ctrl-C ends all three")
        while not prefect.gone.is_set() and all(process.poll() is None for process in (database, mlflow)):
            time.sleep(POLL_S)
        raise Verdict3DError(f"one of the servers ended by itself; the logs in {folder} say why")


@contextmanager
def run_mlflow_server(
    project: Path,
    port: int,
    environment: dict[str, str],
    store: str,
    *,
    artifacts: Path,
    log_file: Path,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run MLflow's server on loopback until the block ends.

    Args:
        project: Working directory, from which the paths in an embedded store start.
        port: Port on 127.0.0.1.
        environment: For the server.
        store: SQLAlchemy URL of its database.
        artifacts: Gets what clients send through the server.
        log_file: Gets its output.

    Raises:
        Verdict3DError: The port is in use, or it does not start.
    """
    url = f"http://127.0.0.1:{port}"
    if answers(url):
        raise Verdict3DError(f"port {port} is in use; choose another one for MLflow")
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--artifacts-destination", str(artifacts)]
    # the address of the store holds a password: other users see command lines, but no environments
    own = environment | {"MLFLOW_BACKEND_STORE_URI": store, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    own.pop("MLFLOW_TRACKING_URI", None)
    with supervised(command, cwd=project, environment=own, log_file=log_file) as process:
        wait_for_answer(f"{url}/health", process, "MLflow", log_file)
        yield process


@contextmanager
def run_postgres(folder: Path, port: int, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run PostgreSQL on loopback until the block ends, with a new cluster where ``folder`` has none."""
    programs, log_file, cluster = find_postgres(), folder / "postgres.log", folder / "postgres"
    if _listens(port):
        raise Verdict3DError(f"port {port} is in use; choose another one for PostgreSQL")
    if not (cluster / "PG_VERSION").is_file():
        _make_cluster(programs, folder, cluster, environment)
    command = [*_as_its_user(), str(programs / "postgres"), "-D", str(cluster), "-p", str(port)]
    command += ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
    with supervised(command, cwd=cluster.parent, environment=environment, log_file=log_file) as process:
        deadline = time.monotonic() + START_S
        while not _accepts(programs, port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Verdict3DError(f"PostgreSQL did not start; its output is in {log_file}")
            time.sleep(0.2)
        _make_databases(programs, folder, port)
        yield process


def find_postgres() -> Path:
    """Return the folder with PostgreSQL's server programs, the newest version first.

    Raises:
        Verdict3DError: There is none.
    """
    found = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    on_path = shutil.which("initdb")
    if found:
        return found[-1].parent
    if on_path:
        return Path(on_path).resolve().parent
    raise Verdict3DError("PostgreSQL is missing. Type:  sudo apt-get install -y postgresql")


def _make_cluster(programs: Path, folder: Path, cluster: Path, environment: dict[str, str]) -> None:
    """Make a cluster and its password; a half-made one is never used."""
    password = folder / "password"
    keep_secret(password)
    unfinished = folder / "postgres.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    if os.geteuid() == 0:
        for path in (unfinished, password):
            shutil.chown(path, "postgres", "postgres")
    command = [*_as_its_user(), str(programs / "initdb"), "-D", str(unfinished), "-U", USER]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", f"--pwfile={password}"]
    made = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise Verdict3DError(
            f"PostgreSQL cannot make its data folder below {folder}:\n{made.stderr.strip()}\n"
            "Its user must be able to reach that folder; choose another one with --folder."
        )
    unfinished.rename(cluster)


def _make_databases(programs: Path, folder: Path, port: int) -> None:
    """Make the databases of MLflow and Prefect, unless they are there."""
    connection = {"PGPASSWORD": (folder / "password").read_text(encoding="utf-8"), "PATH": os.defpath}
    psql = [str(programs / "psql"), "-h", "127.0.0.1", "-p", str(port), "-U", USER, "-d", "postgres", "-Atc"]
    listed = subprocess.check_output([*psql, "SELECT datname FROM pg_database"], env=connection, text=True)
    for name in DATABASES:
        if name not in listed.split():
            subprocess.run(
                [*psql, f"CREATE DATABASE {name}"], env=connection, check=True, capture_output=True
            )


def _as_its_user() -> list[str]:
    """Return what stands before a command of PostgreSQL: nothing, except for root."""
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []


def _accepts(programs: Path, port: int) -> bool:
    command = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    return subprocess.run(command, check=False).returncode == 0


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
