"""The gate: may an adapted model replace the champion? ``verdict3d.gate.decide`` answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from verdict3d.errors import Verdict3DError
from verdict3d.records.decisions import ArmDecision, Evidence, EvidenceByArm, Rule

__all__ = ["ArmDecision", "Evidence", "Rule", "decide", "read_evidence", "read_rule"]


def decide(
    evidence: Mapping[str, Evidence] | str | Path, rule: Rule | None = None, *, seed: int | None = None
) -> dict[str, ArmDecision]:
    """Decide on the candidates of one run: PROMOTE, HOLD or REJECT each, and why.

    A pure function: nothing is read beside what is given, nothing is moved. The candidates share the rule's
    level by Holm's procedure.

    Args:
        evidence: What was measured of each candidate, by arm, or the ``evidence.json`` that the stage
            ``gate`` wrote.
        rule: What was fixed beforehand. None: the rule of the ``params.yaml`` that belongs to this package.
        seed: Of the bootstraps. None: the seed of the same file, so that the stage's decision is repeated.

    Returns:
        The decision on each arm: ``decision``, ``reasons``, every condition with what was measured.

    Raises:
        Verdict3DError: The file is not there or holds no evidence, or there is no candidate.
    """
    from verdict3d.config import load_params
    from verdict3d.project import PARAMETERS, find_models
    from verdict3d.randomness import numpy_generator
    from verdict3d.stats.gate import decide_all
    from verdict3d.stats.rule import make_rule

    if isinstance(evidence, str | Path):
        evidence = read_evidence(evidence)
    if not evidence:
        raise Verdict3DError("there is no candidate to decide on; give the evidence on one arm at least")
    if rule is None or seed is None:
        params = load_params(find_models() / PARAMETERS)
        rule, seed = rule or make_rule(params), params.seed if seed is None else seed
    start = seed
    return decide_all(evidence, rule, lambda name: numpy_generator(start, "gate", name))


def read_evidence(path: str | Path) -> dict[str, Evidence]:
    """Return the evidence by arm from the ``evidence.json`` of a run.

    Raises:
        Verdict3DError: The file is missing or is no such record.
    """
    from verdict3d.records.record import read_record

    return dict(read_record(path, EvidenceByArm).arms)


def read_rule(path: str | Path) -> Rule:
    """Return the rule that a ``params.yaml`` fixes.

    Raises:
        Verdict3DError: The file is missing or does not fit.
    """
    from verdict3d.config import load_params
    from verdict3d.stats.rule import make_rule

    return make_rule(load_params(path))
