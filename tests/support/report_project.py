"""A small project on disk, as the stages leave it, for the tests of the report."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image, ImageDraw

from support.audit_examples import write_audit
from support.places import ROOT
from support.rows import filled
from tasks.gate import count_by_object
from tasks.scoring.champion import BASE
from verdict3d.config import load_params
from verdict3d.records.assets import Asset, Condition, Note, Quarantined
from verdict3d.records.decisions import CertificateState, Decision, Evidence, ObjectEvidence
from verdict3d.records.files import write_bytes
from verdict3d.records.generations import Generation
from verdict3d.records.holdout import HoldoutSet, HoldoutUse
from verdict3d.records.numbers import Interval, Kappa, Summary
from verdict3d.records.record import write_record, write_rows
from verdict3d.records.results import (
    CertificateUse,
    ControlResults,
    Headroom,
    JudgeUsed,
    Labels,
    PairSignal,
    Preflight,
    RegimeResults,
    Results,
    TruthResults,
    Washout,
    Weights,
)
from verdict3d.records.verdicts import Contender, HeldoutVerdict
from verdict3d.stats.agreement import measure_agreement
from verdict3d.stats.gate import decide_all
from verdict3d.stats.rule import make_rule
from verdict3d.stats.tally import tally_rows
from verdict3d.stats.winrate import Scored, summarise, summarise_slices

ARM = "conditioner_repair"
CATEGORIES = ("bed", "bench", "cabinet", "chair", "desk", "lamp", "shelf", "sofa", "stool", "table")
LEFT_OUT = Note(kind="untextured", text="broken_texture: a texture is no picture")
PREFERENCE = {"severe": 1.3, "clean": -0.15}
PARAMS = ROOT / "params.yaml"

Paint = Callable[[str, str, str], Image.Image]


def paint(asset: str, role: str, regime: str) -> Image.Image:
    """A drawn picture, RGBA condition or 2x2 montage, different for every asset, role and regime."""
    rng = np.random.default_rng(abs(hash((len(asset), sum(map(ord, asset + role + regime))))) % 2**32)
    color = tuple(int(value) for value in rng.integers(40, 220, 3))
    if role == "condition":
        image = Image.new("RGBA", (128, 128), (0, 0, 0, 0))
        ImageDraw.Draw(image).rounded_rectangle((30, 24, 98, 104), 10, fill=(*color, 255))
        return image
    image = Image.new("RGB", (160, 160), (128, 128, 255))
    for corner in ((10, 10), (90, 10), (10, 90), (90, 90)):
        ImageDraw.Draw(image).rectangle((*corner, corner[0] + 60, corner[1] + 60), fill=color)
    return image


def verdict(rng: np.random.Generator, d: float, bias: float = 0.45) -> dict[str, Any]:
    """A verdict row's numbers for a preference ``d`` seen with noise in each order."""
    m1, m2 = (round(float(v), 4) for v in (d + bias + 0.3 * rng.normal(), -d + bias + 0.3 * rng.normal()))
    d, b = (m1 - m2) / 2, (m1 + m2) / 2
    r = abs(d) - abs(b)
    return {
        "outcome": "flip" if r <= 0 else "win" if d > 0 else "loss",
        **{"m1": m1, "m2": m2, "d": d, "b": b, "r": r},
    }


