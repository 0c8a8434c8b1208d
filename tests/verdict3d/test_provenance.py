"""Which code a result depends on: all that is imported of this project, and nothing else."""

from __future__ import annotations

from pathlib import Path

import grimp
import pytest

from support.places import ROOT
from verdict3d.provenance import VALUES, code_of, imported_files

FILES = {
    "verdict3d/__init__.py": "",
    "verdict3d/config.py": "from verdict3d import unused\n",
    "verdict3d/unused.py": "",
    "verdict3d/rules.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import verdict3d.types\n",
    "verdict3d/types.py": "",
    "verdict3d/view/__init__.py": "",
    "verdict3d/view/page.py": "import json\nfrom verdict3d.rules import RULE\n",
    "verdict3d/view/templates/page.j2": "",
    "verdict3d/view/.page.py.swp": "",
    "verdict3d/view/__pycache__/page.pyc": "",
    "tasks/__init__.py": "",
    "tasks/label.py": "def run():\n    from verdict3d.view import page\nimport flows.run, verdict3d.config\n",
}


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_code_of_a_module_is_what_it_imports_now_or_later(sources: Path) -> None:
    found = code_of("tasks.label", sources=sources)
    assert list(found) == [
        "tasks/__init__.py",
        "tasks/label.py",
        "verdict3d/__init__.py",
        "verdict3d/rules.py",
        "verdict3d/view/__init__.py",
        "verdict3d/view/page.py",
        "verdict3d/view/templates/page.j2",
    ]
    (sources / "verdict3d/types.py").write_text("x = 1")
    (sources / "verdict3d/config.py").write_text("")
    assert code_of("tasks.label", sources=sources) == found
    (sources / "verdict3d/view/templates/page.j2").write_text("changed")
    assert code_of("tasks.label", sources=sources) != found


def test_code_is_found_through_links_as_presets_have_them(sources: Path, tmp_path: Path) -> None:
    preset = tmp_path / "preset"
    preset.mkdir()
    for name in ("tasks", "verdict3d"):
        (preset / name).symlink_to(sources / name)
    assert code_of("tasks.label", sources=preset) == code_of("tasks.label", sources=sources)


@pytest.mark.parametrize("module", ["tasks.evaluate", "tasks.report", "tasks.registry.served_model"])
def test_imports_are_those_that_another_reader_of_them_finds(module: str) -> None:
    graph = grimp.build_graph("verdict3d", "tasks", cache_dir=None, exclude_type_checking_imports=True)
    wanted = {module, *graph.find_upstream_modules(module)}
    found = {name for name in imported_files(module) if name.endswith(".py") and "__init__" not in name}
    files = {f"{name.replace('.', '/')}.py" for name in wanted}
    assert found == {name for name in files if (ROOT / name).is_file()}
    assert set(VALUES) & found, "what holds values is imported, and left out of the code only"
