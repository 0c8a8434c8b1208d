"""The registered model of a project or preset, as far as recording a run needs it.

Its tags hold what runs have asked of held-out objects: a tag of the answers for each record, and the digests
of a set of objects in tags that all records on it share. Nothing is read before it is written, so any number
of checkouts may add at once, and adding twice is adding once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from mlflow import MlflowClient

from tasks.scoring.holdout import set_identity
from tasks.tracking.store import make_registered_model
from verdict3d.provenance import digest_json
from verdict3d.records.holdout import HoldoutSet

MODEL = "verdict3d"
WHAT = "Single photos to meshes"
HOLDOUT, OBJECTS = "heldout.", ".objects."
OBJECTS_A_TAG = 300
"""Digests of held-out objects in one tag, which holds 5,000 characters."""
MOST_MODELS = 1000


def name_model(preset: str) -> str:
    """Return the name of the registered model of a preset, "" for none."""
    return f"{MODEL}-{preset}" if preset else MODEL


def add_use(client: MlflowClient, name: str, use: HoldoutSet) -> None:
    """Count at the model ``name`` what a run has asked of held-out objects, once."""
    make_registered_model(client, name, WHAT)
    key, counts = f"{HOLDOUT}{set_identity(use)[:16]}", {"arms": use.arms, "audits": use.audits}
    for start in range(0, len(use.objects), OBJECTS_A_TAG):
        text = " ".join(use.objects[start : start + OBJECTS_A_TAG])
        client.set_registered_model_tag(name, f"{key}{OBJECTS}{start}", text)
    client.set_registered_model_tag(name, f"{key}.{digest_json(counts)[:16]}", json.dumps(counts))


def read_uses(client: MlflowClient) -> list[HoldoutSet]:
    """Return what held-out objects have been used for by all runs of all presets, one of each set."""
    found: dict[str, HoldoutSet] = {}
    for model in client.search_registered_models(f"name LIKE '{MODEL}%'", max_results=MOST_MODELS):
        for key in sorted(model.tags):
            if key.startswith(HOLDOUT) and OBJECTS not in key:
                use = _read_use(model.tags, key)
                same = found.get(set_identity(use), use)
                found[set_identity(use)] = HoldoutSet(
                    objects=use.objects,
                    arms=_unite(same.arms, use.arms),
                    audits=_unite(same.audits, use.audits),
                )
    return [found[name] for name in sorted(found)]


def _read_use(tags: Mapping[str, str], key: str) -> HoldoutSet:
    whose = f"{HOLDOUT}{key.split('.')[1]}{OBJECTS}"
    objects = {digest for other, text in tags.items() if other.startswith(whose) for digest in text.split()}
    return HoldoutSet(objects=sorted(objects), **json.loads(tags[key]))


def _unite(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """Return the larger number of answers by name: what was asked again came from the store."""
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in sorted({*one, *other})}
