"""The card of a LoRA set on the hub, in Markdown with YAML before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from verdict3d.config_arms import LoraParams
from verdict3d.judge.audit.words import describe
from verdict3d.records.adapters import AdapterCard
from verdict3d.records.certificates import Certificate
from verdict3d.records.numbers import Interval
from verdict3d.records.results import RegimeResults, Results
from verdict3d.records.yaml_files import format_yaml
from verdict3d.view.words import SHORT, say_interval, say_number

TAGS = ["lora", "image-to-3d", "trellis", "verdict3d"]
LOADING = """```python
from peft import PeftModel

from verdict3d.adapt.lora import peft_root
from verdict3d.trellis.pipeline import TrellisPipeline

pipeline = TrellisPipeline.from_pretrained("{base}")
PeftModel.from_pretrained(peft_root(pipeline), "FOLDER")  # changes the pipeline's own networks
```

Or as an arm of Verdict3D, with its gate: copy the folder to `data/loras/{arm}`, and in `params.yaml`

```yaml
train:
  arms: [{arm}]
  {arm}: {{method: lora, folder: {arm}}}
```

The set is rooted at one module with the networks under their released names, a `torch.nn.ModuleDict`. Its
layers must be `torch.nn.Linear` on plain tensors, and those of the encoder are called as transformers 5 calls
them: code in which they are something else cannot load it."""


def write_hub_card(
    card: AdapterCard,
    results: Results | None,
    certificates: Mapping[str, Certificate],
    licence: str,
    base: str | None,
) -> str:
    """Return the card.

    Args:
        card: Of the adapter.
        results: Of its evaluation; None without one.
        certificates: Of the judges, by role.
        licence: As the hub calls it.
        base: Id of the base on the hub; None where it is not there.
    """
    head: dict[str, Any] = {"base_model": base} if base else {}
    head |= {"library_name": "peft", "license": licence, "pipeline_tag": "image-to-3d", "tags": TAGS}
    sections = [
        ("Measured", "\n".join(_say_measured(results))),
        ("Judges", "\n".join(_say_judges(certificates))),
        ("Base and data", "\n".join(_say_origin(card, base))),
        ("Loading", LOADING.format(base=base or card.base, arm=card.arm)),
        (
            "Licence",
            f"{licence}, of these weights. They work with the base only, whose own licence holds beside it. "
            "The numbers above say how well it does on the objects that they were measured on, and nothing "
            "about others.",
        ),
    ]
    body = "\n\n".join(f"## {name}\n\n{text}" for name, text in sections)
    return f"---\n{format_yaml(head)}---\n\n# {card.arm}: LoRA for single photo to mesh\n\n{body}\n"


def _say_measured(results: Results | None) -> Iterator[str]:
    if results is None:
        yield "Not evaluated."
        return
    fate = "certified" if results.certificate.certified else "**not certified**"
    yield (
        f"Against the base on held-out objects, by {results.judge.model} in both orders ({fate}). "
        "Half-credit counts a win 1, a loss 0 and everything else 1/2; intervals are over objects; 0.50 "
        "means that neither is better."
    )
    yield ""
    yield "| photos | half-credit | decisive | coverage | objects | F-score, base → this | standing |"
    yield "|---|---|---|---|---|---|---|"
    for regime, found in results.regimes.items():
        yield _say_row(regime, found)


def _say_row(regime: str, found: RegimeResults) -> str:
    summary, truth = found.summary, found.truth
    scores = f"{say_number(truth.base_f_score_mean)} → {say_number(truth.arm_f_score_mean)}"
    cells = [
        regime,
        _say_interval(summary.half_credit),
        _say_interval(summary.decisive),
        say_number(summary.coverage),
        str(summary.objects),
        scores,
        SHORT[found.standing],
    ]
    return f"| {' | '.join(cells)} |"


def _say_interval(found: Interval) -> str:
    return f"{say_number(found.value)} [{say_interval(found.low, found.high)}]"


def _say_judges(certificates: Mapping[str, Certificate]) -> Iterator[str]:
    if not certificates:
        yield "No judge holds a certificate here."
        return
    yield "What the audit of the judges found, on objects of the same kind:"
    yield ""
    yield "```"
    for certificate in certificates.values():
        yield from describe(certificate)
    yield "```"


def _say_origin(card: AdapterCard, base: str | None) -> Iterator[str]:
    yield f"* base: {base or card.base}, digest `{card.base_digest}`"
    if isinstance(card.params, LoraParams):
        named = card.measures.get("named_base")
        yield f"* a set by others, which names its base {named!r}" if named else "* a set by others"
    else:
        seen = f"{card.assets.train} objects to train on and {card.assets.validation} to choose the step by"
        yield f"* trained with `{card.method}` on {seen}; seed {card.seed}"
        if card.preferences:
            yield f"* {card.preferences} preferences of the training judge"
    yield f"* weights `{card.weights_digest}`; settings, digests of the data and measures are in `card.json`"
