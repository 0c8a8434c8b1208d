"""The conditioner's files, weight names and token order."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from verdict3d.errors import Verdict3DError
from verdict3d.provenance import digest_file
from verdict3d.records.files import write_json
from verdict3d.trellis.conditioner import Conditioner, make_dinov2_config
from verdict3d.trellis.conditioner_weights import find_published_names, map_hub_names
from verdict3d.trellis.convert_conditioner import convert


def tiny(**changes: int) -> Conditioner:
    torch.manual_seed(0)
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 42}
    return Conditioner(make_dinov2_config(**{**sizes, **changes})).eval()


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
    assert find_published_names(stored).keys() == stored.keys()


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
    content = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(content[:-9])
    with pytest.raises(Verdict3DError, match="not a readable safetensors file"):
        Conditioner.load(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(Verdict3DError, match="is missing"):
        Conditioner.load(tmp_path)
    write_json(tmp_path / "config.json", {"model_type": "dinov2", "hidden_size": 24})
    with pytest.raises(Verdict3DError, match="type 'dinov2'; expected 'dinov2_with_registers'"):
        Conditioner.load(tmp_path)
    with pytest.raises(Verdict3DError, match="unknown conditioner settings"):
        make_dinov2_config(width=3)
    with pytest.raises(Verdict3DError, match="is no key of a"):
        map_hub_names({"cls_token": torch.zeros(1), "blocks.0.strange": torch.zeros(1)})


def hub_state(channels: int = 24, blocks: int = 2, side: int = 3) -> dict[str, torch.Tensor]:
    """Random weights under torch.hub's names, as the official repository names and shapes them."""
    random = torch.Generator().manual_seed(3)

    def tensor(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=random) * 0.2

    state = {
        "cls_token": tensor(1, 1, channels),
        "pos_embed": tensor(1, side * side + 1, channels),
        "register_tokens": tensor(1, 4, channels),
        "mask_token": tensor(1, channels),
        "patch_embed.proj.weight": tensor(channels, 3, 14, 14),
        "patch_embed.proj.bias": tensor(channels),
        "norm.weight": tensor(channels),
        "norm.bias": tensor(channels),
    }
    for block in range(blocks):
        layers = {
            "norm1": (channels,),
            "attn.qkv": (3 * channels, channels),
            "attn.proj": (channels, channels),
            "norm2": (channels,),
            "mlp.fc1": (4 * channels, channels),
            "mlp.fc2": (channels, 4 * channels),
        }
        for name, shape in layers.items():
            state[f"blocks.{block}.{name}.weight"] = tensor(*shape)
            state[f"blocks.{block}.{name}.bias"] = tensor(shape[0])
        state[f"blocks.{block}.ls1.gamma"] = tensor(channels)
        state[f"blocks.{block}.ls2.gamma"] = tensor(channels)
    return state


def hub_tokens(state: dict[str, torch.Tensor], images: torch.Tensor, heads: int) -> torch.Tensor:
    """The last block's tokens by the formulas alone, without our network."""
    linear, norm = torch.nn.functional.linear, torch.nn.functional.layer_norm
    pixels = (images - torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).reshape(3, 1, 1)
    weight, bias = state["patch_embed.proj.weight"], state["patch_embed.proj.bias"]
    patches = torch.nn.functional.conv2d(pixels, weight, bias, stride=14).flatten(2).transpose(1, 2)
    count, channels = len(images), patches.shape[-1]
    x = torch.cat([state["cls_token"].expand(count, -1, -1), patches], dim=1) + state["pos_embed"]
    x = torch.cat([x[:, :1], state["register_tokens"].expand(count, -1, -1), x[:, 1:]], dim=1)
    block = 0
    while f"blocks.{block}.ls1.gamma" in state:

        def of(name: str, prefix: str = f"blocks.{block}.") -> tuple[torch.Tensor, torch.Tensor]:
            return state[f"{prefix}{name}.weight"], state[f"{prefix}{name}.bias"]

        h = norm(x, (channels,), *of("norm1"), 1e-6)
        q, k, v = linear(h, *of("attn.qkv")).reshape(count, -1, 3, heads, channels // heads).unbind(2)
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / (channels // heads) ** 0.5
        h = torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), v).flatten(2)
        x = x + state[f"blocks.{block}.ls1.gamma"] * linear(h, *of("attn.proj"))
        h = linear(norm(x, (channels,), *of("norm2"), 1e-6), *of("mlp.fc1"))
        x = x + state[f"blocks.{block}.ls2.gamma"] * linear(torch.nn.functional.gelu(h), *of("mlp.fc2"))
        block += 1
    return x


@torch.no_grad()
def test_a_torch_hub_file_becomes_a_directory_with_the_same_features(tmp_path: Path) -> None:
    state = hub_state()
    torch.save(state, tmp_path / "hub.pth")
    convert(tmp_path / "hub.pth", tmp_path / "converted", heads=2)
    stored = load_file(tmp_path / "converted/model.safetensors")
    first = "encoder.layer.1.attention.attention"
    for part, name in enumerate(("query", "key", "value")):
        assert torch.equal(stored[f"{first}.{name}.weight"], state["blocks.1.attn.qkv.weight"].chunk(3)[part])
    assert torch.equal(stored["encoder.layer.0.layer_scale2.lambda1"], state["blocks.0.ls2.gamma"])
    assert torch.equal(stored["embeddings.register_tokens"], state["register_tokens"])
    assert len(stored) == len(state) + 4 * 2  # q, k and v of each block apart, weights and biases
    images = torch.rand(2, 3, 42, 42)
    loaded = Conditioner.load(tmp_path / "converted")
    assert not any(value.is_meta for value in [*loaded.parameters(), *loaded.buffers()])
    assert [key for key, value in loaded.named_parameters() if not value.requires_grad] == [
        "model.embeddings.mask_token",
        "model.layernorm.weight",
        "model.layernorm.bias",
    ]
    torch.testing.assert_close(
        loaded.compute_raw_tokens(images), hub_tokens(state, images, 2), atol=1e-5, rtol=1e-5
    )


class Intruder:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("intruded"),)  # type: ignore[return-value]


def test_no_other_pickle_is_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    contents = {
        "tensors alone": {"cls_token": Intruder()},
        "register_tokens": {key: value for key, value in hub_state().items() if key != "register_tokens"},
        "no DINOv2 with registers": [1, 2],
        "inconsistent": hub_state() | {"blocks.1.ls1.gamma": torch.zeros(3)},
        "is no key of a": hub_state() | {"head.weight": torch.zeros(3)},
    }
    for words, content in contents.items():
        torch.save(content, "hub.pth")
        with pytest.raises(Verdict3DError, match=words):
            convert("hub.pth", "out", heads=2)
    Path("hub.pth").write_bytes(b"PK torn")
    with pytest.raises(Verdict3DError, match="no intact file"):
        convert("hub.pth", "out")
    assert not Path("intruded").exists() and not Path("out").exists()
