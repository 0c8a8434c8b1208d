"""Models by hub id: what the cache has is used without a network, pinned or not; what is missing is said."""

import gzip
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from support.places import ROOT
from tasks.making.networks import find_generator_directory
from verdict3d.config import Params, load_params
from verdict3d.errors import Verdict3DError
from verdict3d.hub import EXPECTED_BYTES, is_hub_id, local_directory, look_up
from verdict3d.products.doctor_models import ModelFinding, examine_memory, examine_models
from verdict3d.trellis.conditioner import Conditioner, make_dinov2_config

COMMITS = {"main": "a" * 40, "v1": "b" * 40}
CODE = """
import json, sys
from pathlib import Path
from verdict3d.errors import Verdict3DError
from verdict3d.hub import local_directory, look_up
model, revision = sys.argv[1], sys.argv[2] or None
try:
    place = local_directory(model, revision, ["*.json", "ckpts/*"], "generator", Path())
    print((place / "pipeline.json").read_text(), look_up(model, revision, ["*.json"], Path()).present_bytes)
except Verdict3DError as error:
    print("refused:", error)
"""


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A hub cache with two revisions of one model."""
    for revision, commit in COMMITS.items():
        folder = tmp_path / "hub/models--owner--generator"
        (folder / "snapshots" / commit).mkdir(parents=True)
        (folder / "snapshots" / commit / "pipeline.json").write_text(json.dumps(revision))
        (folder / "refs").mkdir(exist_ok=True)
        (folder / "refs" / revision).write_text(commit)
    return tmp_path


def offline(cache: Path, model: str, revision: str) -> str:
    environment = os.environ | {"HF_HOME": str(cache), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", CODE, model, revision]
    return subprocess.check_output(command, env=environment, cwd=ROOT, text=True)


def test_the_cache_is_used_offline_at_the_pinned_revision(cache: Path) -> None:
    assert offline(cache, "owner/generator", "") == '"main" 6\n'
    assert offline(cache, "owner/generator", "v1") == '"v1" 4\n'
    assert offline(cache, "owner/generator", COMMITS["v1"]) == '"v1" 4\n'
    refused = offline(cache, "owner/generator", "c" * 40)
    assert refused.startswith(f"refused: generator 'owner/generator' (revision {'c' * 40}) is neither")
    assert "hf download owner/absent" in offline(cache, "owner/absent", "")


def test_directories_of_the_project_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    for place, content in ((project, "{}"), (elsewhere, '{"another": 1}')):
        (place / "data/name").mkdir(parents=True)
        (place / "data/name/config.json").write_text(content)
    (project / "owner/name").mkdir(parents=True)
    monkeypatch.chdir(elsewhere)
    assert local_directory("data/name", None, ["*"], "judge", project) == project / "data/name"
    assert local_directory("owner/name", None, ["*"], "judge", project) == project / "owner/name"
    absolute = elsewhere / "data/name"
    assert local_directory(absolute, None, ["*"], "judge", project) == absolute
    assert look_up("data/name", None, ["*.json"], project).present_bytes == 2
    (elsewhere / "data/here").mkdir()
    with pytest.raises(Verdict3DError, match=f"neither a directory nor .* sought in {project}"):
        local_directory("data/here", None, ["*"], "judge", project)
    assert is_hub_id("owner/other")
    for name in ("data/checkpoints/absent", "/absent/place", "data/absent"):
        assert not is_hub_id(name)
        with pytest.raises(Verdict3DError, match="neither a directory nor a hub id"):
            local_directory(name, None, ["*"], "judge", tmp_path)


def test_the_doctor_tells_sizes_and_what_is_missing(tmp_path: Path) -> None:
    params = load_params(ROOT / "params.yaml")
    shipped = examine_models(params, ROOT)
    assert [finding.role for finding in shipped] == ["generator", "training judge", "evaluation judge"]
    assert all(finding.ok and "MiB" in finding.detail and finding.size_bytes > 1e6 for finding in shipped)
    assert find_generator_directory(params, ROOT) == ROOT / params.generator.model
    absent = examine_models(params, tmp_path)
    assert not any(finding.ok for finding in absent) and "neither a directory" in absent[0].detail
    assert examine_memory(absent) == (
        False,
        "the size of generator, training judge, evaluation judge is not known yet",
    )
    full = yaml.safe_load((ROOT / "presets/full.yaml").read_text())
    named = [full["generator"]["model"], full["generator"]["conditioner"]]
    named += [judge["model"] for judge in full["judges"].values() if isinstance(judge, dict)]
    assert set(named) == set(EXPECTED_BYTES)
    endpoint = {"url": "http://127.0.0.1:1/v1", "key_variable": "SURELY_NOT_SET"}
    values = params.model_dump()
    values["judges"]["training"]["endpoint"] = endpoint
    served = examine_models(type(params).model_validate(values), ROOT)[1]
    assert not served.ok and "SURELY_NOT_SET is not set" in served.detail


def test_the_doctor_says_whether_it_will_fit() -> None:
    small = [ModelFinding("generator", True, "", 10), ModelFinding("training judge", True, "", 20)]
    assert examine_memory(small)[0]
    huge = [*small, ModelFinding("evaluation judge", True, "", 10**15)]
    fits, detail = examine_memory(huge)
    assert not fits and "larger GPU" in detail
    together = [
        ModelFinding("generator", True, "", 6 * 10**14),
        ModelFinding("conditioner", True, "", 10**14),
    ]
    assert examine_memory([*together, small[1]])[1] != examine_memory([together[0], small[1]])[1]


def test_sizes_are_known_where_the_hub_cannot_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    values = load_params(ROOT / "params.yaml").model_dump()
    values["generator"] |= yaml.safe_load((ROOT / "presets/full.yaml").read_text())["generator"]
    generator, conditioner = examine_models(Params.model_validate(values), ROOT)[:2]
    assert not generator.ok and generator.size_bytes == EXPECTED_BYTES["microsoft/TRELLIS-image-large"]
    assert "not in the cache, about 2.9 GiB in all; the hub cannot be reached" in generator.detail
    assert "about 1.1 GiB" in conditioner.detail


def test_expected_sizes_are_those_of_the_architectures() -> None:
    manifest = json.loads(gzip.decompress((ROOT / "tests/goldens/manifest.json.gz").read_bytes()))
    bytes_of = {"F16": 2, "F32": 4}
    counted = sum(
        bytes_of[line.split("|")[1]] * math.prod(int(side) for side in line.split("|")[2].split("x"))
        for entry in manifest.values()
        for line in entry["keys"]
    )
    with torch.device("meta"):
        conditioner = Conditioner(make_dinov2_config()).model.state_dict().values()
    expected = EXPECTED_BYTES
    assert counted == pytest.approx(expected["microsoft/TRELLIS-image-large"], rel=1e-3)
    assert 4 * sum(v.numel() for v in conditioner) == expected["facebook/dinov2-with-registers-large"]
