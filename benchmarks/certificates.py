"""Would a judge that was certified be certified again on other objects?

    python -m benchmarks.certificates [--draws 100]

What the judges answered in the default run (``docs/rows/controls-*.jsonl.gz``) is taken for the truth: other
objects are drawn from its objects with replacement, each with all of its answers, and it is asked again
which controls are passed. Prints the chance to pass each control, and all required ones, for as many objects
and for other numbers of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from benchmarks.kept import DEFAULT, ROLES, ROOT, read_controls
from tasks.asking.comparisons import make_measuring
from tasks.audit import read_taught_kinds
from verdict3d.asking.roles import select_judge
from verdict3d.config import Params
from verdict3d.config_judges import JudgeRole
from verdict3d.judge.audit.controls import CONTROLS, Measuring, select
from verdict3d.judge.audit.ordering import find_on_generations
from verdict3d.randomness import numpy_generator
from verdict3d.records.certificates import Finding
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
    measuring: Measuring, rows: Sequence[ControlVerdict], params: Params, role: JudgeRole
) -> dict[str, Finding]:
    """Return what every control says of these answers of a judge of the default run.

    Args:
        measuring: How rows are summed up.
        rows: All answers of the judge.
        params: Those of the run.
        role: Which judge it is.
    """
    mine = select_shown(rows)
    colour = [row for row in select(rows, "colour") if row.panel == mine[0].panel]
    taught = read_taught_kinds(select_judge(params.judges, role), ROOT)
    return {
        **measuring.measure_objects(mine, colour, taught),
        **find_on_generations(measuring, mine),
    }


def select_shown(rows: Sequence[ControlVerdict]) -> list[ControlVerdict]:
    """Return the answers about pairs that were shown as those of generations, by the certificate's panel."""
    one = select(rows, "base_vs_base")[0]
    return [row for row in rows if (row.panel, row.mode) == (one.panel, one.mode)]


def repeat(
    rows: Sequence[ControlVerdict], params: Params, role: JudgeRole, draws: int
) -> dict[float, dict[str, float]]:
    """Return the chance to pass each control, and ``all`` required ones, by relative number of objects."""
    names = sorted({row.object for row in rows})
    measuring = replace(make_measuring(params, role), resamples=RESAMPLES)
    chances: dict[float, dict[str, float]] = {}
    for share in SHARES:
        passed = dict.fromkeys((*CONTROLS, "all"), 0)
        for draw in range(draws):
            rng = numpy_generator(params.seed, "certified again", role, share, draw)
            drawn = draw_again(rows, names, rng, round(share * len(names)))
            found = collect_findings(measuring, drawn, params, role)
            for name, one in found.items():
                passed[name] += one.passed
            passed["all"] += all(one.passed for one in found.values() if one.required)
        chances[share] = {name: count / draws for name, count in passed.items()}
    return chances


def main() -> None:
    """Print the table of both judges."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=100, help="sets of objects that are drawn")
    draws, params = parser.parse_args().draws, DEFAULT.read_params()
    chances = {role: repeat(read_controls(role), params, role, draws) for role in ROLES}
    heads = [f"{role}, x {share:g}" for role in chances for share in SHARES]
    print(f"| control | {' | '.join(heads)} |\n|---|{'---|' * len(heads)}")
    for name in (*CONTROLS, "all"):
        cells = [f"{chances[role][share][name]:.2f}" for role in chances for share in SHARES]
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
