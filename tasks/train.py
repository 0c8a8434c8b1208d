"""Stage ``train@<arm>``: fit one arm's adapter on the frozen generator (``python -m tasks.train <arm>``).

Writes ``data/train/<arm>/``: ``adapter_model.safetensors``, where it is LoRA PEFT's ``adapter_config.json``,
``card.json`` (base, parameters, data digests, losses, seed), ``generator.json`` (the record of the base, of
an outside arm its own), ``losses.csv`` (a row a step; what was not measured at a step is empty) and
``metrics.json``. An arm without networks of ours trains nothing and has no weights.

Where several GPUs are visible it starts itself again through accelerate: a process for each GPU, as many as
divide the batches, which share the items of every step. ``CUDA_VISIBLE_DEVICES`` limits them. Two on a CPU:
``accelerate launch --multi_gpu --num_processes 2 -m tasks.train <arm>``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from tasks.making.arms import read_arm
from tasks.making.batches import RESUME_ROOT, resuming
from tasks.making.networks import find_generator_directory, load_networks
from tasks.making.outside_sets import digest_outside_sets
from tasks.making.training_pictures import make_examples, read_preferences
from tasks.paths import LORAS, read_assets, start_folder
from tasks.stage import run_stage
from verdict3d.adapt.adapter import save_adapter
from verdict3d.adapt.method import Example, FitInputs, Preference
from verdict3d.adapt.parallel import (
    ALONE,
    Processes,
    become_launcher,
    count_processes,
    is_launched,
    join_processes,
    leave_processes,
)
from verdict3d.adapt.registry import find_method, modules_of, parts_of
from verdict3d.config import Params
from verdict3d.config_arms import AnyArm, OutsideArmParams, PreferenceParams, Trained, TrainedOnPictures
from verdict3d.config_generators import TrellisParams, require_trellis
from verdict3d.device import pick_device, settle_torch
from verdict3d.generators.identity import describe_generator
from verdict3d.making.arms import select_arm_params
from verdict3d.making.base import find_base_dependencies
from verdict3d.project import CHECKPOINTS, TRAIN
from verdict3d.provenance import code_of, digest_bytes, digest_file, digest_json
from verdict3d.records.adapters import AdapterOrigin, AssetCounts
from verdict3d.records.assets import Asset
from verdict3d.records.files import write_bytes, write_json
from verdict3d.records.generators import GENERATOR
from verdict3d.records.losses import format_losses
from verdict3d.records.record import write_record
from verdict3d.trellis.layout import STRUCTURE_ENCODER, read_pipeline_file
from verdict3d.trellis.pipeline import TrellisPipeline

MODULE = "tasks.train"
"""This module, whose ``__name__`` is another one where it runs."""
VALIDATION_DRAWS = 2
"""Degraded pictures of each validation asset and regime."""


def run(params: Params, root: Path, arm: str, processes: Processes = ALONE) -> None:
    """Train ``arm`` on the assets below ``root``; of several processes the main one writes the outputs."""
    settings = select_arm_params(params, arm)
    if not trains_networks(params, settings):
        write_untrained(params, root, arm, settings)
        return
    ours = require_trellis(params.generator)
    for size in list_batch_sizes(settings):
        processes.require_shares(size)
    method = find_method(settings.method)
    assets = read_assets(root)
    splits = {name: [row for row in assets if row.split == name] for name in ("train", "validation")}
    preferences = read_preferences(root, kinds) if (kinds := list_wanted_kinds(settings)) else []
    base, teacher = load_networks(params, root), load_teacher(params, root)
    origin = AdapterOrigin(
        arm=arm,
        method=method.name,
        trains=method.trains,
        params=settings,
        base=ours.model,
        base_digest=base.digest,
        seed=params.seed,
        assets=AssetCounts(train=len(splits["train"]), validation=len(splits["validation"])),
        data={name: _digest_data(root, rows) for name, rows in splits.items()},
        degrade=params.degrade.model_dump(mode="json"),
        preferences=len(preferences),
    )
    identity = {
        "origin": origin.model_dump(mode="json"),
        "base": find_base_dependencies(params, root).model_dump(),
        "pictures": [params.assets.view.model_dump(), params.assets.condition_size_px],
        "preferences": [_digest_preference(preference) for preference in preferences],
        "machine": settle_torch(),
        "processes": processes.count,
        "sets": digest_outside_sets(settings, root),
        "code": code_of(MODULE, *modules_of(settings)),
    }
    with ExitStack() as unfinished:
        checkpoints = processes.from_main(
            lambda: unfinished.enter_context(resuming(f"train/{arm}", identity, root / RESUME_ROOT))
        )
        teacher.structure, teacher.latents = ours.structure, ours.latents
        train, validation = _make_examples(params, root, splits, settings, teacher.image_size)
        inputs = FitInputs(
            teacher,
            train,
            validation,
            params.seed,
            checkpoints,
            {row.id: root / row.mesh for rows in splits.values() for row in rows},
            preferences,
            processes,
            root / LORAS,
            root / CHECKPOINTS,
        )
        fit = method.fit(inputs, settings)
        if not processes.main:
            return
        measures = {
            **fit.measures,
            "best_step": fit.best_step,
            "train_pictures": len(train),
            "validation_pictures": len(validation),
            "preferences": len(preferences),
        }
        out = start_folder(root / TRAIN / arm)
        save_adapter(fit.tensors, origin, measures, out)
        write_record(out / GENERATOR, describe_generator(ours, root))
        write_bytes(out / "losses.csv", format_losses(fit.losses))
        write_json(out / "metrics.json", measures)


def trains_networks(params: Params, settings: AnyArm) -> bool:
    """Say whether an arm works on the networks of our generator."""
    return isinstance(params.generator, TrellisParams) and not isinstance(settings, OutsideArmParams)


def write_untrained(params: Params, root: Path, arm: str, settings: AnyArm) -> None:
    """Write down what an arm is that has no weights: an outside generator, or a search on one.

    Its card names the generator and the digest of its record as its base, and the record lies beside it.
    """
    generator = settings.generator if isinstance(settings, OutsideArmParams) else params.generator
    record = describe_generator(generator, root)
    assets = read_assets(root)
    origin = AdapterOrigin(
        arm=arm,
        method=settings.method,
        trains="nothing",
        params=settings,
        base=record.title,
        base_digest=record.digest,
        seed=params.seed,
        assets=AssetCounts(
            train=sum(row.split == "train" for row in assets),
            validation=sum(row.split == "validation" for row in assets),
        ),
        data={},
        degrade=params.degrade.model_dump(mode="json"),
        preferences=0,
    )
    measures = {"parameters": 0, "best_step": 0}
    out = start_folder(root / TRAIN / arm)
    save_adapter({}, origin, measures, out)
    write_record(out / GENERATOR, record)
    write_bytes(out / "losses.csv", format_losses([]))
    write_json(out / "metrics.json", measures)


def _make_examples(
    params: Params, root: Path, splits: Mapping[str, Sequence[Asset]], settings: AnyArm, size_px: int
) -> tuple[list[Example], list[Example]]:
    """Return training and validation pictures, as the most demanding part of the arm wants them."""
    parts = [part for part in parts_of(settings) if isinstance(part, TrainedOnPictures)]
    if not parts:
        return [], []
    regimes = tuple(dict.fromkeys(regime for part in parts for regime in part.regimes))
    views, draws = (max(getattr(part, name) for part in parts) for name in ("views", "draws"))
    train = make_examples(params, root, splits["train"], regimes, views, draws, size_px)
    draws = VALIDATION_DRAWS * len(regimes)
    return train, make_examples(params, root, splits["validation"], regimes, 0, draws, size_px)


def list_batch_sizes(settings: AnyArm) -> list[int]:
    """Return the batch size of each part that is trained."""
    return [part.batch_size for part in parts_of(settings) if isinstance(part, Trained)]


def list_wanted_kinds(settings: AnyArm) -> list[str]:
    """Return the kinds of preferences that an arm learns from, each once."""
    parts = [part for part in parts_of(settings) if isinstance(part, PreferenceParams)]
    return list(dict.fromkeys(kind for part in parts for kind in part.kinds))


def _digest_preference(preference: Preference) -> str:
    samples = [
        [digest_bytes(sample.picture.tobytes()), sample.seed, sample.structure_steps, sample.latents_steps]
        for sample in (preference.chosen, preference.rejected)
    ]
    return digest_json([preference.asset, preference.kind, samples])


def load_teacher(params: Params, root: Path) -> TrellisPipeline:
    """Load the configured generator to train on: in float32, with its structure encoder if it has one."""
    import torch

    known = read_pipeline_file(find_generator_directory(params, root)).models
    return load_networks(
        params, root, torch.float32, (STRUCTURE_ENCODER,) if STRUCTURE_ENCODER in known else ()
    )


def _digest_data(root: Path, rows: Sequence[Asset]) -> str:
    """Return one digest over the assets, their clean conditions and their meshes."""
    return digest_json(
        [[row.id, *(digest_file(root / path) for path in (row.condition, row.mesh))] for row in rows]
    )


def _main(params: Params, root: Path) -> None:
    import torch

    arm = read_arm(params)
    if not trains_networks(params, select_arm_params(params, arm)):
        run(params, root, arm)
        return
    device = pick_device(require_trellis(params.generator).device)
    if device.type == "cuda" and not is_launched():
        count = count_processes(torch.cuda.device_count(), list_batch_sizes(select_arm_params(params, arm)))
        if count > 1:
            become_launcher(count, MODULE, sys.argv[1:])
    processes = join_processes(device)
    run(params, root, arm, processes)
    leave_processes(processes)


if __name__ == "__main__":
    run_stage(_main)
