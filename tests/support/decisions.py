"""Decisions of the real gate, on verdicts made by hand that lead to the wanted word."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from support.rows import filled
from support.toy_chain import ARM
from tasks.scoring.champion import read_champion
from verdict3d.config import load_params
from verdict3d.provenance import digest_json
from verdict3d.records.adapters import adapter_identity
from verdict3d.records.decisions import CertificateState, Decision, Evidence, ObjectEvidence
from verdict3d.records.holdout import HoldoutSet, HoldoutUse
from verdict3d.records.record import write_record
from verdict3d.stats.gate import decide_all
from verdict3d.stats.rule import make_rule


def decided(root: Path, word: str, certified: bool = True, arm: str = ARM) -> None:
    """Let the gate decide on evidence that leads to ``word``, against the champion below ``root``."""
    rule = make_rule(load_params(root / "params.yaml"))
    share = {"PROMOTE": 0.875, "HOLD": 0.5625, "REJECT": 0.09375}[word]
    wins, order = round(share * rule.objects), [f"o{number:03d}" for number in range(rule.objects)]
    state = CertificateState(
        state="met" if certified else "open", words="it has no certificate", digest="0" if certified else None
    )
    evidence = Evidence(
        champion=read_champion(root),
        adapter=adapter_identity(root / f"data/train/{arm}"),
        objects=[
            filled(
                ObjectEvidence,
                object=name,
                category="chair",
                primary=(int(place < wins), int(place >= wins), 0),
                **dict.fromkeys(("clean", "texture", "validity"), (0, 0, 1)),
                f_score=(0.05 if place < wins else -0.02, 1),
                clean_f_score=(0.0, 1),
                gap=(0.2 * (-1) ** place, 1),
            )
            for place, name in enumerate(order)
        ],
        untested={},
        people=None,
        certificates={"training": state, "evaluation": state},
        holdout=HoldoutUse(candidates=1, queries=10, looks=1),
    )
    arms = decide_all({arm: evidence}, rule, lambda name: np.random.default_rng(1))
    assert arms[arm].decision == word, arms[arm].reasons
    decision = Decision(
        champion=evidence.champion,
        holdout=HoldoutSet(objects=["o1", "o2"], arms={evidence.adapter: 10}, audits={"judge": 4}),
        rule=rule,
        evidence=digest_json(evidence.model_dump()),
        adapters={arm: evidence.adapter},
        arms=arms,
        chosen=arm if word == "PROMOTE" else None,
    )
    write_record(root / "data/gate/decision.json", decision)
