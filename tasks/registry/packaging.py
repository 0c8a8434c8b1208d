"""An adapted generator as a folder that MLflow can register, load and serve without this project.

The folder holds the base generator, the adapter, the parameters, the code and a card. MLflow is told
the columns, an example and the exact versions of the packages.
"""

from __future__ import annotations

import shutil
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from mlflow.models import ModelSignature
from mlflow.pyfunc import save_model
from mlflow.types import ColSpec, DataType, Schema

from tasks.paths import read_assets
from tasks.registry.promotion_record import describe_decision
from verdict3d.adapt.registry import modules_of
from verdict3d.config import Params
from verdict3d.config_arms import AnyArm
from verdict3d.config_generators import require_trellis
from verdict3d.project import TRAIN
from verdict3d.provenance import PACKAGES, SOURCES, imported_files
from verdict3d.records.adapters import AdapterCard, copy_adapter, read_card
from verdict3d.records.files import write_bytes
from verdict3d.records.promotion import PromotionRecord

MODEL = "model"
"""Folder of the packaged model among the artifacts of its run."""

REQUIREMENTS = (
    "mlflow",
    "torch",
    "transformers",
    "peft",
    "safetensors",
    "numpy",
    "scipy",
    "pandas",
    "pillow",
    "pydantic",
    "ruamel.yaml",
    "cronsim",
    "trimesh",
    "tqdm",
)
"""What the code of a served model imports, without what comes with these."""

SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec(DataType.binary, "photo"), ColSpec(DataType.long, "seed", required=False)]),
    outputs=Schema(
        [
            ColSpec(DataType.binary, "mesh", required=False),
            ColSpec(DataType.string, "failure", required=False),
        ]
    ),
)


def pin_requirements() -> list[str]:
    """Return the exact versions in use; a local build (``+cpu``) is the same version."""
    return [f"{package}=={version(package).partition('+')[0]}" for package in REQUIREMENTS]


def package_model(params: Params, root: Path, arm: str, record: PromotionRecord, folder: Path) -> str:
    """Write the model of ``arm`` into ``folder``, which must not exist; return its card (Markdown).

    Args:
        params: Parameters of the run.
        root: Folder of ``params.yaml`` and ``data``.
        arm: The arm whose adapter is packaged.
        record: The promotion record, for the card.
        folder: Where to write.
    """
    parts = folder.with_name(f"{folder.name}-parts")
    adapter = parts / "adapter"
    copy_adapter(root / TRAIN / arm, adapter)
    card = read_card(adapter)
    shutil.copyfile(root / "params.yaml", parts / "params.yaml")
    text = describe_model(arm, card, record)
    write_bytes(parts / "README.md", text.encode())
    save_model(
        folder,
        python_model=str(SOURCES / "tasks/registry/served_model.py"),
        code_paths=copy_code(card.params, parts / "code"),
        artifacts={
            "generator": str(root / require_trellis(params.generator).model),
            "adapter": str(adapter),
            "parameters": str(parts / "params.yaml"),
            "card": str(parts / "README.md"),
        },
        signature=SIGNATURE,
        input_example=_choose_example(root),
        pip_requirements=pin_requirements(),
    )
    shutil.rmtree(parts)
    return text


def copy_code(settings: AnyArm, folder: Path) -> list[str]:
    """Copy the code that serving an arm runs, and no other, into ``folder``; return its packages there."""
    for name in imported_files("tasks.registry.served_model", *modules_of(settings)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(SOURCES / name, folder / name)
    return [str(folder / package) for package in PACKAGES]


def _choose_example(root: Path) -> pd.DataFrame:
    """Return the clean picture of the first held-out object."""
    assets = read_assets(root)
    shown = next((row for row in assets if row.split == "heldout"), assets[0])
    return pd.DataFrame({"photo": [(root / shown.condition).read_bytes()], "seed": [0]})


def describe_model(arm: str, card: AdapterCard, record: PromotionRecord) -> str:
    """Return what people should know about a registered model."""
    bound = record.bound_to
    lines = [
        f"# Single photo to mesh, adapted by {arm}",
        "",
        *describe_decision(record, arm),
        "",
        "Input: `photo`, bytes of a picture whose background has been removed (PNG or WebP with "
        "transparency); `seed`, optional. Output: `mesh`, bytes of a GLB (y up), or `failure`, the reason "
        "why there is none.",
        "",
        f"* base generator {card.base_digest}, adapter {bound.adapter}",
        f"* trained on {card.assets.train} objects, seed {card.seed}",
        f"* code {bound.git_commit or 'not under git'}{' with changes' if bound.git_dirty else ''}, "
        f"dvc.lock {bound.dvc_lock}",
        "",
        "Licence: that of the base generator and of this project (Apache-2.0). The decision says how well it "
        "works on the held-out objects it was measured on, and nothing about others.",
    ]
    return "\n".join(lines) + "\n"
