"""Stage ``gate``: PROMOTE, HOLD or REJECT for every candidate, by rules fixed in ``params.yaml``.

Collects the evidence from what the other stages left and hands it to :mod:`verdict3d.stats.gate`. What is not
there counts as not measured, which never promotes. The registry is not touched: ``verdict3d promote`` acts on
the decision.

Writes ``data/gate/``: ``evidence.json`` and ``decision.json`` (:mod:`verdict3d.records.decisions`) and
``metrics.json``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tasks.paths import CHALLENGE, DECISION, EVALUATE, GATE, LABEL, start_folder
from tasks.scoring.holdout import read_earlier, use_of
from tasks.scoring.people import tally_people
from tasks.stage import run_stage
from verdict3d.config import Params
from verdict3d.project import locate_certificate
from verdict3d.provenance import digest_json
from verdict3d.randomness import numpy_generator
from verdict3d.records.certificates import Certificate
from verdict3d.records.decisions import (
    ArmDecision,
    CertificateState,
    Challenge,
    Counts,
    Decision,
    Evidence,
    EvidenceByArm,
    ObjectEvidence,
    Total,
)
from verdict3d.records.files import write_json
from verdict3d.records.record import as_values, read_record, read_rows, write_record
from verdict3d.records.results import Labels
from verdict3d.records.verdicts import HeldoutVerdict
from verdict3d.stats.gate import choose_bar, decide_all, summarise_half_credit
from verdict3d.stats.rule import make_rule
from verdict3d.stats.tally import Tally, count_sets, tally_rows, tally_sets
from verdict3d.stats.winrate import Scored

NOBODY = "nobody has voted on it and the champion"
NO_COLOUR = "there are no montages in colour, or the evaluation judge is not certified for colour"


def run(params: Params, root: Path) -> None:
    """Decide on the candidates below ``root``."""
    rule, challenge = make_rule(params), read_record(root / CHALLENGE / "challenge.json", Challenge)
    evidence = {arm: collect_evidence(params, root, arm, challenge) for arm in params.promotion.arms}
    arms = decide_all(evidence, rule, lambda name: numpy_generator(params.seed, "gate", name))
    start_folder(root / GATE)
    document = EvidenceByArm(arms=evidence)
    write_record(root / GATE / "evidence.json", document)
    decision = Decision(
        champion=challenge.champion,
        holdout=challenge.holdout,
        rule=rule,
        evidence=digest_json(as_values(document)),
        adapters={arm: evidence[arm].adapter for arm in arms},
        arms=arms,
        chosen=choose_arm(arms),
    )
    write_record(root / DECISION, decision)
    write_json(root / GATE / "metrics.json", {arm: _select_headline(arms[arm]) for arm in arms})
    for arm, found in arms.items():
        print(f"{arm}: {found.decision}" + "".join(f"\n  {reason}" for reason in found.reasons))


def collect_evidence(params: Params, root: Path, arm: str, challenge: Challenge) -> Evidence:
    """Return the evidence on one arm."""
    found, regime = challenge.arms[arm], params.promotion.regime
    rows = read_rows(root / CHALLENGE / arm / "verdicts.jsonl", HeldoutVerdict)
    untested = {}
    texture: list[HeldoutVerdict] = []
    if found.texture:
        texture = read_rows(root / CHALLENGE / arm / "texture.jsonl", HeldoutVerdict)
    else:
        untested["texture"] = NO_COLOUR
    if all(measure_gain(row) is None for row in rows):
        untested["truth"] = "no true mesh is known"
    here, clean = ([row for row in rows if row.regime == name] for name in (regime, "clean"))
    people = tally_people(here, arm, params.seed, root)
    if people is None:
        untested["people"] = NOBODY
    views = params.judges.evaluation.views
    primary, on_clean, colours = (
        count_by_object(tally_sets(answered, found.objects, views)) for answered in (here, clean, texture)
    )
    validity = count_by_object(tally_rows([compare_made(row) for row in rows], found.objects))
    gain, clean_gain = (
        total_by_object((row.object, measure_gain(row)) for row in some) for some in (here, clean)
    )
    gap = total_by_object(measure_training_gaps(params, root, arm))
    none, nothing = (0, 0, 0), (0.0, 0)
    categories = {row.object: row.category for row in rows}
    return Evidence(
        champion=challenge.champion,
        adapter=found.adapter,
        objects=[
            ObjectEvidence(
                object=name,
                category=categories[name],
                primary=primary.get(name, none),
                clean=on_clean.get(name, none),
                texture=colours.get(name, none),
                validity=validity.get(name, none),
                f_score=gain.get(name, nothing),
                clean_f_score=clean_gain.get(name, nothing),
                gap=gap.get(name, nothing),
            )
            for name in found.objects
        ],
        untested=untested,
        certificates=read_certificates(params, root, challenge.judge),
        people=people,
        holdout=use_of(found.adapter, challenge.holdout, read_earlier(root)),
    )


def count_by_object(tally: Tally) -> dict[str, Counts]:
    """Return wins, losses and ties by object."""
    return {name: (wins, losses, ties) for name, wins, losses, ties in tally}


def total_by_object(differences: Iterable[tuple[str, float | None]]) -> dict[str, Total]:
    """Return the sum of the known differences and their number by object."""
    totals: dict[str, Total] = {}
    for name, difference in differences:
        if difference is not None:
            total, pairs = totals.get(name, (0.0, 0))
            totals[name] = (total + difference, pairs + 1)
    return totals


def measure_gain(row: HeldoutVerdict) -> float | None:
    """Return the candidate's F-score minus the champion's; None where either is not known."""
    mine, theirs = row.arm.f_score, row.base.f_score
    return None if mine is None or theirs is None else mine - theirs


def measure_training_gaps(params: Params, root: Path, arm: str) -> list[tuple[str, float | None]]:
    """Return (object, training judge's credit minus evaluation judge's) of each pair with the base."""
    credits = []
    for name, judge in (("verdicts", params.judges.evaluation), ("training_judge", params.judges.training)):
        rows = read_rows(root / EVALUATE / arm / f"{name}.jsonl", HeldoutVerdict)
        here = [row for row in rows if row.regime == params.promotion.regime]
        credits.append([(row.object, average_credit(row, judge.views)) for row in here])
    return [
        (name, None if mine is None or theirs is None else theirs - mine)
        for (name, mine), (_, theirs) in zip(*credits, strict=True)
    ]


def average_credit(row: HeldoutVerdict, views: int) -> float | None:
    """Return the mean credit of a verdict's view sets; None where it is invalid."""
    if row.outcome == "invalid":
        return None
    wins, losses, ties = count_sets(row, views)
    return (wins + 0.5 * ties) / (wins + losses + ties)


