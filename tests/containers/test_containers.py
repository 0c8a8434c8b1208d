"""What can be held of the container files without an engine, and what their services run, run here."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.chain.environment import TELEMETRY_OFF, make_project_environment
from flows.service.services import DATABASES, USER, find_postgres, run_postgres
from support.loopback import answers, free_port, wait_until
from support.places import ROOT
from support.prefect_api import ASK_S, PrefectApi
from support.toy_chain import write_toy_chain
from verdict3d.errors import Verdict3DError

FOLDER = ROOT / "containers"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
DOCKERFILE = (FOLDER / "Dockerfile").read_text()
START = FOLDER / "start.sh"
PREFECT_PASSWORD = "of-the-test"


def test_an_image_reports_nothing_and_runs_as_nobody_special() -> None:
    base, *_ = re.findall(r"(?ms)^FROM \S+ AS base\n(.*?)^FROM", DOCKERFILE)
    assert dict(re.findall(r"([A-Z_]+)=(true|false|0|1)\b", base)).items() >= TELEMETRY_OFF.items()
    assert re.findall(r"(?m)^USER (\d+):(\d+)$", DOCKERFILE) == [("10001", "10001")]
    assert {"cpu", "cuda"} <= set(re.findall(r"(?m)^FROM base AS (\w+)$", DOCKERFILE))
    assert "requirements.lock" in DOCKERFILE


def test_an_image_gets_what_a_run_reads_and_nothing_else() -> None:
    lines = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*" and rules[-1] == "**/__pycache__"
    wanted = [rule.removeprefix("!") for rule in rules[1:-1]]
    assert [name for name in wanted if not list(ROOT.glob(name))] == []
    copied = {
        word for line in re.findall(r"(?m)^COPY (?!--from)(.+) \S+$", DOCKERFILE) for word in line.split()
    }
    assert copied - {"."} <= set(wanted)
    kept = {path.relative_to(ROOT).as_posix() for path in (ROOT / "data").rglob("README.md")}
    assert kept <= set(wanted)  # DVC wants the folders that these keep
    assert {"verdict3d", "tasks", "flows", "presets", "data/checkpoints", "dvc.yaml", "params.yaml"} <= set(
        wanted
    )


def test_ports_are_published_on_loopback_alone_and_only_with_a_key() -> None:
    published = {name: service.get("ports", []) for name, service in SERVICES.items()}
    assert {name for name, ports in published.items() if ports} == {"prefect"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    assert {name for name, service in SERVICES.items() if service["networks"] != ["inside"]} == {"prefect"}


def test_passwords_are_files_and_no_service_may_gain_rights() -> None:
    named = {name for service in SERVICES.values() for name in service.get("secrets", [])}
    assert named == set(COMPOSE["secrets"])
    assert all(secret["file"].startswith("./secrets/") for secret in COMPOSE["secrets"].values())
    assert "/containers/secrets/" in (ROOT / ".gitignore").read_text()
    for service in SERVICES.values():
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not any(
            "password" in name.lower() for name in service.get("environment", {}) if name[-5:] != "_FILE"
        )


def test_services_wait_for_each_other_s_health_and_run_what_the_image_knows() -> None:
    known = re.findall(r"(?m)^([a-z]+)\)$", START.read_text())
    for service in SERVICES.values():
        assert set(service.get("command", [])) <= set(known)
        for name, condition in service.get("depends_on", {}).items():
            assert condition == {"condition": "service_healthy"} and "healthcheck" in SERVICES[name]
    created = re.findall(r"CREATE DATABASE (\w+);", (FOLDER / "databases.sql").read_text())
    assert tuple(created) == DATABASES


class Container:
    """Calls ``start.sh`` as a container would, with folders and ports of the test."""

    def __init__(self, folder: Path, code: Path, postgres: int) -> None:
        self.folder, self.ports = folder, {"mlflow": free_port(), "prefect": free_port()}
        self.project = folder / "project"
        for name in ("project", "artifacts", "home"):
            (folder / name).mkdir()
        (folder / "prefect_password").write_text(PREFECT_PASSWORD)
        self.environment = make_project_environment(self.project) | {
            "PREFECT_HOME": str(folder / "home"),
            "VERDICT3D_ARTIFACTS": str(folder / "artifacts"),
            "VERDICT3D_CODE": str(code),
            "VERDICT3D_HOST": "127.0.0.1",
            "VERDICT3D_POSTGRES": f"127.0.0.1:{postgres}",
            "VERDICT3D_PROJECT": str(self.project),
            "VERDICT3D_SECRETS": str(folder),
        }
        self.environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self.address = {
            "PREFECT_API_URL": f"http://127.0.0.1:{self.ports['prefect']}/api",
            "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{self.ports['mlflow']}",
        }

    @contextlib.contextmanager
    def running(self, service: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a service until the block ends; its output is in a file of its name."""
        own = {"VERDICT3D_PORT": str(self.ports[service])} if service in self.ports else self.address
        with (self.folder / f"{service}.log").open("wb") as log:
            command = [str(START), *SERVICES[service]["command"]]
            started = subprocess.Popen(
                command, cwd=self.folder, env=self.environment | own, stdout=log, stderr=log
            )
            try:
                yield started
            finally:
                started.terminate()
                started.wait(60)

    def wait_for_health(self, service: str, process: subprocess.Popen[bytes]) -> None:
        """Ask what the compose file asks, until it is content."""
        program, *arguments = SERVICES[service]["healthcheck"]["test"][1:]
        told = [re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{self.ports[service]}", word) for word in arguments]

        def healthy() -> bool:
            assert process.poll() is None, (self.folder / f"{service}.log").read_text()
            asked = subprocess.run([program, *told], env=self.environment, capture_output=True, check=False)
            return asked.returncode == 0

        wait_until(healthy, service, poll_s=ASK_S)

    def call(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(START), *command],
            cwd=self.folder,
            env=self.environment | self.address,
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )


