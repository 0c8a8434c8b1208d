"""The base generator that every stage works on, whatever its kind."""

from __future__ import annotations

from pathlib import Path

from verdict3d.config import Params
from verdict3d.config_generators import AnyGenerator, TrellisParams
from verdict3d.generators.generator import Generator
from verdict3d.generators.identity import describe_generator
from verdict3d.generators.registry import load_generator, name_kind_module
from verdict3d.provenance import code_of
from verdict3d.records.generations import Steps
from verdict3d.records.generators import GeneratorRecord
from verdict3d.records.record import RecordPart


class GeneratorDependencies(RecordPart):
    """What a generator's meshes depend on besides photo, seed and steps.

    Attributes:
        code: Digest of each file of its code, by path.
        record: Its settings and files.
    """

    code: dict[str, str]
    record: GeneratorRecord


def find_generator_dependencies(generator: AnyGenerator, root: Path) -> GeneratorDependencies:
    """Return what a generator's meshes depend on besides photo, seed and steps."""
    return GeneratorDependencies(
        code=code_of(__name__, name_kind_module(generator.kind)),
        record=describe_generator(generator, root),
    )


def find_base_dependencies(params: Params, root: Path) -> GeneratorDependencies:
    """Return what the base's meshes depend on besides photo, seed and steps."""
    return find_generator_dependencies(params.generator, root)


def choose_full_steps(params: Params) -> Steps | None:
    """Return the steps of both samplers with the large budget; None where the generator is not ours."""
    generator = params.generator
    if not isinstance(generator, TrellisParams):
        return None
    return Steps(structure=generator.structure.steps, latents=generator.latents.steps)


def load_base(params: Params, root: Path) -> Generator:
    """Load the configured generator."""
    return load_generator(params.generator, root)
