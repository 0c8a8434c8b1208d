"""A project of three stages made of the real batch map: quick, and made to be killed at any moment."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

from support.toy_chain import ARM, write_toy_chain

STAGE = """
import sys, time
from pathlib import Path
from tasks.making.batches import resuming, run_batches
from verdict3d.randomness import numpy_generator
from verdict3d.records.files import read_jsonl, write_bytes, write_json, write_jsonl
from verdict3d.records.record import RecordPart

class Piece(RecordPart):
    item: int
    file: str
    value: int

name, out, needed, pause_s, count = sys.argv[1:]

def make_worker():
    def work(batch, home):
        time.sleep(float(pause_s))
        rows = []
        for item in batch:
            noise = numpy_generator(1, name, item["item"])
            picture = home / f"{item['item']}.bin"
            write_bytes(picture, noise.bytes(2000))
            rows.append(Piece(item=item["item"], file=picture.name,
                              value=int(noise.integers(1 << 30)) ^ item["before"]))
        return rows
    return work

if __name__ == "__main__":
    rows = read_jsonl(Path(needed, "rows.jsonl")) if needed else []
    before = [row["value"] for row in rows] if needed else [0] * int(count)
    items = [{"item": number, "before": value} for number, value in enumerate(before)]
    folder = Path(out)
    with resuming(name, {"items": items}) as home:
        results = run_batches(items, make_worker, Piece, folder=home, batch_size=2, description=name)
        for result in results:
            file = result.record.file
            write_bytes(folder / "files" / file, (result.folder / file).read_bytes())
        write_jsonl(folder / "rows.jsonl", [result.record.model_dump() for result in results])
        write_json(folder / "metrics.json", {"sum": sum(result.record.value for result in results)})
"""

OUTS = ("data/assets", f"data/train/{ARM}", f"data/evaluate/{ARM}")


def write_resumable_chain(project: Path, pause_s: float, items: int) -> Path:
    """Write the project; every batch of two of its ``items`` takes ``pause_s`` in each stage."""
    write_toy_chain(project)
    (project / "stage.py").write_text(STAGE)
    chain = yaml.safe_load((project / "dvc.yaml").read_text())
    assets, train, evaluate = (chain["stages"][name] for name in ("assets", "train", "evaluate"))
    assets["cmd"] = f"python stage.py assets data/assets '' {pause_s} {items}"
    train["do"]["cmd"] = f"python stage.py train data/train/${{item}} data/assets {pause_s} 0"
    evaluate["do"]["cmd"] = (
        f"python stage.py evaluate data/evaluate/${{item}} data/train/${{item}} {pause_s} 0"
    )
    (project / "dvc.yaml").write_text(yaml.safe_dump(chain))
    for package in ("tasks", "verdict3d"):
        (project / package).rmdir()  # the installed ones are meant
    return project


def results(project: Path) -> dict[str, bytes]:
    """Return every output with ``dvc.lock``, which holds the digests of all that was read and written."""
    files = [path for out in OUTS for path in sorted((project / out).rglob("*")) if path.is_file()]
    return {
        path.relative_to(project).as_posix(): path.read_bytes()
        for path in [*files, project / "dvc.lock"]
        if path.is_file()
    }


def forget_outputs(project: Path) -> None:
    """Remove what was made, so that the next run restores it from DVC's cache."""
    for path in (project / "data/assets", project / "data/train", project / "data/evaluate"):
        shutil.rmtree(path, ignore_errors=True)


def forget_results(project: Path) -> None:
    """Remove what was made and what DVC remembers of it, so that the next run starts from nothing."""
    forget_outputs(project)
    for path in (project / ".dvc/cache", project / ".dvc/tmp"):
        shutil.rmtree(path, ignore_errors=True)
    (project / "dvc.lock").unlink(missing_ok=True)
