"""Regimes and the degrade stage."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.pictures import chair, rng_of
from support.places import ROOT
from support.rows import filled
from support.tiny_project import write_tiny_project
from tasks.degrade import run
from tasks.making.training_pictures import make_examples
from tasks.paths import read_assets
from verdict3d.config import load_params
from verdict3d.config_inputs import RegimeParams
from verdict3d.degrade.operators import OPERATORS, degrade
from verdict3d.degrade.regimes import degrade_by_regime, regime_params
from verdict3d.errors import Verdict3DError
from verdict3d.records.assets import Asset
from verdict3d.records.files import read_json, read_jsonl
from verdict3d.records.record import write_rows

PARAMS = load_params(ROOT / "params.yaml")
USED = PARAMS.generate.model_copy(
    update={"pair_regimes": ("severe", "mild"), "heldout_regimes": ("clean", "medium", "severe")}
)
PARAMS = PARAMS.model_copy(update={"generate": USED})


def test_a_regime_draws_from_its_mixture_only():
    regime = RegimeParams(operators=("jpeg", "crop", "blur"), count=2, severities=(2, 4))
    seen = set()
    for number in range(60):
        _, applied = degrade_by_regime(chair(48), regime, rng_of(number))
        names = [name for name, _ in applied]
        assert len(set(names)) == 2
        assert names == [name for name in OPERATORS if name in names]  # the order of a photo's life
        seen |= set(applied)
    assert seen == {(name, severity) for name in ("jpeg", "crop", "blur") for severity in (2, 4)}


def test_the_order_of_operators_in_the_parameters_does_not_matter():
    names = ("crop", "blur", "noise")
    results = [
        degrade_by_regime(chair(48), RegimeParams(operators=order, count=2, severities=(3, 5)), rng_of(8))
        for order in (names, names[::-1])
    ]
    assert results[0][1] == results[1][1]
    assert results[0][0].tobytes() == results[1][0].tobytes()


def test_clean_changes_nothing():
    image, applied = degrade_by_regime(chair(), regime_params(PARAMS.degrade, "clean"), rng_of(0))
    assert image.tobytes() == chair().tobytes() and applied == []


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(Verdict3DError, match="clean, mild, medium, severe"):
        regime_params(PARAMS.degrade, "brutal")
    with pytest.raises(Verdict3DError, match="'fog'; allowed: occlusion"):
        degrade(chair(), "fog", 1, rng_of(0))


def test_regimes_get_worse():
    clean = np.asarray(chair(), dtype=float)
    damage = []
    for name in ("mild", "medium", "severe"):
        regime = regime_params(PARAMS.degrade, name)
        pictures = [degrade_by_regime(chair(), regime, rng_of(number))[0] for number in range(40)]
        damage.append(np.mean([np.abs(np.asarray(p, dtype=float) - clean).mean() for p in pictures]))
    assert damage[0] < damage[1] < damage[2]


def make_project(root: Path, names: list[str]) -> None:
    rows = []
    for name in names:
        path = root / f"data/assets/conditions/{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        chair(64).save(path)
        rows.append(filled(Asset, id=name, condition=str(path.relative_to(root))))
    write_rows(root / "data/assets/assets.jsonl", rows)


def contents(root: Path) -> dict[str, str]:
    folder = root / "data/degrade"
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_stage_writes_every_asset_and_regime(tmp_path):
    make_project(tmp_path, ["chair-00000", "lamp-00003"])
    stale = tmp_path / "data/degrade/images/mild/gone.png"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"")
    run(PARAMS, tmp_path)
    rows = read_jsonl(tmp_path / "data/degrade/conditions.jsonl")
    assert [(row["asset"], row["regime"]) for row in rows] == [
        (asset, regime) for asset in ("chair-00000", "lamp-00003") for regime in ("medium", "mild", "severe")
    ]
    run(PARAMS.model_copy(update={"generate": USED.model_copy(update={"pair_regimes": ()})}), tmp_path)
    rows_used = read_jsonl(tmp_path / "data/degrade/conditions.jsonl")
    assert rows_used == [row for row in rows if row["regime"] != "mild"]
    run(PARAMS, tmp_path)
    for row in rows:
        content = (tmp_path / row["image"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == row["digest"]
        assert row["image"] == f"data/degrade/images/{row['regime']}/{row['asset']}.png"
        with Image.open(tmp_path / row["image"]) as image:
            assert (image.mode, image.size) == ("RGBA", (64, 64))
    metrics = read_json(tmp_path / "data/degrade/metrics.json")
    assert metrics["pictures"] == 6
    assert metrics["by_regime"] == {"mild": 2, "medium": 2, "severe": 2}
    counted = sum(count for counts in metrics["by_operator"].values() for count in counts.values())
    assert counted == sum(len(row["operators"]) for row in rows) == 8  # severe applies two
    assert not stale.exists()


def test_an_asset_degrades_alike_whatever_its_neighbours(tmp_path):
    make_project(tmp_path / "one", ["chair-00000"])
    make_project(tmp_path / "two", ["lamp-00003", "chair-00000"])
    for project in ("one", "two"):
        run(PARAMS, tmp_path / project)
    alone, together = contents(tmp_path / "one"), contents(tmp_path / "two")
    pictures = [name for name in alone if name.endswith(".png")]
    assert len(pictures) == 3
    assert all(alone[name] == together[name] for name in pictures)
    run(PARAMS, tmp_path / "two")
    assert contents(tmp_path / "two") == together


def test_several_processes_make_what_one_does(tmp_path, monkeypatch):
    params = write_tiny_project(tmp_path)
    assets = read_assets(tmp_path)[:3]
    made = []
    for workers in ("1", "2"):
        monkeypatch.setenv("VERDICT3D_WORKERS", workers)
        run(params, tmp_path)
        examples = make_examples(params, tmp_path, assets, ["mild", "severe"], views=2, draws=3, size_px=32)
        assert [(one.asset, one.view, one.regime) for one in examples[:3]] == [
            (assets[0].id, 0, regime) for regime in ("mild", "severe", "mild")
        ]
        made.append((contents(tmp_path), examples))
    (by_one, ours), (by_two, theirs) = made
    assert by_one == by_two and len(ours) == len(theirs) == 27
    for one, two in zip(ours, theirs, strict=True):
        assert (one.asset, one.view, one.regime) == (two.asset, two.view, two.regime)
        assert np.array_equal(one.clean, two.clean) and np.array_equal(one.degraded, two.degraded)


def test_a_broken_condition_picture_is_named(tmp_path):
    make_project(tmp_path, ["chair-00000"])
    (tmp_path / "data/assets/conditions/chair-00000.png").write_bytes(b"not a picture")
    with pytest.raises(Verdict3DError, match=r"chair-00000.png cannot be read"):
        run(PARAMS, tmp_path)
