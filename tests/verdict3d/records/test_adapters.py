"""The files of an adapter: wrong cards named, one identity for one content, earlier releases refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from support.adapters import make_origin
from verdict3d.adapt.adapter import save_adapter
from verdict3d.errors import Verdict3DError
from verdict3d.records.adapters import CARD, CONFIG, WEIGHTS, adapter_identity, copy_adapter, read_card
from verdict3d.records.files import read_json, write_json


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_adapter({"bias": torch.zeros(3)}, make_origin("searched", "aa11"), {"best_step": 3}, tmp_path)
    return tmp_path


def rewrite(folder: Path, **changes: Any) -> None:
    values = {**read_json(folder / CARD), **changes}
    write_json(folder / CARD, {name: value for name, value in values.items() if value is not None})


def test_an_adapter_of_an_earlier_release_is_refused_with_what_to_do(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "adapter.safetensors")
    with pytest.raises(Verdict3DError, match=r"holds adapter\.safetensors.*Train the arm again; .*rollback"):
        read_card(folder)
    with pytest.raises(Verdict3DError, match="as earlier releases wrote it"):
        copy_adapter(folder, folder / "copy")
    with pytest.raises(Verdict3DError, match="is missing; run the train stage"):
        adapter_identity(folder)


def test_a_copy_has_the_same_files_and_takes_the_place_of_what_was_there(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("champion")
    (place / CONFIG).write_text("{}")
    (place / "adapter.safetensors").write_bytes(b"old")
    copy_adapter(folder, place)
    assert sorted(path.name for path in place.iterdir()) == sorted([WEIGHTS, CARD])
    assert adapter_identity(place) == adapter_identity(folder)
    write_json(place / CONFIG, {"r": 2})
    assert adapter_identity(place) != adapter_identity(folder)


def test_content_decides_the_identity(folder: Path) -> None:
    found = [adapter_identity(folder)]
    rewrite(folder, params={"method": "search", "samples": 3, "pick": "random", "agreed": 1.0})
    found.append(adapter_identity(folder))
    (folder / WEIGHTS).write_bytes(b"other weights")
    found.append(adapter_identity(folder))
    assert len(set(found)) == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"arm": None}, "field arm is missing"),
        ({"seed": "1"}, "field seed: '1' is wrong"),
        ({"assets": {"train": 2}}, r"field assets\.validation is missing"),
        ({"params": {"method": "search", "samples": 1, "pick": "random"}}, r"field params\.search\.samples"),
        ({"params": {"method": "wishful"}}, "field params"),
        ({"schema": None}, "field schema: None instead of"),
        ({"schema": "verdict3d/adapter/7"}, "field schema: 'verdict3d/adapter/7' instead of"),
        ({"colour": "red"}, "field colour is unknown"),
    ],
)
def test_a_wrong_card_says_which_field(folder: Path, changes: dict[str, Any], words: str) -> None:
    rewrite(folder, **changes)
    with pytest.raises(Verdict3DError, match=rf"card\.json, .*{words}"):
        read_card(folder)


@pytest.mark.parametrize("text", ["{}", "[]", "{"])
def test_what_is_no_card_is_one_message(tmp_path: Path, text: str) -> None:
    (tmp_path / CARD).write_text(text)
    with pytest.raises(Verdict3DError, match=r"card\.json") as found:
        read_card(tmp_path)
    assert "\n" not in str(found.value)
    assert (text != "{}") or "field schema" in str(found.value)
    with pytest.raises(Verdict3DError):
        read_card(tmp_path / "nowhere")


def test_the_card_is_json_for_anybody(folder: Path) -> None:
    values = json.loads((folder / CARD).read_text())
    assert values["arm"] == "searched" and values["params"]["method"] == "search"
    assert values["measures"] == {"best_step": 3}
