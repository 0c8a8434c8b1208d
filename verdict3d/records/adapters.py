"""The card beside an adapter's weights: which weights these are, and what made them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from verdict3d.config_arms import ArmParams
from verdict3d.provenance import digest_bytes, digest_file, digest_json
from verdict3d.records.files import format_json, read_json
from verdict3d.records.record import Part, Record, parse_record

WEIGHTS, CARD = "adapter.safetensors", "card.json"
"""The two files of an adapter's folder."""


class AssetCounts(Part):
    """Number of assets of each split that training may look at."""

    train: int
    validation: int


class AdapterOrigin(Part):
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

    SCHEMA: ClassVar[str] = "verdict3d/adapter/1"

    weights_digest: str
    measures: dict[str, Any]


def read_card(folder: Path) -> AdapterCard:
    """Read the card in an adapter's folder; one without ``schema`` is of version 1, which had none at first.

    Raises:
        Verdict3DError: It is missing, or no such card: file and field are named.
    """
    values = read_json(folder / CARD)
    if isinstance(values, dict):
        values = {"schema": "verdict3d/adapter/1", **values}
    return parse_record(values, AdapterCard, str(folder / CARD))


def adapter_identity(folder: Path) -> str:
    """Return one SHA-256 over an adapter's weights and card: two arms without weights are not the same.

    Of the card counts what it says, not the name of its form (``schema``): a champion keeps its identity.

    Raises:
        Verdict3DError: The card is missing or not JSON.
    """
    said = read_json(folder / CARD)
    if isinstance(said, dict):
        said.pop("schema", None)
    return digest_json([digest_file(folder / WEIGHTS), digest_bytes(format_json(said))])
