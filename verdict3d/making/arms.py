"""The generator that an arm is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from verdict3d.adapt.adapter import Adapter, load_adapter
from verdict3d.adapt.method import Tools
from verdict3d.adapt.registry import find_method
from verdict3d.config import Params
from verdict3d.config_arms import AnyArm, OutsideArmParams, SearchParams
from verdict3d.config_generators import AnyGenerator
from verdict3d.errors import Verdict3DError
from verdict3d.generators.generator import Generator
from verdict3d.generators.identity import describe_generator
from verdict3d.generators.registry import load_generator
from verdict3d.generators.search import Picker, SearchingGenerator
from verdict3d.generators.trellis import TrellisGenerator
from verdict3d.making.base import load_base
from verdict3d.project import TRAIN
from verdict3d.records.adapters import read_card
from verdict3d.records.generators import GENERATOR, GeneratorRecord
from verdict3d.records.record import read_record
from verdict3d.trellis.pipeline import TrellisPipeline


def select_arm_params(params: Params, arm: str) -> AnyArm:
    """Return the arm's own section below ``train``.

    Raises:
        Verdict3DError: There is no such section; the known ones are named.
    """
    try:
        return params.train.sections[arm]
    except KeyError:
        known = ", ".join(sorted(params.train.sections))
        raise Verdict3DError(f"unknown arm {arm!r}; params.yaml has sections for: {known}") from None


def load_arm(params: Params, root: Path, arm: str, tools: Tools) -> Generator:
    """Load the generator that ``arm`` is, from what the train stage wrote.

    Raises:
        Verdict3DError: The adapter is missing, damaged, or belongs to another base.
    """
    return load_adapted(params, root, root / TRAIN / arm, arm, tools)


def load_adapted(params: Params, root: Path, folder: Path, arm: str, tools: Tools) -> Generator:
    """Load the generator of the adapter in ``folder``: the configured one with it on, or an outside one.

    Raises:
        Verdict3DError: The adapter is missing, damaged, made by another arm or belongs to another base; an
            outside generator is not what it was.
    """
    settings = read_card(folder).params
    if isinstance(settings, OutsideArmParams):
        load_adapter(folder, arm=arm, base_digest=require_unchanged_generator(settings, root, folder).digest)
        return load_generator(settings.generator, root)
    base = load_base(params, root)
    if isinstance(base, TrellisGenerator):
        adapter = load_adapter(folder, arm=arm, base_digest=base.pipeline.digest)
        return replace(base, pipeline=with_adapter(base.pipeline, adapter, tools))
    load_adapter(folder, arm=arm, base_digest=base.record.digest)
    return (
        SearchingGenerator(base, Picker(settings, tools.prefers))
        if isinstance(settings, SearchParams)
        else base
    )


def find_outside_generator(settings: AnyArm) -> AnyGenerator | None:
    """Return the generator that an outside arm is; None for an arm on the configured one."""
    return settings.generator if isinstance(settings, OutsideArmParams) else None


def require_unchanged_generator(settings: OutsideArmParams, root: Path, folder: Path) -> GeneratorRecord:
    """Return the record of an outside arm's generator, as it is now and was when ``folder`` was written.

    Raises:
        Verdict3DError: It is not what it was; what differs is named.
    """
    was = read_record(folder / GENERATOR, GeneratorRecord)
    now = describe_generator(settings.generator, root)
    if now != was:
        files = sorted(
            name for name in now.digests | was.digests if now.digests.get(name) != was.digests.get(name)
        )
        others = [name for name in ("version", "settings") if getattr(now, name) != getattr(was, name)]
        raise Verdict3DError(
            f"the generator {was.title} of {folder} is not what it was; other: {', '.join(files + others)}. "
            "Restore it, or give it a new version and run its arm again"
        )
    return now


def with_adapter(base: TrellisPipeline, adapter: Adapter, tools: Tools) -> TrellisPipeline:
    """Return our base with an adapter on, put together as its card says."""
    settings = adapter.card.params
    return find_method(settings.method).wrap(base, settings, adapter.tensors, tools)
