"""Every arm on a tiny generator: it trains, is saved and loaded, changes what is made, comes off again."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from support.adapters import make_origin
from support.arm_examples import (
    ARMS,
    ATTENTION,
    REPAIR,
    make_inputs,
    section,
)
from support.tiny_trellis import tiny_photo, tiny_pipeline
from verdict3d.adapt.adapter import load_adapter, save_adapter
from verdict3d.adapt.conditioners import (
    TokenTransformer,
    adapt_encoder,
    measure_token_change,
    picture_seeds,
)
from verdict3d.adapt.degraded_losses import TrainingLosses, gather_material
from verdict3d.adapt.layers import ENCODER_LAYERS, FLOW_LAYERS, checkpoint_blocks, trainable_copy
from verdict3d.adapt.method import FitInputs, Tools
from verdict3d.adapt.methods.degraded_inputs import LIMIT
from verdict3d.adapt.methods.search import choose_most_agreed, vote_on_voxels
from verdict3d.adapt.methods.token_flow import TokenFlow
from verdict3d.adapt.registry import find_method, list_methods
from verdict3d.adapt.student import make_student
from verdict3d.adapt.tokens import as_input, gather_pictures
from verdict3d.adapt.training import CHECKPOINT
from verdict3d.config_arms import EncoderLayers, TokenFlowParams
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.generators.search import play_tournament
from verdict3d.mesh.mesh import Mesh, mesh_digest
from verdict3d.randomness import seed_for, torch_generator
from verdict3d.trellis.pipeline import TrellisPipeline
from verdict3d.trellis.sampler import get_values


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> FitInputs:
    return make_inputs(tmp_path_factory.mktemp("inputs"))


def made(pipeline: TrellisPipeline) -> list[str]:
    outcomes = pipeline.generate([tiny_photo(1), tiny_photo(2)], [5, 6])
    return [mesh_digest(mesh) if isinstance(mesh, Mesh) else mesh.reason for mesh in outcomes]


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.slow
def test_arm_trains_saves_loads_changes_the_output_and_comes_off(arm, inputs, tmp_path):
    params = section(ARMS[arm])
    method = find_method(params.method)
    own = FitInputs(**{**vars(inputs), "checkpoints": tmp_path / "checkpoints"})
    own.checkpoints.mkdir()
    before = made(inputs.pipeline)
    fit = method.fit(own, params)
    assert any(row.get("train_loss") is not None for row in fit.losses)
    moved = {name: tensor.detach() + 0.2 for name, tensor in fit.tensors.items()}  # 3 steps move too little
    save_adapter(moved, make_origin(arm, "base", params), fit.measures, tmp_path)
    adapter = load_adapter(tmp_path, arm=arm, base_digest="base")
    again = adapter.card.params
    assert again == params
    wrapped = method.wrap(inputs.pipeline, again, adapter.tensors, Tools())
    after = made(wrapped)
    assert after != before
    assert made(method.wrap(inputs.pipeline, again, adapter.tensors, Tools())) == after
    assert made(inputs.pipeline) == before, "with the arm off there is the base, bit for bit"


def test_every_method_has_an_arm_here_or_trains_nothing():
    assert set(list_methods()) == {values["method"] for values in ARMS.values()} | {
        "search",
        "control",
        "lora",
    }


def flow_and_noise(stage):
    pipeline, source = tiny_pipeline(), [torch.Generator().manual_seed(2)]
    if stage == "structure":
        return pipeline.networks.structure_flow, pipeline.draw_structure_noise(source)
    voxels = torch.tensor([[0, 1, 2], [3, 4, 5]])
    return pipeline.networks.latent_flow, pipeline.draw_latents_noise([voxels], source)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rank", [0, 3])
@pytest.mark.parametrize("group", FLOW_LAYERS)
@pytest.mark.parametrize("stage", ["structure", "latents"])
def test_untrained_layers_compute_the_same_bits_and_all_get_gradients(stage, group, rank, dtype):
    flow, noise = flow_and_noise(stage)
    flow.set_torso_dtype(dtype)
    copied, parameters = trainable_copy(flow, FLOW_LAYERS, [group], rank, torch.Generator().manual_seed(1))
    tokens, t = torch.randn(1, 5, 24, generator=torch.Generator().manual_seed(3)), torch.tensor([500.0])
    assert torch.equal(get_values(copied(noise, t, tokens)), get_values(flow(noise, t, tokens)))
    with torch.no_grad():
        for name, value in parameters.items():
            if "lora_B" in name:
                value.fill_(0.1)
    get_values(copied(noise, t, tokens)).square().sum().backward()
    assert parameters
    if rank:
        assert not torch.equal(get_values(copied(noise, t, tokens)), get_values(flow(noise, t, tokens)))
    assert all(value.grad is not None for value in parameters.values())
    assert all(value.grad is None for value in flow.parameters())


@pytest.mark.parametrize(("rank", "suffix"), [(0, ".weight"), (2, ".lora_A.default.weight")])
def test_all_layers_of_the_encoder_are_trained_under_the_published_names(rank, suffix):
    """Versions of transformers name attention differently; an adapter of one fits every other."""
    encoder = EncoderLayers(rank=rank, layers=["attention", "feed_forward"])
    conditioner = tiny_pipeline().conditioner
    adapted, parameters = adapt_encoder(
        conditioner,
        partial(trainable_copy, patterns=ENCODER_LAYERS, layers=encoder.layers, rank=encoder.rank),
    )
    attention = [f"attention.attention.{name}" for name in ("query", "key", "value")]
    layers = [*attention, "attention.output.dense", "mlp.fc1", "mlp.fc2"]
    found = {name.removesuffix(suffix) for name in parameters if name.endswith(suffix)}
    assert found == {
        f"encoder.layer.{number}.{layer}"
        for number in range(conditioner.config.num_hidden_layers)
        for layer in layers
    }
    own = {id(value) for value in adapted.model.parameters() if value.requires_grad}
    assert own == {id(value) for value in parameters.values()}


def test_a_group_without_layers_is_refused():
    flow, _ = flow_and_noise("structure")
    patterns = {"attention": FLOW_LAYERS["self_attention"], "windows": r"blocks\.\d+\.window"}
    with pytest.raises(Verdict3DError, match="no linear layers in windows"):
        trainable_copy(flow, patterns, ["attention", "windows"], 2)


@pytest.mark.parametrize("stage", ["structure", "latents"])
def test_checkpointed_blocks_give_the_same_gradients(stage):
    flow, noise = flow_and_noise(stage)
    tokens, t = torch.randn(1, 5, 24, generator=torch.Generator().manual_seed(3)), torch.tensor([500.0])
    found = []
    for again in (False, True):
        copied, parameters = trainable_copy(
            flow, FLOW_LAYERS, ["self_attention", "sparse_linear"], 3, torch.Generator().manual_seed(1)
        )
        if again:
            checkpoint_blocks(copied)
        out = get_values(copied(noise, t, tokens))
        out.square().sum().backward()
        found.append([out, *(value.grad for value in parameters.values())])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.parametrize(("arm", "stage"), [("orpo", "structure"), ("sft_on_clean", "latents")])
def test_checkpointing_trains_the_same_bits_and_is_off_in_what_generates(arm, stage, inputs, tmp_path):
    checkpoints = []
    for again in (False, True):
        params = section({**ARMS[arm], stage: {**ARMS[arm][stage], "checkpointing": again}})
        folder = tmp_path / str(again)
        folder.mkdir()
        method = find_method(params.method)
        fit = method.fit(FitInputs(**{**vars(inputs), "checkpoints": folder}), params)
        checkpoints.append((folder / CHECKPOINT).read_bytes())  # weights, losses and moments of gradients
    assert checkpoints[0] == checkpoints[1]
    wrapped = method.wrap(inputs.pipeline, params, fit.tensors, Tools())
    wrapped_blocks = wrapped.networks.get_flow(stage).blocks
    assert not any("forward" in vars(block) for block in wrapped_blocks)
    student = make_student(inputs.pipeline, 7, **{stage: getattr(params, stage)})
    assert all("forward" in vars(block) for block in student.flows[stage].blocks)


def test_token_transformer_starts_as_the_identity_and_keeps_lengths():
    transformer = TokenTransformer(12, 5, 1, 2, torch.Generator().manual_seed(0))
    tokens = torch.nn.functional.layer_norm(torch.randn(2, 5, 12), (12,))
    assert torch.equal(transformer(tokens), tokens)
    torch.nn.init.normal_(transformer.outer.weight)
    torch.testing.assert_close(transformer(tokens).square().mean(-1), tokens.square().mean(-1))


def test_distillation_gradient_equals_finite_differences(inputs):
    """Through the frozen flow into one weight of the token transformer's last layer."""
    params = section({**REPAIR, "clean_share": 0.0})
    student = make_student(inputs.pipeline, 7, tokens=params.tokens)
    material = gather_material(inputs, params, student, inputs.train, "training")
    of_step = TrainingLosses(inputs.pipeline, params, student, 7)
    weight = student.parameters["tokens.outer.weight"]
    torch.nn.init.normal_(weight, std=0.3, generator=torch.Generator().manual_seed(4))
    (gradient,) = torch.autograd.grad(of_step.loss(material, 0), weight)
    row, column = divmod(int(gradient.abs().argmax()), weight.shape[1])
    losses = []
    with torch.no_grad():
        for step in (0.01, -0.02):
            weight[row, column] += step
            losses.append(of_step.loss(material, 0).item())
    assert gradient[row, column].item() == pytest.approx((losses[0] - losses[1]) / 0.02, rel=0.05)


