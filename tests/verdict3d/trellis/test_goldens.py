"""Networks, samplers and losses replay recordings of the reference."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from support.places import GOLDENS
from support.recordings import recorded
from verdict3d.config_generators import SamplerParams
from verdict3d.trellis.conditioner import Conditioner, make_dinov2_config
from verdict3d.trellis.latent_flow import SLatFlowModel
from verdict3d.trellis.latent_vae import SLatEncoder, SLatMeshDecoder
from verdict3d.trellis.losses import compute_velocity, diffuse, sample_times
from verdict3d.trellis.sampler import sample_flow, sample_steps, time_grid
from verdict3d.trellis.sparse import SparseTensor
from verdict3d.trellis.structure_flow import SparseStructureFlowModel
from verdict3d.trellis.structure_vae import (
    SparseStructureDecoder,
    SparseStructureEncoder,
    find_occupied_voxels,
)


@pytest.fixture(autouse=True)
def _no_grad() -> Any:
    with torch.no_grad():
        yield


def test_structure_flow() -> None:
    r = recorded("ss_flow")
    model = r.network()
    assert isinstance(model, SparseStructureFlowModel)
    tokens: list[Tensor] = []
    model.blocks[0].register_forward_hook(lambda module, inputs, output: tokens.append(output))
    r.close("v", model(r.inputs["x"], r.inputs["t"], r.inputs["cond"]))
    r.close("after_block0", tokens[0])
    r.close("t_emb", model.t_embedder(r.inputs["t"]))


@pytest.mark.parametrize("run", [0, 1])
def test_sampler(run: int) -> None:
    r = recorded("sampler_ss")
    model, notes = r.network(), r.notes["runs"][run]
    given = notes["params"]
    params = SamplerParams(
        steps=given["steps"],
        guidance=given.get("cfg_strength", 0.0),
        guidance_interval=tuple(given.get("cfg_interval", (0.0, 1.0))),
        rescale_t=given["rescale_t"],
    )
    args = (model, r.inputs["noise"], r.inputs["cond"], params, r.inputs["neg_cond"], notes["sigma_min"])
    steps = list(sample_steps(*args))
    assert time_grid(params.steps, params.rescale_t) == pytest.approx(notes["t_seq"], abs=1e-12)
    assert sum(step.model_calls for step in steps) == notes["model_calls"]
    r.close(f"run{run}.pred_x_t.first", steps[0].state)
    r.close(f"run{run}.pred_x_0.first", steps[0].clean)
    r.close(f"run{run}.samples", steps[-1].state, 1e-3)
    torch.testing.assert_close(sample_flow(*args), steps[-1].state)


def test_structure_decoder() -> None:
    r = recorded("ss_decoder")
    model = r.network()
    assert isinstance(model, SparseStructureDecoder)
    logits = model(r.inputs["z"])
    r.close("logits", logits)
    assert torch.equal(find_occupied_voxels(logits), r.outputs["coords"])


def test_structure_encoder() -> None:
    r = recorded("ss_encoder")
    model = r.network()
    assert isinstance(model, SparseStructureEncoder)
    mean, logvar = model.compute_distribution(r.inputs["x"])
    r.close("mean", mean)
    r.close("logvar", logvar)
    assert torch.equal(model(r.inputs["x"]), mean)
    drawn = model(r.inputs["x"], sample_posterior=True, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn, mean + torch.exp(logvar / 2) * noise)


def test_latent_flow() -> None:
    r = recorded("slat_flow")
    model = r.network()
    assert isinstance(model, SLatFlowModel)
    x, t = r.sparse(), r.inputs["t"]
    tokens: list[Tensor] = []
    model.blocks[0].register_forward_hook(lambda module, inputs, output: tokens.append(output))
    r.close("feats", model(x, t, r.inputs["cond"]).feats)
    r.close("after_block0", tokens[0])
    down, _ = model.encode_tokens(x, model.t_embedder(t))
    assert torch.equal(down.coords, r.outputs["down_coords"])
    r.close("down_feats", down.feats)


def test_latent_encoder() -> None:
    r = recorded("slat_encoder")
    model = r.network()
    assert isinstance(model, SLatEncoder)
    rows: list[Tensor] = []
    for block in model.blocks:
        block.register_forward_hook(lambda module, inputs, output: rows.append(output))
    mean, logvar = model.compute_distribution(r.sparse())
    r.close("mean", mean)
    r.close("logvar", logvar)
    r.close("after_block0", rows[0])
    r.close("after_block1", rows[1])
    assert torch.equal(model(r.sparse()).feats, mean)


def test_mesh_decoder() -> None:
    r = recorded("slat_mesh_decoder")
    model = r.network()
    assert isinstance(model, SLatMeshDecoder)
    assert (model.resolution, model.use_color, model.out_channels) == (8, True, 101)
    first: list[SparseTensor] = []
    model.upsample[0].register_forward_hook(lambda module, inputs, output: first.append(output))
    out = model(r.sparse())
    assert torch.equal(out.coords, r.outputs["coords"])
    r.close("feats", out.feats)
    r.close("upsample0_feats", first[0].feats[r.outputs["upsample0_rows"].long()])


def test_conditioner() -> None:
    r = recorded("dino_cond")
    args = r.notes["args"]
    config = make_dinov2_config(
        hidden_size=args["embed_dim"],
        num_hidden_layers=args["depth"],
        num_attention_heads=args["num_heads"],
        image_size=args["img_size"],
    )
    model = Conditioner(config)
    model.load_weights(r.weights)
    model.eval()
    images = r.inputs["image01"]
    r.close("x_prenorm", model.compute_raw_tokens(images))
    r.close("cond", model(images))
    patches = r.outputs["x_prenorm"][:, model.prefix_tokens :].reshape(len(images), 4, 4, -1)
    torch.testing.assert_close(model.patch_features(images), patches, atol=2e-4, rtol=0)


def test_flow_matching() -> None:
    r = recorded("flow_matching")
    clean, noise, t = r.inputs["x_0"], r.inputs["noise"], r.inputs["t"]
    x_t, target = diffuse(clean, noise, t), compute_velocity(clean, noise)
    r.close("x_t", x_t)
    r.close("v_target", target)
    r.close("mse", torch.nn.functional.mse_loss(r.inputs["pred"], target)[None])
    seeded = sample_times(64, torch.Generator().manual_seed(r.notes["seed"]))
    r.close("sample_t_seeded", seeded, 1e-6)


@pytest.mark.parametrize("path", sorted(GOLDENS.glob("*.json")), ids=lambda path: path.stem)
def test_a_recording_says_where_it_comes_from(path: Path) -> None:
    notes = json.loads(path.read_text())
    assert re.fullmatch(r"[0-9a-f]{40}", notes["provenance"]["commit"])
    assert notes["provenance"]["torch"].startswith("2.")
    assert date.fromisoformat(notes["provenance"]["recorded"]) >= date(2026, 11, 23)
    assert f"`{path.stem}`" in (GOLDENS / "README.md").read_text()
