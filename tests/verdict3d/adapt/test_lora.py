"""LoRA in PEFT's form: ours is read by PEFT, PEFT's is read by us, and what is not plain LoRA is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch import Tensor

from support.adapters import make_origin
from support.arm_examples import ARMS, make_inputs, section
from support.places import ROOT
from support.tiny_trellis import tiny_photo, tiny_pipeline, write_tiny_generator
from verdict3d.adapt.adapter import load_adapter, save_adapter
from verdict3d.adapt.layers import lora_copy
from verdict3d.adapt.lora import NETWORKS, is_lora, networks_of, peft_root, put_on
from verdict3d.adapt.lora_sets import read_lora
from verdict3d.adapt.method import FitInputs, Tools
from verdict3d.adapt.registry import find_method
from verdict3d.adapt.student import make_student
from verdict3d.config_arms import EncoderLayers, FlowLayers, LoraParams
from verdict3d.errors import Verdict3DError
from verdict3d.mesh.mesh import Mesh, mesh_digest
from verdict3d.records.adapters import CARD, CONFIG, WEIGHTS, adapter_identity
from verdict3d.records.files import read_json, write_json
from verdict3d.trellis.pipeline import TrellisPipeline
from verdict3d.trellis.sampler import get_values

EVERYWHERE = {
    "encoder": EncoderLayers(rank=3, layers=["attention", "feed_forward"]),
    "structure": FlowLayers(rank=2, layers=["self_attention", "cross_attention"]),
    "latents": FlowLayers(rank=4, layers=["sparse_linear"]),
}
DPO = section(ARMS["dpo"])


def drawn(tensors: dict[str, Any]) -> dict[str, Tensor]:
    """Random weights in place of those that LoRA begins with, whose B is zero."""
    source = torch.Generator().manual_seed(5)
    return {name: torch.randn(value.shape, generator=source) * 0.3 for name, value in tensors.items()}


def velocities(pipeline: TrellisPipeline) -> list[Tensor]:
    """What encoder and both flows compute of fixed inputs."""
    source = torch.Generator().manual_seed(2)
    picture = pipeline.preprocess(tiny_photo(1))
    tokens, times = pipeline.encode([picture]), torch.tensor([500.0])
    noise = pipeline.draw_structure_noise([source])
    latents = pipeline.draw_latents_noise([torch.tensor([[0, 1, 2], [3, 4, 5]])], [source])
    with torch.no_grad():
        flows = pipeline.networks
        return [
            tokens,
            get_values(flows.structure_flow(noise, times, tokens)),
            get_values(flows.latent_flow(latents, times, tokens)),
        ]


def saved(folder: Path, pipeline: TrellisPipeline) -> dict[str, Tensor]:
    """Save an adapter that changes all three networks; return its weights."""
    tensors = drawn(make_student(pipeline, 1, **EVERYWHERE).parameters)
    save_adapter(tensors, make_origin("dpo", "base", DPO), {}, folder)
    return tensors


def test_peft_reads_what_we_save_and_computes_the_same(tmp_path: Path) -> None:
    pipeline = tiny_pipeline()
    tensors = saved(tmp_path, pipeline)
    before = velocities(pipeline)
    ours = velocities(put_on(pipeline, load_adapter(tmp_path, arm="dpo", base_digest="base").tensors))
    assert all(torch.equal(one, two) for one, two in zip(before, velocities(pipeline), strict=True))
    other = tiny_pipeline()
    model = PeftModel.from_pretrained(peft_root(other), str(tmp_path))
    loaded = {name: value for name, value in model.named_parameters() if "lora_" in name}
    assert len(loaded) == len(tensors)
    assert sorted(map(float, [value.sum() for value in loaded.values()])) == pytest.approx(
        sorted(float(value.sum()) for value in tensors.values())
    )
    assert all(torch.equal(one, two) for one, two in zip(ours, velocities(other), strict=True))
    assert not any(torch.equal(one, two) for one, two in zip(ours, before, strict=True))


@pytest.mark.slow
def test_peft_reads_an_adapter_of_the_embedded_generator(tmp_path: Path) -> None:
    folder = ROOT / "data/checkpoints/generator"
    base, other = (TrellisPipeline.from_pretrained(folder, device="cpu") for _ in range(2))
    tensors = saved(tmp_path, base)
    PeftModel.from_pretrained(peft_root(other), str(tmp_path))
    adapted = put_on(base, load_adapter(tmp_path, arm="dpo", base_digest="base").tensors)
    seen = [velocities(one) for one in (adapted, other)]
    assert all(torch.equal(one, two) for one, two in zip(*seen, strict=True))
    photos = [tiny_photo(1)]
    (ours,), (theirs,) = (one.generate(photos, [5]) for one in (adapted, other))
    assert isinstance(ours, Mesh) == isinstance(theirs, Mesh)
    assert not isinstance(ours, Mesh) or mesh_digest(ours) == mesh_digest(theirs)
    assert len(load_file(tmp_path / WEIGHTS)) == len(tensors)


def test_a_saved_adapter_comes_back_bit_for_bit_and_has_the_same_bytes(tmp_path: Path) -> None:
    pipeline = tiny_pipeline()
    tensors = saved(tmp_path / "one", pipeline)
    saved(tmp_path / "two", pipeline)
    again = load_adapter(tmp_path / "one", arm="dpo", base_digest="base").tensors
    assert set(again) == set(tensors) and all(torch.equal(again[name], tensors[name]) for name in tensors)
    for name in (WEIGHTS, CONFIG, CARD):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    config = read_json(tmp_path / "one" / CONFIG)
    assert config["peft_type"] == "LORA" and config["r"] == 4 and config["lora_alpha"] == 8
    assert set(config["rank_pattern"].values()) == {2, 3}
    assert {target.split(".")[0] for target in config["target_modules"]} == set(NETWORKS.values())


def test_a_changed_configuration_is_noticed_and_is_another_adapter(tmp_path: Path) -> None:
    pipeline = tiny_pipeline()
    saved(tmp_path, pipeline)
    identity = adapter_identity(tmp_path)
    write_json(tmp_path / CONFIG, {**read_json(tmp_path / CONFIG), "lora_alpha": 80})
    assert adapter_identity(tmp_path) != identity
    with pytest.raises(Verdict3DError, match=r"adapter_config\.json is not the one"):
        load_adapter(tmp_path, arm="dpo", base_digest="base")


@pytest.mark.parametrize(("arm", "lora"), [("dpo", True), ("encoder_lora", True), ("encoder_whole", False)])
def test_only_what_is_lora_is_saved_as_lora(arm: str, lora: bool, tmp_path: Path) -> None:
    params: Any = section(ARMS[arm])
    parts = {name: getattr(params, name, None) for name in ("encoder", "structure", "latents")}
    tensors = dict(make_student(tiny_pipeline(), 1, **parts).parameters)
    assert is_lora(tensors) == lora
    save_adapter(tensors, make_origin(arm, "base", params), {}, tmp_path)
    assert (tmp_path / CONFIG).is_file() == lora
    again = load_adapter(tmp_path, arm=arm, base_digest="base").tensors
    assert set(again) == set(tensors)


def make_set(folder: Path, changes: dict[str, Any] | None = None, **settings: Any) -> TrellisPipeline:
    """Let PEFT make and save a set on the latent flow; return the generator with it on."""
    pipeline = tiny_pipeline()
    wanted = {"r": 2, "lora_alpha": 6, "target_modules": ["mlp.mlp.0", "mlp.mlp.2"], **settings}
    model = get_peft_model(pipeline.networks.latent_flow, LoraConfig(**wanted))
    source = torch.Generator().manual_seed(3)
    for name, value in model.named_parameters():
        if "lora_" in name:
            value.data = torch.randn(value.shape, generator=source)
    model.save_pretrained(str(folder))
    if changes is not None:
        write_json(folder / CONFIG, {**read_json(folder / CONFIG), **changes})
    return pipeline


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"use_rslora": True},
        {"rank_pattern": {"mlp.mlp.0": 3}, "alpha_pattern": {r"mlp\.mlp\.2": 1}},
        {"target_modules": r".*mlp\.mlp\.[02]"},
        {"lora_alpha": 4, "lora_dropout": 0.0, "init_lora_weights": "gaussian"},
    ],
)
def test_sets_that_peft_saved_become_an_arm_and_compute_the_same(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    theirs = velocities(make_set(tmp_path, **settings))
    pipeline = tiny_pipeline()
    found = read_lora(tmp_path, networks_of(pipeline), "latents")
    assert found.networks == ("slat_flow_model",) and found.base is None
    ours = velocities(put_on(pipeline, found.tensors))
    for one, two in zip(theirs, ours, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5)
    assert not torch.equal(ours[2], velocities(pipeline)[2])
    save_adapter(found.tensors, make_origin("dpo", "base", DPO), {}, tmp_path / "ours")
    again = read_lora(tmp_path / "ours", networks_of(pipeline))
    assert all(torch.equal(again.tensors[name], found.tensors[name]) for name in found.tensors)


def test_the_method_puts_a_set_on_and_notes_where_it_comes_from(tmp_path: Path) -> None:
    make_set(tmp_path / "chairs", {"base_model_name_or_path": "somebody/base"})
    inputs = make_inputs(tmp_path / "inputs")
    base = TrellisPipeline.from_pretrained(write_tiny_generator(tmp_path / "generator"), device="cpu")
    inputs = FitInputs(**{**vars(inputs), "pipeline": base, "sets": tmp_path})
    params = LoraParams(method="lora", folder="chairs", network="latents")
    method = find_method("lora")
    fit = method.fit(inputs, params)
    assert fit.measures["named_base"] == "somebody/base" and fit.measures["layers"] == 2
    wrapped = method.wrap(inputs.pipeline, params, fit.tensors, Tools())
    assert not torch.equal(velocities(wrapped)[2], velocities(inputs.pipeline)[2])
    save_adapter(fit.tensors, make_origin("dpo", "another base", DPO), {}, tmp_path / "ours")
    with pytest.raises(Verdict3DError, match="was trained on the generator with digest another base"):
        method.fit(inputs, LoraParams(method="lora", folder="ours"))


def test_names_that_fit_several_networks_need_a_network(tmp_path: Path) -> None:
    make_set(tmp_path)
    networks = networks_of(tiny_pipeline())
    with pytest.raises(
        Verdict3DError, match=r"sparse_structure_flow_model and in slat_flow_model.*`network:"
    ):
        read_lora(tmp_path, networks)
    assert read_lora(tmp_path, networks, "structure").networks == ("sparse_structure_flow_model",)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"peft_type": "LOHA"}, "of type 'LOHA'; only PEFT's LORA"),
        ({"use_dora": True}, r"use_dora \(DoRA scales"),
        ({"modules_to_save": ["out_layer"]}, r"modules_to_save \(whole layers"),
        ({"bias": "all"}, r"bias \(biases of the base"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights 'pissa'.*path_initial_model"),
        ({"something_new": {"a": 1}}, "something_new"),
        ({"r": 4}, "has A .* and B .*; with rank 4"),
        ({"r": 0}, "r: 0 for .*whole number above 0"),
        ({"lora_alpha": "8"}, "lora_alpha: '8'"),
        ({"rank_pattern": {"(a+)+$": 2}}, "is no name of a layer"),
        (
            {"target_modules": ["mlp.mlp.0", "mlp.mlp.2", "to_qkv"]},
            "target_modules .* differ, such as in to_qkv",
        ),
        ({"target_modules": ["mlp.mlp.0"]}, r"target_modules .* differ"),
        ({"target_modules": None}, "expected a list of names or one pattern"),
    ],
)
def test_what_is_no_plain_lora_is_refused_in_one_message(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    make_set(tmp_path, changes)
    with pytest.raises(Verdict3DError, match=words) as found:
        read_lora(tmp_path, networks_of(tiny_pipeline()), "latents")
    assert "\n" not in str(found.value) and str(tmp_path) in str(found.value)


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("base_model.model.blocks.7.mlp.mlp.0", lambda t: t, "1 of 3 layers are no linear layers"),
        ("base_model.model.blocks.0.mlp.mlp.0.more", lambda t: t, "1 of 3 layers are no linear layers"),
        ("base_model.model.blocks.0.attn", lambda t: t * float("nan"), "no finite numbers"),
        ("base_model.model.blocks.0.attn", lambda t: t.long(), "holds torch.int64"),
        ("model.blocks.0.attn", lambda t: t, "is no weight of plain LoRA"),
    ],
)
def test_weights_that_do_not_fit_are_refused(name: str, make: Any, words: str, tmp_path: Path) -> None:
    make_set(tmp_path)
    tensors = load_file(tmp_path / WEIGHTS)
    added = {f"{name}.lora_{half}.weight": make(torch.ones(2, 2)) for half in "AB"}
    save_file({**tensors, **added}, tmp_path / WEIGHTS)
    with pytest.raises(Verdict3DError, match=words):
        read_lora(tmp_path, networks_of(tiny_pipeline()), "latents")


def test_a_pickle_a_broken_file_and_a_half_set_are_refused(tmp_path: Path) -> None:
    make_set(tmp_path)
    networks = networks_of(tiny_pipeline())
    tensors = load_file(tmp_path / WEIGHTS)
    first = next(name for name in tensors if "lora_B" in name)
    save_file({name: value for name, value in tensors.items() if name != first}, tmp_path / WEIGHTS)
    with pytest.raises(Verdict3DError, match="has only one of lora_A and lora_B"):
        read_lora(tmp_path, networks, "latents")
    (tmp_path / WEIGHTS).write_bytes(b"no tensors")
    with pytest.raises(Verdict3DError, match="is not a safetensors file"):
        read_lora(tmp_path, networks, "latents")
    (tmp_path / WEIGHTS).rename(tmp_path / "adapter_model.bin")
    with pytest.raises(Verdict3DError, match="is a pickle, which could run code and is not opened"):
        read_lora(tmp_path, networks, "latents")
    (tmp_path / CONFIG).unlink()
    with pytest.raises(Verdict3DError, match=r"adapter_config\.json is missing"):
        read_lora(tmp_path, networks, "latents")


def test_a_copy_with_lora_leaves_the_network_alone() -> None:
    flow = tiny_pipeline().networks.latent_flow
    names = [name for name, _ in flow.named_parameters()]
    copied, parameters = lora_copy(flow, {"blocks.0.mlp.mlp.0": 2, "blocks.0.mlp.mlp.2": 3})
    assert [name for name, _ in flow.named_parameters()] == names and len(parameters) == 4
    assert copied is not flow
