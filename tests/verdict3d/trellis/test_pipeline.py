"""The pipeline around the networks: noise, failures of single items, files, frames."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from support.tiny_trellis import (
    PICTURE_PX,
    TOKEN_CHANNELS,
    TOKENS,
    tiny_photo,
    tiny_pipeline,
    write_tiny_generator,
)
from verdict3d.adapt.method import Tools
from verdict3d.adapt.methods.search import SearchingPipeline
from verdict3d.config_arms import SearchParams
from verdict3d.config_generators import SamplerParams
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.mesh.files import read_mesh, write_mesh
from verdict3d.mesh.mesh import Mesh, mesh_digest
from verdict3d.trellis import mesh_decoding
from verdict3d.trellis.networks import Networks
from verdict3d.trellis.pipeline import TrellisPipeline
from verdict3d.trellis.sparse import SparseTensor


@pytest.fixture(scope="module")
def pipeline() -> TrellisPipeline:
    return tiny_pipeline()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_generator(tmp_path_factory.mktemp("tiny"))


def as_mesh(outcome: Mesh | ItemFailure) -> Mesh:
    assert isinstance(outcome, Mesh), outcome
    return outcome


def reason(outcome: Mesh | ItemFailure | torch.Tensor) -> str:
    assert isinstance(outcome, ItemFailure), outcome
    return outcome.reason


def test_photos_become_coloured_meshes_in_the_unit_box(pipeline: TrellisPipeline) -> None:
    meshes = [as_mesh(outcome) for outcome in pipeline.generate([tiny_photo(0), tiny_photo(1)], [7, 8])]
    for mesh in meshes:
        assert mesh.vertices.dtype == np.float32 and mesh.faces.dtype == np.int32 and len(mesh.faces) > 100
        assert np.abs(mesh.vertices).max() <= 0.52 and mesh.colors is not None
        assert len(np.unique(mesh.colors)) > 20
    assert len({mesh_digest(mesh) for mesh in meshes}) == 2


def test_an_item_does_not_depend_on_its_neighbours(pipeline: TrellisPipeline) -> None:
    photos = [tiny_photo(seed) for seed in range(4)]
    together = [as_mesh(outcome) for outcome in pipeline.generate(photos, [11, 12, 13, 14])]
    for place in (0, 2):
        alone = as_mesh(pipeline.generate([photos[place]], [11 + place])[0])
        assert np.array_equal(alone.faces, together[place].faces)
        assert np.abs(alone.vertices - together[place].vertices).max() < 1e-4
    backwards = pipeline.generate(photos[::-1], [14, 13, 12, 11])[::-1]
    assert all(
        np.array_equal(as_mesh(one).faces, other.faces)
        for one, other in zip(backwards, together, strict=True)
    )


def test_noise_comes_from_each_items_seed_alone(pipeline: TrellisPipeline) -> None:
    """Structure noise first, then latent noise, from one generator: what the reference does with its seed."""
    drawn: dict[str, list[torch.Tensor]] = {}

    def hook(network: object, inputs: tuple[torch.Tensor | SparseTensor, ...]) -> None:
        state = inputs[0]
        rows = [feats for feats, _ in state.split()] if isinstance(state, SparseTensor) else list(state)
        drawn[type(network).__name__] = rows

    flows = (pipeline.networks.structure_flow, pipeline.networks.latent_flow)
    hooks = [flow.register_forward_pre_hook(hook) for flow in flows]
    seeds = (5, 2**62 + 1)
    try:
        once = SamplerParams(steps=1, guidance=0.0, guidance_interval=(0.0, 1.0), rescale_t=1.0)
        pipeline.generate([tiny_photo(0), tiny_photo(1)], seeds, once, once)
    finally:
        for handle in hooks:
            handle.remove()
    for seed, structure, latent in zip(seeds, *drawn.values(), strict=True):
        generator = torch.Generator().manual_seed(seed)
        assert torch.equal(structure, torch.randn(2, 4, 4, 4, generator=generator))
        assert torch.equal(latent, torch.randn(len(latent), 4, generator=generator))


def test_same_seed_same_bytes_and_steps_matter(pipeline: TrellisPipeline) -> None:
    tokens = pipeline.encode([pipeline.preprocess(tiny_photo())] * 2)
    assert tokens.shape == (2, TOKENS, TOKEN_CHANNELS) and tokens.dtype == torch.float32
    assert not tokens.is_inference()  # adapters are trained on them
    first, second = (
        pipeline.generate_from_tokens(tokens, [3, 3]),
        pipeline.generate_from_tokens(tokens, [3, 3]),
    )
    digests = [mesh_digest(as_mesh(outcome)) for outcome in first + second]
    assert digests[:2] == digests[2:]
    more = pipeline.structure.model_copy(update={"steps": 6})
    assert mesh_digest(as_mesh(pipeline.generate_from_tokens(tokens, [3, 3], more)[0])) != digests[0]


def test_bad_photos_fail_alone(pipeline: TrellisPipeline) -> None:
    photos = [Image.new("RGB", (40, 40)), tiny_photo(1), Image.new("RGBA", (40, 40))]
    outcomes = pipeline.generate(photos, [1, 8, 3])
    assert reason(outcomes[0]) == "no_alpha" and reason(outcomes[2]) == "no_foreground"
    assert np.array_equal(
        as_mesh(outcomes[1]).faces, as_mesh(pipeline.generate([tiny_photo(1)], [8])[0]).faces
    )
    assert pipeline.generate([], []) == []
    with pytest.raises(Verdict3DError, match="seed"):
        pipeline.generate([tiny_photo()], [1, 2])


def test_non_finite_tokens_fail_alone(pipeline: TrellisPipeline) -> None:
    tokens = pipeline.encode([pipeline.preprocess(tiny_photo(seed)) for seed in range(3)])
    whole = pipeline.generate_from_tokens(tokens, [1, 2, 3])
    tokens[1, 2, 3] = torch.nan
    outcomes = pipeline.generate_from_tokens(tokens, [1, 2, 3])
    assert reason(outcomes[1]) == "non_finite"
    for place in (0, 2):
        assert np.array_equal(as_mesh(outcomes[place]).faces, as_mesh(whole[place]).faces)


def test_empty_structures_fail_alone(pipeline: TrellisPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = pipeline.encode([pipeline.preprocess(tiny_photo(seed)) for seed in range(3)])
    whole = pipeline.generate_from_tokens(tokens, [1, 2, 3])
    decoder = pipeline.networks.structure_decoder
    forward = decoder.forward

    def broken(latent: torch.Tensor) -> torch.Tensor:
        logits = forward(latent).clone()
        logits[0] = -1.0
        logits[2, 0, 1, 1, 1] = torch.inf
        return logits

    monkeypatch.setattr(decoder, "forward", broken)
    outcomes = pipeline.generate_from_tokens(tokens, [1, 2, 3])
    assert reason(outcomes[0]) == "empty_structure" and reason(outcomes[2]) == "non_finite"
    assert np.array_equal(as_mesh(outcomes[1]).faces, as_mesh(whole[1]).faces)


def test_surfaces_fail_alone(pipeline: TrellisPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    coords = torch.stack(torch.meshgrid(*[torch.arange(2, 5)] * 3, indexing="ij"), dim=-1).reshape(-1, 3)
    generator = torch.Generator().manual_seed(4)
    feats = [torch.randn(27, 4, generator=generator) for _ in range(4)]
    feats[1][3, 0] = torch.inf
    latents = SparseTensor.stack(feats, [coords] * 4)
    decoder = pipeline.networks.mesh_decoder
    forward = decoder.forward

    def without_surface(x: SparseTensor) -> SparseTensor:
        cubes = forward(x)
        last = cubes.coords[:, 0] == cubes.batch_size - 1
        changed = cubes.feats.clone()
        changed[last, :8] = 1.0
        return cubes.replace(changed)

    monkeypatch.setattr(decoder, "forward", without_surface)
    outcomes = pipeline.decode_meshes(latents)
    assert reason(outcomes[1]) == "non_finite" and reason(outcomes[3]) == "no_faces"
    monkeypatch.setattr(decoder, "forward", forward)
    monkeypatch.setattr(mesh_decoding, "DECODED_AT_ONCE", 30)  # one item a time
    apart = pipeline.decode_meshes(latents)
    for place in (0, 2):
        assert np.array_equal(as_mesh(apart[place]).faces, as_mesh(outcomes[place]).faces)


def test_what_is_saved_is_what_is_loaded(pipeline: TrellisPipeline, directory: Path, tmp_path: Path) -> None:
    loaded = TrellisPipeline.from_pretrained(directory, device="cpu", extra=("slat_encoder",))
    made, read = pipeline.networks.map_released_names(), loaded.networks.map_released_names()
    assert set(read) == set(made) - {"sparse_structure_encoder"}
    assert loaded.networks.structure_encoder is None
    assert loaded.structure == pipeline.structure and loaded.latents == pipeline.latents
    assert loaded.image_size == PICTURE_PX
    for one, other in zip(
        pipeline.generate([tiny_photo()], [9]), loaded.generate([tiny_photo()], [9]), strict=True
    ):
        assert mesh_digest(as_mesh(one)) == mesh_digest(as_mesh(other))
    for name, network in read.items():
        for key, value in network.state_dict().items():
            assert value.equal(made[name].state_dict()[key]), (name, key)
    document = json.loads((directory / "pipeline.json").read_text())
    assert document["name"] == "TrellisImageTo3DPipeline"
    assert document["args"]["slat_sampler"]["params"]["cfg_strength"] == 0.0
    again = write_tiny_generator(tmp_path / "again")
    assert TrellisPipeline.from_pretrained(again, device="cpu").digest == _reloaded_digest(directory)
    other = write_tiny_generator(tmp_path / "other", seed=1)
    assert _reloaded_digest(other) != _reloaded_digest(directory)
    with pytest.raises(Verdict3DError, match="memory"):
        _ = pipeline.digest


def _reloaded_digest(directory: Path) -> str:
    return TrellisPipeline.from_pretrained(directory, device="cpu").digest


def test_a_pipeline_file_as_released_is_understood(directory: Path, tmp_path: Path) -> None:
    """The released file names the conditioner by its hub name and lists decoders that are not needed."""
    root = tmp_path / "released"
    shutil.copytree(directory, root)
    shutil.move(root / "image_cond_model", tmp_path / "dinov2")
    path = root / "pipeline.json"
    document = json.loads(path.read_text())
    arguments = document["args"]
    arguments["image_cond_model"] = "dinov2_vitl14_reg"
    arguments["models"]["slat_decoder_gs"] = "ckpts/absent"
    arguments["slat_sampler"] = {
        "name": "FlowEulerGuidanceIntervalSampler",
        "args": {"sigma_min": 1e-5},
        "params": {"steps": 25, "cfg_strength": 5.0, "cfg_interval": [0.5, 1.0], "rescale_t": 3.0},
    }
    path.write_text(json.dumps(document))
    with pytest.raises(Verdict3DError, match="dinov2_vitl14_reg"):
        TrellisPipeline.from_pretrained(root, device="cpu")
    loaded = TrellisPipeline.from_pretrained(root, device="cpu", conditioner=tmp_path / "dinov2")
    assert loaded.latents == SamplerParams(
        steps=25, guidance=5.0, guidance_interval=(0.5, 1.0), rescale_t=3.0
    )


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("no pipeline.json", r"pipeline\.json is missing"),
        ("not json", "not JSON"),
        ("foreign", "no TRELLIS image pipeline"),
        ("no network entry", "slat_flow_model"),
        ("missing weights", r"slat_flow_model\.safetensors"),
        ("truncated weights", r"slat_flow_model\.safetensors"),
        ("foreign weights", r"slat_flow_model\.safetensors"),
        ("swapped networks", "slat_decoder_mesh is SLatFlowModel"),
        ("no conditioner", "no conditioner"),
        ("outside", "outside"),
        ("statistics", "disagree"),
    ],
)
def test_damaged_directories_are_refused_with_the_reason(
    directory: Path, tmp_path: Path, damage: str, message: str
) -> None:
    root = tmp_path / "damaged"
    shutil.copytree(directory, root)
    path, weights = root / "pipeline.json", root / "ckpts" / "slat_flow_model.safetensors"
    document = json.loads(path.read_text())
    models = document["args"]["models"]
    if damage == "no pipeline.json":
        path.unlink()
    elif damage == "not json":
        path.write_text("{")
    elif damage == "foreign":
        path.write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))
    elif damage == "missing weights":
        weights.unlink()
    elif damage == "truncated weights":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif damage == "foreign weights":
        shutil.copy(root / "ckpts" / "slat_encoder.safetensors", weights)
    elif damage == "no conditioner":
        shutil.rmtree(root / "image_cond_model")
    else:
        if damage == "no network entry":
            del models["slat_flow_model"]
        elif damage == "swapped networks":
            models["slat_decoder_mesh"] = models["slat_flow_model"]
        elif damage == "outside":
            models["slat_flow_model"] = "../elsewhere/ckpts/slat_flow_model"
        else:
            document["args"]["slat_normalization"] = {"mean": [0.0] * 3, "std": [1.0] * 3}
        path.write_text(json.dumps(document))
    with pytest.raises(Verdict3DError, match=message):
        TrellisPipeline.from_pretrained(root, device="cpu")


def test_an_adapter_can_take_the_conditioners_place(pipeline: TrellisPipeline, tmp_path: Path) -> None:
    class Louder(torch.nn.Module):
        image_size = PICTURE_PX

        def __init__(self, inner: torch.nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return 2 * self.inner(images)

    wrapped = pipeline.with_networks(Louder(pipeline.conditioner))
    picture = pipeline.preprocess(tiny_photo())
    assert torch.equal(wrapped.encode([picture]), 2 * pipeline.encode([picture]))
    with pytest.raises(Verdict3DError, match="adapter"):
        wrapped.save_pretrained(tmp_path)


def test_other_networks_leave_the_pipeline_as_it_was(pipeline: TrellisPipeline) -> None:
    flow, decoder = pipeline.networks.latent_flow, pipeline.networks.mesh_decoder
    search = SearchParams(method="search", samples=3, pick="consensus")
    searching = SearchingPipeline(pipeline, search, Tools())
    assert searching.networks is pipeline.networks and searching.conditioner is pipeline.conditioner
    changed = searching.with_networks(latent_flow=copy.deepcopy(flow))
    assert isinstance(changed, SearchingPipeline) and changed.search is search
    assert changed.networks.latent_flow is not flow and changed.networks.mesh_decoder is decoder
    assert pipeline.networks.latent_flow is flow and searching.networks.latent_flow is flow
    with pytest.raises(TypeError, match="latents_flow"):
        pipeline.with_networks(latents_flow=flow)
    with pytest.raises(Verdict3DError, match="slat_flow_model is nothing; a generator needs a SLatFlowModel"):
        Networks.from_released(
            {
                "sparse_structure_flow_model": pipeline.networks.structure_flow,
                "sparse_structure_decoder": pipeline.networks.structure_decoder,
            }
        )
    with pytest.raises(Verdict3DError, match="no use for slat_decoder_gs"):
        Networks.from_released({"slat_decoder_gs": decoder})


def test_a_mesh_stands_upright_in_its_glb(pipeline: TrellisPipeline, tmp_path: Path) -> None:
    """A tall block of voxels is tall along z in the object frame and along y in the file."""
    coords = torch.stack(torch.meshgrid(*[torch.arange(2, 4)] * 2, torch.arange(8), indexing="ij"), dim=-1)
    feats = torch.zeros(32, 4)
    decoder = pipeline.networks.mesh_decoder
    solid = copy.deepcopy(decoder)
    with torch.no_grad():
        solid.out_layer.weight.zero_()
        solid.out_layer.bias.zero_()
        solid.out_layer.bias[:8] = -1.0
        solid.out_layer.bias[53:] = torch.tensor([4.0, -4.0, -4.0, 0.0, 0.0, 0.0]).repeat(8)
    mesh = as_mesh(
        mesh_decoding.decode_meshes(solid, SparseTensor.stack([feats], [coords.reshape(-1, 3)]))[0]
    )
    extent = np.ptp(mesh.vertices, axis=0)
    assert extent[2] > 3 * extent[0] and extent[0] == pytest.approx(extent[1], abs=1e-3)
    assert mesh.vertices[:, 0].mean() == pytest.approx(3 / 8 - 0.5, abs=0.01)
    assert mesh.colors is not None  # half red, half the grey of vertices without a cube
    assert np.abs(np.median(mesh.colors, axis=0) - [190, 65, 65]).max() < 5
    write_mesh(mesh, tmp_path / "tall.glb")
    again = read_mesh(tmp_path / "tall.glb")
    assert np.abs(np.ptp(again.vertices, axis=0) - extent).max() < 1e-6
    content = (tmp_path / "tall.glb").read_bytes()
    scene = json.loads(content[20 : 20 + int.from_bytes(content[12:16], "little")])
    bounds = next(
        accessor for accessor in scene["accessors"] if accessor["type"] == "VEC3" and "max" in accessor
    )
    size = np.subtract(bounds["max"], bounds["min"])
    assert size[1] == pytest.approx(extent[2], abs=1e-5) and size[2] == pytest.approx(extent[1], abs=1e-5)
