"""The page of licences is that of the locks, and every package names a licence."""

from __future__ import annotations

import re
from importlib.util import find_spec

from docs.licences import LOCKS, PAGE, find_licence, read_pins
from support.places import ROOT


def test_the_page_is_up_to_date_with_the_locks() -> None:
    rows = re.findall(r"^\| ([A-Za-z0-9._-]+) \| (\d[^ ]*) \| (.+) \|$", PAGE.read_text(), re.MULTILINE)
    listed = {name: version for name, version, _ in rows}
    pinned = {name: version for lock in LOCKS for name, version in read_pins(lock).items()}
    assert listed == pinned  # otherwise: make licences


def test_licences_are_those_of_the_installed_packages() -> None:
    rows = dict(re.findall(r"^\| ([A-Za-z0-9._-]+) \| \d[^ ]* \| (.+) \|$", PAGE.read_text(), re.MULTILINE))
    names = [name for lock in ("requirements.lock", "requirements-dev.lock") for name in read_pins(lock)]
    assert len(names) > 150 and find_spec("torch")
    assert [name for name in names if rows[name] != find_licence(name)] == []


def test_every_model_of_the_presets_has_a_licence() -> None:
    named = set(re.findall(r"model: ([\w.-]+/[\w.-]+)", (ROOT / "presets/full.yaml").read_text()))
    named |= set(re.findall(r"conditioner: ([\w.-]+/[\w.-]+)", (ROOT / "presets/full.yaml").read_text()))
    assert len(named) == 4
    assert [name for name in named if f"| {name} |" not in PAGE.read_text()] == []


def test_every_model_that_removes_backgrounds_has_its_licence() -> None:
    from verdict3d.trellis.background import MODELS

    lines = [line for line in PAGE.read_text().splitlines() if "fetched by `--background`" in line]
    for name, licence in MODELS.items():
        assert [line for line in lines if name in line and line.endswith(f"| {licence} |")]
