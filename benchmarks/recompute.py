"""Numbers of the documents, computed again from verdicts: ``python -m benchmarks.recompute``.

``docs/rows/<run>.csv.gz`` has a line for each pair that a number of a run rests on: of the default run, whose
numbers stand in docs/results.md, and of the proof and its replicate (docs/proof.md). Prints every number with
its interval, and those that its document lacks; ends with status 1 if there are any.
``--keep RUN ROOT`` writes the rows of a run from the folder where it finished.

The verdicts behind the sweep and its replicate were not kept; what its table still allows is computed.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np

from flows.chain.workspace import overlay
from verdict3d.config import Params
from verdict3d.randomness import numpy_generator
from verdict3d.records.files import Row, read_json, read_jsonl, write_bytes
from verdict3d.records.names import Outcome
from verdict3d.records.numbers import Interval
from verdict3d.records.yaml_files import read_yaml
from verdict3d.stats.bootstrap import cluster_bootstrap, divide
from verdict3d.stats.winrate import SCORES, Scored, summarise, turn

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = ("source", "slice", "object", "category", "outcome", "m1", "m2", "f_x", "f_y", "sets")
SMALL_GAP = 0.15
"""Of F-scores: below it one verdict from one view set says little."""


@dataclass(frozen=True)
class Run:
    """A run whose rows are kept.

    Attributes:
        name: Of the file of rows.
        document: Where its numbers stand.
        arms: What was evaluated.
        presets: Overlays of ``params.yaml``, in ``presets``.
        labelled: Whether the training judge labelled pairs.
    """

    name: str
    document: str
    arms: tuple[str, ...]
    presets: tuple[str, ...] = ()
    labelled: bool = False

    @property
    def rows(self) -> Path:
        """The file of rows."""
        return ROOT / f"docs/rows/{self.name}.csv.gz"

    def read_params(self) -> Params:
        """Return the parameters that it ran with."""
        values = read_yaml(ROOT / "params.yaml")
        for preset in self.presets:
            values = overlay(values, read_yaml(ROOT / f"presets/{preset}.yaml"))
        return Params.model_validate(values)


DEFAULT = Run("default", "docs/results.md", ("repair_and_majority", "conditioner_repair"), labelled=True)
PROVED = ("repair_and_majority",)
RUNS = {
    run.name: run
    for run in (
        DEFAULT,
        Run("proof", "docs/proof.md", PROVED, ("proof",)),
        Run("replicate", "docs/proof.md", PROVED, ("proof", "replicate")),
    )
}


@dataclass(frozen=True)
class Kept:
    """One pair that a judge compared.

    Attributes:
        source: Who asked: ``evaluation <arm>``, ``training <arm>``, ``controls`` or ``label``.
        slice: Regime, or kind of pair.
        verdict: Outcome and margins, seen from X: the arm, or the side that is expected to win.
        category: Of the object.
        f_x: F-score of X against the true mesh; None where it is not kept.
        f_y: That of Y.
        sets: Margins of each view set; None where it has no answer.
    """

    source: str
    slice: str
    verdict: Scored
    category: str
    f_x: float | None
    f_y: float | None
    sets: tuple[tuple[float, float] | None, ...]


def keep(run: Run, root: Path) -> None:
    """Write the rows of a run that has finished below ``root``."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_read_rows(run, root / "data"))
    write_bytes(run.rows, gzip.compress(text.getvalue().encode(), mtime=0))


def _read_rows(run: Run, data: Path) -> Iterator[Row]:
    for arm in run.arms:
        for source, name in (("evaluation", "verdicts"), ("training", "training_judge")):
            for row in read_jsonl(data / f"evaluate/{arm}/{name}.jsonl"):
                sides = {"f_x": row["arm"]["f_score"], "f_y": row["base"]["f_score"]}
                yield _make_row(f"{source} {arm}", row["regime"], row["object"], row) | sides
    for row in read_jsonl(data / f"evaluate/{run.arms[0]}/controls.jsonl"):
        yield _make_row("controls", "clean", row["object"], row)
    if not run.labelled:
        return
    for row in read_jsonl(data / "label/verdicts.jsonl"):
        seen = Scored(row["asset"], row["outcome"], row["m1"], row["m2"])
        sets = row["sets"]
        if row["expected"] == "y":
            seen, sets = turn(seen), [one and (one[1], one[0]) for one in sets]
        yield _make_row("label", row["kind"], row["asset"], row | vars(seen) | {"sets": sets})


def _make_row(source: str, part: str, name: str, row: Row) -> Row:
    return {"source": source, "slice": part, "object": name} | {
        **{column: row[column] for column in ("category", "outcome", "m1", "m2")},
        "sets": " ".join("" if one is None else "{}:{}".format(*one) for one in row["sets"]),
    }


def read_kept(path: Path) -> list[Kept]:
    """Return the rows."""

    def number(text: str) -> float | None:
        return float(text) if text else None

    with gzip.open(path, "rt", newline="") as file:
        return [
            Kept(
                row["source"],
                row["slice"],
                Scored(row["object"], _parse_outcome(row["outcome"]), number(row["m1"]), number(row["m2"])),
                row["category"],
                number(row["f_x"]),
                number(row["f_y"]),
                tuple(_parse_margins(one) for one in row["sets"].split(" ")) if row["sets"] else (),
            )
            for row in csv.DictReader(file)
        ]


def _parse_margins(text: str) -> tuple[float, float] | None:
    m1, _, m2 = text.partition(":")
    return (float(m1), float(m2)) if text else None


def _parse_outcome(text: str) -> Outcome:
    known: dict[str, Outcome] = {name: name for name in get_args(Outcome)}
    return known[text]


