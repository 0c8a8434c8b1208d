"""Rows that are kept of finished runs, in ``docs/rows``: what the numbers of the documents rest on.

``<run>.csv.gz`` has a line for each pair that a judge compared: of the default run, of the proof, of its
replicate, of the sweep and of furniture by somebody else. ``promotions.csv.gz`` has those of the runs that
say how often the default run promotes, with their seeds. ``controls-<role>.jsonl.gz`` has what the audit and
the certificate of a judge of the default run rest on, in the form of ``data/audit/<role>/verdicts.jsonl``.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from flows.chain.workspace import overlay
from verdict3d.config import Params
from verdict3d.config_judges import JudgeRole
from verdict3d.project import AUDIT, CERTIFY
from verdict3d.records.files import Row, read_jsonl, write_bytes
from verdict3d.records.names import Outcome
from verdict3d.records.record import parse_record
from verdict3d.records.verdicts import ControlVerdict
from verdict3d.records.yaml_files import read_yaml
from verdict3d.stats.winrate import Scored, turn

ROOT = Path(__file__).resolve().parents[1]
ROWS = ROOT / "docs/rows"
COLUMNS = ("source", "slice", "object", "category", "outcome", "m1", "m2", "f_x", "f_y", "sets")
ROLES: tuple[JudgeRole, ...] = ("training", "evaluation")


@dataclass(frozen=True)
class Run:
    """A run whose rows are kept.

    Attributes:
        name: Of the file of rows.
        document: Where its numbers stand.
        arms: What was evaluated.
        presets: Overlays of ``params.yaml``, in ``presets``.
        whole: Whether what the judges said of controls and of pairs to train on is kept as well.
    """

    name: str
    document: str
    arms: tuple[str, ...]
    presets: tuple[str, ...] = ()
    whole: bool = False

    @property
    def rows(self) -> Path:
        """The file of rows."""
        return ROWS / f"{self.name}.csv.gz"

    def read_params(self, seed: int | None = None) -> Params:
        """Return the parameters that it ran with; ``seed`` in the place of theirs."""
        values = read_yaml(ROOT / "params.yaml")
        if seed is not None:
            values["seed"] = seed
        for preset in self.presets:
            values = overlay(values, read_yaml(ROOT / f"presets/{preset}.yaml"))
        return Params.model_validate(values)


DEFAULT = Run("default", "docs/results.md", ("repair_and_majority",), whole=True)
PROVED = ("repair_and_majority",)
RUNS = {
    run.name: run
    for run in (
        DEFAULT,
        Run("proof", "docs/proof.md", PROVED, ("proof",)),
        Run("replicate", "docs/proof.md", PROVED, ("proof", "replicate")),
    )
}
PROMOTIONS = Run("promotions", "docs/results.md", ("repair_and_majority", "no_better"))
"""Runs of several seeds; the second arm is the planted one, of some of them."""
SWEEP = Run(
    "sweep",
    "docs/results.md",
    (
        "repair_and_majority", "oracle", "repair_and_consensus", "consensus", "base_again",
        "conditioner_repair", "sft_on_clean", "sft_on_best", "dpo_01_mean", "dpo_05_mean", "orpo",
    ),
    ("sweep",),
)  # fmt: skip
"""Arms of the sweep that today's judges have judged, in the order of their table."""
FOREIGN = Run(
    "foreign", "docs/results.md", ("repair_and_majority", "oracle", "conditioner_repair"), ("sweep",)
)
"""Arms on furniture by an outside artist, which is not kept."""
TABLES = (SWEEP, FOREIGN)
"""Runs of which every arm has a line in a table."""


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
    """Write the rows of a run that has finished below ``root``.

    Promotions have a folder of each seed there.
    """
    if run == PROMOTIONS:
        _keep_promotions(root)
        return
    _write_lines(run.rows, COLUMNS, _read_rows(run, root / "data"))
    if run.whole:
        keep_controls(root)


def keep_controls(root: Path) -> None:
    """Write what both judges of a run that has finished below ``root`` said of controls."""
    for role in ROLES:
        found = [(root / folder / role / "verdicts.jsonl").read_bytes() for folder in (AUDIT, CERTIFY)]
        write_bytes(locate_controls(role), gzip.compress(b"".join(found), mtime=0))


