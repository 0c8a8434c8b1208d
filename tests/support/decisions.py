"""Decisions of the real gate, on verdicts made by hand that lead to the wanted word."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from support.toy_chain import ARM
from tasks.gate import rule_of
from tasks.scoring.champion import read_champion
from verdict3d.config import load_params
from verdict3d.provenance import digest_json
from verdict3d.records.adapters import adapter_identity
from verdict3d.records.numbers import Interval
from verdict3d.records.promotion import CertificateState, Decision, Evidence, HoldoutUse, Tallies
from verdict3d.records.record import write_record
from verdict3d.stats.gate import decide_all


def decided(root: Path, word: str, certified: bool = True) -> None:
    """Let the gate decide on evidence that leads to ``word``, against the champion below ``root``."""
    wins = {"PROMOTE": 56, "HOLD": 36, "REJECT": 6}[word]
    order = [f"o{number:03d}" for number in range(64)]
    tally = [(name, int(place < wins), int(place >= wins), 0) for place, name in enumerate(order)]
    even = [(name, 0, 0, 1) for name in order]
    state = CertificateState(
        state="met" if certified else "open", words="it has no certificate", digest="0" if certified else None
    )
    evidence = Evidence(
        champion=read_champion(root),
        adapter=adapter_identity(root / f"data/train/{ARM}"),
        categories=dict.fromkeys(order, "chair"),
        tallies=Tallies(primary=tally, clean=even, texture=even, validity=even),
        certificates={"training": state, "evaluation": state},
        gap=Interval(value=0.0, low=-0.1, high=0.1),
        holdout=HoldoutUse(candidates=1, queries=10, own=10),
    )
    rule = rule_of(load_params(root / "params.yaml"))
    arms = decide_all({ARM: evidence}, rule, lambda name: np.random.default_rng(1))
    assert arms[ARM].decision == word, arms[ARM].reasons
    decision = Decision(
        champion=evidence.champion,
        holdout="the held-out set",
        rule=rule,
        evidence=digest_json(evidence.model_dump()),
        adapters={ARM: evidence.adapter},
        arms=arms,
        chosen=ARM if word == "PROMOTE" else None,
    )
    write_record(root / "data/gate/decision.json", decision)
