"""What held-out objects have been used for: which arms, how many answers of the evaluation judge.

Objects are known by a digest of their mesh and clean picture, so what was asked of them still counts when
others are added. ``data/registry/holdout.json`` holds the earlier uses
(:class:`verdict3d.records.holdout.HoldoutSets`), which a run leaves in MLflow when it is recorded;
``tasks.registry.promotion`` writes the file, stages only read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tasks.paths import CHALLENGE, EVALUATE, HOLDOUT
from verdict3d.config import Params
from verdict3d.project import AUDIT, CERTIFY, TRAIN
from verdict3d.provenance import digest_file, digest_json
from verdict3d.records.adapters import adapter_identity
from verdict3d.records.assets import Asset
from verdict3d.records.decisions import Champion
from verdict3d.records.holdout import HoldoutSet, HoldoutSets, HoldoutUse
from verdict3d.records.record import read_record, read_rows
from verdict3d.records.verdicts import ControlVerdict, HeldoutVerdict, Judged

DIGITS = 12
"""Of an object's digest: enough to tell a million objects apart, and short where a registry keeps them."""


def digest_objects(root: Path, assets: Sequence[Asset]) -> dict[str, str]:
    """Return the digest of each held-out object, by its id."""
    return {
        row.id: digest_json([digest_file(root / row.mesh), digest_file(root / row.condition)])[:DIGITS]
        for row in assets
        if row.split == "heldout"
    }


def set_identity(found: HoldoutSet) -> str:
    """Return the identity of a set of objects."""
    return digest_json(found.objects)


def describe_this_use(
    params: Params, root: Path, assets: Sequence[Asset], champion: Champion, judge: str
) -> HoldoutSet:
    """Return what the run below ``root`` has asked: of every evaluated arm, and in the judge's audit.

    A pair that was asked twice, and answered from the store, counts once: ``challenge`` repeats ``evaluate``
    while the base is the champion, and the controls are the same for every arm.

    Args:
        params: Names the arms.
        root: Folder of ``params.yaml``.
        assets: All of them.
        champion: Who was challenged.
        judge: Digest of the evaluation judge.
    """
    objects = digest_objects(root, assets)
    arms: dict[str, int] = {}
    controls: list[HeldoutVerdict] = []
    for arm in params.train.arms:
        folders = [EVALUATE / arm, *([CHALLENGE / arm] if champion.version is not None else [])]
        files = [root / folder / name for folder in folders for name in ("verdicts.jsonl", "texture.jsonl")]
        arms[adapter_identity(root / TRAIN / arm)] = count_answers(
            row for path in files for row in _read_rows(path)
        )
        controls = _read_rows(root / EVALUATE / arm / "controls.jsonl")
    files = [root / folder / "evaluation/verdicts.jsonl" for folder in (AUDIT, CERTIFY)]
    audit = [row for path in files if path.exists() for row in read_rows(path, ControlVerdict)]
    asked = count_answers(row for row in audit if row.object in objects) + count_answers(controls)
    return HoldoutSet(objects=sorted(objects.values()), arms=arms, audits={judge: asked})


def count_answers(rows: Iterable[Judged]) -> int:
    """Return how many answers of a judge these verdicts are: two from each view set."""
    return 2 * sum(one is not None for row in rows for one in row.sets)


def read_earlier(root: Path) -> list[HoldoutSet]:
    """Return the earlier uses of held-out objects."""
    path = root / HOLDOUT
    return read_record(path, HoldoutSets).sets if path.exists() else []


def use_of(adapter: str, mine: HoldoutSet, earlier: Sequence[HoldoutSet]) -> HoldoutUse:
    """Return what the objects of this run have been used for, this run counted.

    Args:
        adapter: Identity of the candidate's adapter.
        mine: Use by this run.
        earlier: Earlier uses; sets without a common object do not matter.
    """
    shared = [found for found in earlier if set(found.objects) & set(mine.objects)]
    arms = set().union(*(found.arms for found in (mine, *shared)))
    before = {set_identity(found) for found in shared if adapter in found.arms} - {set_identity(mine)}
    # of each arm and audit an object has answered its share of the questions, in the set that asked most
    rates: dict[tuple[str, str], float] = {}
    for found in (mine, *shared):
        for name, asked in {**found.arms, **found.audits}.items():
            for one in set(found.objects) & set(mine.objects):
                rates[one, name] = max(rates.get((one, name), 0.0), asked / len(found.objects))
    return HoldoutUse(candidates=len(arms), queries=round(sum(rates.values())), looks=len(before) + 1)


def _read_rows(path: Path) -> list[HeldoutVerdict]:
    return read_rows(path, HeldoutVerdict) if path.exists() else []