def test_distillation_of_the_clean_picture_is_zero_by_construction(inputs):
    params = section({**REPAIR, "clean_share": 1.0})
    student = make_student(inputs.pipeline, 7, tokens=params.tokens)
    material = gather_material(inputs, params, student, inputs.train, "training")
    losses = TrainingLosses(inputs.pipeline, params, student, 7)
    assert losses.loss(material, 0).item() == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize("times", ["early", "trained"])
def test_early_times_are_near_the_noise(times, inputs):
    """Early: t = 1 - 0.3 u^1.5 lies in [0.7, 1], mean 0.88; the flow's own times reach far below."""
    params = section({**REPAIR, "times": times, "batch_size": 64})
    student = make_student(inputs.pipeline, 7, tokens=params.tokens)
    material = gather_material(inputs, params, student, inputs.train, "training")
    seen = []
    hook = student.flows["structure"].register_forward_pre_hook(lambda _, given: seen.append(given[1] / 1000))
    try:
        for step in range(4):
            TrainingLosses(inputs.pipeline, params, student, 7).loss(material, step)
    finally:
        hook.remove()
    drawn = torch.cat(seen)
    assert len(drawn) >= 256 and drawn.max() <= 1
    if times == "early":
        assert drawn.min() >= 0.7 and drawn.mean() == pytest.approx(1 - 0.3 / 2.5, abs=0.015)
    else:
        assert drawn.min() < 0.4


