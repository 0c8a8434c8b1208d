"""Making and judging single meshes with tiny real networks."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_project import write_tiny_project
from tiny_trellis import tiny_photo

from flows.single import describe_verdict, generate_files, judge_files
from verdict3d.assets.mesh import read_mesh
from verdict3d.config import Params
from verdict3d.errors import Verdict3DError


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Params]:
    root = tmp_path_factory.mktemp("single")
    return root, write_tiny_project(root)


def test_a_folder_of_photos_becomes_meshes_and_failures_are_told(
    project: tuple[Path, Params], tmp_path: Path
) -> None:
    root, params = project
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(3):
        tiny_photo(number).save(photos / f"{number}.png")
    tiny_photo(0).convert("RGB").save(photos / "opaque.png")
    (photos / "torn.png").write_bytes(b"\x89PNG")
    said: list[str] = []
    failed = generate_files(
        photos, tmp_path / "meshes", params=params, project=root, arm=None, seed=1, say=said.append
    )
    made = sorted((tmp_path / "meshes").glob("*.glb"))
    assert len(said) == 5 and failed == 5 - len(made) and failed >= 2
    assert any("opaque.png: no_alpha" in line for line in said)
    assert any("torn.png: not_an_image" in line for line in said)
    for path in made:
        assert len(read_mesh(path).faces) > 0


def test_outputs_that_cannot_be_written_are_refused_first(
    project: tuple[Path, Params], tmp_path: Path
) -> None:
    root, params = project
    tiny_photo(0).save(tmp_path / "photo.png")
    for photos, output, words in (
        (tmp_path / "photo.png", tmp_path / "mesh.stl", "are written as"),
        (tmp_path / "absent.png", tmp_path / "mesh.glb", "no such file"),
        (tmp_path, tmp_path / "mesh.glb", "give a folder"),
    ):
        with pytest.raises(Verdict3DError, match=words):
            generate_files(photos, output, params=params, project=root, arm=None, seed=0, say=print)


def test_a_verdict_turns_with_the_order_of_the_meshes(project: tuple[Path, Params]) -> None:
    root, params = project
    reference = next((root / "data/assets/conditions").iterdir())
    first, second = sorted((root / "data/assets/meshes").iterdir())[:2]
    row = judge_files(reference, first, second, params.judges.evaluation)
    turned = judge_files(reference, second, first, params.judges.evaluation)
    assert (turned["m1"], turned["m2"]) == pytest.approx((row["m2"], row["m1"]), abs=1e-5)
    same = judge_files(reference, first, first, params.judges.evaluation)
    assert same["outcome"] == "tie" and same["d"] == 0
    assert f"{row['m1']:+.3f}" in describe_verdict(row) and "a tie" in describe_verdict(same)
