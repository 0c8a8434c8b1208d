"""How often the default run promotes, and an arm that is no better: ``python -m benchmarks.promotions``.

For each seed the chain runs from nothing in a folder of its own (``--folder``), with the parameters of
``params.yaml``, stage by stage in the order of ``dvc.yaml``, without DVC and Prefect. ``--planted`` then puts
another arm in the place of those of the default run, which samples twice and keeps one at random. Prints a
table of everything that has finished in the folder; a seed that has finished is not run again. The seeds of
docs/results.md, which were fixed before they were run, are the default.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from flows.chain.workspace import link_project, overlay
from tasks.paths import DECISION, EVALUATE
from verdict3d.config import check_params
from verdict3d.project import AUDIT, CERTIFY
from verdict3d.records.files import read_json, write_bytes, write_json
from verdict3d.records.yaml_files import format_yaml, read_yaml

ROOT = Path(__file__).resolve().parents[1]
SEEDS = (20261221, 20261222, 20261223, 20261224, 20261225)
NO_BETTER = {
    "train": {"arms": ["no_better"], "no_better": {"method": "search", "samples": 2, "pick": "random"}},
    "promotion": {"arms": ["no_better"]},
}
ROLES = ("training", "evaluation")
BEFORE_ARMS = (
    *(
        "assets",
        "degrade",
        "controls",
        *(f"audit {role}" for role in ROLES),
        "admission",
        "generate",
        "pairs",
    ),
    *(*(f"certify {role}" for role in ROLES), "label", "preflight"),
)
AFTER_ARMS = ("challenge", "gate", "report")


def prepare(folder: Path, seed: int, changes: dict[str, Any]) -> list[str]:
    """Make the run's folder or change its parameters; return the arms."""
    values = overlay(read_yaml(ROOT / "params.yaml") | {"seed": seed}, changes)
    check_params(values, folder / "params.yaml")
    write_bytes(folder / "params.yaml", format_yaml(values).encode())
    link_project(folder, ROOT)
    return list(values["train"]["arms"])


def run_stages(folder: Path, stages: list[str]) -> dict[str, float]:
    """Run stages in order; return the seconds of each."""
    seconds = {}
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    for stage in stages:
        started = time.perf_counter()
        with (folder / "log.txt").open("ab") as log:
            command = [sys.executable, "-m", *f"tasks.{stage}".split()]
            subprocess.run(command, cwd=folder, env=environment, check=True, stdout=log, stderr=log)
        seconds[stage] = time.perf_counter() - started
    return seconds


def run_seed(folder: Path, seed: int, planted: bool) -> None:
    """Run one seed, and the planted arm behind it, unless they have finished."""
    runs = [("default", {}, BEFORE_ARMS), *([("planted", NO_BETTER, ())] if planted else [])]
    for name, changes, before in runs:
        found = folder / f"{name}.json"
        if found.is_file():
            continue
        arms = prepare(folder, seed, changes)
        stages = [
            *before,
            *(f"{stage} {arm}" for arm in arms for stage in ("train", "evaluate")),
            *AFTER_ARMS,
        ]
        seconds = run_stages(folder, stages)
        write_json(found, {"seed": seed, "run": name, "seconds": seconds, **describe(folder, arms)})


def describe(folder: Path, arms: list[str]) -> dict[str, Any]:
    """Return the decision on the first arm, its numbers, and whether the judges kept their certificates."""
    decided = read_json(folder / DECISION)["arms"][arms[0]]
    results = read_json(folder / EVALUATE / arms[0] / "results.json")["regimes"]
    certificates = [
        folder / stage / role / "certificate.json" for stage in (AUDIT, CERTIFY) for role in ROLES
    ]
    return {
        "arm": arms[0],
        "decision": decided["decision"],
        "reasons": decided["reasons"],
        "certified": all(read_json(path)["passed"] for path in certificates),
        "regimes": {
            name: {
                "half_credit": found["summary"]["half_credit"],
                "decisive": found["summary"]["decisive"],
                "gap": found["over_optimisation_gap"],
                "truth": found["truth"],
            }
            for name, found in results.items()
        },
    }


def print_table(folder: Path) -> None:
    """Print a row for each run that has finished below ``folder``."""
    head = (
        "seed",
        "arm",
        "decision",
        "severe, half-credit",
        "clean, half-credit",
        "judges certified",
        "seconds",
    )
    print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
    for path in sorted(folder.glob("*/*.json")):
        row = read_json(path)
        rates = [
            "{value:.3f} [{low:.3f}, {high:.3f}]".format(**row["regimes"][name]["half_credit"])
            for name in ("severe", "clean")
        ]
        seconds, word = sum(row["seconds"].values()), "yes" if row["certified"] else "no"
        cells = [row["seed"], f"`{row['arm']}`", row["decision"], *rates, word, f"{seconds:.0f}"]
        print("| " + " | ".join(map(str, cells)) + " |")
        for reason in row["reasons"]:
            print(f"  {reason}", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("seeds", nargs="*", type=int, default=SEEDS)
    parser.add_argument("--folder", type=Path, default=ROOT / ".verdict3d/promotions")
    parser.add_argument(
        "--planted", action="store_true", help="run the arm that is no better behind each seed"
    )
    parser.add_argument("--table", action="store_true", help="run nothing")
    options = parser.parse_args()
    for seed in () if options.table else options.seeds:
        run_seed(options.folder / str(seed), seed, options.planted)
    print_table(options.folder)


if __name__ == "__main__":
    main()