def test_token_flow_loss_by_hand_and_its_gradient():
    """Untrained, the velocity is zero: the loss is the mean square of noise minus clean tokens."""
    params = TokenFlowParams(**{**ARMS["token_flow"]})
    flow = TokenFlow(4, 3, params, torch.Generator().manual_seed(1))
    clean = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(2))
    noise = torch.randn(2, 3, 4, generator=torch_generator(1, "x"))
    expected = ((1 - 1e-5) * noise - clean).square().mean()
    assert flow.loss(clean, clean, torch_generator(1, "x")).item() == pytest.approx(expected.item(), rel=1e-5)
    flow.double()
    clean, t = clean.double(), torch.tensor([0.3, 0.8], dtype=torch.float64)
    torch.nn.init.normal_(flow.outer.weight, generator=torch.Generator().manual_seed(3))
    state = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    flow.time.float()
    flow.time.forward = lambda t: torch.zeros(len(t), 16, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: flow.velocity(x, t, clean).square().mean(), (state,))


def test_drawn_tokens_depend_on_the_picture_alone():
    pictures = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    seeds = picture_seeds(pictures)
    assert len(set(seeds)) == 3
    assert picture_seeds(pictures[1:2]) == seeds[1:2]


def test_tournament_by_hand():
    """(1, 3) and (5, 2) first, 4 waits; 3 against 5 is undecided and goes to 3, then 4 wins."""
    asked = []

    def margins(matches):
        asked.append(matches)
        return [x - y if (x, y) != (3, 5) else 0.0 for x, y in matches]

    assert play_tournament([1, 3, 5, 2, 4], margins) == 4
    assert asked == [[(1, 3), (5, 2)], [(3, 5)], [(3, 4)]]
    assert play_tournament([7], margins) == 7


