"""An arm as a folder for the hub: PEFT reads it, its card says what was measured, other arms are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from typer.testing import CliRunner

from flows.products.hub import export_arm
from support.adapters import make_origin
from support.arm_examples import ARMS, section
from support.places import ROOT
from support.tiny_trellis import tiny_pipeline
from verdict3d.adapt.adapter import save_adapter
from verdict3d.adapt.lora import networks_of, peft_root
from verdict3d.adapt.lora_sets import read_lora
from verdict3d.adapt.student import make_student
from verdict3d.cli.main import app
from verdict3d.config_arms import LoraParams
from verdict3d.errors import Verdict3DError
from verdict3d.records.adapters import CARD, CONFIG, WEIGHTS
from verdict3d.records.yaml_files import read_yaml


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Trained arms: two that are LoRA, one of them by others, one that is not, and a stack."""
    lora = section(ARMS["dpo"])
    tensors = {
        name: torch.ones_like(value)
        for name, value in make_student(tiny_pipeline(), 1, latents=lora.latents).parameters.items()  # type: ignore[union-attr]
    }
    train = tmp_path / "data/train"
    origin = make_origin("dpo", "base", lora).model_copy(update={"base": "somebody/generator"})
    save_adapter(tensors, origin, {"parameters": 9}, train / "dpo")
    theirs = make_origin("theirs", "base", LoraParams(method="lora", folder="chairs"))
    save_adapter(tensors, theirs, {"parameters": 9, "named_base": "a/b"}, train / "theirs")
    whole = make_origin("whole", "base", section(ARMS["encoder_whole"]))
    save_adapter({"encoder.x.weight": torch.ones(2)}, whole, {"parameters": 2}, train / "whole")
    stack = make_origin("stack", "base", section(ARMS["stack"]))
    save_adapter({"part0.x": torch.ones(2)}, stack, {"parameters": 2}, train / "stack")
    save_adapter({}, make_origin("search", "base"), {"parameters": 0}, train / "search")
    return tmp_path


def front_matter(folder: Path) -> dict[str, object]:
    _, head, body = (folder / "README.md").read_text().split("---\n", 2)
    (folder / "head.yaml").write_text(head)
    values: dict[str, object] = read_yaml(folder / "head.yaml")
    (folder / "head.yaml").unlink()
    assert body.startswith("\n# ")
    return values


def test_peft_and_this_project_read_what_is_exported(root: Path) -> None:
    done = export_arm(root, "dpo", root / "hub", None, None, "")
    assert sorted(path.name for path in (root / "hub").iterdir()) == sorted(
        [WEIGHTS, CONFIG, CARD, "README.md"]
    )
    assert done["base_model"] == "somebody/generator" and done["licence"] == "apache-2.0"
    assert front_matter(root / "hub") == {
        "base_model": "somebody/generator",
        "library_name": "peft",
        "license": "apache-2.0",
        "pipeline_tag": "image-to-3d",
        "tags": ["lora", "image-to-3d", "trellis", "verdict3d"],
    }
    assert json.loads((root / "hub" / CONFIG).read_text())["base_model_name_or_path"] == "somebody/generator"
    pipeline = tiny_pipeline()
    model = PeftModel.from_pretrained(peft_root(pipeline), str(root / "hub"))
    assert all(bool((value == 1).all()) for name, value in model.named_parameters() if "lora_" in name)
    assert read_lora(root / "hub", networks_of(tiny_pipeline())).networks == ("slat_flow_model",)
    text = (root / "hub/README.md").read_text()
    assert "Not evaluated." in text and "No judge holds a certificate here." in text
    export_arm(root, "dpo", root / "hub", "mit", None, "")  # in place of the earlier one
    assert front_matter(root / "hub")["license"] == "mit"


@pytest.mark.parametrize(
    ("arm", "given", "words"),
    [
        ("nobody", {}, "no trained arm 'nobody' .*`verdict3d run --preset x`"),
        ("whole", {}, "no LoRA set: some of its weights are not LoRA.*rank above 0"),
        ("stack", {}, "no LoRA set: it is a stack.*an arm of its own"),
        ("search", {}, "no LoRA set: it trains nothing"),
        ("theirs", {}, "a set by somebody else: say under which licence"),
        ("dpo", {"licence": "My own\nlicence"}, "is no identifier of the hub's, such as mit"),
        ("dpo", {"base": "data/checkpoints/generator"}, "is no id of the hub's"),
    ],
)
def test_what_cannot_be_exported_is_one_message(
    root: Path, arm: str, given: dict[str, str], words: str
) -> None:
    with pytest.raises(Verdict3DError, match=words):
        export_arm(root, arm, root / "hub", given.get("licence"), given.get("base"), " --preset x")
    assert not (root / "hub").exists()


def test_a_folder_with_something_else_stays_as_it_is(root: Path) -> None:
    (root / "hub").mkdir()
    (root / "hub/notes.txt").write_text("mine")
    with pytest.raises(Verdict3DError, match="is in use"):
        export_arm(root, "dpo", root / "hub", None, None, "")
    assert [path.name for path in (root / "hub").iterdir()] == ["notes.txt"]


def test_the_command_answers_in_json(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("verdict3d.project.find_project", lambda: root)
    command = ["export", "theirs", str(root / "hub"), "--licence", "mit", "--json"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["arm"] == "theirs" and document["base_model"] is None and document["half_credit"] == {}
    assert any("--base" in note for note in document["notes"])
    assert "a set by others, which names its base 'a/b'" in (root / "hub/README.md").read_text()
    assert "base_model" not in front_matter(root / "hub") and (ROOT / "dvc.yaml").is_file()
