"""Parameters from outside: what is refused, and what the refusal says."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from support.arm_examples import ARMS, section
from support.outside import SAID
from support.places import ROOT
from verdict3d.config import Params, load_params
from verdict3d.config_inputs import OperatorName
from verdict3d.degrade.operators import OPERATORS
from verdict3d.errors import Verdict3DError
from verdict3d.records.yaml_files import format_yaml, read_yaml
from verdict3d.view_sets import VIEW_SETS

REPAIR = {**ARMS["encoder_whole"], "leave_clean": 0.9}
SEARCH = {"method": "search", "samples": 2, "pick": "consensus"}


@pytest.mark.parametrize("later", ["encoder_whole", "token_repair", "token_regression", "token_flow"])
def test_what_a_part_leaves_clean_no_later_part_changes(later: str) -> None:
    """A later encoder would be trained where it is not used, later tokens would change the clean ones."""
    with pytest.raises(ValidationError, match="give leave_clean to part 2 alone"):
        section({"method": "stack", "parts": [REPAIR, SEARCH, ARMS[later]]})


def test_the_last_part_that_changes_tokens_may_leave_clean_pictures_alone() -> None:
    earlier = ARMS["token_regression"]
    assert section({"method": "stack", "parts": [earlier, REPAIR, SEARCH]}).parts[1].leave_clean == 0.9


def test_a_search_samples_once_only_what_a_repair_before_it_leaves_alone() -> None:
    search = {**SEARCH, "unless_clean": True}
    assert section({"method": "stack", "parts": [REPAIR, search]}).parts[1].unless_clean
    for first in (ARMS["token_regression"], {**REPAIR, "leave_clean": None}, SEARCH):
        with pytest.raises(ValidationError, match="give that one leave_clean"):
            section({"method": "stack", "parts": [first, search]})
    with pytest.raises(ValidationError, match="consensus"):
        section({**search, "pick": "random"})


def changed(place: str, value: Any) -> dict[str, Any]:
    """Return the parameters with the value at a dotted place replaced."""
    values = read_yaml(ROOT / "params.yaml")
    *sections, last = place.split(".")
    inner = values
    for name in sections:
        inner = inner[int(name)] if isinstance(inner, list) else inner[name]
    inner[last] = value
    return values


REPAIR_PLACE = "train.conditioner_repair"
STACK_PLACE = "train.repair_and_majority.parts"
WRONG = [
    ("seed", -1),
    ("seed", 2**63),
    ("seed", "017"),
    ("seed", True),
    ("assets.source", ""),
    ("assets.train", -1),
    ("assets.heldout", 10**12),
    ("assets.split_shares", {"train": 1.2}),
    ("assets.up_axis", "w"),
    ("assets.base_may_have_seen", "yes"),
    ("assets.condition_size_px", 31),
    ("assets.view.yaw_deg", [70.0, -70.0]),
    ("assets.view.yaw_deg", [float("nan"), 70.0]),
    ("assets.view.yaw_deg", [0.0, 361.0]),
    ("assets.view.elevation_deg", [8.0, 90.0]),
    ("assets.view.elevation_deg", [8.0]),
    ("assets.view.fov_deg", 180.0),
    ("assets.view.distance", float("inf")),
    ("assets.limits.file_mib", 0),
    ("assets.limits.faces", 0),
    ("degrade.regimes.mild.operators", ["crop", "fog"]),
    ("degrade.regimes.severe.operators", ["crop", "crop"]),
    ("degrade.regimes.severe.count", 0),
    ("degrade.regimes.mild.severities", [6]),
    ("degrade.regimes.mild.severities", []),
    ("generator.model", " "),
    ("generator.device", "tpu"),
    ("generator.structure.steps", 0),
    ("generator.structure.guidance", float("inf")),
    ("generator.structure.guidance_interval", [1.0, 0.5]),
    ("generator.latents.guidance_interval", [-0.5, 1.0]),
    ("generator.latents.guidance_interval", [0.5, 1.5]),
    ("generator.structure.rescale_t", float("inf")),
    ("photos.finish.floater_share", 1.5),
    ("photos.finish.faces", 0),
    ("generate.batch_size", 0),
    ("generate.pair_regimes", ["severe", "severe"]),
    ("pairs.kinds", ["same_base", "same_base"]),
    ("judges.training.views", 0),
    ("judges.training.views", len(VIEW_SETS) + 1),
    ("judges.view_px", 4),
    ("judges.training.batch_size", 2.5),
    ("judges.training.lineage.vendor", ""),
    ("judges.evaluation.endpoint", {"url": "ftp://host"}),
    ("judges.evaluation.endpoint", {"url": "http://host/v1", "key_variable": "A B"}),
    ("judges.evaluation.endpoint", {"url": "http://host/v1", "timeout_s": float("inf")}),
    ("audit.roles", ["training", "training", "evaluation"]),
    ("audit.valid_days", 0),
    ("audit.thresholds.first_slot", 15),
    ("preflight.power", 1.0),
    ("train.arms", ["conditioner_repair", "conditioner_repair"]),
    ("train.x; touch PWNED #", {"method": "search", "samples": 2, "pick": "random"}),
    ("train.Arm", {"method": "search", "samples": 2, "pick": "random"}),
    ("train.a/b", {"method": "search", "samples": 2, "pick": "random"}),
    (f"{REPAIR_PLACE}.learning_rate", float("nan")),
    (f"{REPAIR_PLACE}.learning_rate", 0.0),
    (f"{REPAIR_PLACE}.clean_share", 1.01),
    (f"{REPAIR_PLACE}.checkpoint_every", 0),
    (f"{REPAIR_PLACE}.regimes", ["mild", "mild"]),
    (f"{STACK_PLACE}.0.encoder.rank", -1),
    (f"{STACK_PLACE}.0.encoder.layers", ["feed_forward", "feed_forward"]),
    (f"{STACK_PLACE}.0.loss.tokens", float("inf")),
    (f"{STACK_PLACE}.1.samples", 1),
    ("evaluate.confidence", 1.0),
    ("evaluate.bootstrap", 0),
    ("evaluate.target", 1.5),
    ("promotion.arms", ["repair_and_majority", "repair_and_majority"]),
    ("promotion.alpha", 0.2),
    ("promotion.margins.clean", 0.5),
    ("promotion.limits.holdout_queries", 0),
    ("report.gallery", -1),
    ("schedule.cron", "99 99 * * *"),
    ("schedule.cron", "0 0 31 2 *"),
    ("schedule.timezone", "Europe/Atlantis"),
    ("schedule.timezone", "../etc/passwd"),
    ("schedule.webhook_env", "A=B"),
    ("schedule.stage_retries", 11),
]


@pytest.mark.parametrize(("place", "value"), WRONG, ids=[f"{place}={value}" for place, value in WRONG])
def test_values_out_of_range_are_refused_with_place_and_value(place: str, value: Any, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(format_yaml(changed(place, value)))
    with pytest.raises(Verdict3DError) as caught:
        load_params(tmp_path / "params.yaml")
    head, *problems = str(caught.value).splitlines()
    assert head.endswith("params.yaml does not fit:") and len(problems) == 1, problems
    assert problems[0].startswith(f"  {place}")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("assets.view.yaw_deg", [0, 0]),
        ("assets.view.elevation_deg", [-89, 89]),
        ("generator.structure.guidance_interval", [0, 1]),
        ("judges.training.views", len(VIEW_SETS)),
        ("schedule.cron", "*/15 6-18 * JAN-DEC MON#1"),
        ("schedule.timezone", "Europe/Berlin"),
        (f"{STACK_PLACE}.0.leave_clean", 1),
    ],
)
def test_the_ends_of_ranges_are_allowed(place: str, value: Any) -> None:
    assert Params.model_validate(changed(place, value))


def test_regimes_that_nobody_makes_are_refused_before_anything_runs() -> None:
    with pytest.raises(ValidationError, match=r"evaluate.regimes names \['medium'\]"):
        Params.model_validate(changed("evaluate.regimes", ["clean", "severe", "medium"]))
    values = changed("evaluate.regimes", ["clean", "severe"])
    del values["degrade"]["regimes"]["mild"]
    with pytest.raises(ValidationError, match=r"degrade.regimes lacks \['mild'\]"):
        Params.model_validate(values)


def test_a_regime_draws_no_more_operators_than_it_has() -> None:
    with pytest.raises(ValidationError, match="count 5 needs that many operators"):
        Params.model_validate(changed("degrade.regimes.severe.count", 5))


def test_every_operator_has_a_name_in_the_parameters() -> None:
    assert set(get_args(OperatorName)) == set(OPERATORS)


def test_a_message_does_not_grow_with_the_value(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(format_yaml(changed("seed", ["x" * 1000] * 50)))
    with pytest.raises(Verdict3DError, match="seed: Input should be a valid integer") as caught:
        load_params(tmp_path / "params.yaml")
    assert len(str(caught.value)) < 500


COMMAND = {**SAID, "kind": "command", "run": ["tool", "{photo}", "{output}"]}


def with_generator(generator: dict[str, Any], arms: dict[str, Any]) -> Params:
    values = read_yaml(ROOT / "params.yaml")
    values["generator"] = generator
    values["train"] |= {**arms, "arms": list(arms)}
    values["promotion"]["arms"] = list(arms)[:1]
    return Params.model_validate(values)


def test_methods_of_our_networks_are_refused_for_other_generators() -> None:
    repair = read_yaml(ROOT / "params.yaml")["train"]["conditioner_repair"]
    search = {"method": "search", "samples": 2, "pick": "judge"}
    again = {"method": "control", "structure_input": "given", "latents_input": "given", "fresh_noise": True}
    other = {"method": "outside", "generator": {**SAID, "kind": "folder", "meshes": "there"}}
    fine = {"best": search, "again": again, "other": other}
    assert set(with_generator(COMMAND, fine).train.arms) == set(fine)
    wrong = [
        repair,
        {**search, "pick": "consensus"},
        {**search, "pick": "majority"},
        {**again, "latents_input": "clean"},
        {"method": "stack", "parts": [repair, search]},
    ]
    for settings in wrong:
        said = r"train.arms names mine, .* generator.kind 'command' .* search \(pick: judge or random\)"
        with pytest.raises(ValidationError, match=said):
            with_generator(COMMAND, {"best": search, "mine": settings})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "gradio"}, "kind is one of trellis, folder, command, callable, http"),
        ({"run": ["tool", "{photo}"]}, "{photo} and {output}"),
        ({"run": ["tool", "{photo}", "{output}", "{prompt}"]}, "no other name in braces"),
        ({"run": ["tool", "{photo", "{output}"]}, "written twice"),
        ({"frame": {"up": "y", "front": "-y"}}, "faces neither up nor down"),
        ({"frame": {"front": "y"}}, "faces neither up nor down"),
        ({"determinism": "mostly"}, "'bitwise', 'seeded' or 'none'"),
        ({"kind": "callable", "run": None, "function": "tools.py"}, "module:function"),
        ({"kind": "http", "run": None, "url": "server:80"}, "http\\(s\\)://host/path"),
    ],
)
def test_what_is_said_of_a_generator_is_checked(change: dict[str, Any], said: str) -> None:
    values = {name: value for name, value in {**COMMAND, **change}.items() if value is not None}
    with pytest.raises(ValidationError, match=said):
        with_generator(values, {"best": {"method": "search", "samples": 2, "pick": "judge"}})
