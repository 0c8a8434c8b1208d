"""The interface on real files: the shipped judge and generator on furniture and damaged copies of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import verdict3d
from support.gate_evidence import RULE, evidence
from verdict3d.furniture.catalogue import make_furniture
from verdict3d.furniture.part_mesh import mesh_from_parts
from verdict3d.mesh.damage import damage
from verdict3d.mesh.mesh import mesh_digest, normalize
from verdict3d.randomness import numpy_generator
from verdict3d.records.decisions import EvidenceByArm
from verdict3d.records.record import write_record, write_rows
from verdict3d.render.renderer import Renderer
from verdict3d.render.rig import Camera

KINDS = ("chair", "table", "lamp")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos, meshes of these objects in ``good``, and gross damage to them in ``bad``."""
    root = tmp_path_factory.mktemp("judged")
    for place in ("photos", "good", "bad"):
        (root / place).mkdir()
    renderer = Renderer()
    for kind in KINDS:
        mesh = normalize(mesh_from_parts(make_furniture(kind, numpy_generator(0, kind, 0))))
        Image.fromarray(renderer.condition(mesh, Camera(30, 20), 256)).save(root / f"photos/{kind}.png")
        verdict3d.write_mesh(mesh, root / f"good/{kind}.glb")
        verdict3d.write_mesh(
            damage(mesh, "cut_away", 5, numpy_generator(0, kind, 1)), root / f"bad/{kind}.glb"
        )
    return root


@pytest.fixture(scope="module")
def judge() -> verdict3d.Judge:
    return verdict3d.Judge.load()


def test_two_folders_are_judged(folder: Path, judge: verdict3d.Judge) -> None:
    rows = [
        judge.compare(folder / f"photos/{kind}.png", folder / f"good/{kind}.glb", folder / f"bad/{kind}.glb")
        for kind in KINDS
    ]
    assert [row.outcome for row in rows] == ["win"] * 3
    found = verdict3d.win_rate(rows)
    assert (found.wins, found.losses, found.objects, found.decisive.value) == (3, 0, 3, 1.0)
    turned = judge.compare(folder / "photos/chair.png", folder / "bad/chair.glb", folder / "good/chair.glb")
    assert turned.outcome == "loss" and turned.d == pytest.approx(-(rows[0].d or 0.0), abs=1e-5)


def test_a_mesh_in_memory_is_judged_as_its_file(folder: Path, judge: verdict3d.Judge) -> None:
    photo, good, bad = folder / "photos/chair.png", folder / "good/chair.glb", folder / "bad/chair.glb"
    mine, theirs = (verdict3d.read_mesh(path) for path in (good, bad))
    assert judge.compare(photo, mine, theirs).sets == judge.compare(photo, good, bad).sets
    same = judge.compare(photo, mine, good)
    assert (same.outcome, same.d, same.sets) == ("same", 0.0, [])


def test_a_broken_mesh_loses_and_a_missing_file_is_a_slip(
    folder: Path, judge: verdict3d.Judge, tmp_path: Path
) -> None:
    photo, good, broken = folder / "photos/chair.png", folder / "good/chair.glb", tmp_path / "broken.glb"
    broken.write_bytes(b"no mesh")
    lost = judge.compare(photo, broken, good)
    assert (lost.outcome, lost.m1, lost.mine.failure) == ("loss", None, lost.reason) and lost.reason
    assert judge.compare(photo, good, broken).outcome == "win"
    assert judge.compare(photo, broken, broken).outcome == "invalid"
    with pytest.raises(verdict3d.Verdict3DError, match=r"absent.glb: there is no such file"):
        judge.compare(photo, good, folder / "absent.glb")
    with pytest.raises(verdict3d.Verdict3DError, match=r"absent.png: there is no such file"):
        judge.compare(folder / "absent.png", good, good)


def test_a_judge_is_chosen_by_role_folder_and_panel(judge: verdict3d.Judge) -> None:
    other = verdict3d.Judge.load(role="training", panel="two_sheets", views=1)
    assert other.digest != judge.digest and other.panel == "two_sheets" and other.settings.views == 1
    named = verdict3d.Judge.load(Path(__file__).parents[3] / "data/checkpoints/judge-eval", panel=judge.panel)  # type: ignore[arg-type]
    assert named.digest == judge.digest
    with pytest.raises(
        verdict3d.Verdict3DError, match=r"Judge.load: views is 0: .*greater than or equal to 1"
    ):
        verdict3d.Judge.load(views=0)
    with pytest.raises(verdict3d.Verdict3DError, match="third"):
        verdict3d.Judge.load(role="third")


def test_an_audit_says_what_a_judge_sees(folder: Path, judge: verdict3d.Judge) -> None:
    files = [folder / f"good/{kind}.glb" for kind in KINDS]
    found = verdict3d.audit(judge, files)
    by_name = {trial.name: trial for trial in found.trials}
    assert by_name["damage_5"].share.value == 1.0 and by_name["damage_5"].pairs == 3
    assert by_name["copy"].share.value == 0.0
    assert "copies of themselves" in str(found)
    with_photos = verdict3d.audit(judge, files, [folder / f"photos/{kind}.png" for kind in KINDS])
    assert {trial.name for trial in with_photos.trials} == set(by_name)
    with pytest.raises(verdict3d.Verdict3DError, match="3 meshes and 1 photos"):
        verdict3d.audit(judge, files, [folder / "photos/chair.png"])
    with pytest.raises(verdict3d.Verdict3DError, match=r"absent.glb"):
        verdict3d.audit(judge, [folder / "absent.glb"])


