"""What runs asked of held-out objects, in the tags of a real embedded MLflow."""

from __future__ import annotations

from pathlib import Path

import pytest

from verdict3d.records.holdout import HoldoutSet


def test_uses_add_up_whatever_the_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.tracking.registered_model import OBJECTS_A_TAG, add_use, name_model, read_uses
    from tasks.tracking.store import open_store

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    client = open_store()
    assert read_uses(client) == []
    many = [f"{number:012x}" for number in range(OBJECTS_A_TAG + 1)]
    first = HoldoutSet(objects=many, arms={"a": 4}, audits={"judge": 8})
    second = HoldoutSet(objects=many, arms={"a": 2, "b": 6}, audits={"judge": 10})
    other = HoldoutSet(objects=["ff"], arms={}, audits={})
    for use, preset in ((second, ""), (first, ""), (first, "quick"), (other, ""), (second, "")):
        add_use(client, name_model(preset), use)
    assert sorted(read_uses(client), key=lambda use: -len(use.objects)) == [
        HoldoutSet(objects=many, arms={"a": 4, "b": 6}, audits={"judge": 10}),
        other,
    ]

    # what one tag held for a whole set, as earlier versions wrote it, still counts
    client.set_registered_model_tag("verdict3d", "heldout.old", '{"arms": {"c": 2}, "audits": {}}')
    client.set_registered_model_tag("verdict3d", "heldout.old.objects.0", "ff")
    assert HoldoutSet(objects=["ff"], arms={"c": 2}, audits={}) in read_uses(client)
