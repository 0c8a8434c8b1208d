"""People instead of the training judge: from answers on the voting page to an arm that learned from them."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx
import pytest
import yaml

import tasks.evaluate
import tasks.label
import tasks.train
from flows.chain.counted_votes import count_votes
from flows.products.vote import open_ballot
from flows.products.votes import export_preferences
from support.arm_examples import ARMS
from support.pair_pages import serving
from verdict3d.asking.pairings import STORE
from verdict3d.config import Params, load_params
from verdict3d.judge.store import VerdictStore
from verdict3d.project import Workspace
from verdict3d.provenance import digest_bytes
from verdict3d.records.files import read_json, read_jsonl
from verdict3d.view.vote.server import make_vote_app

pytestmark = pytest.mark.slow

ARM = "learned_from_people"


def answer_everything(address: str) -> int:
    """Be a person who likes one mesh of a pair better wherever it stands; return the number of answers."""
    with httpx.Client(base_url=address, trust_env=False, headers={"Origin": address.rstrip("/")}) as person:
        person.get("/").raise_for_status()
        turn, answers = person.get("data/turn.json").json(), 0
        while turn["questions"]:
            asked = turn["questions"][0]
            meshes = {side: person.get(f"data/mesh-{asked[side]}.json").content for side in "ab"}
            pick = max(meshes, key=lambda side: digest_bytes(meshes[side]))
            given = {"question": asked["question"], "pick": pick, "left": [], "right": [], "seconds": 4.0}
            turn = person.post("data/answers", json=given).raise_for_status().json()
            answers += 1
    return answers


def test_an_arm_is_trained_on_what_people_say(tiny_chain: tuple[Path, Params], tmp_path: Path) -> None:
    root = tmp_path / "run"
    shutil.copytree(tiny_chain[0], root)
    values = yaml.safe_load((root / "params.yaml").read_text())
    values["label"]["by"] = "people"
    values["train"] |= {"arms": [ARM], ARM: {**ARMS["dpo"], "steps": 20, "kinds": values["pairs"]["kinds"]}}
    values["promotion"]["arms"] = [ARM]
    (root / "params.yaml").write_text(yaml.safe_dump(values))
    params, workspace = load_params(root / "params.yaml"), Workspace(root, root, None)

    tasks.label.run(params, root)
    assert read_jsonl(root / "data/label/preferences.jsonl") == [], "nobody has voted"
    ballot = open_ballot(workspace, [], ["label"], 2, print)
    with serving(make_vote_app(ballot, tmp_path / "copies", ["127.0.0.1"], None)) as address:
        assert all(answer_everything(address) >= len(ballot.pairs) for _ in range(2))
    count_votes(workspace)
    store = len(VerdictStore(root / STORE).rows())
    tasks.label.run(params, root)
    preferences = read_jsonl(root / "data/label/preferences.jsonl")
    assert len(preferences) == len(ballot.pairs) > 0
    assert len(VerdictStore(root / STORE).rows()) == store, "the judge was asked"
    assert export_preferences(workspace, tmp_path / "people.jsonl") == len(preferences)
    assert read_jsonl(tmp_path / "people.jsonl") == preferences

    tasks.train.run(params, root, ARM)
    assert read_json(root / f"data/train/{ARM}/card.json")["preferences"] == len(preferences)
    learned = read_json(root / f"data/train/{ARM}/metrics.json")
    assert (learned["pairs"], learned["latents_ordered_share"] > 0.5) == (len(preferences), True)
    tasks.evaluate.run(params, root, ARM)
    results = read_json(root / f"data/evaluate/{ARM}/results.json")
    assert set(results["regimes"]) == set(params.evaluate.regimes)
