"""Loading: hub ids at pinned revisions, and how much memory it takes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from support.places import ROOT
from support.tiny_trellis import NETWORKS, write_tiny_generator
from verdict3d.errors import Verdict3DError
from verdict3d.trellis.checkpoint import build_model, save_model
from verdict3d.trellis.conditioner import Conditioner, make_dinov2_config
from verdict3d.trellis.layout import STRUCTURE_ENCODER
from verdict3d.trellis.pipeline import TrellisPipeline

HUB = """
import sys
from verdict3d.errors import Verdict3DError
from verdict3d.trellis.layout import STRUCTURE_ENCODER
from verdict3d.trellis.pipeline import TrellisPipeline
try:
    found = TrellisPipeline.from_pretrained(
        "owner/generator", revision=sys.argv[1] or None, conditioner=sys.argv[2] or None, device="cpu"
    )
    print(found.digest)
except Verdict3DError as error:
    print("refused:", error)
"""
MEMORY = """
import sys
from verdict3d.trellis.layout import STRUCTURE_ENCODER
from verdict3d.trellis.pipeline import TrellisPipeline

def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))

before = peak()
pipeline = TrellisPipeline.from_pretrained(sys.argv[1], device="cpu")
after = peak()
parts = [pipeline.conditioner, *pipeline.networks.map_released_names().values()]
sizes = [sum(v.numel() * v.element_size() for v in part.state_dict().values()) for part in parts]
print(after - before, sum(sizes), max(sizes))
"""


def put(cache: Path, model: str, source: Path, revisions: dict[str, str]) -> None:
    """Place a model in a hub cache under each revision's commit."""
    folder = cache / "hub" / f"models--{model.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    for revision, commit in revisions.items():
        shutil.copytree(source, folder / "snapshots" / commit, dirs_exist_ok=True)
        (folder / "refs" / revision).write_text(commit)


def run(code: str, *arguments: str, **environment: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.check_output(command, env=os.environ | environment, cwd=ROOT, text=True)


def test_a_generator_read_with_its_encoders_is_the_same_generator() -> None:
    folder = ROOT / "data/checkpoints/generator"
    teacher = TrellisPipeline.from_pretrained(folder, device="cpu", extra=(STRUCTURE_ENCODER,))
    assert teacher.networks.structure_encoder is not None
    assert teacher.digest == TrellisPipeline.from_pretrained(folder, device="cpu").digest


def test_hub_ids_are_loaded_from_the_cache_at_their_revision(tmp_path: Path) -> None:
    cache, folders = tmp_path / "cache", [write_tiny_generator(tmp_path / str(seed), seed) for seed in (0, 1)]
    digests = [TrellisPipeline.from_pretrained(folder, device="cpu").digest for folder in folders]
    put(cache, "owner/generator", folders[0], {"main": "a" * 40})
    put(cache / "new", "owner/generator", folders[1], {"v2": "b" * 40})
    hub = "hub/models--owner--generator"
    shutil.copytree(cache / "new" / hub, cache / hub, dirs_exist_ok=True)
    offline = {"HF_HOME": str(cache), "HF_HUB_OFFLINE": "1"}
    assert run(HUB, "", "", **offline).strip() == digests[0]
    assert run(HUB, "v2", "", **offline).strip() == digests[1]
    assert run(HUB, "b" * 40, "", **offline).strip() == digests[1]
    assert run(HUB, "v3", "", **offline).startswith("refused: generator 'owner/generator' (revision v3) is")
    put(cache, "owner/tokens", folders[1] / "image_cond_model", {"main": "c" * 40})
    mixed = run(HUB, "", "owner/tokens", **offline).strip()
    shutil.rmtree(folders[0] / "image_cond_model")
    other = TrellisPipeline.from_pretrained(
        folders[0], device="cpu", conditioner=folders[1] / "image_cond_model"
    )
    assert mixed == other.digest and mixed not in digests


def test_what_is_neither_folder_nor_hub_id_is_refused(tmp_path: Path) -> None:
    folder = write_tiny_generator(tmp_path / "tiny")
    with pytest.raises(Verdict3DError, match="generator 'absent' is neither a directory nor a hub id"):
        TrellisPipeline.from_pretrained("absent", device="cpu")
    with pytest.raises(Verdict3DError, match="conditioner 'absent' is neither"):
        TrellisPipeline.from_pretrained(folder, device="cpu", conditioner="absent")


def test_loading_takes_one_network_more_than_the_total_at_most(tmp_path: Path) -> None:
    write_tiny_generator(tmp_path)
    wide = {"model_channels": 768, "num_blocks": 4, "num_heads": 12, "mlp_ratio": 4, "cond_channels": 768}
    for name in ("sparse_structure_flow_model", "slat_flow_model"):
        kind, arguments = NETWORKS[name]
        model = build_model({"name": kind, "args": {**arguments, **wide, "use_fp16": True}})
        save_model(model, tmp_path, f"ckpts/{name}")
    config = make_dinov2_config(hidden_size=768, num_hidden_layers=6, num_attention_heads=12, image_size=28)
    Conditioner(config).save(tmp_path / "image_cond_model", torch.float32)
    taken, total, largest = map(int, run(MEMORY, str(tmp_path), OMP_NUM_THREADS="1").split())
    assert total > 600e6 and largest < total / 2
    assert total / 2 < taken <= total + largest, json.dumps([taken, total, largest])