def test_search_keeps_what_the_judge_prefers_and_sees_the_given_photo(inputs):
    photos = [tiny_photo(1)]
    seen = []

    def prefers(matches):
        seen.extend(photo for photo, _, _ in matches)
        return [-1.0] * len(matches)  # always the later sample

    search = section({"method": "search", "samples": 2, "pick": "judge"})
    method = find_method("search")
    wrapped = method.wrap(inputs.pipeline, search, {}, Tools(lambda: prefers))
    first = inputs.pipeline.generate(photos, [5])
    kept = wrapped.generate(photos, [5])
    assert seen == photos
    assert mesh_digest(kept[0]) != mesh_digest(first[0])
    with pytest.raises(Verdict3DError, match="judge"):
        method.wrap(inputs.pipeline, search, {}, Tools())


def test_training_goes_on_from_weights_of_the_same_base(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(type(inputs.pipeline), "digest", "d1")
    method = find_method("degraded_inputs")
    arm = section({**ARMS["encoder_whole"], "leave_clean": 1.0})

    def fit(arm, name):
        folder = tmp_path / name
        folder.mkdir()
        return method.fit(FitInputs(**{**vars(inputs), "checkpoints": folder, "starts": tmp_path}), arm)

    first = fit(arm, "first")
    moved = {name: tensor.detach() + 0.02 for name, tensor in first.tensors.items()}
    halved = {name: tensor.half() for name, tensor in moved.items()}
    save_adapter(halved, make_origin("mine", "d1", arm), first.measures, tmp_path / "repair")
    further = section({**arm.model_dump(), "start": "repair", "learning_rate": 1e-12})
    again = fit(further, "again")
    for name, tensor in again.tensors.items():
        if name != LIMIT:
            assert torch.allclose(tensor, halved[name].float(), atol=1e-6), name
    assert again.measures["base"] == first.measures["base"] != again.measures["start"]
    kept = [row["base_validation_loss"] for row in again.losses if "base_validation_loss" in row]
    assert kept and set(kept) == {first.measures["base"]["validation_loss"]}
    save_adapter(halved, make_origin("mine", "d2", arm), first.measures, tmp_path / "repair")
    with pytest.raises(Verdict3DError, match="digest d2"):
        fit(further, "other")


def test_a_repair_leaves_pictures_alone_that_it_hardly_changes(inputs, tmp_path):
    arm = section({**ARMS["encoder_whole"], "leave_clean": 1.0})
    method = find_method("degraded_inputs")
    fit = method.fit(FitInputs(**{**vars(inputs), "checkpoints": tmp_path}), arm)
    pictures = gather_pictures(inputs.train)
    clean, degraded = as_input(pictures.clean), as_input(pictures.degraded)
    base = inputs.pipeline.conditioner

    def change_by(tensors, images):
        weights = {name: tensor for name, tensor in tensors.items() if name != LIMIT}
        repaired = method.wrap(inputs.pipeline, arm, weights, Tools()).conditioner(images)
        return repaired, measure_token_change(base(images), repaired)

    unseen = as_input(gather_pictures(inputs.validation).clean)
    assert fit.tensors[LIMIT].item() == change_by(fit.tensors, unseen)[1].max()
    moved = {name: tensor.detach() + 0.01 for name, tensor in fit.tensors.items()}
    (_, of_clean), (repaired, of_degraded) = change_by(moved, clean), change_by(moved, degraded)
    assert of_clean.min() > 0
    moved[LIMIT] = of_clean.max().reshape(1)
    kept = method.wrap(inputs.pipeline, arm, moved, Tools()).conditioner
    assert torch.equal(kept(clean), base(clean))
    moved[LIMIT] = of_degraded.median().reshape(1)
    mixed = method.wrap(inputs.pipeline, arm, moved, Tools()).conditioner(degraded)
    for row, change in enumerate(of_degraded):
        wanted = repaired if change > of_degraded.median() else base(degraded)
        assert torch.equal(mixed[row], wanted[row])


def test_a_search_samples_once_what_the_repair_leaves_alone(inputs, tmp_path):
    repair = section({**ARMS["encoder_whole"], "leave_clean": 1.0})
    fit = find_method("degraded_inputs").fit(FitInputs(**{**vars(inputs), "checkpoints": tmp_path}), repair)
    photos, seeds = [tiny_photo(1), tiny_photo(2)], [5, 6]
    moved = {name: tensor.detach() + 0.01 for name, tensor in fit.tensors.items()}
    pictures = [np.array(inputs.pipeline.preprocess(photo).convert("RGB")) for photo in photos]
    pixels = as_input(torch.from_numpy(np.stack(pictures)))
    repaired = find_method("degraded_inputs").wrap(inputs.pipeline, repair, moved, Tools()).conditioner
    changes = measure_token_change(inputs.pipeline.conditioner(pixels), repaired.repair(pixels))
    moved[LIMIT] = changes.mean().reshape(1)  # one photo is below, one above
    once = find_method("degraded_inputs").wrap(inputs.pipeline, repair, moved, Tools())

    def search(unless_clean):
        arm = section({"method": "search", "samples": 4, "pick": "majority", "unless_clean": unless_clean})
        return find_method("search").wrap(once, arm, {}, Tools())

    def digests(pipeline, places):
        made = pipeline.generate([photos[place] for place in places], [seeds[place] for place in places])
        return [mesh_digest(mesh) for mesh in made]

    left = int(changes.argmin())
    (single,), (voted,) = digests(once, [left]), digests(search(False), [1 - left])
    assert digests(search(True), [left, 1 - left]) == [single, voted]
    assert digests(search(False), [left]) != [single] and digests(once, [1 - left]) != [voted]
    failed = search(True).generate([photos[left].convert("RGB"), photos[1 - left]], [0, seeds[1 - left]])
    assert isinstance(failed[0], ItemFailure) and mesh_digest(failed[1]) == voted
    with pytest.raises(Verdict3DError, match="behind leave_clean"):
        find_method("search").wrap(inputs.pipeline, search(True).search, {}, Tools())


def test_most_agreed_upon_by_hand():
    """IoU of a and b 2/3, of b and c 1/2, of a and c 1/4; a failure is left out."""
    a, b, c = ([[0, 0, 0], [0, 0, 1]], [[0, 0, 0], [0, 0, 1], [1, 1, 1]], [[1, 1, 1], [0, 0, 1], [1, 0, 0]])
    a, b, c = (torch.tensor(voxels, dtype=torch.int32) for voxels in (a, b, c))
    failed = ItemFailure("empty_structure", "no voxel")
    assert choose_most_agreed([a, failed, b, c], 2) is b
    assert choose_most_agreed([a, a.clone(), c], 2) is a
    assert choose_most_agreed([failed, c], 2) is c
    assert choose_most_agreed([failed], 2) is failed
    mean = (2 / 3 + 1 / 2 + 1 / 4) / 3
    assert choose_most_agreed([a, b, c], 2, mean - 1e-6) is a
    assert choose_most_agreed([a, b, c], 2, mean + 1e-6) is b


def test_a_majority_keeps_the_voxels_that_half_of_the_samples_have():
    a, b, c = ([[0, 0, 0], [0, 0, 1]], [[0, 0, 0], [1, 1, 1]], [[0, 0, 1], [0, 1, 0]])
    a, b, c = (torch.tensor(voxels, dtype=torch.int32) for voxels in (a, b, c))
    failed = ItemFailure("empty_structure", "no voxel")
    voted = vote_on_voxels([b, failed, c, a], 2)
    assert voted.tolist() == [[0, 0, 0], [0, 0, 1]] and voted.dtype == a.dtype
    assert vote_on_voxels([a, b], 2).tolist() == [[0, 0, 0], [0, 0, 1], [1, 1, 1]], "a half is enough"
    assert vote_on_voxels([failed], 2) is failed and vote_on_voxels([failed, c], 2) is c
    alone = [torch.tensor([[0, 0, z]], dtype=torch.int32) for z in range(3)]
    assert vote_on_voxels(alone, 3) is alone[0], "no voxel has a majority"
    mean = (1 / 3 + 1 / 3 + 0) / 3
    assert vote_on_voxels([a, b, c], 2, mean - 1e-6) is a
    assert vote_on_voxels([a, b, c], 2, mean + 1e-6) is not a


def test_consensus_draws_the_first_structure_as_the_base_does_and_keeps_one_that_was_drawn(inputs):
    photos = [tiny_photo(1), tiny_photo(2)]
    arm = section({"method": "search", "samples": 4, "pick": "consensus"})
    wrapped = find_method("search").wrap(inputs.pipeline, arm, {}, Tools())
    tokens = wrapped.encode([wrapped.preprocess(photo) for photo in photos])
    seeds = [5, 6]

    def drawn(number):
        own = [seed if number == 0 else seed_for(seed, "search", number) for seed in seeds]
        return inputs.pipeline.sample_structure(tokens, [torch.Generator().manual_seed(seed) for seed in own])

    rounds = [drawn(number) for number in range(4)]
    kept = wrapped.sample_structure(tokens, [torch.Generator().manual_seed(seed) for seed in seeds])
    for place, voxels in enumerate(kept):
        of_this = [made[place] for made in rounds]
        wanted = choose_most_agreed(of_this, inputs.pipeline.networks.latent_flow.config["resolution"])
        assert torch.equal(voxels, wanted)
    assert len(wrapped.generate(photos, seeds)) == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"loss": {}}, "weight above 0"),
        ({"tokens": None}, "train at least one"),
        ({"tokens": None, "structure": ATTENTION, "loss": {"tokens": 1.0}}, "trains no flow"),
        ({"speed": 3}, "Extra inputs"),
    ],
)
def test_sections_that_do_not_fit_are_refused(changes, words):
    with pytest.raises(ValidationError, match=words):
        section({**REPAIR, **changes})


def test_an_arm_without_what_it_learns_from_says_so(inputs, tmp_path: Path):
    bare = FitInputs(inputs.pipeline, [], [], 7, tmp_path)
    with pytest.raises(Verdict3DError, match="train split"):
        find_method("degraded_inputs").fit(bare, section(REPAIR))
    with pytest.raises(Verdict3DError, match="no preference to learn from"):
        find_method("preference").fit(bare, section(ARMS["dpo"]))