def recompute(run: Run, rows: Sequence[Kept], params: Params) -> dict[str, str]:
    """Return every number of a run with its interval as its document has it, by what it is."""
    found: dict[str, str] = {}
    for arm in run.arms:
        for regime in ("severe", "clean"):
            mine = _select(rows, f"evaluation {arm}", regime)
            trained = _select(rows, f"training {arm}", regime)
            judged = summarise([row.verdict for row in mine], *_find_drawing(params, "evaluate", arm, regime))
            name = f"{arm}, {regime}"
            found[f"{name}: half-credit"] = _say(judged.half_credit)
            found[f"{name}: decisive"] = _say(judged.decisive)
            found[f"{name}: coverage"] = f"{judged.coverage:.2f}"
            gains = [(row.verdict.object, row.f_x - row.f_y) for row in mine if row.f_x and row.f_y]
            means = (np.mean([getattr(row, side) for row in mine]) for side in ("f_y", "f_x"))
            found[f"{name}: F-score"] = " → ".join(f"{mean:.3f}" for mean in means)
            found[f"{name}: gain of F-score"] = _say(_average(gains, params, arm, regime, "gain"))
            gaps = [
                (one.verdict.object, SCORES[other.verdict.outcome] - SCORES[one.verdict.outcome])
                for one, other in zip(mine, trained, strict=True)
            ]
            found[f"{name}: over-optimisation"] = _say(_average(gaps, params, arm, regime, "gap"))
    controls = [row.verdict for row in _select(rows, "controls", "clean")]
    found["base against base"] = _say(
        summarise(controls, *_find_drawing(params, "evaluate", "controls")).half_credit, 2
    )
    kinds = {"contrastive": ("decisive", "half_credit"), "same_base": ("half_credit",)}
    for kind, measures in kinds.items() if run.labelled else ():
        labelled = [row.verdict for row in _select(rows, "label", kind)]
        counted = summarise(labelled, *_find_drawing(params, "label", kind))
        for measure in measures:
            found[f"{kind}: {measure}"] = _say(getattr(counted, measure), 2)
    found["right where F-scores differ little"] = _count_right(rows)
    return found


def _select(rows: Sequence[Kept], source: str, part: str) -> list[Kept]:
    return [row for row in rows if (row.source, row.slice) == (source, part)]


def _find_drawing(params: Params, *name: str) -> tuple[np.random.Generator, int, float]:
    """Return what a stage draws the resamples of this number from, their number, and the level."""
    evaluate = params.evaluate
    return numpy_generator(params.seed, *name), evaluate.bootstrap, evaluate.confidence


def _average(values: Sequence[tuple[str, float]], params: Params, *name: str) -> Interval:
    """Return the mean of (object, value) with its BCa interval over objects."""
    names = sorted({one for one, _ in values})
    totals = np.zeros((len(names), 2))
    for one, value in values:
        totals[names.index(one)] += (value, 1.0)
    low, high = cluster_bootstrap(totals, divide, *_find_drawing(params, "evaluate", *name)) or (None, None)
    return Interval(value=float(totals[:, 0].sum() / totals[:, 1].sum()), low=low, high=high)


def _say(found: Interval, digits: int = 3) -> str:
    value, low, high = (
        f"{end:.{digits}f}" for end in (found.value, found.low, found.high) if end is not None
    )
    return f"{value} [{low}, {high}]"


def _count_right(rows: Sequence[Kept]) -> str:
    """Return how often the evaluation judge names the mesh with the higher F-score where it decides."""
    right = total = 0
    for row in rows:
        if (
            row.source.startswith("evaluation")
            and row.f_x
            and row.f_y
            and row.verdict.outcome in ("win", "loss")
        ):
            gap = row.f_x - row.f_y
            if 0.01 <= abs(gap) < SMALL_GAP:
                right, total = right + ((gap > 0) == (row.verdict.outcome == "win")), total + 1
    return f"{right} of {total}"


def correlate_sweep(table: Row) -> str:
    """Return Pearson's r between half-credit and gain of F-score at severe over the arms of the sweep."""
    cells = [cell["severe"] for cell in table["cells"].values()]
    credit = [cell["half_credit"]["value"] for cell in cells]
    gain = [cell["arm_f_score_mean"] - cell["base_f_score_mean"] for cell in cells]
    return f"r {np.corrcoef(credit, gain)[0, 1]:.2f}"


def recompute_all() -> dict[Run, dict[str, str]]:
    """Return every number that can be computed again, by run."""
    found = {run: recompute(run, read_kept(run.rows), run.read_params()) for run in RUNS.values()}
    table = read_json(ROOT / "docs/sweep/table.json")
    found[DEFAULT]["sweep, half-credit and F-score"] = correlate_sweep(table)
    return found


def list_missing(run: Run, found: dict[str, str]) -> list[str]:
    """Return what the document of a run does not have."""
    text = " ".join((ROOT / run.document).read_text().split())
    return [name for name, words in found.items() if words not in text]


def main() -> int:
    """Print every number; return 1 if a document lacks one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--keep", nargs=2, metavar=("RUN", "ROOT"), help="Finished run whose rows to keep first."
    )
    given = parser.parse_args()
    if given.keep:
        name, root = given.keep
        if name not in RUNS:
            parser.error(f"RUN is {name!r}; one of {', '.join(RUNS)}")
        keep(RUNS[name], Path(root))
    status = 0
    for run, found in recompute_all().items():
        print(json.dumps({run.name: found}, indent=2, ensure_ascii=False))
        for name in list_missing(run, found):
            print(f"not in {run.document}: {run.name}: {name}: {found[name]}", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
