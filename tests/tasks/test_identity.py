"""What each stage depends on, in a copy of this project whose code and defaults are edited for real."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.adapters import make_origin
from support.outside import box_settings, outside
from support.places import ROOT, append
from tasks.identity import find_changed_identities, find_stage_identities
from tasks.scoring.champion import make_champion, place_champion
from verdict3d.adapt.adapter import save_adapter
from verdict3d.config import load_params
from verdict3d.config_arms import OutsideArmParams
from verdict3d.generators.identity import describe_generator
from verdict3d.records.adapters import adapter_identity
from verdict3d.records.files import read_json
from verdict3d.records.generators import GENERATOR
from verdict3d.records.record import as_values, write_record

Values = dict[str, Any]

REPAIR, STACK = "conditioner_repair", "repair_and_majority"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of code, parameters and dvc.yaml, with the identities that the stage wrote there."""
    root = tmp_path_factory.mktemp("original")
    for name in ("tasks", "verdict3d"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, root / name)
    edit(root, "params.yaml", f"  arms: [{STACK}] # presets", f"  arms: [{REPAIR}, {STACK}] # presets")
    written(root)
    return root


@pytest.fixture
def project(original: Path, tmp_path: Path) -> Path:
    """Such a copy to edit."""
    return shutil.copytree(original, tmp_path / "project", ignore=shutil.ignore_patterns("__pycache__"))


def identities(root: Path) -> dict[str, Values]:
    """Return what the stage wrote, by stage."""
    home = root / "data/identity"
    return {
        path.relative_to(home).with_suffix("").as_posix().replace("/", "@"): read_json(path)
        for path in home.rglob("*.json")
    }


def written(root: Path) -> dict[str, Values]:
    """Run the stage with the project's own code, as DVC does, and return what it wrote, by stage."""
    subprocess.run([sys.executable, "-m", "tasks.identity"], cwd=root, check=True)
    return identities(root)


def edit(root: Path, name: str, before: str, after: str) -> None:
    text = (root / name).read_text()
    assert text.count(before) == 1
    (root / name).write_text(text.replace(before, after))


def differing(before: dict[str, Values], after: dict[str, Values]) -> set[str]:
    return {stage for stage in before | after if before.get(stage) != after.get(stage)}


def test_every_stage_has_an_identity_and_nothing_else_has(project: Path) -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    plain = {name for name, stage in stages.items() if "foreach" not in stage} - {"identity"}
    items = {f"{stage}@{arm}" for stage in ("train", "evaluate") for arm in (REPAIR, STACK)}
    items |= {f"{stage}@{role}" for stage in ("audit", "certify") for role in ("training", "evaluation")}
    assert set(identities(project)) == plain | items


@pytest.mark.parametrize("damage", [b"", b"[]", b"null", b'{"a": "\xff"}', None])
def test_a_damaged_identity_is_left_to_dvc(project: Path, damage: bytes | None) -> None:
    params, path = load_params(project / "params.yaml"), project / "data/identity/label.json"
    path.unlink() if damage is None else path.write_bytes(damage)
    assert find_changed_identities(params, project) == {}


def test_a_changed_default_concerns_exactly_the_stages_that_read_it(project: Path) -> None:
    before = identities(project)
    edit(project, "verdict3d/config_generators.py", "faces: Count = 2_000_000", "faces: Count = 1_000_000")
    assert differing(before, written(project)) == set(), "params.yaml says it"
    default = 'compiled: bool = {}\n    """Compile the flows'
    edit(project, "verdict3d/config_generators.py", default.format(False), default.format(True))
    arms = {f"{stage}@{arm}" for stage in ("train", "evaluate") for arm in (REPAIR, STACK)}
    assert differing(before, written(project)) == {"generate", "challenge", "report", *arms}


def test_a_changed_default_of_a_method_concerns_its_arms(project: Path) -> None:
    before = identities(project)
    share = "unconditional_share: Share = 0."
    edit(project, "verdict3d/config_arms.py", f"{share}1", f"{share}2")
    assert differing(before, written(project)) == {f"train@{STACK}", f"evaluate@{STACK}", "report"}


def test_an_edit_concerns_the_stages_that_import_the_file(project: Path) -> None:
    params = load_params(project / "params.yaml")
    append(project / "verdict3d/adapt/methods/search.py", "# edited\n")
    append(project / "verdict3d/view/templates/page.css", "/* edited */\n")
    append(project / "verdict3d/pretrain/recipe.py", "# edited\n")
    assert find_changed_identities(params, project) == {
        f"train@{STACK}": {"changed code": ["verdict3d/adapt/methods/search.py"]},
        f"evaluate@{STACK}": {"changed code": ["verdict3d/adapt/methods/search.py"]},
        "challenge": {"changed code": ["verdict3d/adapt/methods/search.py"]},
        "report": {"changed code": ["verdict3d/view/templates/page.css"]},
    }


