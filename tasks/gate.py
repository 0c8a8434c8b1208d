"""Stage ``gate``: PROMOTE, HOLD or REJECT for every candidate, by rules fixed in ``params.yaml``.

Collects the evidence from what the other stages left and hands it to :mod:`verdict3d.stats.gate`. What is not
there counts as not measured, which never promotes. The registry is not touched: ``verdict3d promote`` acts on
the decision.

Writes ``data/gate/``: ``evidence.json``, ``decision.json`` ({"schema", "champion", "rule", "arms": {arm:
decision}, "chosen": the arm to promote or None}) and ``metrics.json``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tasks.paths import CHALLENGE, DECISION, EVALUATE, GATE, LABEL, certificate_path, start_folder
from tasks.scoring.champion import questions, read_holdout
from tasks.stage import run_stage
from verdict3d.config import Params
from verdict3d.provenance import digest_json
from verdict3d.randomness import numpy_generator
from verdict3d.records.certificates import Certificate
from verdict3d.records.files import Row, read_json, write_json
from verdict3d.records.record import as_values, read_record, read_rows
from verdict3d.records.results import Labels, Results
from verdict3d.records.verdicts import HeldoutVerdict
from verdict3d.stats.conditions import Rule
from verdict3d.stats.gate import decide_all
from verdict3d.stats.tally import tally_rows
from verdict3d.stats.winrate import Answered, Scored


def run(params: Params, root: Path) -> None:
    """Decide on the candidates below ``root``."""
    rule, challenge = rule_of(params), read_json(root / CHALLENGE / "challenge.json")
    evidence = {arm: collect_evidence(params, root, arm, challenge) for arm in params.promotion.arms}
    arms = decide_all(evidence, rule, lambda name: numpy_generator(params.seed, "gate", name))
    start_folder(root / GATE)
    write_json(root / GATE / "evidence.json", evidence)
    write_json(
        root / DECISION,
        {
            "schema": "verdict3d/decision/1",
            "champion": challenge["champion"],
            "holdout": challenge["holdout"],
            "rule": asdict(rule),
            "evidence": digest_json(evidence),
            "adapters": {arm: evidence[arm]["adapter"] for arm in arms},
            "arms": arms,
            "chosen": chosen_arm(arms),
        },
    )
    write_json(root / GATE / "metrics.json", {arm: _headline(arms[arm]) for arm in arms})
    for arm, found in arms.items():
        print(f"{arm}: {found['decision']}" + "".join(f"\n  {reason}" for reason in found["reasons"]))


def rule_of(params: Params) -> Rule:
    """Return the rule that the parameters fix."""
    promotion = params.promotion
    return Rule(
        regime=promotion.regime,
        bar=promotion.bar,
        target=params.evaluate.target,
        test=promotion.test,
        alpha=promotion.alpha,
        objects=promotion.objects,
        margins=promotion.margins.model_dump(),
        category_objects=promotion.category_objects,
        gap_limit=promotion.limits.over_optimisation_gap,
        candidates_limit=promotion.limits.holdout_candidates,
        queries_limit=promotion.limits.holdout_queries,
        confidence=params.evaluate.confidence,
        resamples=params.evaluate.bootstrap,
    )


def collect_evidence(params: Params, root: Path, arm: str, challenge: Row) -> dict[str, Any]:
    """Return the evidence on one arm, as :func:`verdict3d.stats.gate.decide_all` takes it."""
    results = read_record(root / EVALUATE / arm / "results.json", Results)
    found, regime = challenge["arms"][arm], params.promotion.regime
    rows = read_rows(root / CHALLENGE / arm / "verdicts.jsonl", HeldoutVerdict)
    order = found["objects"]

    def tally(verdicts: Sequence[Answered]) -> list[list[Any]] | None:
        return tally_rows(verdicts, order) or None

    colours = root / CHALLENGE / arm / "texture.jsonl"
    texture = read_rows(colours, HeldoutVerdict) if found["texture"] else []
    used = {**read_holdout(root).get(challenge["holdout"], {})}
    used.pop(found["adapter"], None)
    own = results.holdout_queries + questions(rows, texture)
    return {
        "champion": challenge["champion"],
        "adapter": found["adapter"],
        "categories": {row.object: row.category for row in rows},
        "tallies": {
            "primary": tally([row for row in rows if row.regime == regime]),
            "clean": tally([row for row in rows if row.regime == "clean"]),
            "texture": tally(texture),
            "validity": tally([which_is_made(row) for row in rows]),
        },
        "certificates": certificates(params, root, challenge["judge"]),
        "gap": results.regimes[params.promotion.regime].over_optimisation_gap.model_dump(),
        "holdout": {
            "candidates": len(used) + 1,
            "queries": own + sum(used.values()),
            "own": own,
        },
    }


def which_is_made(row: HeldoutVerdict) -> Scored:
    """Return who has a mesh where the other has none."""
    mine, theirs = row.arm.failure is None, row.base.failure is None
    return Scored(row.object, "tie" if mine == theirs else "win" if mine else "loss")


def certificates(params: Params, root: Path, evaluation_judge: str) -> dict[str, Row]:
    """Return what the certificates of both judges say, each for the judge that was really used."""
    used = {
        "training": read_record(root / LABEL / "metrics.json", Labels).judge.digest,
        "evaluation": evaluation_judge,
    }
    if params.audit.allow_uncertified:
        words = "audit.allow_uncertified is on: judges were used whatever their audit said"
        return {role: {"state": "open", "words": words} for role in used}
    return {role: _certificate(root, role, digest) for role, digest in used.items()}


def _certificate(root: Path, role: str, judge: str) -> Row:
    path = root / certificate_path(role)
    if not path.exists():
        return {"state": "open", "words": "it has no certificate; the audit stage writes one"}
    certificate = read_record(path, Certificate)
    if certificate.judge.digest != judge:
        return {"state": "open", "words": "its certificate is for another judge; run the audit stage again"}
    if not certificate.passed:
        return {"state": "open", "words": f"its audit failed: {'; '.join(certificate.reasons)}"}
    return {
        "state": "met",
        "words": "its certificate is valid",
        "digest": digest_json(as_values(certificate)),
    }


def chosen_arm(arms: Mapping[str, Row]) -> str | None:
    """Return the arm to promote: of those that may be, the one with the best half-credit."""
    passed = {
        arm: _headline(found)["half_credit"] for arm, found in arms.items() if found["decision"] == "PROMOTE"
    }
    return max(sorted(passed), key=lambda arm: passed[arm]) if passed else None


def _headline(decision: Row) -> Row:
    bar = next(condition for condition in decision["conditions"] if condition["name"] == "bar")
    return {
        "decision": decision["decision"],
        "half_credit": bar["measured"].get("value"),
        "more_objects": decision["more_objects"],
        "conditions_met": sum(condition["state"] == "met" for condition in decision["conditions"]),
        "conditions": len(decision["conditions"]),
    }


if __name__ == "__main__":
    run_stage(run)
