"""Presets: judges whose lineage is clear, and arms that fit the generator's tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
import yaml

from flows.chain.workspace import overlay
from support.places import ROOT
from verdict3d.adapt.conditioners import TokenTransformer
from verdict3d.config import Params
from verdict3d.config_generators import TrellisParams
from verdict3d.config_judges import JudgeRole
from verdict3d.judge.lineage import find_lineage, warn_of_lineage
from verdict3d.records.files import read_json
from verdict3d.trellis.conditioner import make_dinov2_config

PRESETS = sorted(path.stem for path in (ROOT / "presets").glob("*.yaml"))


def preset(name: str) -> Params:
    files = [ROOT / "params.yaml", ROOT / f"presets/{name}.yaml"]
    return Params.model_validate(overlay(*(yaml.safe_load(path.read_text()) for path in files)))


def parts_of(params: Any) -> Iterator[Any]:
    yield params
    for part in getattr(params, "parts", ()):
        yield from parts_of(part)


@pytest.mark.parametrize("name", PRESETS)
def test_where_the_judges_come_from_is_clear(name: str) -> None:
    judges = preset(name).judges
    lineages = {role: find_lineage(one) for role in get_args(JudgeRole) if (one := getattr(judges, role))}
    shared = warn_of_lineage(lineages)
    assert bool(shared) == (name == "full")  # InternVL3's language model is initialised from Qwen2.5
    assert all("Qwen2.5" in warning for warning in shared)


@pytest.mark.parametrize("name", PRESETS)
def test_arms_fit_the_tokens(name: str) -> None:
    params = preset(name)
    if not isinstance(params.generator, TrellisParams):
        assert not any(getattr(params.train.sections[arm], "tokens", None) for arm in params.train.arms)
        return
    shipped = ROOT / params.generator.model / "image_cond_model/config.json"
    channels = read_json(shipped)["hidden_size"] if shipped.is_file() else make_dinov2_config().hidden_size
    assert shipped.is_file() == (name != "full")
    for arm in params.train.arms:
        for part in parts_of(params.train.sections[arm]):
            if getattr(part, "tokens", None) is not None:
                TokenTransformer(channels, 4, part.tokens.blocks, part.tokens.heads)


@pytest.mark.parametrize("arm", ["oracle", "oracle_structure", "oracle_latents"])
def test_what_sees_the_clean_picture_is_no_candidate(arm: str) -> None:
    values = preset("sweep").model_dump(mode="json")
    for allowed in ("base_again", "random_pick"):
        assert Params.model_validate(overlay(values, {"promotion": {"arms": [allowed]}}))
    with pytest.raises(ValueError, match=f"'{arm}'.*is given the clean picture"):
        Params.model_validate(overlay(values, {"promotion": {"arms": ["repair_longer", arm]}}))


@pytest.mark.parametrize("name", ["outside", "served"])
def test_presets_that_go_the_whole_way_have_the_objects_that_the_gate_asks_for(name: str) -> None:
    params = preset(name)
    assert params.assets.heldout >= params.promotion.objects
