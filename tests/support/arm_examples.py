"""Every arm of the tests, and what they are trained on: a tiny generator, four chairs, three preferences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from support.tiny_trellis import tiny_photo, tiny_pipeline
from verdict3d.adapt.method import Example, FitInputs, Preference, Sample
from verdict3d.config_arms import AnyArm, ArmParams
from verdict3d.furniture.catalogue import make_furniture
from verdict3d.furniture.part_mesh import mesh_from_parts
from verdict3d.mesh.files import write_mesh
from verdict3d.randomness import numpy_generator

TRAINED = {"steps": 3, "batch_size": 2, "learning_rate": 0.02, "checkpoint_every": 2}
PICTURES = {**TRAINED, "clean_share": 0.2, "draws": 2, "regimes": ["severe"]}
ATTENTION = {"rank": 2, "layers": ["self_attention", "cross_attention"]}
SPARSE = {"rank": 2, "layers": ["sparse_linear"]}
VELOCITY = {"velocity": 1.0, "tokens": 0.1}
PAIRS = {**TRAINED, "method": "preference", "kinds": ["contrastive"]}
DEGRADED = {**PICTURES, "method": "degraded_inputs"}
ENCODER = {"rank": 2, "layers": ["attention", "feed_forward"]}
REPAIR = {**DEGRADED, "tokens": {"blocks": 1, "heads": 2}, "loss": VELOCITY}

ARMS = {
    "token_regression": {**PICTURES, "method": "conditioner_repair", "hidden": 8},
    "token_repair": {**REPAIR, "on_policy_share": 0.5, "guided": True},
    "encoder_lora": {**DEGRADED, "encoder": ENCODER, "loss": VELOCITY},
    "encoder_whole": {**DEGRADED, "encoder": {**ENCODER, "rank": 0}, "loss": {"tokens": 1.0}},
    "amodal": {
        **DEGRADED,
        "structure": ATTENTION,
        "latents": ATTENTION,
        "loss": {"velocity": 1.0, "flow_matching": 0.5},
        "targets": "samples",
        "on_policy_share": 0.5,
    },
    "sft_on_clean": {**DEGRADED, "latents": SPARSE, "loss": {"flow_matching": 1.0}},
    "sft_on_best": {**PAIRS, "objective": "sft", "condition": "chosen", "latents": SPARSE},
    "dpo": {**PAIRS, "objective": "dpo", "condition": "chosen", "latents": SPARSE, "reduction": "sum"},
    "clean_vs_degraded": {
        **PAIRS,
        "objective": "dpo",
        "condition": "rejected",
        "structure": ATTENTION,
        "beta": 500,
        "stored_noise": True,
        "safeguard": 0.6,
        "winner_weight": 0.2,
    },
    "orpo": {**PAIRS, "objective": "orpo", "condition": "chosen", "structure": ATTENTION},
    "token_flow": {
        **PICTURES,
        "method": "token_flow",
        "width": 16,
        "blocks": 1,
        "heads": 2,
        "sampler_steps": 3,
    },
    "stack": {"method": "stack", "parts": [REPAIR, {**DEGRADED, "structure": ATTENTION, "loss": VELOCITY}]},
}


def section(values: dict) -> AnyArm:
    return TypeAdapter(ArmParams).validate_python(values)


def make_inputs(root: Path) -> FitInputs:
    """Three training objects and one to validate on, photos with a corner cut off, three preferences."""
    root.mkdir(exist_ok=True)
    pipeline = tiny_pipeline()
    examples, meshes, preferences = [], {}, []
    for number in range(4):
        name, photo = f"chair-{number}", tiny_photo(number)
        meshes[name] = root / f"{name}.glb"
        write_mesh(
            mesh_from_parts(make_furniture("chair", numpy_generator(0, "chair", number))), meshes[name]
        )
        clean = np.asarray(pipeline.preprocess(photo))
        cut = clean.copy()
        cut[: len(cut) // 2] = 0
        examples.append(Example(name, 0, "severe", clean, cut))
        samples = [Sample(tiny_photo(number + other), 40 + number + other, 2, 2) for other in (0, 10)]
        preferences.append(Preference(name, "contrastive", *samples))
    return FitInputs(pipeline, examples[:3], examples[3:], 7, root, meshes, preferences[:3])
