"""The table of all arms, in shares of a few minutes that resume and merge.

    python -m benchmarks.sweep base  --minutes 9              # assets to labels; again until it says "done"
    python -m benchmarks.sweep arms  --minutes 9 --share 1/3  # every third arm; again until it says "done"
    python -m benchmarks.sweep table                          # data/table.json and data/table.md

Works in the preset's own folder (``.verdict3d/presets/sweep``), with the stages that ``verdict3d run
--preset sweep`` runs. What a share leaves unfinished is continued by the next one. Shares made on several
machines merge by putting their ``data/train`` and ``data/evaluate`` together.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.sweep_table import write_table
from flows.workspace import find_project, open_workspace
from verdict3d.config import Params, load_params

BASE = ("assets", "degrade", "generate", "pairs", "label")


def unfinished(root: Path, params: Params, what: str, share: tuple[int, int]) -> list[tuple[list[str], Path]]:
    """Return (command, file that says it is done) of everything that is left, in order."""
    if what == "base":
        steps = [([stage], root / f"data/{stage}/metrics.json") for stage in BASE]
    else:
        number, count = share
        steps = [
            ([stage, arm], root / f"data/{stage}/{arm}/metrics.json")
            for arm in params.train.arms[number - 1 :: count]
            for stage in ("train", "evaluate")
        ]
    return [(command, done) for command, done in steps if not done.exists()]


def run_share(root: Path, steps: list[tuple[list[str], Path]], minutes: float) -> bool:
    """Run steps until the time is over; say whether all are done. A step that fails is named and left."""
    end, failed = time.monotonic() + 60 * minutes, []
    for (stage, *arm), _ in steps:
        left = end - time.monotonic()
        name = " ".join([stage, *arm])
        if left < 5:
            return False
        try:
            code = subprocess.run(
                [sys.executable, "-m", f"tasks.{stage}", *arm], cwd=root, timeout=left, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            print(f"time is over in {name}; it goes on from its last batch next time", flush=True)
            return False
        print(f"{name}: {'done' if code == 0 else 'FAILED'}", flush=True)
        failed += [name] if code else []
        if code and not arm:
            break
    return not failed


def main() -> None:
    """Run one share, or write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("base", "arms", "table"))
    parser.add_argument("--preset", default="sweep")
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--share", default="1/1", help="which of how many, such as 2/3")
    given = parser.parse_args()
    workspace = open_workspace(find_project(), given.preset)
    params: Any = load_params(workspace.root / "params.yaml")
    if given.what == "table":
        print(write_table(workspace.root, params))
        return
    number, count = (int(part) for part in given.share.split("/"))
    steps = unfinished(workspace.root, params, given.what, (number, count))
    whole = run_share(workspace.root, steps, given.minutes)
    print("done" if whole else "not done yet: the same command again", flush=True)
    sys.exit(0 if whole else 3)


if __name__ == "__main__":
    main()