@pytest.mark.slow
def test_a_pipeline_makes_a_mesh_with_and_without_an_adapter(folder: Path) -> None:
    photo = folder / "photos/chair.png"
    base = verdict3d.load_pipeline()
    mesh = base.generate(photo, seed=3, steps=2)
    assert mesh_digest(mesh) == mesh_digest(base.generate(photo, seed=3, steps=2))
    assert mesh_digest(mesh) != mesh_digest(base.generate(photo, seed=4, steps=2))
    adapted = verdict3d.load_pipeline(adapter=Path(__file__).parents[3] / "data/checkpoints/repair")
    assert mesh_digest(mesh) == mesh_digest(adapted.generate(photo, seed=3, steps=2))  # clean ones it leaves
    poor = folder / "poor.png"
    with Image.open(photo) as clean:
        clean.resize((20, 20)).resize(clean.size).save(poor)
    made = [mesh_digest(pipeline.generate(poor, seed=3, steps=2)) for pipeline in (base, adapted)]
    assert made[0] != made[1]
    named = verdict3d.load_pipeline(Path(__file__).parents[3] / "data/checkpoints/generator", device="cpu")
    assert len(named.generate(photo, steps=2).faces)


def test_what_a_pipeline_cannot_use_is_refused(folder: Path, tmp_path: Path) -> None:
    pipeline = verdict3d.load_pipeline()
    opaque = tmp_path / "opaque.png"
    Image.new("RGB", (64, 64), "white").save(opaque)
    with pytest.raises(verdict3d.ItemFailure) as refused:
        pipeline.generate(opaque)
    assert refused.value.reason == "no_alpha"
    with pytest.raises(verdict3d.Verdict3DError, match="there is no such file"):
        pipeline.generate(tmp_path / "absent.png")
    with pytest.raises(verdict3d.Verdict3DError, match="steps is 0"):
        pipeline.generate(folder / "photos/chair.png", steps=0)
    with pytest.raises(verdict3d.Verdict3DError, match=r"card.json"):
        verdict3d.load_pipeline(adapter=tmp_path)


def test_win_rates_of_mappings_and_frames_are_those_of_rows() -> None:
    import pandas as pd

    rows = [
        {"object": f"o{number // 2}", "outcome": "win" if number % 3 else "loss", "m1": 0.5, "m2": None}
        for number in range(12)
    ]
    found = verdict3d.win_rate(rows)
    assert (found.wins, found.losses, found.objects) == (8, 4, 6)
    assert verdict3d.win_rate(pd.DataFrame(rows)) == found
    wide, narrow = (verdict3d.win_rate(rows, confidence=level).decisive for level in (0.99, 0.8))
    assert wide.low is not None and narrow.low is not None and wide.low < narrow.low
    with pytest.raises(verdict3d.Verdict3DError, match="row 1 has no object; it has outcome"):
        verdict3d.win_rate([rows[0], {"outcome": "win"}])
    with pytest.raises(verdict3d.Verdict3DError, match="row 0: 'won' is no outcome; known are win"):
        verdict3d.win_rate([{"object": "o", "outcome": "won"}])
    with pytest.raises(verdict3d.Verdict3DError, match="row 0 is a str"):
        verdict3d.win_rate(["win"])  # type: ignore[list-item]


def test_the_gate_decides_on_evidence_in_memory_and_on_disk(tmp_path: Path) -> None:
    found = verdict3d.gate.decide({"repair": evidence()}, RULE)
    assert found["repair"].decision == "PROMOTE"
    worse = verdict3d.gate.decide({"repair": evidence(primary=(14, 46, 4))}, RULE)
    assert worse["repair"].decision == "REJECT" and worse["repair"].reasons
    write_record(tmp_path / "evidence.json", EvidenceByArm(arms={"repair": evidence()}))
    assert verdict3d.gate.decide(tmp_path / "evidence.json", RULE) == found
    assert set(verdict3d.gate.decide(tmp_path / "evidence.json")) == {"repair"}
    with pytest.raises(verdict3d.Verdict3DError, match="no candidate"):
        verdict3d.gate.decide({})


def test_results_are_read_as_frames(folder: Path, judge: verdict3d.Judge, tmp_path: Path) -> None:
    rows = [
        judge.compare(folder / f"photos/{kind}.png", folder / f"good/{kind}.glb", folder / f"bad/{kind}.glb")
        for kind in KINDS
    ]
    write_rows(tmp_path / "deep/pairs.jsonl", rows)
    frames = verdict3d.read_results(tmp_path)
    assert list(frames) == ["deep/pairs"]
    frame = frames["deep/pairs"]
    assert list(frame["object"]) == list(KINDS) and list(frame["mine.side"]) == ["a"] * 3
    np.testing.assert_array_equal(frame["d"], [row.d for row in rows])
    assert verdict3d.win_rate(frame) == verdict3d.win_rate(rows)
    (tmp_path / "foreign.jsonl").write_text('{"schema": "other/1"}\n')
    with pytest.raises(verdict3d.Verdict3DError, match=r"foreign.jsonl, line 1, field schema: 'other/1'"):
        verdict3d.read_results(tmp_path)
    with pytest.raises(verdict3d.Verdict3DError, match="no file of records"):
        verdict3d.read_results(folder)
    with pytest.raises(verdict3d.Verdict3DError, match="is no folder"):
        verdict3d.read_results(tmp_path / "absent")