@pytest.mark.services
@pytest.mark.timeout(900)
def test_the_services_do_outside_a_container_what_they_are_there_for(tmp_path: Path) -> None:
    try:
        find_postgres()
    except Verdict3DError as error:
        pytest.skip(str(error))
    code, port = write_toy_chain(tmp_path / "code"), free_port()
    with tempfile.TemporaryDirectory(prefix="verdict3d-containers-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o711)  # root runs PostgreSQL as another user, who must get through
        stack.enter_context(run_postgres(folder, port, dict(os.environ)))
        (folder / "password").rename(folder / "postgres_password")
        container = Container(folder, code, port)
        for service in ("mlflow", "prefect"):
            container.wait_for_health(service, stack.enter_context(container.running(service)))
        assert answers(f"{container.address['MLFLOW_TRACKING_URI']}/health")

        done = container.call("verdict3d", "run")
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"recorded in MLflow ({container.address['MLFLOW_TRACKING_URI']})" in done.stdout + done.stderr
        api = PrefectApi(container.address["PREFECT_API_URL"], f"{USER}:{PREFECT_PASSWORD}")
        assert [run["state"]["type"] for run in api.ask("/flow_runs/filter", {})] == ["COMPLETED"]
        assert list((folder / "artifacts").rglob("adapter_model.safetensors"))

        # code of another image takes the place of the old, and what a user has changed stays
        params = container.project / "params.yaml"
        params.write_text(params.read_text().replace("seed: ", "seed: 1"))
        (container.project / "tasks/gone.py").write_text("")
        changed = params.read_text()
        with container.running("worker") as worker:

            def is_served() -> bool:
                assert worker.poll() is None, (folder / "worker.log").read_text()
                rows = api.ask("/deployments/filter", {})
                return [(row["status"], row["work_pool_name"]) for row in rows] == [("READY", "verdict3d")]

            wait_until(is_served, "the deployment", poll_s=ASK_S)
        assert params.read_text() == changed and not (container.project / "tasks/gone.py").exists()
        said = "".join((folder / f"{one}.log").read_text() for one in ("mlflow", "prefect", "worker"))
        password = (folder / "postgres_password").read_text()
        assert password not in said and PREFECT_PASSWORD not in said


def test_a_job_of_the_kubernetes_pool_runs_the_same_flow_as_the_same_user() -> None:
    (mine,) = yaml.safe_load((FOLDER / "kubernetes/prefect.yaml").read_text())["deployments"]
    (usual,) = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    own = ("work_pool", "schedules")
    assert {name: value for name, value in mine.items() if name not in own} == {
        name: value for name, value in usual.items() if name not in own
    }
    variables = mine["work_pool"]["job_variables"]["env"]
    assert variables.items() >= usual["work_pool"]["job_variables"]["env"].items()

    pool = json.loads((FOLDER / "kubernetes/work-pool.json").read_text())
    text = json.dumps(pool["job_configuration"])
    assert set(re.findall(r"\{\{ (\w+) \}\}", text)) == set(pool["variables"]["properties"])
    pod = pool["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]
    ((user, group),) = re.findall(r"(?m)^USER (\d+):(\d+)$", DOCKERFILE)
    assert (pod["securityContext"]["runAsUser"], pod["securityContext"]["fsGroup"]) == (int(user), int(group))
    (container,) = pod["containers"]
    assert container["volumeMounts"] == [{"name": "project", "mountPath": variables["VERDICT3D_PROJECT"]}]


def test_the_worker_in_kubernetes_may_do_nothing_but_make_jobs_and_read() -> None:
    things = list(yaml.safe_load_all((FOLDER / "kubernetes/worker.yaml").read_text()))
    (role,) = (thing for thing in things if thing["kind"] == "Role")
    writable = [rule["resources"] for rule in role["rules"] if set(rule["verbs"]) - {"get", "list", "watch"}]
    assert writable == [["jobs"]]
    (worker,) = (thing for thing in things if thing["kind"] == "Deployment")
    (container,) = worker["spec"]["template"]["spec"]["containers"]
    assert {"name": "DO_NOT_TRACK", "value": "true"} in container["env"]
    pool = container["args"][container["args"].index("--pool") + 1]
    (deployment,) = yaml.safe_load((FOLDER / "kubernetes/prefect.yaml").read_text())["deployments"]
    assert deployment["work_pool"]["name"] == pool


def test_a_ray_job_wants_a_token_one_version_of_ray_and_a_volume_that_all_pods_write_to() -> None:
    claim, job = yaml.safe_load_all((FOLDER / "cluster/rayjob.yaml").read_text())
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    cluster = job["spec"]["rayClusterSpec"]
    (version,) = re.findall(r"(?m)^ray==(\S+)", (ROOT / "requirements-dev.lock").read_text())
    assert cluster["authOptions"] == {"mode": "token"} and cluster["rayVersion"] == version
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        assert {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"} in container["env"]
        assert pod["securityContext"]["runAsUser"] == 10001 and not pod["automountServiceAccountToken"]
        assert container["volumeMounts"] == [{"name": "project", "mountPath": "/srv/verdict3d"}]
        (volume,) = pod["volumes"]
        assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert job["spec"]["entrypoint"].endswith("VERDICT3D_EXECUTOR=ray verdict3d run --preset full")


def test_a_slurm_job_starts_ray_once_a_node_with_a_token_and_then_the_command(tmp_path: Path) -> None:
    """SLURM's and Ray's commands only write down how they were called."""
    log = tmp_path / "log"
    says = {
        "srun": f'echo "srun $*" >> {log}',
        "ray": f'echo "ray $*" >> {log}',
        "hostname": 'if [ $# -gt 0 ]; then echo "10.0.0.1 10.1.0.1"; else echo node1; fi',
    }
    for name, line in says.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    paths = [str(tmp_path), str(Path(sys.executable).parent), os.environ["PATH"]]
    job = {"SLURM_JOB_ID": "77", "SLURM_JOB_NUM_NODES": "3", "SLURM_SUBMIT_DIR": str(tmp_path)}
    script = [str(FOLDER / "cluster/slurm.sh"), "sh", "-c", 'env > "$PWD/env"']
    subprocess.run(script, env={**os.environ, **job, "PATH": os.pathsep.join(paths)}, check=True, timeout=60)
    called = log.read_text().splitlines()
    (head,) = [line for line in called if "--head" in line]
    assert "--nodelist=node1" in head and "--node-ip-address=10.0.0.1 --port=20077" in head
    assert "--temp-dir=/tmp/ray-77" in head
    (others,) = [line for line in called if "--exclude=node1" in line]
    assert "--nodes=2 --ntasks=2" in others and others.endswith("ray start --address=10.0.0.1:20077 --block")
    given = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines() if "=" in line)
    assert given["RAY_ADDRESS"] == "10.0.0.1:20077" and given["VERDICT3D_EXECUTOR"] == "ray"
    assert given["RAY_AUTH_MODE"] == "token" and len(given["RAY_AUTH_TOKEN"]) == 64
