"""Lineage: relatives are found whatever they are called, and strangers must say where they come from."""

from __future__ import annotations

import re

import pytest

from support.judge_examples import params
from support.judge_identities import make_identity
from verdict3d.config_judges import LineageParams
from verdict3d.errors import Verdict3DError
from verdict3d.judge.identity import JudgeIdentity, require_different
from verdict3d.judge.lineage import (
    REGISTRY,
    find_facts,
    find_family,
    find_lineage,
    find_shared_parts,
    warn_of_lineage,
)

QWEN, INTERN = "Qwen/Qwen2.5-VL-7B-Instruct", "OpenGVLab/InternVL3-8B-hf"
OWN = LineageParams(vision_tower="v", language_model="l", vendor="w", licence="x", source="s")


def known(model: str) -> LineageParams:
    facts = find_facts(model)
    assert facts is not None, model
    return facts


def identity(model: str, weights: str) -> JudgeIdentity:
    return make_identity(model=model, weights=weights, dtype="bfloat16")


def test_the_papers_two_judges_share_a_language_model() -> None:
    assert find_shared_parts(known(QWEN), known(INTERN)) == ("language model",)
    (warning,) = warn_of_lineage({"training": known(QWEN), "evaluation": known(INTERN)})
    assert "Qwen2.5" in warning and "judges.third" in warning
    apart = {"training": known(QWEN), "evaluation": known("google/gemma-3-12b-it")}
    assert warn_of_lineage(apart) == []
    assert len(warn_of_lineage({**apart, "third": known(INTERN)})) == 1


@pytest.mark.parametrize(
    ("model", "language"),
    [
        ("OpenGVLab/InternVL2_5-8B", "InternLM2.5"),
        ("OpenGVLab/InternVL2_5-4B-MPO", "Qwen2.5"),
        ("OpenGVLab/InternVL3-9B", "InternLM3"),
        ("OpenGVLab/InternVL3_5-8B-HF", "Qwen3"),
        ("/models/Qwen2-VL-7B-Instruct/", "Qwen2"),
        ("Qwen/Qwen3-VL-8B-Instruct", "Qwen3"),
        ("llava-hf/llava-onevision-qwen2-7b-ov-hf", "Qwen2"),
        ("mistralai/Pixtral-12B-2409", "Mistral NeMo"),
        ("HuggingFaceTB/SmolVLM-Instruct", "SmolLM2"),
        ("openbmb/MiniCPM-V-2_6", "Qwen2"),
        ("microsoft/Phi-4-multimodal-instruct", "Phi-4"),
    ],
)
def test_common_judges_are_known(model: str, language: str) -> None:
    assert find_family(known(model)) == language


def test_no_two_entries_claim_one_name() -> None:
    names = ("qwen2.5-vl-7b-instruct", "internvl3-8b", "internvl3_5-8b", "internvl2_5-8b", "qwen3-vl-8b")
    for name in names:
        assert sum(re.fullmatch(entry.pattern, name) is not None for entry in REGISTRY) <= 1, name


def test_unknown_models_must_state_their_lineage(tmp_path) -> None:
    with pytest.raises(Verdict3DError, match="vision_tower, language_model, language_family, vendor"):
        find_lineage(params(tmp_path))
    assert find_lineage(params(tmp_path, lineage=OWN)) == OWN
    assert find_lineage(params(QWEN)) == known(QWEN)
    with pytest.raises(Verdict3DError, match=r"built on l, the registry says on Qwen2\.5"):
        find_lineage(params(QWEN, lineage=OWN))


def test_one_model_under_two_names_is_refused() -> None:
    with pytest.raises(Verdict3DError, match="same model"):
        require_different(identity(QWEN, "hub"), identity("qwen2.5-vl-7b-instruct", "served"))
    require_different(identity(QWEN, "a"), identity("Qwen/Qwen2.5-VL-32B-Instruct", "b"))
    require_different(identity("one/judge", "a"), identity("other/judge", "b"))