def _keep_promotions(root: Path) -> None:
    """Write the rows of the seeds below ``root``; those of other seeds stay."""
    found: dict[int, list[Row]] = {}
    for line in _read_lines(PROMOTIONS.rows) if PROMOTIONS.rows.is_file() else ():
        found.setdefault(int(line["seed"]), []).append(line)
    for folder in root.iterdir():
        if folder.name.isdecimal():
            data = folder / "data"
            arms = [arm for arm in PROMOTIONS.arms if (data / "evaluate" / arm).is_dir()]
            found[int(folder.name)] = [row for arm in arms for row in _read_arm(data, arm)]
    rows = ({**row, "seed": seed} for seed in sorted(found) for row in found[seed])
    _write_lines(PROMOTIONS.rows, ("seed", *COLUMNS), rows)


def _write_lines(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(path, gzip.compress(text.getvalue().encode(), mtime=0))


def _read_rows(run: Run, data: Path) -> Iterator[Row]:
    for arm in run.arms:
        yield from _read_arm(data, arm)
    for row in read_jsonl(data / f"evaluate/{run.arms[0]}/controls.jsonl"):
        yield _make_row("controls", "clean", row["object"], row)
    if not run.whole:
        return
    for row in read_jsonl(data / "label/verdicts.jsonl"):
        seen = Scored(row["asset"], row["outcome"], row["m1"], row["m2"])
        sets = row["sets"]
        if row["expected"] == "y":
            seen, sets = turn(seen), [one and (one[1], one[0]) for one in sets]
        yield _make_row("label", row["kind"], row["asset"], row | vars(seen) | {"sets": sets})


def _read_arm(data: Path, arm: str) -> Iterator[Row]:
    for source, name in (("evaluation", "verdicts"), ("training", "training_judge")):
        for row in read_jsonl(data / f"evaluate/{arm}/{name}.jsonl"):
            sides = {"f_x": row["arm"]["f_score"], "f_y": row["base"]["f_score"]}
            yield _make_row(f"{source} {arm}", row["regime"], row["object"], row) | sides


def _make_row(source: str, part: str, name: str, row: Row) -> Row:
    return {"source": source, "slice": part, "object": name} | {
        **{column: row[column] for column in ("category", "outcome", "m1", "m2")},
        "sets": " ".join("" if one is None else "{}:{}".format(*one) for one in row["sets"]),
    }


def read_kept(path: Path) -> list[Kept]:
    """Return the rows."""
    return [_parse_line(line) for line in _read_lines(path)]


def read_promotions() -> dict[int, list[Kept]]:
    """Return the rows of the runs that say how often the default run promotes, by seed."""
    found: dict[int, list[Kept]] = {}
    for line in _read_lines(PROMOTIONS.rows):
        found.setdefault(int(line["seed"]), []).append(_parse_line(line))
    return found


def locate_controls(role: str) -> Path:
    """Return the file of what a judge of the default run said of controls."""
    return ROWS / f"controls-{role}.jsonl.gz"


def read_controls(role: str) -> list[ControlVerdict]:
    """Return what a judge of the default run said of controls."""
    path = locate_controls(role)
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [
            parse_record(json.loads(line), ControlVerdict, f"{path}, line {number}")
            for number, line in enumerate(file, start=1)
        ]


def _read_lines(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", newline="") as file:
        return list(csv.DictReader(file))


def _parse_line(row: dict[str, str]) -> Kept:
    def number(text: str) -> float | None:
        return float(text) if text else None

    return Kept(
        row["source"],
        row["slice"],
        Scored(row["object"], _parse_outcome(row["outcome"]), number(row["m1"]), number(row["m2"])),
        row["category"],
        number(row["f_x"]),
        number(row["f_y"]),
        tuple(_parse_margins(one) for one in row["sets"].split(" ")) if row["sets"] else (),
    )


def _parse_margins(text: str) -> tuple[float, float] | None:
    m1, _, m2 = text.partition(":")
    return (float(m1), float(m2)) if text else None


def _parse_outcome(text: str) -> Outcome:
    known: dict[str, Outcome] = {name: name for name in get_args(Outcome)}
    return known[text]
