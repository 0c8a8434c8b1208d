"""Every network has the keys, shapes and dtypes of the released files, and files survive a round trip."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from support.places import GOLDENS
from verdict3d.errors import Verdict3DError
from verdict3d.provenance import digest_file
from verdict3d.trellis.checkpoint import (
    MODEL_CLASSES,
    build_model,
    compute_dtype,
    load_model,
    read_dtypes,
    save_model,
)
from verdict3d.trellis.structure_flow import SparseStructureFlowModel
from verdict3d.trellis.structure_vae import SparseStructureDecoder

RELEASED: dict[str, Any] = json.loads(gzip.decompress((GOLDENS / "manifest.json.gz").read_bytes()))
MANIFEST = {name: entry for name, entry in RELEASED.items() if entry["class"] != "SLatGaussianDecoder"}
"""Without the decoder of splats, which no mesh is made with (``benchmarks/gaussian_decoder.py``)."""
DTYPES = {"F16": torch.float16, "F32": torch.float32}


def tiny(**changes: Any) -> SparseStructureFlowModel:
    torch.manual_seed(0)
    arguments = {
        "resolution": 4,
        "in_channels": 2,
        "model_channels": 16,
        "cond_channels": 8,
        "out_channels": 2,
        "num_blocks": 1,
        "num_heads": 2,
        "qk_rms_norm": True,
        "use_fp16": True,
    }
    return SparseStructureFlowModel(**{**arguments, **changes})


def test_every_class_is_covered() -> None:
    assert {entry["class"] for entry in MANIFEST.values()} == set(MODEL_CLASSES)


@pytest.mark.parametrize("name", MANIFEST)
def test_keys_shapes_and_dtypes(name: str) -> None:
    entry = MANIFEST[name]
    model = build_model({"name": entry["class"], "args": entry["config"]}, "meta")
    rows = [line.split("|") for line in entry["keys"]]
    expected = {key: ([int(n) for n in shape.split("x")], DTYPES[dtype]) for key, dtype, shape in rows}
    found = {key: (list(value.shape), value.dtype) for key, value in model.state_dict().items()}
    assert found == expected
    assert list(found) == list(expected)
    assert read_dtypes(model) == {key: dtype for key, (_, dtype) in expected.items()}
    assert sum(value.numel() for value in model.parameters()) == entry["parameters"]
    model.set_torso_dtype(torch.float32)
    assert {value.dtype for value in model.state_dict().values()} == {torch.float32}
    assert read_dtypes(model) == {key: dtype for key, (_, dtype) in expected.items()}


def test_round_trip_computes_in_float32_and_saves_the_same_bytes(tmp_path: Path) -> None:
    model = tiny()
    save_model(model, tmp_path, "a")
    loaded = load_model(tmp_path, "a")
    assert not loaded.training and loaded.torso_dtype == torch.float32
    for key, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value.float()), key
    save_model(loaded, tmp_path, "b")
    assert digest_file(tmp_path / "a.safetensors") == digest_file(tmp_path / "b.safetensors")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    stored = load_file(tmp_path / "b.safetensors")
    assert stored["blocks.0.mlp.mlp.0.weight"].dtype == torch.float16
    assert stored["blocks.0.norm2.weight"].dtype == stored["pos_emb"].dtype == torch.float32


def test_elastic_training_classes_are_the_same_networks() -> None:
    config = tiny().config
    plain = build_model({"name": "SparseStructureFlowModel", "args": config}, "meta")
    elastic = build_model({"name": "ElasticSparseStructureFlowModel", "args": config}, "meta")
    assert list(plain.state_dict()) == list(elastic.state_dict())


def test_torso_follows_casts_of_the_whole_network() -> None:
    model = SparseStructureDecoder(1, 2, 1, [8, 4], 1)
    assert model.bfloat16().torso_dtype == torch.bfloat16
    assert model.float().torso_dtype == torch.float32


def test_compute_dtype() -> None:
    assert compute_dtype("cpu", torch.float16) == torch.float32
    assert compute_dtype("cuda", None) == torch.float16
    assert compute_dtype("cuda", torch.bfloat16) == torch.bfloat16


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("pos_emb"), "missing pos_emb"),
        (lambda s: s.update(extra=torch.zeros(1)), "unknown extra"),
        (lambda s: s.update(pos_emb=torch.zeros(1)), "pos_emb is"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, change: Any, message: str) -> None:
    save_model(tiny(), tmp_path, "a")
    state = load_file(tmp_path / "a.safetensors")
    change(state)
    save_file(state, tmp_path / "a.safetensors")
    with pytest.raises(Verdict3DError, match=message):
        load_model(tmp_path, "a")


def test_broken_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Verdict3DError, match="missing"):
        load_model(tmp_path, "a")
    model = tiny()
    save_model(model, tmp_path, "a")
    (tmp_path / "a.safetensors").write_bytes(b"no tensors")
    with pytest.raises(Verdict3DError, match="not a readable"):
        load_model(tmp_path, "a")
    (tmp_path / "a.safetensors").unlink()
    with pytest.raises(Verdict3DError, match="is missing"):
        load_model(tmp_path, "a")
    (tmp_path / "a.json").write_text('{"name": "Unknown", "args": {}}')
    with pytest.raises(Verdict3DError, match=r"a\.json: .*SLatFlowModel"):
        load_model(tmp_path, "a")
    (tmp_path / "a.json").write_text('{"name": "SLatFlowModel", "args": {"wrong": 1}}')
    with pytest.raises(Verdict3DError, match=r"a\.json: .*wrong"):
        load_model(tmp_path, "a")


def test_weights_that_overflow_float16_are_refused(tmp_path: Path) -> None:
    model = tiny()
    model.set_torso_dtype(torch.float32)
    with torch.no_grad():
        model.get_parameter("blocks.0.mlp.mlp.0.weight").fill_(1e6)
    with pytest.raises(Verdict3DError, match="not finite"):
        save_model(model, tmp_path, "a")
