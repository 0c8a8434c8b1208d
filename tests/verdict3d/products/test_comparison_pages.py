"""The page of a comparison and its pairs in a real browser: no table is cut, every pair is reached."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.browser import PHONE, needs_chromium, opened_browser
from support.pair_pages import serving
from support.tiny_project import write_tiny_project
from support.tiny_trellis import tiny_photo
from verdict3d.furniture.catalogue import make_furniture
from verdict3d.furniture.part_mesh import mesh_from_parts
from verdict3d.mesh.damage import damage
from verdict3d.mesh.files import write_mesh
from verdict3d.mesh.mesh import normalize
from verdict3d.products.compare import CompareOptions, compare_folders
from verdict3d.products.pair_index import open_index
from verdict3d.project import Workspace
from verdict3d.randomness import numpy_generator
from verdict3d.view.pairs.index import PairIndex
from verdict3d.view.pairs.query import parse_query
from verdict3d.view.pairs.server import make_app

pytestmark = [needs_chromium, pytest.mark.slow]

SIDES = ("whole", "slightly_worse_by_a_generator_with_a_long_name", "worse", "worst")
NAMES = ("chair", "stool", "sofa")
CUT = """[...document.querySelectorAll('.scroll')].filter(one => one.scrollWidth > one.clientWidth + 1)
    .map(one => one.getAttribute('aria-label'))"""
SHOWN = """[...document.images].map(one => Object.assign(one, { loading: 'eager' }))
    .filter(one => one.checkVisibility())"""


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PairIndex]:
    """A page of four folders, in one of which a mesh is missing, and the index of its pairs."""
    root, place = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("folders")
    params = write_tiny_project(root)
    (place / "photos").mkdir()
    (place / "tags.csv").write_text("stem,tag\nchair,on legs\nstool,on legs\nsofa,soft\n")
    for number, name in enumerate(NAMES):
        tiny_photo(number).save(place / "photos" / f"{name}.png")
        mesh = normalize(mesh_from_parts(make_furniture("chair", numpy_generator(0, "pages", number))))
        for grade, side in enumerate(SIDES):
            (place / side).mkdir(exist_ok=True)
            rng = numpy_generator(1, "worse", number)
            write_mesh(damage(mesh, "floaters", grade, rng) if grade else mesh, place / side / f"{name}.glb")
    (place / "worst/sofa.glb").unlink()
    options = CompareOptions(tags=place / "tags.csv")
    folders = [place / side for side in SIDES]
    compare_folders(folders, str(place / "photos"), place / "page", options, params, root, print)
    return place / "page", open_index(Workspace(root, root, None), [place / "page"], None, print)


def test_the_page_fits_and_no_table_is_cut_on_a_desktop(
    compared: tuple[Path, PairIndex], tmp_path: Path
) -> None:
    with opened_browser(tmp_path) as page:
        page.open((compared[0] / "index.html").as_uri())
        page.wait("document.readyState === 'complete'")
        for size in ((1440, 900), (1200, 800), PHONE):
            page.resize(*size)
            assert page.run("document.documentElement.scrollWidth") == size[0]
            assert size == PHONE or page.run(CUT) == []
        assert "for want of a mesh" in page.text()
        page.wait(f"{SHOWN}.every(one => one.complete && one.naturalWidth > 0)")
        views = 6 * len(NAMES) * 3 - 3  # photo and both meshes of every pair, but for the missing mesh
        assert page.run("document.images.length") == views and page.problems == []


def test_every_pair_has_a_page_with_all_that_the_judge_saw(
    compared: tuple[Path, PairIndex], tmp_path: Path
) -> None:
    index = compared[1]
    ids = index.ids(parse_query("place=compare"))
    assert len(ids) == 6 * len(NAMES)
    app = make_app(index, tmp_path / "kept", ["127.0.0.1"], {})
    with serving(app) as address, opened_browser(tmp_path) as page:
        page.open(f"{address}#/?place=compare")
        page.wait("document.querySelectorAll('ol.pairs a.row').length === 18")
        for name in ids:
            page.run(f"location.hash = '#/pair/{name}?place=compare'")
            page.wait(f"document.querySelector('.sets') && document.body.innerText.includes({name!r})")
            page.wait(f"{SHOWN}.every(one => one.complete && one.naturalWidth > 0)")
            document = index.document(name)
            assert document is not None
            meshes = [side.mesh for side in document.sides.values() if side.mesh]
            page.wait(f"document.querySelectorAll('model-viewer').length === {len(meshes)}")
            if len(meshes) == 2:
                assert page.run("document.querySelectorAll('.sets img').length") == 2 * len(
                    document.word.sets
                )
        assert page.problems == []
