"""The audit alone: its stages and what they need through DVC, without the rest of the chain.

On the objects alone it takes a minute or two and generates nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flows.chain.dvc_stages import read_stage_graph, run_stage_through_dvc
from flows.chain.environment import make_project_environment
from flows.chain.outside_files import watch_generators
from flows.chain.own_meshes import watch_own_meshes
from flows.processes.run_lock import recover_dvc_locks, run_lock
from tasks.paths import CONTROLS
from verdict3d.config import load_params
from verdict3d.config_judges import JudgeRole
from verdict3d.errors import Verdict3DError
from verdict3d.project import Workspace, audit_path, locate_certificate
from verdict3d.records.certificates import Certificate
from verdict3d.records.record import read_record


def audit_judges(
    workspace: Workspace, say: Callable[[str], None], generated: bool = False
) -> list[Certificate]:
    """Bring the audits of ``workspace`` up to date and return the certificates, by role.

    Args:
        workspace: Whose objects and judges.
        say: Hears of every stage.
        generated: Whether the judges are asked about generations too, which have to be made for it.

    Raises:
        Verdict3DError: A stage failed, or another run holds the checkout.
    """
    environment = make_project_environment(workspace.project)
    with run_lock(workspace.state / "run.lock", say) as lock:
        recover_dvc_locks(workspace.root)
        watch_own_meshes(workspace)
        watch_generators(workspace)
        graph = read_stage_graph(workspace.root, environment)
        for stage in select_needed(graph, "certify" if generated else "audit"):
            done = run_stage_through_dvc(
                stage,
                root=workspace.root,
                environment=environment,
                say=say,
                log_file=workspace.state / "logs" / (workspace.preset or "default") / f"{stage}.log",
                lock_descriptor=lock,
            )
            say(f"{stage}: {done.outcome} ({done.seconds:.1f} s)")
    roles = load_params(workspace.root / "params.yaml").audit.roles
    path = locate_certificate if generated else audit_path
    return [read_record(workspace.root / path(role), Certificate) for role in roles]


def select_needed(graph: Mapping[str, set[str]], stage: str) -> list[str]:
    """Return the items of a stage (``stage@item``) and all that they need, in an order that works."""
    wanted = {name for name in graph if name.partition("@")[0] == stage}
    for name in reversed(list(graph)):
        if name in wanted:
            wanted |= graph[name]
    return [name for name in graph if name in wanted]


def drill(workspace: Workspace, role: JudgeRole, fault: str) -> Certificate:
    """Return the certificate of a planted bad judge; the controls must have been drawn before.

    Raises:
        Verdict3DError: They have not.
    """
    from tasks import audit

    if not (workspace.root / CONTROLS / "pairs.jsonl").is_file():
        raise Verdict3DError("the controls have not been drawn yet; `verdict3d audit` does it")
    return audit.drill(load_params(workspace.root / "params.yaml"), workspace.root, role, fault)