def test_a_file_of_an_outside_champion_concerns_the_challenge(project: Path, tmp_path: Path) -> None:
    params = load_params(project / "params.yaml")
    generator = outside(**box_settings(project))
    arm = OutsideArmParams(method="outside", generator=generator)
    record = describe_generator(generator, project)
    adapter = tmp_path / "adapter"
    save_adapter({}, make_origin("boxes", record.digest, arm), {"parameters": 0}, adapter)
    write_record(adapter / GENERATOR, record)
    place_champion(project, make_champion(1, "boxes", adapter_identity(adapter)), adapter)
    assert find_changed_identities(params, project) == {"challenge": {"changed generators": ["champion"]}}
    written(project)
    assert find_changed_identities(params, project) == {}
    append(project / "data/generators/box.py", "# edited\n")
    assert find_changed_identities(params, project) == {"challenge": {"changed generators": ["champion"]}}


def test_parameters_concern_the_stages_that_list_them(project: Path) -> None:
    def found(old: str, new: str) -> dict[str, dict[str, list[str]]]:
        edit(project, "params.yaml", old, new)
        return find_changed_identities(load_params(project / "params.yaml"), project)

    assert found('cron: "0 3 * * *"', 'cron: "0 4 * * *"') == {}
    words = {"changed params": ["generate"]}
    assert found("low_budget_steps: 4", "low_budget_steps: 5") == {"generate": words, "report": words}


def test_another_judge_concerns_what_is_drawn_only_where_it_looks_at_something_new(project: Path) -> None:
    params = load_params(project / "params.yaml")

    def drawing(mode: str) -> set[str]:
        third = params.judges.evaluation.model_copy(update={"mode": mode})
        judges = params.judges.model_copy(update={"third": third})
        found = find_changed_identities(params.model_copy(update={"judges": judges}), project)
        return {"generate", "controls"} & set(found)

    assert drawing("normal") == set() and drawing("clay") == {"generate", "controls"}


METHOD = '''"""Method ``token_gain``: every token times a number; trains nothing."""

from verdict3d.adapt.method import Method
from verdict3d.adapt.methods.control import Control


class TokenGain(Control):
    """The method."""

    name = "token_gain"


METHOD: Method = TokenGain()
'''


def test_a_new_method_concerns_no_finished_arm(project: Path) -> None:
    """CONTRIBUTING's recipe for an arm, to the letter."""
    before = identities(project)
    (project / "verdict3d/adapt/methods/token_gain.py").write_text(METHOD)
    edit(
        project,
        "verdict3d/config_arms.py",
        "class SearchParams(Section):",
        "class TokenGainParams(Section):\n"
        '    """Every token times a number."""\n\n'
        '    method: Literal["token_gain"]\n'
        "    gain: float = 1.1\n\n\n"
        "class SearchParams(Section):",
    )
    edit(
        project,
        "verdict3d/config_arms.py",
        "    | SearchParams\n",
        "    | SearchParams\n    | TokenGainParams\n",
    )
    values: dict[str, Any] = yaml.safe_load((project / "params.yaml").read_text())
    values["train"] |= {"louder": {"method": "token_gain"}, "arms": [*values["train"]["arms"], "louder"]}
    (project / "params.yaml").write_text(yaml.safe_dump(values))
    after = written(project)
    assert differing(before, after) == {"train@louder", "evaluate@louder", "challenge", "report"}
    mine = after["train@louder"]
    assert "verdict3d/adapt/methods/token_gain.py" in mine["code"]
    assert mine["params"]["train.louder"] == {"method": "token_gain", "gain": 1.1}
    find = "from verdict3d.adapt.registry import find_method; print(find_method('token_gain').name)"
    said = subprocess.check_output([sys.executable, "-c", find], cwd=project, text=True)
    assert said.strip() == "token_gain"


def test_identities_do_not_depend_on_where_the_project_lies(project: Path, tmp_path: Path) -> None:
    preset = tmp_path / "preset"
    preset.mkdir()
    for name in ("tasks", "verdict3d", "dvc.yaml", "params.yaml"):
        (preset / name).symlink_to(project / name)
    params = load_params(project / "params.yaml")
    assert written(preset) == identities(project)
    assert identities(project) == {
        stage: as_values(found) for stage, found in find_stage_identities(params, project).items()
    }


def test_a_set_of_somebody_else_concerns_the_arm_that_takes_it_over(project: Path) -> None:
    values: dict[str, Any] = yaml.safe_load((project / "params.yaml").read_text())
    for name in ("chairs", "sofas"):
        values["train"][name] = {"method": "lora", "folder": name}
    values["train"]["arms"], values["promotion"]["arms"] = ["chairs", "sofas"], ["chairs"]
    (project / "params.yaml").write_text(yaml.safe_dump(values))
    before = written(project)
    assert set(before["train@chairs"]["files"].values()) == {None}
    (project / "data/loras/chairs").mkdir(parents=True)
    (project / "data/loras/chairs/adapter_model.safetensors").write_bytes(b"weights")
    assert differing(before, written(project)) == {"train@chairs"}
    params = load_params(project / "params.yaml")
    (project / "data/loras/chairs/adapter_model.safetensors").write_bytes(b"other weights")
    assert find_changed_identities(params, project) == {
        "train@chairs": {"changed files": ["data/loras/chairs/adapter_model.safetensors"]}
    }
