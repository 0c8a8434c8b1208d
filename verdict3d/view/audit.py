"""The section on the audit: certificates, the failure modes that the paper reports, example pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from verdict3d.records.certificates import Certificate, Curve
from verdict3d.records.numbers import Summary
from verdict3d.records.pairs import ControlPair, Shown
from verdict3d.records.results import JudgeUsed
from verdict3d.records.verdicts import ControlVerdict
from verdict3d.stats.agreement import measure_agreement
from verdict3d.stats.psychometric import weibull
from verdict3d.view.content import Illustration
from verdict3d.view.pictures import embed_picture

PICTURE_PX = 224
NAMES = {
    "null": "An object against itself in other clothes",
    "clear_gap": "An object against a visibly damaged copy",
    "untaught_gap": "The same, kinds of damage that it was not taught",
    "clean_but_wrong": "The right object, damaged, against a perfect wrong one",
    "reference_shuffled": "The same with another object's picture",
    "reference_removed": "The same without the picture",
    "camera": "Clear damage from one half of the view sets and from the other",
    "colour": "Right colours against wrong ones",
    "base_vs_base": "Two samples of the base",
    "position": "The slot, on these",
    "generated": "Generations far apart in F-score",
}
AGREED = ("ladder", "base_vs_base", "generated", "clean_but_wrong")
"""Controls on whose pairs the agreement of judges is measured."""
PANELS = {
    "three_images": "Reference and two montages",
    "two_sheets": "Two sheets with the reference",
    "reference_free": "Two montages, no reference",
    "seven_images": "Reference and six separate views",
}


@dataclass(frozen=True)
class Failure:
    """A failure mode that the paper reports, measured with this judge in its own setup and in failing ones.

    Attributes:
        name: What goes wrong.
        measure: What the bars show.
        paper: What the paper reports.
        bars: (label, value, low, high): the judge's own setup first, then the failing ones.
    """

    name: str
    measure: str
    paper: str
    bars: tuple[tuple[str, float | None, float | None, float | None], ...]


def pick_examples(root: Path, pairs: Sequence[ControlPair]) -> dict[str, Illustration]:
    """Return example pictures of the failures: a pair that was also drawn as splats, and its wrong rival.

    Args:
        root: What the paths of pictures are relative to.
        pairs: The control pairs.
    """
    splats = [row for row in pairs if row.control == "splat" and not (row.x.failure or row.y.failure)]
    if not splats:
        return {}
    splat = next((row for row in splats if row.defect == "missing_parts"), splats[0])
    same = [row for row in pairs if row.pair == splat.pair]
    ladder = next(row for row in same if row.control == "ladder" and row.grade == splat.grade)
    wrong = next(row for row in same if row.control == "clean_but_wrong")
    mode = next(iter(ladder.x.montages or {}))
    wanted = {
        "original": (_get_montage(ladder.x, mode), "Montage of an undamaged mesh"),
        "damaged": (_get_montage(ladder.y, mode), f"Montage of its copy with {ladder.defect}"),
        "original_splat": (_get_montage(splat.x, "splat"), "The undamaged mesh as splats"),
        "damaged_splat": (_get_montage(splat.y, "splat"), "The damaged copy as splats"),
        "reference": (wrong.reference, "Reference picture of the object"),
        "right": (_get_montage(wrong.x, mode), "Montage of the right object, damaged"),
        "wrong": (_get_montage(wrong.y, mode), "Montage of another object, undamaged"),
    }
    found = {
        name: embed_picture(root / path, PICTURE_PX, alt, montage=name != "reference")
        for name, (path, alt) in wanted.items()
        if path
    }
    return {name: picture for name, picture in found.items() if picture is not None}


def _get_montage(side: Shown, mode: str) -> str | None:
    return (side.montages or {}).get(mode)


def say_failed(reason: str) -> str:
    """Return why a certificate failed, the control by the name that people read."""
    name, colon, rest = reason.partition(": ")
    return f"{NAMES.get(name, name)}{colon}{rest}"


def collect_failures(certificate: Certificate) -> tuple[Failure, ...]:
    """Return the three failure modes of the paper, measured with this judge."""
    comparisons, controls = certificate.comparisons, certificate.controls
    overload, splat = comparisons.overload, comparisons.splat
    return (
        Failure(
            "Image overload",
            "order flips",
            "100% with many images",
            (
                ("its panel", overload.own.flip_rate, None, None),
                ("seven images", overload.seven_images.flip_rate, None, None),
            ),
        ),
        Failure(
            "Splats hide geometry",
            "half-credit",
            "about 0.5 on splats",
            (_make_bar("normals", splat.own), _make_bar("splats", splat.splat)),
        ),
        Failure(
            "Clean but wrong",
            "half-credit",
            "rewarded without a reference",
            (
                _make_bar("reference", controls["clean_but_wrong"]),
                _make_bar("another's", controls["reference_shuffled"]),
                _make_bar("none", controls["reference_removed"]),
            ),
        ),
    )


def _make_bar(label: str, summary: Summary) -> tuple[str, float | None, float | None, float | None]:
    half = summary.half_credit
    return label, half.value, half.low, half.high


def compare_judges(
    certificates: Mapping[str, Certificate],
    verdicts: Mapping[str, Sequence[ControlVerdict]],
    generator_for: Callable[[str], np.random.Generator],
    confidence: float,
) -> list[dict[str, Any]]:
    """Return Cohen's kappa of each two judges on the control pairs that both were asked in their usual way.

    Args:
        certificates: Certificates of the audited judges, by role.
        verdicts: Their verdict rows on the controls, by role.
        generator_for: Gives a random generator for a pair of roles.
        confidence: Two-sided level of the intervals.
    """
    answers = {role: _pick_usual(certificates[role].judge, verdicts[role]) for role in certificates}
    found = []
    for one, other in combinations(answers, 2):
        common = sorted(answers[one].keys() & answers[other].keys())
        kappa = measure_agreement(
            [answers[one][name].outcome for name in common],
            [answers[other][name].outcome for name in common],
            [answers[one][name].object for name in common],
            generator_for(f"{one} {other}"),
            confidence=confidence,
        )
        found.append({"one": one, "other": other, **kappa.record().model_dump()})
    return found


def _pick_usual(judge: JudgeUsed, verdicts: Sequence[ControlVerdict]) -> dict[str, ControlVerdict]:
    return {
        row.id: row
        for row in verdicts
        if row.panel == judge.panel and row.mode == judge.mode and row.control in AGREED
    }


def compute_curve(curve: Curve, highest: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a fitted curve as (x, P(right)) for drawing, from 0 to ``highest``."""
    x = np.linspace(0.0, highest, 60)
    return x, weibull(x, curve.scale, curve.slope, curve.lapse)