def write_project(
    root: Path, objects: int = 20, paint: Paint = paint, size_px: int = 128
) -> list[HeldoutVerdict]:
    """Write a finished run's records below ``root``; returns the verdict rows."""
    data = root / "data"
    values = yaml.safe_load(PARAMS.read_text())
    values["train"]["arms"] = values["promotion"]["arms"] = [ARM]
    write_bytes(root / "params.yaml", yaml.safe_dump(values).encode())
    write_bytes(root / "dvc.yaml", (ROOT / "dvc.yaml").read_bytes())
    rng = np.random.default_rng(5)
    assets, conditions, rows = [], [], []

    def save(path: str, image: Image.Image) -> str:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        image.thumbnail((size_px, size_px))
        image.save(root / path)
        return path

    for number in range(objects):
        category = CATEGORIES[number % len(CATEGORIES)]
        asset = f"{category}-{number:05d}"
        condition = save(f"data/assets/conditions/{asset}.png", paint(asset, "condition", "clean"))
        about = {"id": asset, "category": category, "split": "heldout", "condition": condition}
        assets.append(filled(Asset, **about, notes=[LEFT_OUT]))
        for regime, preference in PREFERENCE.items():
            if regime != "clean":
                image = save(f"data/degrade/images/{regime}/{asset}.png", paint(asset, "condition", regime))
                conditions.append(filled(Condition, asset=asset, regime=regime, image=image))
            score = float(rng.uniform(0.35, 0.6) if regime == "severe" else rng.uniform(0.8, 0.95))
            d = preference + 1.2 * float(rng.normal())
            judged, scores = verdict(rng, d), {"base": score, "arm": min(1.0, score + 0.06 * d)}
            sides = {}
            for side in ("base", "arm"):
                path = f"data/evaluate/{ARM}/montages/{asset}-{regime}-{side}.png"
                montage = save(path, paint(asset, side, regime))
                sides[side] = filled(Contender, montage=montage, f_score=scores[side])
            if number == 3 and regime == "severe":
                judged = {"outcome": "invalid", "reason": "empty_structure"}
                sides["arm"] = filled(Contender, failure="empty_structure")
            about = {"object": asset, "category": category, "regime": regime}
            rows.append(filled(HeldoutVerdict, **about, **judged, **sides))
    write_rows(data / "assets/assets.jsonl", assets)
    write_rows(data / "degrade/conditions.jsonl", conditions)
    quarantine = [
        ("sofas/<b>big</b>.glb", "too_many_faces", "2,400,113 faces; at most 2,000,000 are allowed"),
        ("old/table.obj", "external_reference", "refers to ../textures/oak.png; pack textures into the file"),
    ]
    names = ("source", "reason", "message")
    write_rows(
        data / "assets/quarantine.jsonl",
        [Quarantined(**dict(zip(names, file, strict=True))) for file in quarantine],
    )
    write_rows(
        data / "generate/generations.jsonl",
        [filled(Generation, id="a"), filled(Generation, id="b", failure="empty_structure")],
    )
    write_rows(data / f"evaluate/{ARM}/verdicts.jsonl", rows)
    write_record(data / f"evaluate/{ARM}/results.json", results(rows))
    write_record(data / "preflight/preflight.json", PREFLIGHT)
    write_record(data / "label/metrics.json", filled(Labels, kinds=labels(rng), certificate=CERTIFIED))
    params = load_params(root / "params.yaml")
    for role, sees in (("training", 0.1), ("evaluation", 1.5)):
        write_audit(root, params, role, sees)
    write_record(data / "gate/decision.json", decision(root, rows))
    lines = ["step,learning_rate,train_loss,validation_loss_severe"]
    for step in range(1, 401):
        loss = 0.9 * math.exp(-step / 90) + 0.12 + 0.02 * rng.random()
        lines.append(f"{step},0.0003,{loss:.5f},{f'{loss * 1.15:.5f}' if step % 50 == 0 else ''}")
    write_bytes(data / f"train/{ARM}/losses.csv", "\n".join(lines).encode())
    write_bytes(data / f"train/{ARM}/adapter_model.safetensors", b"weights")
    outs = {"assets": "data/assets", f"evaluate@{ARM}": f"data/evaluate/{ARM}", "report": "data/report"}
    lock = "".join(
        f"  {name}:\n    outs:\n    - path: {path}\n      md5: {'%032x' % (77 * i + 9)}.dir\n"
        for i, (name, path) in enumerate(outs.items())
    )
    write_bytes(root / "dvc.lock", f"schema: '2.0'\nstages:\n{lock}".encode())
    return rows


def results(rows: list[HeldoutVerdict]) -> Results:
    """What the evaluate stage would write for ``rows``."""
    regimes = {}
    for regime in PREFERENCE:
        mine = [one for one in rows if one.regime == regime]
        true = [truth(one) for one in mine]
        pairs = [one for one in mine if one.arm.f_score is not None]
        kappa = measure_agreement(
            [one.outcome for one in mine],
            [one.outcome for one in true],
            [one.object for one in mine],
            np.random.default_rng(2),
        )
        regimes[regime] = RegimeResults(
            summary=summarise(mine, np.random.default_rng(1)),
            standing="undefined",
            by_category=summarise_slices(
                mine, lambda one: one.category, lambda name: np.random.default_rng(len(name))
            ),
            truth=TruthResults(
                f_score=summarise(true, np.random.default_rng(3)),
                normal_consistency=summarise(true, np.random.default_rng(4)),
                arm_floating_share_mean=0.0271,
                base_floating_share_mean=0.0433,
                arm_normal_consistency_mean=0.618,
                base_normal_consistency_mean=0.623,
                arm_f_score_mean=float(np.mean([one.arm.f_score for one in pairs])),
                base_f_score_mean=float(np.mean([one.base.f_score for one in pairs])),
            ),
            kappa_judge_truth=kappa.record(),
            training_judge=summarise(mine[::2], np.random.default_rng(5)),
            over_optimisation_gap=Interval(value=0.135, low=-0.031, high=0.297),
            third_judge=summarise(mine[1::2], np.random.default_rng(8)),
            judge_agreement={
                "evaluation_training": filled(Kappa, value=0.415, low=0.21, high=0.62),
                "evaluation_third": filled(Kappa, value=0.335, low=0.11, high=0.55),
            },
        )
    return filled(
        Results,
        arm=ARM,
        target=0.65,
        judge=filled(JudgeUsed, model="data/checkpoints/judge-eval", panel="three_images"),
        certificate=CERTIFIED,
        regimes=regimes,
        failures={"empty_structure": 1},
        washout={name: washout(name) for name in PREFERENCE},
        texture={"severe": summarise(rows[::2], np.random.default_rng(7))},
        controls=ControlResults(base_vs_base=summarise(rows, np.random.default_rng(6))),
    )


