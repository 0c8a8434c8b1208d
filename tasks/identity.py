"""Stage ``identity``: what every other stage depends on besides the data that it reads.

Writes ``data/identity/<stage>.json``, or ``<stage>/<item>.json`` for each arm and role
(:class:`verdict3d.records.identities.StageIdentity`; code by :func:`verdict3d.provenance.code_of`). Every
other stage depends on its own file, so an edit reruns the stages that import the file, a changed default
those that read it, another file of a generator those that ask it. DVC lets no stage depend on ``dvc.yaml``; a
stage whose list of parameters changes is rerun by DVC itself.

The stages of an arm depend on the methods of that arm alone; what works with adapters of any arm depends on
all methods. So do stages on the kinds of the generators that they use.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from tasks.making.outside_sets import digest_outside_sets
from tasks.paths import IDENTITY, locate_identity, start_folder
from tasks.scoring.champion import find_champion_generator
from tasks.stage import run_stage
from tasks.stage_order import list_stages, look_up, name_stage
from verdict3d.adapt.registry import list_methods, module_of, modules_of
from verdict3d.config import Params
from verdict3d.config_arms import OutsideArmParams
from verdict3d.config_generators import KINDS, AnyGenerator, TrellisParams
from verdict3d.errors import Verdict3DError
from verdict3d.generators.identity import describe_generator
from verdict3d.generators.registry import name_kind_module
from verdict3d.judge.modes import list_modes
from verdict3d.provenance import code_of
from verdict3d.records.files import read_object
from verdict3d.records.identities import StageIdentity
from verdict3d.records.record import write_record

STAGE = "identity"
DISPATCHER = "verdict3d/adapt/registry.py"
"""Whoever imports it works with methods that it finds by name."""
GENERATORS = "verdict3d/generators/registry.py"
"""Whoever imports it works with a generator whose kind it finds by name."""
CHALLENGE = "challenge"
"""The stage that lets the champion generate."""
DRAWING = ("generate", "controls")
"""Stages that draw what the judges look at, and depend on nothing else of them."""


def find_stage_identities(params: Params, root: Path) -> dict[str, StageIdentity]:
    """Return the identity of each stage of ``dvc.yaml`` below ``root``, by ``<stage>`` or ``<stage>@<item>``.

    Args:
        params: All parameters.
        root: Folder of ``dvc.yaml`` and of the packages.
    """
    values = params.model_dump(mode="json")
    identities: dict[str, StageIdentity] = {}
    describe = lru_cache(maxsize=None)(lambda generator: describe_generator(generator, root))
    for stage, item, entry in list_stages(root, values):
        if stage == STAGE:
            continue
        listed = [name.replace("${item}", str(item)) for name in entry["params"]]
        drawn = {"montage_modes": list_modes(params.judges)} if stage in DRAWING else {}
        identities[name_stage(stage, item)] = StageIdentity(
            code=_find_code(params, root, stage, item),
            params={name: look_up(values, name) for name in listed} | drawn,
            files=digest_outside_sets(params.train.sections[str(item)], root) if stage == "train" else {},
            generators={
                name: describe(generator)
                for name, generator in _outside_generators(params, root, stage, item, listed).items()
            },
        )
    return identities


def _outside_generators(
    params: Params, root: Path, stage: str, item: str | None, listed: Sequence[str]
) -> dict[str, AnyGenerator]:
    """Return the generators that are not ours of a stage that lists ``generator``.

    These are the base, an arm's own and, where candidates meet it, the champion's.
    """
    if "generator" not in listed:
        return {}
    named: dict[str, AnyGenerator] = {"base": params.generator}
    arm = params.train.sections.get(item or "")
    if isinstance(arm, OutsideArmParams):
        named[str(item)] = arm.generator
    if stage == CHALLENGE and (champion := find_champion_generator(root)):
        named["champion"] = champion
    return {name: found for name, found in named.items() if not isinstance(found, TrellisParams)}


def _find_code(params: Params, root: Path, stage: str, item: str | None) -> dict[str, str]:
    """Return the code of a stage, with that of the methods it works with."""
    code = code_of(f"tasks.{stage}", sources=root)
    named = []
    arm = params.train.sections.get(item or "")
    if DISPATCHER in code:
        named += modules_of(arm) if arm else [module_of(name) for name in list_methods()]
    if GENERATORS in code:
        kinds = KINDS if stage == CHALLENGE else (params.generator.kind,)
        named += [name_kind_module(kind) for kind in kinds]
    return dict(sorted((code | code_of(*named, sources=root)).items())) if named else code


def find_changed_identities(params: Params, root: Path) -> dict[str, dict[str, list[str]]]:
    """Return the stages that are not what their files say, each with the names of what differs, by kind.

    Stages without a file are left out: they have not run. So are damaged files, which DVC notices itself.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for stage, now in find_stage_identities(params, root).items():
        try:
            before = read_object(root / locate_identity(stage))  # of any version: what differs has changed
        except Verdict3DError:
            continue
        for kind, entries in now.model_dump().items():
            if names := _list_differing(before.get(kind, {}), entries):
                found.setdefault(stage, {})[f"changed {kind}"] = names
    return found


def _list_differing(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return the names of files or parameters that are new, gone or not what they were."""
    missing = object()
    names = sorted(before.keys() | now.keys())
    return [name for name in names if before.get(name, missing) != now.get(name, missing)]


def run(params: Params, root: Path) -> None:
    """Run the stage below ``root``."""
    start_folder(root / IDENTITY)
    for stage, identity in find_stage_identities(params, root).items():
        write_record(root / locate_identity(stage), identity)


if __name__ == "__main__":
    run_stage(run)
