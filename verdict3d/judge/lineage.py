"""What models were made from, and whether two judges are independent.

Names do not tell: InternVL3-8B and Qwen2.5-VL-7B are different models of different vendors around one
language model. The registry below holds what papers and model cards say about common judges; a model it does
not know states its lineage in ``params.yaml``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from verdict3d.config_judges import JudgeParams, LineageParams
from verdict3d.errors import Verdict3DError

QWEN, INTERN, LLAVA = "Alibaba Qwen", "OpenGVLab", "LLaVA-VL"
_INTERNVIT_S, _INTERNVIT_L = "InternViT-300M-448px-V2_5", "InternViT-6B-448px-V2_5"
_SIGLIP = "SigLIP-so400m-patch14-384"


@dataclass(frozen=True)
class Entry:
    """One line of the registry: ``pattern`` matches the last part of a model's name in lower case."""

    pattern: str
    facts: LineageParams


def _enter(pattern: str, vision: str, language: str, family: str, vendor: str, terms: str, at: str) -> Entry:
    return Entry(
        pattern,
        LineageParams(
            vision_tower=vision,
            language_model=language,
            language_family=family,
            vendor=vendor,
            licence=terms,
            source=at,
        ),
    )


def _make_internvl(
    series: str, size: str, vision: str, language: str, family: str, terms: str, at: str
) -> Entry:
    return _enter(rf"{series}-{size}(-.*)?", vision, language, family, INTERN, terms, at)


_MIT_PARTS = "MIT; the language model under its own terms"
REGISTRY: tuple[Entry, ...] = (
    _enter(r"qwen2-vl-(2b|7b)-instruct.*", "Qwen2-VL's", "Qwen2", "Qwen2", QWEN, "Apache-2.0", "2409.12191"),
    _enter(
        r"qwen2\.5-vl-3b-instruct.*", "Qwen2.5-VL's", "Qwen2.5-3B", "Qwen2.5", QWEN,
        "Qwen research licence (not commercial)", "2502.13923",
    ),
    _enter(
        r"qwen2\.5-vl-(7b|32b)-instruct.*", "Qwen2.5-VL's", "Qwen2.5", "Qwen2.5", QWEN, "Apache-2.0",
        "2502.13923",
    ),
    _enter(
        r"qwen2\.5-vl-72b-instruct.*", "Qwen2.5-VL's", "Qwen2.5-72B", "Qwen2.5", QWEN, "Qwen licence",
        "2502.13923",
    ),
    _enter(
        r"qwen3-vl-.*", "Qwen3-VL's, from SigLIP 2", "Qwen3", "Qwen3", QWEN, "Apache-2.0",
        "https://huggingface.co/Qwen/Qwen3-VL-8B-Instruct",
    ),
    *(
        _make_internvl("internvl2_5", size, vision, language, family, _MIT_PARTS, "2412.05271")
        for size, vision, language, family in (
            ("1b", _INTERNVIT_S, "Qwen2.5-0.5B-Instruct", "Qwen2.5"),
            ("2b", _INTERNVIT_S, "internlm2_5-1_8b-chat", "InternLM2.5"),
            ("4b", _INTERNVIT_S, "Qwen2.5-3B-Instruct", "Qwen2.5"),
            ("8b", _INTERNVIT_S, "internlm2_5-7b-chat", "InternLM2.5"),
            ("26b", _INTERNVIT_L, "internlm2_5-20b-chat", "InternLM2.5"),
            ("38b", _INTERNVIT_L, "Qwen2.5-32B-Instruct", "Qwen2.5"),
            ("78b", _INTERNVIT_L, "Qwen2.5-72B-Instruct", "Qwen2.5"),
        )
    ),
    *(
        _make_internvl("internvl3", size, vision, language, family, _MIT_PARTS, "2504.10479")
        for size, vision, language, family in (
            ("1b", _INTERNVIT_S, "Qwen2.5-0.5B", "Qwen2.5"),
            ("2b", _INTERNVIT_S, "Qwen2.5-1.5B", "Qwen2.5"),
            ("8b", _INTERNVIT_S, "Qwen2.5-7B", "Qwen2.5"),
            ("9b", _INTERNVIT_S, "internlm3-8b-instruct", "InternLM3"),
            ("14b", _INTERNVIT_S, "Qwen2.5-14B", "Qwen2.5"),
            ("38b", _INTERNVIT_L, "Qwen2.5-32B", "Qwen2.5"),
            ("78b", _INTERNVIT_L, "Qwen2.5-72B", "Qwen2.5"),
        )
    ),
    *(
        _make_internvl(r"internvl3[._]5", size, _INTERNVIT_S, language, "Qwen3", "Apache-2.0", "2508.18265")
        for size, language in (
            ("1b", "Qwen3-0.6B"),
            ("2b", "Qwen3-1.7B"),
            ("4b", "Qwen3-4B"),
            ("8b", "Qwen3-8B"),
            ("14b", "Qwen3-14B"),
        )
    ),
    _enter(
        r"llava-onevision-qwen2-(0\.5b|7b|72b)-.*", _SIGLIP, "Qwen2", "Qwen2", LLAVA, "Apache-2.0",
        "2408.03326",
    ),
    _enter(
        r"gemma-3-(4b|12b|27b)-.*", "SigLIP-400M", "Gemma 3", "Gemma 3", "Google", "Gemma terms of use",
        "2503.19786",
    ),
    _enter(
        r"pixtral-12b.*", "Pixtral-ViT-400M", "Mistral NeMo 12B", "Mistral NeMo", "Mistral AI", "Apache-2.0",
        "2410.07073",
    ),
    _enter(
        r"smolvlm-instruct.*", _SIGLIP, "SmolLM2-1.7B-Instruct", "SmolLM2", "Hugging Face", "Apache-2.0",
        "2504.05299",
    ),
    _enter(
        r"minicpm-v-2_6.*", "SigLIP-400M", "Qwen2-7B", "Qwen2", "OpenBMB", "MiniCPM model licence",
        "2408.01800",
    ),
    _enter(
        r"minicpm-v-4_5.*", "SigLIP 2-400M", "Qwen3-8B", "Qwen3", "OpenBMB", "Apache-2.0", "2509.18154"
    ),
    _enter(
        r"phi-4-multimodal-instruct.*", "SigLIP-400M", "Phi-4-mini", "Phi-4", "Microsoft", "MIT", "2503.01743"
    ),
)  # fmt: skip
"""Numbers in ``source`` are arXiv ids."""


