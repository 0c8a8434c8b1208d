"""Procedural and folder assets: stable splits, quarantine, and the stage that writes them."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from support.places import ROOT
from verdict3d.config import Params, load_params
from verdict3d.config_inputs import AssetsParams
from verdict3d.errors import Verdict3DError
from verdict3d.furniture.catalogue import CATEGORIES, make_furniture, mesh_from_parts
from verdict3d.library import (
    SPLITS,
    LoadedAsset,
    folder_assets,
    mesh_paths,
    procedural_assets,
    split_of,
)
from verdict3d.mesh.files import read_mesh, write_mesh
from verdict3d.mesh.mesh import Mesh, mesh_digest
from verdict3d.provenance import digest_directory
from verdict3d.records.assets import Quarantined
from verdict3d.records.files import read_json, read_jsonl
from verdict3d.records.record import read_rows, write_rows

PARAMS = load_params(ROOT / "params.yaml")


def assets_params(**changes: object) -> AssetsParams:
    return PARAMS.assets.model_copy(update=changes)


def stage_params(**changes: object) -> Params:
    return PARAMS.model_copy(update={"assets": assets_params(condition_size_px=64, **changes)})


def piece(category: str, number: int) -> Mesh:
    return mesh_from_parts(make_furniture(category, np.random.default_rng(number)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Good meshes in nested folders among bad ones."""
    root = tmp_path / "meshes"
    for number in range(3):
        (root / "chairs").mkdir(parents=True, exist_ok=True)
        write_mesh(piece("chair", number), root / f"chairs/Chair No {number}.glb")
    (root / "lamps/old").mkdir(parents=True)
    write_mesh(piece("lamp", 0), root / "lamps/old/lamp.ply")
    write_mesh(piece("table", 0), root / "table.obj")
    shutil.copy(root / "table.obj", root / "the same table.obj")
    (root / "torn.glb").write_bytes((root / "chairs/Chair No 0.glb").read_bytes()[:500])
    (root / "scene.fbx").write_text("{}")
    (root / "empty.stl").write_bytes(b"")
    (root / "notes.txt").write_text("not a mesh")
    (root / ".hidden.glb").write_bytes(b"")
    return root


def test_ids_are_unique_and_categories_balanced() -> None:
    assets = list(procedural_assets(assets_params(train=25, validation=10, heldout=20), seed=1))
    assert len({asset.id for asset in assets}) == len(assets) == 55
    for split in SPLITS:
        counts = Counter(asset.category for asset in assets if asset.split == split)
        assert set(counts) == set(CATEGORIES) and max(counts.values()) - min(counts.values()) <= 1
    assert assets[0].id == "chair-00000" and assets[11].id == "stool-00011"
    assert len({asset.digest for asset in assets}) == 55


def test_more_assets_change_none_that_were_there() -> None:
    few = {a.id: a.digest for a in procedural_assets(assets_params(train=3, validation=2, heldout=2), seed=1)}
    more = {
        a.id: (a.digest, a.split)
        for a in procedural_assets(assets_params(train=9, validation=4, heldout=7), seed=1)
    }
    other = {
        a.id: a.digest for a in procedural_assets(assets_params(train=3, validation=2, heldout=2), seed=2)
    }
    assert all(more[name][0] == digest for name, digest in few.items())
    assert set(few) == set(other) and not set(few.values()) & set(other.values())


def test_a_split_beyond_its_numbers_is_refused() -> None:
    with pytest.raises(Verdict3DError, match="20000"):
        next(procedural_assets(assets_params(train=0, validation=20_001), seed=1))


@settings(max_examples=50, deadline=None)
@given(digest=st.text("0123456789abcdef", min_size=1, max_size=64), seed=st.integers(0, 2**31))
def test_split_of_respects_zero_shares(digest: str, seed: int) -> None:
    assert split_of(digest, {"train": 0, "validation": 0, "heldout": 1}, seed) == "heldout"
    assert split_of(digest, {"train": 0.5, "validation": 0, "heldout": 0.5}, seed) != "validation"
    assert split_of(digest, {"train": 0.2, "validation": 0.2, "heldout": 0.6}, seed) == split_of(
        digest, {"train": 2, "validation": 2, "heldout": 6}, seed
    )


def test_split_shares_are_kept_on_average() -> None:
    counts = Counter(
        split_of(str(n), {"train": 0.6, "validation": 0.1, "heldout": 0.3}, 7) for n in range(4000)
    )
    for split, share in (("train", 0.6), ("validation", 0.1), ("heldout", 0.3)):
        assert counts[split] / 4000 == pytest.approx(share, abs=0.03)
    with pytest.raises(Verdict3DError, match="all 0"):
        split_of("a", {"train": 0.0}, 1)


