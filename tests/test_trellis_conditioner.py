"""The conditioner's files, weight names and token order."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from verdict3d.errors import Verdict3DError
from verdict3d.provenance import digest_file
from verdict3d.trellis.conditioner import Conditioner, dinov2_config
from verdict3d.trellis.conditioner_weights import names_from_hub, published_names


def tiny(**changes: int) -> Conditioner:
    torch.manual_seed(0)
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 42}
    return Conditioner(dinov2_config(**{**sizes, **changes})).eval()


@torch.no_grad()
def test_tokens_and_patches() -> None:
    model = tiny()
    images = torch.rand(2, 3, 42, 42)
    tokens, patches = model(images), model.patch_features(images)
    assert tokens.shape == (2, 5 + 9, 24) and patches.shape == (2, 3, 3, 24)
    assert (model.image_size, model.channels, model.prefix_tokens) == (42, 24, 5)
    torch.testing.assert_close(tokens.mean(-1), torch.zeros(2, 14), atol=1e-5, rtol=0)
    expected = torch.nn.functional.layer_norm(patches, (24,)).flatten(1, 2)
    torch.testing.assert_close(tokens[:, 5:], expected)
    assert model(torch.rand(1, 3, 56, 28)).shape == (1, 5 + 8, 24)


@torch.no_grad()
def test_files_round_trip_under_published_names(tmp_path: Path) -> None:
    model = tiny()
    model.save(tmp_path / "a")
    loaded = Conditioner.load(tmp_path / "a")
    for key, value in model.model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[key], value.half().float()), key
    loaded.save(tmp_path / "b")
    for name in ("config.json", "model.safetensors"):
        assert digest_file(tmp_path / "a" / name) == digest_file(tmp_path / "b" / name)
    stored = load_file(tmp_path / "a/model.safetensors")
    assert "encoder.layer.0.attention.attention.query.weight" in stored
    assert published_names(stored).keys() == stored.keys()


def test_transformers_reads_the_files(tmp_path: Path) -> None:
    from transformers import Dinov2WithRegistersModel

    model = tiny()
    model.save(tmp_path)
    other = Dinov2WithRegistersModel.from_pretrained(tmp_path, dtype=torch.float32)
    for key, value in model.model.state_dict().items():
        assert torch.equal(other.state_dict()[key], value.half().float()), key


def test_misfits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Verdict3DError, match=r"config\.json is missing"):
        Conditioner.load(tmp_path)
    tiny().save(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    state.pop("embeddings.register_tokens")
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(Verdict3DError, match="does not fit"):
        Conditioner.load(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(Verdict3DError, match="is missing"):
        Conditioner.load(tmp_path)
    with pytest.raises(Verdict3DError, match="unknown conditioner settings"):
        dinov2_config(width=3)
    with pytest.raises(Verdict3DError, match="is no key of a"):
        names_from_hub({"cls_token": torch.zeros(1), "blocks.0.strange": torch.zeros(1)})
