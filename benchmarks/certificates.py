"""Would a judge that was certified be certified again on other objects?

    python -m benchmarks.certificates [ROOT] [--draws 200]

What the judges answered in the finished run below ROOT is taken for the truth: other objects are drawn from
its objects with replacement, each with all of its answers, and it is asked again which controls are passed.
Prints the chance to pass each control, and all required ones, for as many objects and for other numbers of
them; and the bar that a judge passes in 95% of the draws.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tasks.asking.comparisons import make_measuring
from verdict3d.config import load_params
from verdict3d.judge.audit.controls import CONTROLS, Measuring, select
from verdict3d.judge.audit.ordering import find_on_generations
from verdict3d.project import AUDIT, CERTIFY, locate_certificate
from verdict3d.randomness import numpy_generator
from verdict3d.records.certificates import Certificate, Finding
from verdict3d.records.record import read_record, read_rows
from verdict3d.records.verdicts import ControlVerdict

SHARES = (0.5, 1.0, 2.0)
"""Numbers of objects, relative to those of the run."""
RESAMPLES = 500


def draw_again(
    rows: Sequence[ControlVerdict], names: Sequence[str], rng: np.random.Generator, count: int
) -> list[ControlVerdict]:
    """Return the answers on ``count`` objects drawn with replacement; copies of one count as objects."""
    by_object: dict[str, list[ControlVerdict]] = {}
    for row in rows:
        by_object.setdefault(row.object, []).append(row)
    return [
        row.model_copy(update={"object": f"{place}-{row.object}", "pair": f"{place}-{row.pair}"})
        for place, name in enumerate(rng.choice(np.array(names), size=count))
        for row in by_object.get(str(name), ())
    ]


def collect_findings(
    measuring: Measuring, shown: tuple[str, str], taught: Collection[str], rows: Sequence[ControlVerdict]
) -> dict[str, Finding]:
    """Return what every control says of these answers.

    Args:
        measuring: How rows are summed up.
        shown: Panel and mode of the certificate.
        taught: Kinds of damage that the judge was taught.
        rows: All answers of the judge.
    """
    mine = select_shown(rows, shown)
    colour = [row for row in select(rows, "colour") if row.panel == shown[0]]
    return {
        **measuring.measure_objects(mine, colour, taught),
        **find_on_generations(measuring, mine),
    }


def select_shown(rows: Sequence[ControlVerdict], shown: tuple[str, str]) -> list[ControlVerdict]:
    """Return the answers about pairs that were shown with this panel and mode."""
    return [row for row in rows if (row.panel, row.mode) == shown]


def repeat(root: Path, role: str, draws: int) -> dict[float, dict[str, float]]:
    """Return the chance to pass each control, and ``all`` required ones, by relative number of objects."""
    params = load_params(root / "params.yaml")
    certificate = read_record(root / locate_certificate(role), Certificate)
    rows = [
        row
        for folder in (AUDIT, CERTIFY)
        for row in read_rows(root / folder / role / "verdicts.jsonl", ControlVerdict)
    ]
    names = sorted({row.object for row in rows})
    measuring = replace(make_measuring(params, role), resamples=RESAMPLES)
    shown = (certificate.judge.panel, certificate.judge.mode)
    chances: dict[float, dict[str, float]] = {}
    for share in SHARES:
        passed = dict.fromkeys((*CONTROLS, "all"), 0)
        for draw in range(draws):
            rng = numpy_generator(params.seed, "certified again", role, share, draw)
            drawn = draw_again(rows, names, rng, round(share * len(names)))
            found = collect_findings(measuring, shown, certificate.taught, drawn)
            for name, one in found.items():
                passed[name] += one.passed
            passed["all"] += all(one.passed for one in found.values() if one.required)
        chances[share] = {name: count / draws for name, count in passed.items()}
    return chances


def main() -> None:
    """Print the table of both judges."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", nargs="?", default=".", type=Path, help="folder with the finished run")
    parser.add_argument("--draws", type=int, default=200, help="sets of objects that are drawn")
    options = parser.parse_args()
    chances = {role: repeat(options.root, role, options.draws) for role in ("training", "evaluation")}
    heads = [f"{role}, x {share:g}" for role in chances for share in SHARES]
    print(f"| control | {' | '.join(heads)} |\n|---|{'---|' * len(heads)}")
    for name in (*CONTROLS, "all"):
        cells = [f"{chances[role][share][name]:.2f}" for role in chances for share in SHARES]
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