def test_a_folder_gives_assets_and_reasons(folder: Path) -> None:
    outcomes = list(folder_assets(folder, assets_params(up_axis="z"), seed=1))
    assets = {o.source: o for o in outcomes if isinstance(o, LoadedAsset)}
    reasons = {o.source: o.reason for o in outcomes if isinstance(o, Quarantined)}
    assert reasons == {
        "the same table.obj": "duplicate",
        "torn.glb": "broken_file",
        "scene.fbx": "unsupported_format",
        "empty.stl": reasons["empty.stl"],
    }
    assert reasons["empty.stl"] in ("broken_file", "no_faces")
    assert {source: asset.category for source, asset in assets.items()} == {
        "chairs/Chair No 0.glb": "chairs",
        "chairs/Chair No 1.glb": "chairs",
        "chairs/Chair No 2.glb": "chairs",
        "lamps/old/lamp.ply": "unknown",
        "table.obj": "unknown",
    }
    assert all(asset.id.startswith("chair-no-0-") for s, asset in assets.items() if s.endswith("0.glb"))
    for asset in assets.values():
        extent = np.ptp(asset.mesh.vertices, axis=0)
        assert extent.max() == pytest.approx(1.0, abs=1e-6) and asset.mesh.colors is not None


def saved_again(mesh: Mesh, seed: int, bits: int = 24) -> Mesh:
    """The same object as another program writes it: order, size and place differ, numbers are rounded."""
    rng = np.random.default_rng(seed)
    at, low = rng.permutation(len(mesh.vertices)), mesh.vertices.min(axis=0)
    longest, steps = float(np.ptp(mesh.vertices, axis=0).max()), 2**bits - 1
    vertices = np.rint((mesh.vertices - low) / longest * steps) / steps * 3.7 + rng.random(3)
    faces = np.argsort(at)[mesh.faces][rng.permutation(len(mesh.faces))].astype(np.int32)
    return Mesh(vertices[at].astype(np.float32), faces, None if mesh.colors is None else mesh.colors[at])


@pytest.mark.parametrize("bits", [24, 14, 11])
def test_a_copy_saved_again_is_a_duplicate_and_would_have_the_same_split(tmp_path: Path, bits: int) -> None:
    meshes = [piece(category, 5) for category in CATEGORIES]
    for number, mesh in enumerate(meshes):
        write_mesh(mesh, tmp_path / f"both/{number}a.glb")
        write_mesh(saved_again(mesh, number, bits), tmp_path / f"both/{number}b.glb")
        write_mesh(saved_again(mesh, number, bits), tmp_path / f"copies/{number}b.glb")
    both, copies = (
        list(folder_assets(tmp_path / name, assets_params(up_axis="y"), 1)) for name in ("both", "copies")
    )
    splits = [asset.split for asset in both if isinstance(asset, LoadedAsset)]
    aside = {row.source: (row.reason, row.message) for row in both if isinstance(row, Quarantined)}
    assert aside == {f"{n}b.glb": ("duplicate", f"same object as {n}a.glb") for n in range(len(meshes))}
    again = [asset.split for asset in copies if isinstance(asset, LoadedAsset)]
    assert len(set(splits)) > 1 and sum(a != b for a, b in zip(splits, again, strict=True)) <= (bits < 14)


def test_other_colours_are_no_duplicate_but_stand_in_the_same_split(tmp_path: Path) -> None:
    for number, color in enumerate(((250, 20, 20), (20, 20, 250))):
        mesh = piece("chair", 1)
        painted = Mesh(mesh.vertices, mesh.faces, np.tile(np.uint8(color), (len(mesh.vertices), 1)))
        write_mesh(painted, tmp_path / f"{number}.glb")
    turned = piece("chair", 1)
    write_mesh(
        Mesh(turned.vertices, np.ascontiguousarray(turned.faces[:, ::-1])), tmp_path / "inside out.glb"
    )
    assets = list(folder_assets(tmp_path, assets_params(up_axis="y"), 1))
    assert all(isinstance(asset, LoadedAsset) for asset in assets)
    assert len(assets) == 3 and len({asset.split for asset in assets}) == 1