def compare_made(row: HeldoutVerdict) -> Scored:
    """Return who has a mesh where the other has none."""
    mine, theirs = row.arm.failure is None, row.base.failure is None
    return Scored(row.object, "same" if mine == theirs else "win" if mine else "loss")


def read_certificates(params: Params, root: Path, evaluation_judge: str) -> dict[str, CertificateState]:
    """Return what the certificates of both judges say, each for the judge that was really used."""
    used = {
        "training": read_record(root / LABEL / "metrics.json", Labels).judge.digest,
        "evaluation": evaluation_judge,
    }
    if params.audit.allow_uncertified:
        words = "audit.allow_uncertified is on: judges were used whatever their audit said"
        return {role: _without_certificate(words) for role in used}
    return {role: _read_certificate(root, role, digest) for role, digest in used.items()}


def _read_certificate(root: Path, role: str, judge: str) -> CertificateState:
    path = root / locate_certificate(role)
    if not path.exists():
        return _without_certificate("it has no certificate; the audit stage writes one")
    certificate = read_record(path, Certificate)
    if certificate.judge.digest != judge:
        return _without_certificate("its certificate is for another judge; run the audit stage again")
    if not certificate.passed:
        return _without_certificate(f"its audit failed: {'; '.join(certificate.reasons)}")
    digest = digest_json(as_values(certificate))
    return CertificateState(state="met", words="its certificate is valid", digest=digest)


def _without_certificate(why: str) -> CertificateState:
    return CertificateState(state="open", words=why, digest=None)


def choose_arm(arms: Mapping[str, ArmDecision]) -> str | None:
    """Return the arm to promote: of those that may be, the one with the best half-credit."""
    passed = {arm: summarise_half_credit(found) for arm, found in arms.items() if found.decision == "PROMOTE"}
    return max(sorted(passed), key=lambda arm: passed[arm]) if passed else None


def _select_headline(decision: ArmDecision) -> dict[str, Any]:
    return {
        "decision": decision.decision,
        "half_credit": choose_bar(decision).measured.get("value"),
        "outlook": [chance.model_dump() for chance in decision.outlook.chances] if decision.outlook else None,
        "conditions_met": sum(condition.state == "met" for condition in decision.conditions),
        "conditions": len(decision.conditions),
    }


if __name__ == "__main__":
    run_stage(run)
