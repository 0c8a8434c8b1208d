"""Whatever order stages end in, what names them has one order, and a run one key."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from support.report_project import ARM, write_project
from tasks.report import run
from tasks.stage_order import read_locked_stages
from tasks.tracking.run_record import collect_run
from verdict3d.config import load_params
from verdict3d.errors import Verdict3DError
from verdict3d.project import PAGE
from verdict3d.run_keys import run_key


def write_lock(root: Path, *stages: str) -> None:
    """Write a lock as DVC does when the stages end in this order."""
    entries = {name: {"cmd": name, "outs": [{"path": f"data/{name}", "md5": "0" * 32}]} for name in stages}
    (root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": entries}, sort_keys=False))


ENDED = ["assets", "generate", "pairs", "certify@evaluation", "certify@training", f"evaluate@{ARM}", "gone"]
OTHERWISE = [
    "gone",
    "assets",
    "generate",
    "certify@training",
    f"evaluate@{ARM}",
    "certify@evaluation",
    "pairs",
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    write_project(root)
    return root


def test_stages_stand_in_the_order_of_dvc_yaml(project: Path) -> None:
    write_lock(project, *ENDED)
    wanted = [
        "assets",
        "generate",
        "pairs",
        "certify@training",
        "certify@evaluation",
        f"evaluate@{ARM}",
        "gone",
    ]
    assert list(read_locked_stages(project)) == wanted


def test_without_dvc_yaml_stages_stand_by_name(tmp_path: Path) -> None:
    write_lock(tmp_path, "pairs", "assets")
    assert list(read_locked_stages(tmp_path)) == ["assets", "pairs"]


def test_report_and_record_do_not_say_in_which_order_stages_ended(project: Path) -> None:
    found = []
    for order in (ENDED, OTHERWISE):
        write_lock(project, *order)
        run(load_params(project / "params.yaml"), project)
        record = collect_run(project).as_dict()
        record.pop("use")
        found.append(((project / PAGE).read_text(encoding="utf-8"), record, run_key(project)))
    (page, record, key), (other_page, other_record, other_key) = found
    assert page == other_page
    assert key == other_key and str(record) == str(other_record)


def test_a_key_changes_with_what_the_lock_says(tmp_path: Path) -> None:
    assert run_key(tmp_path) is None
    write_lock(tmp_path, "assets", "pairs")
    both = run_key(tmp_path)
    write_lock(tmp_path, "assets")
    assert run_key(tmp_path) not in (None, both)


@pytest.mark.parametrize(
    "text", ["stages: [\n", "stages: {day: 2026-01-01}\n", "stages: {share: .nan, 3: a}\n"]
)
def test_a_lock_that_dvc_did_not_write_is_one_message(tmp_path: Path, text: str) -> None:
    (tmp_path / "dvc.lock").write_text(text)
    with pytest.raises(Verdict3DError, match=r"dvc\.lock"):
        run_key(tmp_path)
