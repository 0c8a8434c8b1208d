"""Promotion and rollback from the command line: bring the decision up to date, then act on it."""

from __future__ import annotations

from typing import Any

from flows.chain.dvc_stages import find_changed_stages
from flows.chain.environment import make_project_environment
from flows.chain.promotion_step import Say, call_promotion, refresh_champion, tell
from flows.chain.run import run_chain
from flows.processes.run_lock import run_lock
from tasks.paths import GATE
from verdict3d.config import load_params
from verdict3d.errors import Verdict3DError
from verdict3d.project import Workspace
from verdict3d.records.promotion import Promotion, PromotionRecord, Rollback
from verdict3d.records.record import as_values
from verdict3d.view.words import say_outlook


def promote_candidate(
    workspace: Workspace, arm: str, reason: str, say: Say, *, to_stderr: bool = False
) -> dict[str, Any]:
    """Compare the candidates with the champion of this moment, decide, and act on the decision.

    Args:
        workspace: Where the results are.
        arm: The candidate; "" for the one the gate chooses.
        reason: Why the champion is moved whatever the gate says; "" to do as it says.
        say: Prints a line.
        to_stderr: What a run of the chain prints goes to standard error.

    Returns:
        What was done, a :class:`~verdict3d.records.promotion.Promotion` as JSON values.
    """
    environment = make_project_environment(workspace.project)
    with run_lock(workspace.state / "run.lock", say) as lock:
        refresh_champion(workspace, environment, lock, say, needed=True)
        stale = find_changed_stages(workspace.root, environment)
    if stale:
        run_chain(workspace, say=say, to_stderr=to_stderr)
    with run_lock(workspace.state / "run.lock", say) as lock:
        return as_values(act_on_decision(workspace, environment, lock, say, arm, reason))


def act_on_decision(
    workspace: Workspace,
    environment: dict[str, str],
    lock: int,
    say: Say,
    arm: str = "",
    reason: str = "",
) -> Promotion:
    """Act on the gate's decision as it is, print it and tell the webhook; needs the run lock."""
    done = call_promotion(workspace, environment, lock, say, Promotion, "promote", arm, reason)
    decision = done.record.decision
    mine = decision.arms[done.arm]
    lines = [f"{done.decision}: {done.arm} against {decision.champion.name}"]
    lines += [f"  {why}" for why in mine.reasons]
    lines += [f"  {words}" for words in say_outlook(mine)]
    if done.moved:
        lines.append(f"champion: version {done.version}")
    elif done.version:
        lines.append(f"challenger: version {done.version}; the champion stays")
    facts = done.model_dump(include={"arm", "decision", "version", "moved", "digest"})
    tell(workspace, "\n".join(lines), {**facts, "reasons": mine.reasons}, say)
    return done


def explain_decision(workspace: Workspace, arm: str) -> str:
    """Return the last decision in full, for people, from files alone."""
    from tasks.registry.promotion_record import explain

    return explain(_make_record(workspace, arm))


def read_decision(workspace: Workspace, arm: str) -> dict[str, Any]:
    """Return the last decision as JSON values, from files alone: ``arm``, ``decision`` and the ``record``."""
    record = _make_record(workspace, arm)
    arm = record.candidate.arm
    return {"arm": arm, "decision": record.decision.arms[arm].decision, "record": as_values(record)}


def _make_record(workspace: Workspace, arm: str) -> PromotionRecord:
    from tasks.registry.promotion_record import make_record

    if not (workspace.root / GATE).exists():
        raise Verdict3DError(f"no decision yet; `verdict3d run{workspace.option}` makes one")
    return make_record(load_params(workspace.root / "params.yaml"), workspace.root, arm)


def roll_back(workspace: Workspace, to: str, reason: str, say: Say) -> dict[str, Any]:
    """Restore the previous champion, or the version ``to``; return ``from`` and ``champion``, as JSON."""
    environment = make_project_environment(workspace.project)
    with run_lock(workspace.state / "run.lock", say) as lock:
        done = call_promotion(workspace, environment, lock, say, Rollback, "rollback", to, reason)
    before = "the base" if done.before is None else f"version {done.before}"
    text = f"rolled back from {before} to {done.champion.name}"
    tell(workspace, text, {"from": done.before, "to": done.champion.version, "reason": reason}, say)
    return {"from": done.before, "champion": done.champion.model_dump()}
