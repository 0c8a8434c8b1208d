"""A third judge is a judge like the others wherever judges are gone through."""

from __future__ import annotations

from pathlib import Path

import trimesh
from PIL import Image

from flows.products.verdict_book import find_question
from support.command_line import call_command_line
from support.places import ROOT
from support.toy_chain import write_toy_chain
from verdict3d.config import Params, load_params
from verdict3d.judge.rubric import digest_prompt, write_prompt_for
from verdict3d.products.doctor_models import examine_models


def with_third(params: Params, model: str) -> Params:
    third = params.judges.evaluation.model_copy(update={"model": model})
    return params.model_copy(update={"judges": params.judges.model_copy(update={"third": third})})


def test_doctor_looks_for_the_third_judge(tmp_path: Path) -> None:
    params = load_params(ROOT / "params.yaml")
    place = str(tmp_path / "no-such-judge")
    found = {finding.role: finding for finding in examine_models(with_third(params, place), ROOT)}
    assert not found["third judge"].ok and place in found["third judge"].detail
    assert "third judge" not in {finding.role for finding in examine_models(params, ROOT)}


def test_a_question_of_the_third_judge_is_known() -> None:
    shipped = load_params(ROOT / "params.yaml").judges
    evaluation = shipped.evaluation
    embedded, third = str(ROOT / evaluation.model), "OpenGVLab/InternVL3-8B"
    text = write_prompt_for(third, "three_images", "normal")
    row = {"prompt": digest_prompt(text), "panel": "three_images", "mode": "normal"}
    known = evaluation.model_copy(update={"model": embedded})
    judges = shipped.model_copy(update={"training": known, "evaluation": known})
    both = judges.model_copy(update={"third": evaluation.model_copy(update={"model": third})})
    assert find_question(row, both, ROOT) == text and find_question(row, judges, ROOT) is None


def test_the_third_judge_can_be_asked_about_two_meshes(tmp_path: Path) -> None:
    project = write_toy_chain(tmp_path / "project")  # its parameters name no third judge
    Image.new("RGBA", (64, 64), (200, 90, 40, 255)).save(project / "photo.png")
    for name in ("a.glb", "b.glb"):
        trimesh.creation.box().export(project / name)
    asked = ("judge", "--by", "third", "--reference", "photo.png", "a.glb", "b.glb")
    done = call_command_line(*asked, cwd=project)
    assert (done.returncode, done.stderr) == (
        1,
        "error: there is no third judge; set judges.third in params.yaml\n",
    )
