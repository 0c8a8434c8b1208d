"""Stage label: from pairs and pictures to preferences, with small untrained judges."""

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image

from support.ballots import vote
from support.judge_examples import FAMILIES, noise_picture
from tasks.label import measure_kinds, run, select_preferences
from tasks.paths import COUNTED_VOTES
from verdict3d.asking.pairings import STORE
from verdict3d.config import Params, load_params
from verdict3d.errors import Verdict3DError
from verdict3d.judge.store import VerdictStore
from verdict3d.judge.verdict import Verdict
from verdict3d.pretrain.embedded import build_judge
from verdict3d.records.files import read_json, read_jsonl
from verdict3d.records.pairs import Candidate, Pair
from verdict3d.records.record import read_rows, write_rows
from verdict3d.records.verdicts import Compared, PairVerdict
from verdict3d.records.votes import Vote
from verdict3d.render.montage_files import write_montages


@pytest.fixture(scope="module")
def judges(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("judges")
    for family in FAMILIES:
        build_judge(family, seed=2).save(root / family)
    return root / FAMILIES[0], root / FAMILIES[1]


def with_judges(training: Path, evaluation: Path) -> Params:
    params = load_params("params.yaml")
    sections = {"training": training, "evaluation": evaluation}
    judges = {
        name: getattr(params.judges, name).model_copy(
            update={"model": str(model), "batch_size": 4, "views": 2}
        )
        for name, model in sections.items()
    }
    audit = params.audit.model_copy(update={"allow_uncertified": True})
    return params.model_copy(update={"judges": params.judges.model_copy(update=judges), "audit": audit})


def project(root: Path) -> Path:
    """Four pairs, one of them with a failed generation, one with the same montage twice."""

    def side(name: str, seed: int, failure: str | None = None) -> Candidate:
        montage = f"data/generate/montages/{name}.png"
        (root / montage).parent.mkdir(parents=True, exist_ok=True)
        if failure is None:
            write_montages(root / montage, np.stack([noise_picture(seed), noise_picture(seed + 100)]))
        shown = None if failure else montage
        return Candidate(
            generation=name,
            mesh=shown,
            mesh_digest=None if failure else f"digest-{seed}",
            montage=shown,
            failure=failure,
        )

    reference = "data/assets/conditions/chair.png"
    (root / reference).parent.mkdir(parents=True)
    Image.new("RGBA", (64, 64), (120, 60, 30, 255)).save(root / reference)
    sides = [
        ("contrastive", side("a", 1), side("b", 2), "x"),
        ("contrastive", side("c", 3), side("d", 4), "y"),
        ("contrastive", side("e", 5), side("f", 6, "empty_structure"), "x"),
        ("same_base", side("g", 7), side("h", 7), None),
    ]
    rows = [
        Pair(
            id=f"pair-{number}",
            kind=kind,
            asset=f"chair-{number}",
            category="chair",
            split="train",
            reference=reference,
            x=x,
            y=y,
            expected=expected,
        )
        for number, (kind, x, y, expected) in enumerate(sides)
    ]
    write_rows(root / "data/pairs/pairs.jsonl", rows)
    return root


def test_the_stage_writes_verdicts_preferences_and_metrics(tmp_path: Path, judges: tuple[Path, Path]) -> None:
    root, params = project(tmp_path), with_judges(*judges)
    run(params, root)
    out = root / "data/label"
    first = {path.name: path.read_bytes() for path in out.iterdir()}
    rows = read_jsonl(out / "verdicts.jsonl")
    assert [row["id"] for row in rows] == [f"pair-{number}" for number in range(4)]
    assert (rows[2]["outcome"], rows[2]["reason"]) == ("invalid", "empty_structure")
    assert (rows[3]["d"], rows[3]["outcome"], rows[3]["sets"]) == (0.0, "same", [])
    for row in rows[:2]:
        preferences = [(m1 - m2) / 2 for m1, m2 in row["sets"]]
        assert len(preferences) == 2 and row["d"] == pytest.approx(sum(preferences) / 2, abs=1e-9)
        assert row["se"] == pytest.approx(abs(preferences[0] - preferences[1]) / 2, abs=1e-9)
    kept = read_jsonl(out / "preferences.jsonl")
    assert [row["id"] for row in kept] == [row["id"] for row in rows if row["outcome"] in ("win", "loss")]
    metrics = read_json(out / "metrics.json")
    assert metrics["invalid"] == {"empty_structure": 1} and metrics["kinds"]["contrastive"]["invalid"] == 1
    assert metrics["kinds"]["same_base"]["half_credit"]["value"] == 0.5
    asked = VerdictStore(root / STORE).rows()
    assert asked
    run(params, root)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == first
    assert VerdictStore(root / STORE).rows() == asked


def test_people_label_in_the_judges_place(tmp_path: Path, judges: tuple[Path, Path]) -> None:
    """Two people agree about the first pair, one to each order; of the second only one order was seen."""
    root, params = project(tmp_path), with_judges(*judges)
    label = params.label.model_copy(update={"by": "people"})
    pairs = read_rows(root / "data/pairs/pairs.jsonl", Pair)

    def answer(pair: Pair, person: str, first: Literal["x", "y"]) -> Vote:
        sides = {
            name: Compared(generation=side.generation, mesh_digest=side.mesh_digest)
            for name, side in (("x", pair.x), ("y", pair.y))
        }
        return vote(person, 0, "y", id=f"{pair.id}-{person}", first=first, object=pair.asset, **sides)

    asked = [(pairs[0], "ann", "x"), (pairs[0], "bob", "y"), (pairs[1], "ann", "x")]
    write_rows(root / COUNTED_VOTES, [answer(*one) for one in asked])
    run(params.model_copy(update={"label": label}), root)
    (kept,) = read_jsonl(root / "data/label/preferences.jsonl")
    assert (kept["id"], kept["chosen"]) == ("pair-0", "b")
    assert read_json(root / "data/label/metrics.json")["by"] == "people"
    assert not (root / STORE).exists(), "the judge was asked"


def test_one_judge_for_both_sides_is_refused(tmp_path: Path, judges: tuple[Path, Path]) -> None:
    with pytest.raises(Verdict3DError, match="same model"):
        run(with_judges(judges[0], judges[0]), project(tmp_path))


def labelled(
    number: int, m1: float, m2: float, expected: str | None, kind: str = "contrastive"
) -> PairVerdict:
    sides = {side: Compared(generation=f"{number}{side}", mesh_digest=side) for side in ("x", "y")}
    about = {"id": str(number), "kind": kind, "asset": str(number), "category": "chair", "split": "train"}
    return PairVerdict(**about, expected=expected, **sides, **Verdict.of((m1, m2)).row())


def test_preferences_by_hand() -> None:
    rows = [labelled(0, 3.0, -1.0, "x"), labelled(1, -3.0, 1.0, "x"), labelled(2, 1.0, 1.0, None)]
    won, lost = select_preferences(rows)
    assert (won.id, won.chosen, won.rejected) == ("0", "0x", "0y")
    assert (lost.id, lost.chosen, lost.rejected) == ("1", "1y", "1x")


def test_measures_are_seen_from_the_expected_side() -> None:
    rows = [
        labelled(0, 3.0, -1.0, "x"),  # expected side wins
        labelled(1, -3.0, 1.0, "y"),  # expected side wins
        labelled(2, -3.0, 1.0, "x"),  # expected side loses
        labelled(3, 1.0, 1.0, "y"),  # first slot twice
        labelled(4, 2.0, 2.0, None, "same_base"),
    ]
    measured = measure_kinds(load_params("params.yaml"), rows)
    contrastive = measured["contrastive"]
    assert contrastive.decisive.value == pytest.approx(2 / 3)
    assert contrastive.half_credit.value == pytest.approx(2.5 / 4)
    assert contrastive.coverage == 0.75 and contrastive.flip_rate == 0.25
    # b = (m1 + m2) / 2 of the four: 1, -1, -1, 1; turning a pair keeps it
    assert contrastive.position_bias.value == pytest.approx(0.0)
    assert measured["same_base"].flip_rate == 1.0
