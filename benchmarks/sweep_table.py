"""All arms in one table, from what the evaluate stage left: per regime and over all arms together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from verdict3d.config import Params
from verdict3d.randomness import numpy_generator
from verdict3d.records.files import Row, read_json, write_bytes, write_json
from verdict3d.records.record import read_rows
from verdict3d.records.verdicts import HeldoutVerdict
from verdict3d.stats.bradley_terry import collect_answers, fit
from verdict3d.stats.multiplicity import holm
from verdict3d.view.figures import BAD, EVEN, GOAL, GOOD, GRID, INK, MUTED, as_svg, make_figure

PAPER = {  # held-out win-rates at severe that the paper reports (8 objects)
    "sft_on_best": 0.0, "dpo_01_mean": 0.0, "dpo_01_sum": 0.0, "dpo_05_mean": 0.0, "dpo_05_sum": 0.0,
    "orpo": 0.0, "sft_on_clean": 0.0, "conditioner_repair": 0.5,
}  # fmt: skip
CHOSEN = ("repair_and_consensus", "repair_longer", "repair_severe", "repair_and_search")
"""Four arms of ours, chosen after a look at the results: their p-values are adjusted for each other only."""
HEADROOM = 0.70
"""Half-credit of the oracle below which a cell says nothing about methods."""


def write_table(root: Path, params: Params) -> str:
    """Write ``data/table.json``, ``.md`` and ``.svg`` below ``root`` and return the second."""
    results = {
        arm: read_json(path)
        for arm in params.train.arms
        if (path := root / f"data/evaluate/{arm}/results.json").exists()
    }
    document = {
        "cells": {
            arm: {name: write_cell(part, name) for name in params.evaluate.regimes}
            for arm, part in results.items()
        },
        "no_headroom": name_no_headroom(results),
        "holm_at_severe": correct_at(results, "severe"),
        "bradley_terry_at_severe": collect_strengths(root, params, list(results), "severe"),
        "missing": [arm for arm in params.train.arms if arm not in results],
    }
    write_json(root / "data/table.json", document)
    text = write_markdown(document)
    write_bytes(root / "data/table.md", text.encode())
    if results:
        write_bytes(root / "data/table.svg", draw_figure(document, params.evaluate.target).encode())
    return text


def write_cell(results: Row, regime: str) -> dict[str, Any]:
    """Return one arm under one regime."""
    part = results["regimes"][regime]
    judged = part["summary"]
    return {
        "half_credit": judged["half_credit"],
        "decisive": judged["decisive"],
        "coverage": judged["coverage"],
        "standing": part["standing"],
        "gap": part["over_optimisation_gap"],
        "texture": (results["texture"].get(regime) or {}).get("half_credit"),
        "p_value": judged["p_value"],
        "objects": judged["objects"],
        "invalid": judged["invalid"],
        "pairs": judged["pairs"],
        **{name: value for name, value in part["truth"].items() if name.endswith("_mean")},
    }


def name_no_headroom(results: dict[str, Row]) -> list[str]:
    """Return the regimes in which even the clean tokens do not win often enough."""
    regimes = results.get("oracle", {}).get("regimes", {})
    values = {name: part["summary"]["half_credit"]["value"] for name, part in regimes.items()}
    return [name for name, value in values.items() if value is not None and value < HEADROOM]


def correct_at(results: dict[str, Row], regime: str) -> dict[str, float]:
    """Return Holm's p-values of the chosen arms."""
    p_values = {
        arm: results[arm]["regimes"][regime]["summary"]["p_value"] for arm in CHOSEN if arm in results
    }
    return holm({arm: p for arm, p in p_values.items() if p is not None})


def collect_strengths(root: Path, params: Params, arms: list[str], regime: str) -> Row | None:
    """Return the Bradley-Terry fit over all arms."""
    answers = [
        answer
        for arm in arms
        for answer in collect_answers(
            [
                row
                for row in read_rows(root / f"data/evaluate/{arm}/verdicts.jsonl", HeldoutVerdict)
                if row.regime == regime
            ],
            arm,
            "base",
        )
    ]
    if not answers:
        return None
    return fit(answers, "base", numpy_generator(params.seed, "bradley_terry", regime))


def write_markdown(document: Row) -> str:
    """Return the table for people: one line an arm, its half-credit in every regime."""
    cells = document["cells"]
    regimes = list(next(iter(cells.values()), {}))
    head = ["arm", *regimes, "decisive, coverage (severe)", "F-score (severe)", "gap (severe)", "paper"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for arm, row in cells.items():
        severe = row.get("severe") or next(iter(row.values()))
        lines.append(
            "| "
            + " | ".join(
                [
                    arm,
                    *(_say_bounded(row[name]["half_credit"]) for name in regimes),
                    f"{_say_number(severe['decisive']['value'])}, {_say_number(severe['coverage'])}",
                    f"{_say_number(severe['base_f_score_mean'])} → {_say_number(severe['arm_f_score_mean'])}",
                    _say_bounded(severe["gap"]),
                    _say_number(PAPER.get(arm)),
                ]
            )
            + " |"
        )
    return "\n".join(lines) + "\n"


def draw_figure(document: Row, target: float) -> str:
    """Draw half-credit with its interval, a panel a regime, the arms in the order of the last regime's."""
    cells = document["cells"]
    regimes = list(next(iter(cells.values())))
    arms = sorted(cells, key=lambda arm: cells[arm][regimes[-1]]["half_credit"]["value"] or 0.0)
    drawn, panels = make_figure(0.9 + 0.24 * len(arms), columns=len(regimes))
    drawn.set_size_inches(2.4 + 2.0 * len(regimes), drawn.get_figheight())
    for regime, axes in zip(regimes, panels, strict=True):
        axes.set_title(f"{regime}, no headroom" if regime in document["no_headroom"] else regime, color=INK)
        axes.axvline(0.5, color=MUTED, linewidth=1)
        axes.axvline(target, color=GOAL, linewidth=1.2, dashes=(4, 2.5))
        for place, arm in enumerate(arms):
            found = cells[arm][regime]["half_credit"]
            if found["value"] is None:
                continue
            low, high = (
                found[side] if found[side] is not None else found["value"] for side in ("low", "high")
            )
            color = GOOD if low > 0.5 else BAD if high < 0.5 else EVEN
            axes.plot([low, high], [place, place], color=color, linewidth=3, alpha=0.45)
            axes.plot(found["value"], place, "o", color=color, markersize=5)
        axes.set_xlim(0, 1)
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.set_ylim(-0.6, len(arms) - 0.4)
        axes.set_yticks(range(len(arms)), arms if regime == regimes[0] else [""] * len(arms))
        axes.grid(axis="y", color=GRID, linewidth=0.5)
    spoken = f"Half-credit of {len(arms)} arms against the base: {', '.join(reversed(arms))}"
    return as_svg(drawn, "sweep", f"{spoken}, best at {regimes[-1]} first")


def _say_number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _say_bounded(estimate: Row) -> str:
    low, high = _say_number(estimate["low"]), _say_number(estimate["high"])
    return f"{_say_number(estimate['value'])} [{low}, {high}]"