def find_facts(model: str) -> LineageParams | None:
    """Return what the registry knows about a hub id or a folder named like one, or None."""
    return next((entry.facts for entry in REGISTRY if re.fullmatch(entry.pattern, _simplify(model))), None)


def match_known_model(one: str, other: str) -> bool:
    """Tell whether two names, such as a hub id and a served name, are one model of the registry."""
    return _simplify(one) == _simplify(other) and find_facts(one) is not None


def _simplify(model: str) -> str:
    return model.rstrip("/").rpartition("/")[2].lower()


def find_family(lineage: LineageParams) -> str:
    """Return the name that related language models share: the family, or the model itself without one."""
    return lineage.language_family or lineage.language_model


def find_lineage(params: JudgeParams) -> LineageParams:
    """Return a judge's lineage: the registry's, else what ``params.yaml`` states.

    Raises:
        Verdict3DError: Neither says anything, or they name different families.
    """
    known, stated = find_facts(params.model), params.lineage
    if known is None and stated is None:
        raise Verdict3DError(
            f"where judge {params.model!r} comes from is not known, so nobody can say whether it is "
            "independent of the other judge. State `lineage` beside `model` in params.yaml: "
            + ", ".join(LineageParams.model_fields)
        )
    if known is not None and stated is not None and find_family(known) != find_family(stated):
        raise Verdict3DError(
            f"params.yaml says that judge {params.model!r} is built on {find_family(stated)}, the registry "
            f"says on {find_family(known)} ({known.source}); remove `lineage`, or name the model's folder "
            "differently when it is not that model"
        )
    found = stated or known
    assert found is not None
    return found


def find_shared_parts(one: LineageParams, other: LineageParams) -> tuple[str, ...]:
    """Return what two models have in common, of "language model", "vision tower" and "vendor"."""
    pairs = {
        "language model": (find_family(one), find_family(other)),
        "vision tower": (one.vision_tower, other.vision_tower),
        "vendor": (one.vendor, other.vendor),
    }
    return tuple(part for part, (a, b) in pairs.items() if a == b)


def warn_of_lineage(judges: dict[str, LineageParams]) -> list[str]:
    """Return a sentence for each pair of judges, by role, that share a language model or a vision tower."""
    roles = list(judges)
    warnings = []
    for position, one in enumerate(roles):
        for other in roles[position + 1 :]:
            shared = [part for part in find_shared_parts(judges[one], judges[other]) if part != "vendor"]
            named = {"language model": find_family(judges[one]), "vision tower": judges[one].vision_tower}
            if shared:
                parts = " and ".join(f"the {part} ({named[part]})" for part in shared)
                warnings.append(
                    f"the {one} judge and the {other} judge share {parts}: their agreement is partly that "
                    "of one model with itself. A third judge of another lineage (judges.third) shows by how "
                    "much."
                )
    return warnings