def test_folders_that_are_links_are_entered_once(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write_mesh(piece("stool", 1), elsewhere / "stool.glb")
    (folder / "linked").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(folder)
    (elsewhere / "itself").symlink_to(elsewhere)
    names = [path.relative_to(folder).as_posix() for path in mesh_paths(folder)]
    assert "linked/stool.glb" in names and len(names) == len(set(names)) == 10


def test_a_name_that_is_no_text_costs_no_run(tmp_path: Path) -> None:
    name = os.fsdecode(b"st\xfchle")
    (tmp_path / name).mkdir()
    for number in range(2):
        write_mesh(piece("chair", number), tmp_path / name / f"{number}.glb")
    (tmp_path / f"{name}.glb").write_bytes(b"glTF")
    outcomes = list(folder_assets(tmp_path, assets_params(up_axis="y"), 1))
    write_rows(tmp_path / "rows.jsonl", [row for row in outcomes if isinstance(row, Quarantined)])
    assert sorted(one.source for one in outcomes) == [
        "st\ufffdhle.glb",
        "st\ufffdhle/0.glb",
        "st\ufffdhle/1.glb",
    ]
    assert [one.category for one in outcomes if isinstance(one, LoadedAsset)] == ["st\ufffdhle"] * 2


def test_a_mistake_of_our_own_is_no_reason_to_leave_a_file_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("own")

    monkeypatch.setattr("verdict3d.library.read_mesh", fail)
    with pytest.raises(ZeroDivisionError, match="own"):
        list(folder_assets(folder, assets_params(up_axis="z"), seed=1))


def test_a_mesh_that_takes_more_memory_than_there_is_is_set_aside(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("verdict3d.library.read_mesh", fill)
    found = list(folder_assets(folder, assets_params(up_axis="z"), seed=1))
    assert {row.reason for row in found if isinstance(row, Quarantined)} == {"out_of_memory"}
    assert len(found) == len(mesh_paths(folder))


def test_splits_of_files_stay_when_others_come_and_names_change(folder: Path) -> None:
    params = assets_params(up_axis="y")
    before = {a.digest: a.split for a in folder_assets(folder, params, 1) if isinstance(a, LoadedAsset)}
    for number in range(5):
        write_mesh(piece("bed", number), folder / f"aaa/bed{number}.obj")
    (folder / "table.obj").rename(folder / "zzz.obj")
    shutil.copy(folder / "chairs/Chair No 0.glb", folder / "another name.glb")
    after = {a.digest: a.split for a in folder_assets(folder, params, 1) if isinstance(a, LoadedAsset)}
    assert len(after) == len(before) + 5
    assert all(after[digest] == split for digest, split in before.items())


def test_missing_and_empty_folders_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Verdict3DError, match="procedural"):
        list(folder_assets(tmp_path / "nowhere", assets_params(), 1))
    with pytest.raises(Verdict3DError, match=r"\.glb"):
        list(folder_assets(tmp_path, assets_params(), 1))


def test_stage_writes_the_same_bytes_twice(tmp_path: Path) -> None:
    from tasks.assets import run

    params = stage_params(train=3, validation=1, heldout=2)
    run(params, tmp_path)
    first = digest_directory(tmp_path / "data/assets")
    (tmp_path / "data/assets/stale.txt").write_text("left by an older run")
    run(params, tmp_path)
    assert digest_directory(tmp_path / "data/assets") == first
    rows = read_jsonl(tmp_path / "data/assets/assets.jsonl")
    assert [row["split"] for row in rows] == ["train"] * 3 + ["validation"] + ["heldout"] * 2
    assert read_json(tmp_path / "data/assets/metrics.json")["by_split"] == {
        "train": 3,
        "validation": 1,
        "heldout": 2,
    }
    for row in rows:
        assert mesh_digest(read_mesh(tmp_path / row["mesh"])) == row["digest"]
        assert row["base_may_have_seen"] is False
        picture = np.asarray(Image.open(tmp_path / row["condition"]))
        assert picture.shape == (64, 64, 4)
        alpha = picture[..., 3]
        assert 0.02 < (alpha > 0).mean() < 0.9
        border = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
        assert border.max() == 0, "the asset is cut off"


def test_stage_on_a_folder_keeps_going(folder: Path, tmp_path: Path) -> None:
    from tasks.assets import run

    run(stage_params(source="meshes", base_may_have_seen=True), tmp_path)
    metrics = read_json(tmp_path / "data/assets/metrics.json")
    assert metrics["assets"] == metrics["base_may_have_seen"] == 5 and metrics["quarantined"] == 4
    assert sum(metrics["quarantined_by_reason"].values()) == 4
    assert all(file.message for file in read_rows(tmp_path / "data/assets/quarantine.jsonl", Quarantined))


def test_stage_without_a_usable_asset_fails_with_its_reasons(tmp_path: Path) -> None:
    from tasks.assets import run

    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/a.glb").write_bytes(b"nothing")
    with pytest.raises(Verdict3DError, match="quarantine"):
        run(stage_params(source="bad"), tmp_path)
    assert len(read_jsonl(tmp_path / "data/assets/quarantine.jsonl")) == 1
