"""Two runs of one project, the earlier one in DVC's cache only, as DVC leaves them, without running it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from flows.chain.dvc_digests import compute_dvc_digest
from flows.chain.finished import keep_finished
from support.audit_examples import write_audit
from support.places import ROOT
from support.report_project import ARM, paint, results, verdict, write_project
from support.rows import filled
from support.tiny_trellis import write_tiny_generator
from verdict3d.config import load_params
from verdict3d.project import Workspace
from verdict3d.records.assets import Asset, Condition
from verdict3d.records.record import read_rows, write_record, write_rows
from verdict3d.records.verdicts import HeldoutVerdict

FELL = -4.0
"""What is added to the preferences for the arm of severe inputs in the later run."""
WENT, CHANGED = "bed-00000", "chair-00003"
CAME = 8


def write_two_runs(root: Path) -> Workspace:
    """Write a finished run below ``root``, keep it, and write the next one over it; both are cached.

    In the later one the arm is worse on severe inputs, an asset went, a photo changed, lamps came that are
    large in their photos, a parameter and the evaluation judge's certificate are others.
    """
    workspace = Workspace(root, root, None)
    write_project(root)
    write_tiny_generator(root / load_params(root / "params.yaml").generator.model)
    keep_in_cache(root)
    keep_finished(workspace)
    _write_later(root)
    keep_in_cache(root)
    return workspace


def keep_in_cache(root: Path) -> None:
    """Put what lies below ``data`` into DVC's cache and name it in ``dvc.lock``."""
    (root / ".dvc").mkdir(exist_ok=True)
    shutil.copy(ROOT / ".dvc/config", root / ".dvc/config")
    shutil.copy(ROOT / "dvc.yaml", root / "dvc.yaml")
    folders = [path for path in (root / "data").glob("*/") if any(one.is_file() for one in path.iterdir())]
    arms = [path for path in (root / "data").glob("*/*/") if path.parent not in folders]
    stages = {}
    for out in sorted([*folders, *arms]):
        name = out.relative_to(root).as_posix()
        stages[name.removeprefix("data/").replace("/", "@")] = {
            "cmd": "made",
            "outs": [{"path": name, "hash": "md5", "md5": _store_folder(out, root / ".dvc/cache/files/md5")}],
        }
    (root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))


def _write_later(root: Path) -> None:
    data = root / "data"
    params = yaml.safe_load((root / "params.yaml").read_text())
    params["train"][ARM]["steps"] += 100
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    assets = [one for one in read_rows(data / "assets/assets.jsonl", Asset) if one.id != WENT]
    conditions = read_rows(data / "degrade/conditions.jsonl", Condition)
    paint(CHANGED, "condition", "another").save(data / f"assets/conditions/{CHANGED}.png")
    for number in range(CAME):
        name, photo = f"lamp-9{number:04d}", Image.new("RGBA", (128, 128), (90, 30, 30, 0))
        photo.paste((90, 30, 30, 255), (2 + number, 1, 126, 127))
        photo.save(data / f"assets/conditions/{name}.png")
        about = {"id": name, "category": "lamp", "split": "heldout"}
        assets.append(filled(Asset, **about, condition=f"data/assets/conditions/{name}.png", faces=9000))
        conditions.append(filled(Condition, asset=name, regime="severe", operators=[("blur", 4)]))
    write_rows(data / "assets/assets.jsonl", assets)
    write_rows(data / "degrade/conditions.jsonl", conditions)
    rng = np.random.default_rng(6)
    rows = []
    for row in read_rows(data / f"evaluate/{ARM}/verdicts.jsonl", HeldoutVerdict):
        worse = row.regime == "severe" and row.outcome != "invalid" and row.d is not None
        values = verdict(rng, row.d + FELL) if worse and row.d is not None else {}
        rows.append(row.model_copy(update=values))
    rows = [row for row in rows if row.object != WENT]
    write_rows(data / f"evaluate/{ARM}/verdicts.jsonl", rows)
    write_record(data / f"evaluate/{ARM}/results.json", results(rows))
    write_audit(root, load_params(root / "params.yaml"), "evaluation", 0.1)


def _store_folder(folder: Path, cache: Path) -> str:
    rows = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest = _store(path, cache)
        rows.append({"md5": digest, "relpath": path.relative_to(folder).as_posix()})
    listing = json.dumps(sorted(rows, key=lambda row: row["relpath"]))
    name = str(compute_dvc_digest(folder))
    (cache / name[:2]).mkdir(parents=True, exist_ok=True)
    (cache / name[:2] / name[2:]).write_text(listing)
    return name


def _store(path: Path, cache: Path) -> str:
    digest = str(compute_dvc_digest(path))
    place = cache / digest[:2] / digest[2:]
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, place)
    return digest