def washout(regime: str) -> Washout:
    """Where the arm's change gets lost, as the evaluate stage finds it; a clean input leaves no gap."""
    gaps = {"0.95": 0.044, "0.75": 0.212, "0.5": 0.113, "0.25": 0.098}
    gone = regime == "clean"
    return Washout(
        diagnosis="no change" if gone else "better",
        weights=Weights(count=4, norm=16.47),
        tokens=None if gone else 0.129,
        velocities=dict.fromkeys(gaps) if gone else gaps,
        structure_iou=0.801,
        mesh_distance=0.029,
        montage_distance=0.024,
    )


PREFLIGHT = Preflight(
    signal=True,
    reasons=[],
    overridden=False,
    pairs={
        "contrastive": PairSignal(
            half_credit=Interval(value=0.87, low=0.8, high=0.93), coverage=0.97, flip_rate=0.03, pairs=96
        )
    },
    headroom={"severe": Headroom(judge=0.87, truth=0.96, pairs=96)},
    regime="severe",
    objects_needed=101,
    objects_heldout=64,
)
CERTIFIED = filled(CertificateUse, certified=True)


def decision(root: Path, rows: list[HeldoutVerdict]) -> Decision:
    """What the gate stage would write for ``rows`` without certificates, texture or an older champion."""
    missing = CertificateState(state="open", words="it has no certificate", digest=None)
    counts = {
        regime: count_by_object(
            tally_rows([one for one in rows if one.regime == regime], sorted({one.object for one in rows}))
        )
        for regime in ("severe", "clean")
    }
    none = (0, 0, 0)
    evidence = Evidence(
        champion=BASE,
        adapter="weights",
        objects=[
            filled(
                ObjectEvidence,
                object=name,
                category=next(one.category for one in rows if one.object == name),
                primary=counts["severe"].get(name, none),
                clean=counts["clean"].get(name, none),
                texture=none,
                validity=none,
                f_score=(0.04, 1),
                clean_f_score=(0.0, 1),
                gap=(0.02, 1),
            )
            for name in sorted({one.object for one in rows})
        ],
        untested={},
        people=None,
        certificates={"training": missing, "evaluation": missing},
        holdout=HoldoutUse(candidates=1, queries=80, looks=1),
    )
    rule = make_rule(load_params(root / "params.yaml"))
    arms = decide_all({ARM: evidence}, rule, lambda name: np.random.default_rng(8))
    used = HoldoutSet(objects=[], arms={"weights": 70}, audits={"judge": 8})
    return filled(Decision, champion=BASE, rule=rule, arms=arms, chosen=None, holdout=used)


def truth(one: HeldoutVerdict) -> Scored:
    """The same pair decided by F-score."""
    arm, base = one.arm.f_score, one.base.f_score
    outcome = "invalid" if arm is None else "win" if arm > base else "loss" if arm < base else "close"
    return Scored(one.object, outcome)


def labels(rng: np.random.Generator) -> dict[str, Summary]:
    """Pair kinds as the label stage sums them up."""
    kinds = {}
    for kind, preference, spread in (("contrastive", 1.6, 1.0), ("same_base", 0.0, 0.2)):
        rows = [
            filled(HeldoutVerdict, **verdict(rng, preference + spread * float(rng.normal())), object=f"o{i}")
            for i in range(96)
        ]
        kinds[kind] = summarise(rows, np.random.default_rng(6))
    return kinds
