"""The chain with generators that are not ours: one code path from the photos to the champion and back."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import tasks.challenge
import tasks.train
from support.decisions import decided
from support.outside_project import FAILS, OUTSIDE, SEARCH, run_outside_chain
from tasks.identity import find_stage_identities
from tasks.registry.promotion_record import RefusedError
from tasks.scoring.champion import read_champion
from verdict3d.config import Params
from verdict3d.errors import Verdict3DError
from verdict3d.records.files import read_json, read_jsonl
from verdict3d.records.generators import GeneratorRecord
from verdict3d.records.record import as_values, read_record

pytestmark = pytest.mark.slow

Project = tuple[Path, Params]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("outside") / "project"
    return root, run_outside_chain(root)


@pytest.fixture
def project(made: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A copy for one test, which works in it, with an embedded MLflow of its own."""
    root = Path(shutil.copytree(made[0], tmp_path / "project"))
    enter(root, monkeypatch)
    yield root, made[1]


def enter(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a project, with an embedded MLflow of its own."""
    monkeypatch.chdir(root)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for name, value in (("DISABLE_TELEMETRY", "true"), ("ENABLE_ARTIFACTS_PROGRESS_BAR", "false")):
        monkeypatch.setenv(f"MLFLOW_{name}", value)


def test_rows_and_records_say_who_made_the_meshes(made: Project) -> None:
    root, _ = made
    base, other = (
        read_record(root / f"data/{place}/generator.json", GeneratorRecord)
        for place in ("generate", f"evaluate/{OUTSIDE}")
    )
    assert (base.title, other.title) == ("base boxes 1", "other boxes 2")
    for place, record in (("generate", base), (f"evaluate/{OUTSIDE}", other), (f"evaluate/{SEARCH}", base)):
        rows = read_jsonl(root / f"data/{place}/generations.jsonl")
        assert {row["generator"] for row in rows} == {record.digest} and rows
        assert {row["steps"] for row in rows} == {None}
        assert all("rgb" not in (row["montages"] or {}) for row in rows), "they have nothing on them"


def test_a_missing_mesh_is_a_loss_of_its_side(made: Project) -> None:
    root, params = made
    for folder in (f"evaluate/{OUTSIDE}", f"challenge/{OUTSIDE}"):
        rows = [row for row in read_jsonl(root / f"data/{folder}/verdicts.jsonl") if row["object"] == FAILS]
        assert {(row["outcome"], row["reason"]) for row in rows} == {("loss", "command_failed")}
    evidence = read_json(root / "data/gate/evidence.json")["arms"][OUTSIDE]
    (mine,) = (found for found in evidence["objects"] if found["object"] == FAILS)
    assert mine["primary"] == [0, params.judges.evaluation.views, 0] and mine["validity"][1] > 0
    assert "texture" in evidence["untested"]


def test_an_arm_that_trains_nothing_has_no_weights_and_nothing_to_look_into(made: Project) -> None:
    root, _ = made
    for arm in (OUTSIDE, SEARCH):
        results = read_json(root / f"data/evaluate/{arm}/results.json")
        washout = results["washout"]["clean"]
        assert washout["weights"]["count"] == 0 and washout["structure_iou"] is None
        assert washout["montage_distance"] is not None


def test_a_search_keeps_one_of_the_meshes_of_the_base(made: Project) -> None:
    root, _ = made
    first = {
        (row["asset"], row["regime"]): row["mesh_digest"]
        for row in read_jsonl(root / "data/generate/generations.jsonl")
        if row["role"] == "heldout"
    }
    found = read_jsonl(root / f"data/evaluate/{SEARCH}/generations.jsonl")
    assert [row["failure"] for row in found] == [None] * len(found)
    assert {(row["asset"], row["regime"]) for row in found} == set(first)


def test_another_file_of_a_generator_concerns_the_stages_that_ask_it(project: Project) -> None:
    root, params = project
    shutil.copy(Path(tasks.challenge.__file__).parents[1] / "dvc.yaml", root)
    for package in ("tasks", "verdict3d"):
        (root / package).symlink_to(Path(tasks.challenge.__file__).parents[1] / package)
    before = find_stage_identities(params, root)
    script = root / "data/generators/box.py"
    script.write_text(script.read_text() + "# edited\n")
    after = find_stage_identities(params, root)
    arms = {f"{stage}@{arm}" for stage in ("train", "evaluate") for arm in (OUTSIDE, SEARCH)}
    concerned = {stage for stage in before if before[stage] != after[stage]}
    assert concerned == {"generate", "challenge", "report", *arms}


def act(project: Project, command: str, *rest: str) -> dict[str, object]:
    from tasks.registry.promotion import promote, rollback, sync
    from tasks.registry.versions import Registry

    if command == "promote":
        return as_values(promote(project[1], project[0], Path(), "", Registry(), *rest))
    return as_values(rollback(Registry(), *rest) if command == "rollback" else sync(Path(), Registry()))


def test_an_outside_champion_is_registered_promoted_beaten_and_rolled_back(project: Project) -> None:
    from mlflow.artifacts import download_artifacts

    from tasks.registry.outside_version import MESHES
    from tasks.registry.versions import Registry

    root, params = project
    decided(root, "PROMOTE", arm=OUTSIDE)
    done = act(project, "promote")
    assert (done["version"], done["moved"]) == (1, True)
    tags = Registry().find_aliased("champion").tags  # type: ignore[union-attr]
    assert tags["generator"] == "other boxes 2" and tags["generator.determinism"] == "bitwise"
    right, _, items, _ = tags["verified"].split()
    assert right == items and int(items) == 4
    place = download_artifacts(f"models:/verdict3d/1/artifacts/{MESHES}", tracking_uri=Registry().uri)
    meshes = read_json(Path(place))
    rows = read_jsonl(root / f"data/evaluate/{OUTSIDE}/generations.jsonl")
    assert meshes["meshes"] == {row["id"]: row["mesh_digest"] for row in rows}
    assert meshes["generator"]["name"] == "other boxes"

    assert act(project, "sync")["changed"]
    assert read_champion(root).arm == OUTSIDE
    tasks.challenge.run(params, root)  # this project never trained it
    theirs = read_jsonl(root / "data/challenge/champion/generations.jsonl")
    assert {row["id"]: row["mesh_digest"] for row in theirs}.keys() != meshes["meshes"].keys()
    assert [row["mesh_digest"] for row in theirs] == list(meshes["meshes"].values())
    assert act(project, "rollback", "", "a drill")["champion"]["version"] is None  # type: ignore[index]
    assert act(project, "sync")["changed"] and read_champion(root).version is None
    assert not (root / "data/registry/champion/generator.json").exists()


def test_a_generator_that_repeats_nothing_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, _ = project
    decided(root, "PROMOTE", arm=OUTSIDE)
    monkeypatch.setenv("BOX_SHIFT", "3")
    with pytest.raises(RefusedError, match=r"\(other boxes 2\) does not give the evaluated meshes again"):
        act(project, "promote")


@pytest.mark.parametrize(("determinism", "first", "later"), [("seeded", "0", "3"), ("none", *2 * ["random"])])
def test_a_generator_that_gives_like_meshes_is_repeated_statistically(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, determinism: str, first: str, later: str
) -> None:
    from tasks.registry.versions import Registry

    root = tmp_path / "project"
    monkeypatch.setenv("BOX_SHIFT", first)
    params = run_outside_chain(root, determinism)
    enter(root, monkeypatch)
    decided(root, "PROMOTE", arm=OUTSIDE)
    monkeypatch.setenv("BOX_SHIFT", later)  # other meshes than those that were judged
    assert act((root, params), "promote")["moved"]
    tags = Registry().find_aliased("champion").tags  # type: ignore[union-attr]
    assert tags["generator.determinism"] == determinism
    scores = r"4 items, mean F-score 0\.\d+ after 0\.\d+, one-sided p [01]\.\d+ of being worse"
    assert re.fullmatch(rf"repeated statistically \({determinism}\): {scores}", tags["verified"])


def test_a_generator_that_changed_is_named(project: Project) -> None:
    root, _ = project
    decided(root, "PROMOTE", arm=OUTSIDE)
    script = root / "data/generators/box.py"
    script.write_text(script.read_text() + "# edited\n")
    with pytest.raises(Verdict3DError, match=r"is not what it was; other: data/generators/box.py"):
        act(project, "promote")
