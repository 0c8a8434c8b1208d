"""The files of an adapter's folder, and the card among them: which weights these are, and what made them.

Weights have PEFT's file name, and where all of them are LoRA, PEFT's names and its configuration too
(:mod:`verdict3d.adapt.lora`): then ``peft.PeftModel.from_pretrained`` reads the folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from verdict3d.config_arms import ArmParams
from verdict3d.errors import Verdict3DError
from verdict3d.provenance import digest_file, digest_json
from verdict3d.records.files import write_bytes
from verdict3d.records.generators import GENERATOR
from verdict3d.records.record import Record, RecordPart, read_record

WEIGHTS, CONFIG, CARD = "adapter_model.safetensors", "adapter_config.json", "card.json"
"""The files of an adapter's folder; the configuration is there where the adapter is LoRA."""
EARLIER_WEIGHTS = "adapter.safetensors"
"""What the weights were called before."""


class AssetCounts(RecordPart):
    """Number of assets of each split that training may look at."""

    train: int
    validation: int


class AdapterOrigin(RecordPart):
    """What is known of an adapter before it is trained.

    Attributes:
        arm: Arm that makes it.
        method: Name of the arm's method.
        trains: The part of the generator that it changes, in a word.
        params: Settings of the arm; the generator is put together by these.
        base: The generator, as the parameters name it.
        base_digest: Digest of the generator's directory.
        seed: Base seed of the run.
        assets: How many there are.
        data: Digest of the assets, their pictures and meshes, by split.
        degrade: The section ``degrade`` of the parameters: told, read by nothing.
        preferences: Number of preferences to learn from.
    """

    arm: str
    method: str
    trains: str
    params: ArmParams
    base: str
    base_digest: str
    seed: int
    assets: AssetCounts
    data: dict[str, str]
    degrade: dict[str, Any]
    preferences: int


class AdapterCard(AdapterOrigin, Record):
    """What stands in ``card.json``.

    Attributes:
        weights_digest: SHA-256 of the file of weights.
        measures: What the method measured while it trained: told, read by nothing.
    """

    SCHEMA: ClassVar[str] = "verdict3d/adapter/2"

    weights_digest: str
    measures: dict[str, Any]


def read_card(folder: Path) -> AdapterCard:
    """Read the card in an adapter's folder.

    Raises:
        Verdict3DError: It is missing, of an earlier release, or no such card: file and field are named.
    """
    if (folder / EARLIER_WEIGHTS).is_file():
        raise Verdict3DError(
            f"{folder} holds {EARLIER_WEIGHTS}, as earlier releases wrote it; this one reads {WEIGHTS}. "
            "Train the arm again; a registered champion of that form steps back with `verdict3d rollback "
            "--to base`, and `verdict3d reproduce` makes its run again with the code of its time"
        )
    return read_record(folder / CARD, AdapterCard)


def adapter_files(folder: Path) -> list[str]:
    """Return the names of an adapter's files, the configuration where there is one."""
    return [name for name in (WEIGHTS, CONFIG, CARD) if name != CONFIG or (folder / CONFIG).is_file()]


def copy_adapter(source: Path, target: Path) -> None:
    """Copy an adapter's files into ``target``, which is made where it is missing, in place of its own.

    The record of its generator goes along where there is one.

    Raises:
        Verdict3DError: There is no adapter of this release in ``source``.
    """
    read_card(source)
    remove_adapter(target)
    record = [GENERATOR] if (source / GENERATOR).is_file() else []
    for name in adapter_files(source) + record:
        write_bytes(target / name, (source / name).read_bytes())


def remove_adapter(folder: Path) -> None:
    """Remove the adapter's files from a folder, those of earlier releases too."""
    for name in (WEIGHTS, CONFIG, CARD, GENERATOR, EARLIER_WEIGHTS):
        (folder / name).unlink(missing_ok=True)


def adapter_identity(folder: Path) -> str:
    """Return one SHA-256 over an adapter's files: two arms without weights are not the same.

    Raises:
        Verdict3DError: A file is missing.
    """
    try:
        return digest_json([digest_file(folder / name) for name in adapter_files(folder)])
    except FileNotFoundError as error:
        raise Verdict3DError(f"{error.filename} is missing; run the train stage of the arm again") from error
