"""Who a generator is: its record, from its parameters and from what of it can be seen."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

from verdict3d.config_generators import (
    AnyGenerator,
    CallableParams,
    CommandParams,
    FolderParams,
    OutsideParams,
    TrellisParams,
)
from verdict3d.errors import Verdict3DError
from verdict3d.hub import GENERATOR_PATTERNS, TRANSFORMERS_PATTERNS, local_directory
from verdict3d.provenance import digest_json
from verdict3d.records.generators import Frame, GeneratorRecord
from verdict3d.weight_digests import digest_weights


def describe_generator(settings: AnyGenerator, root: Path) -> GeneratorRecord:
    """Return the record of a generator; digests are taken anew.

    Args:
        settings: Its parameters.
        root: The project's folder, which paths in them are relative to.

    Raises:
        Verdict3DError: A file that it names is not there.
    """
    decides = settings.model_dump(mode="json", exclude=set(settings.REACHED_BY))
    if isinstance(settings, TrellisParams):
        return GeneratorRecord(
            kind=settings.kind,
            name=settings.model,
            version=settings.revision or "as its digest says",
            digests={name: _digest_place(place) for name, place in find_network_directories(settings, root)},
            post_processing="none",
            determinism="bitwise",
            frame=Frame(up="z", front="-y"),
            surface="vertex_colour",
            licence="as its card says",
            settings=digest_json(decides),
        )
    return GeneratorRecord(
        kind=settings.kind,
        name=settings.name,
        version=settings.version,
        digests={name: _digest_place(place) for name, place in list_visible_files(settings, root)},
        post_processing=settings.post_processing,
        determinism=settings.determinism,
        frame=Frame(up=settings.frame.up, front=settings.frame.front),
        surface=settings.surface,
        licence=settings.licence,
        settings=digest_json(decides),
    )


def find_network_directories(settings: TrellisParams, root: Path) -> Iterator[tuple[str, Path]]:
    """Yield the directories of our generator's networks, below ``root`` or fetched from the hub, by part.

    Raises:
        Verdict3DError: One is in neither.
    """
    what = "generator"
    yield what, local_directory(settings.model, settings.revision, GENERATOR_PATTERNS, what, root)
    if settings.conditioner is not None:
        what, revision = "conditioner", settings.conditioner_revision
        yield what, local_directory(settings.conditioner, revision, TRANSFORMERS_PATTERNS, what, root)


def list_visible_files(settings: OutsideParams, root: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files and folders that decide an outside generator's meshes, by the names they go by.

    These are its ``files``, a folder's meshes, words of a command that name a file of the project, and the
    module of a function.

    Raises:
        Verdict3DError: One of ``files``, the folder or the module is not there.
    """
    named = list(settings.files)
    if isinstance(settings, FolderParams):
        named.append(settings.meshes)
    for name in named:
        if not (root / name).exists():
            raise Verdict3DError(
                f"the generator {settings.name!r} names {name!r}, which is not there; give a path from {root}"
            )
        yield name, root / name
    if isinstance(settings, CommandParams):
        words = (word for word in settings.run if word not in named and not Path(word).is_absolute())
        yield from ((word, root / word) for word in words if "{" not in word and (root / word).is_file())
    if isinstance(settings, CallableParams):
        module = settings.function.partition(":")[0]
        yield module, _find_module(module, root)


def _find_module(name: str, root: Path) -> Path:
    """Return the file of a module that is below ``root`` or installed; nothing is imported but its parents.

    Raises:
        Verdict3DError: There is none.
    """
    below = root.joinpath(*name.split("."))
    for place in (below.with_suffix(".py"), below / "__init__.py"):
        if place.is_file():
            return place
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        found = None
    if found is None or found.origin is None or not Path(found.origin).is_file():
        raise Verdict3DError(
            f"no module {name!r} below {root} or in {sys.prefix}; generator.function is module:function"
        )
    return Path(found.origin)


def _digest_place(place: Path) -> str:
    """Return the digest of a file, or one of the names and contents of all files below a folder."""
    if place.is_file():
        return digest_weights(place)
    files = sorted(path for path in place.rglob("*") if path.is_file())
    return digest_json([[path.relative_to(place).as_posix(), digest_weights(path)] for path in files])
