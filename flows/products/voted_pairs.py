"""What people are asked about: pairs of the index, and meshes beside damaged copies of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

from tqdm import tqdm

from verdict3d.errors import ItemFailure
from verdict3d.mesh.damage import damage
from verdict3d.mesh.files import colour_vertices, read_mesh, write_mesh
from verdict3d.mesh.mesh import mesh_digest, normalize
from verdict3d.provenance import digest_json
from verdict3d.randomness import numpy_generator
from verdict3d.records.files import replacing
from verdict3d.records.names import Side
from verdict3d.records.pairs import CLEAR_GRADES
from verdict3d.records.verdicts import Compared
from verdict3d.view.pairs.described import PairDocument
from verdict3d.view.pairs.index import PairIndex
from verdict3d.view.pairs.query import Query
from verdict3d.votes.pairs import AskedPair, class_contest

Source = Literal["evaluate", "challenge", "label", "compare"]
"""Arms against the base, candidates against the champion, pairs to learn from, folders of meshes."""
SOURCES: tuple[Source, ...] = get_args(Source)
SIDES: tuple[Side, ...] = get_args(Side)
SHAPE_MODES = ("normal", "clay", "rgb")
KNOWN = "known"
"""Place of the pairs with a known answer."""
CLEAR_DAMAGE = ("dropped_faces", "cut_away", "rough_surface", "floaters")
"""Kinds that nobody overlooks, from whatever side."""
KNOWN_PAIRS = 24


def list_asked_pairs(index: PairIndex, sources: Sequence[Source]) -> list[AskedPair]:
    """Return the pairs of the index that people can be asked about: of two meshes that are there and differ.

    Args:
        index: The pairs.
        sources: Which of them.
    """
    found = []
    for row in read_documents(index, sources):
        if row.outcome == "same":
            continue
        files = [index.file(row.sides[side].mesh or "", "mesh") for side in SIDES]
        x, y = (describe_compared(row, side) for side in SIDES)
        if files[0] is None or files[1] is None or x.mesh_digest == y.mesh_digest:
            continue
        found.append(
            AskedPair(
                **_select_about(row),
                object=row.object,
                x=x,
                y=y,
                photo=index.file(row.photo or "", "photo"),
                x_mesh=files[0],
                y_mesh=files[1],
                contest=class_contest(word.outcome for word in (row.word, *row.others)),
                size=None if row.d is None else abs(row.d),
            )
        )
    return found


def read_documents(index: PairIndex, places: Sequence[str]) -> Iterator[PairDocument]:
    """Yield what the pages show of the pairs of some places."""
    for name in index.ids(Query(choices={"place": tuple(places)})):
        row = index.document(name)
        if row is not None:
            yield row


def describe_compared(row: PairDocument, side: Side) -> Compared:
    """Return a side of a pair's document as verdicts name it."""
    shown = row.sides[side]
    return Compared(generation=shown.generation, mesh_digest=shown.digest)


def make_known_pairs(
    index: PairIndex, pairs: Sequence[AskedPair], folder: Path, seed: int, say: Callable[[str], None]
) -> list[AskedPair]:
    """Return pairs whose better side nobody doubts: a mesh, and a copy of it with damage of the worst grade.

    The meshes are the objects' own where an audit has used them, else those that are compared.

    Args:
        index: The pairs of the run.
        pairs: What people are asked about.
        folder: Where damaged copies are kept.
        seed: Of the damage.
        say: Prints a line for people.
    """
    originals = {one.object: one for one in [*_find_originals(index)][::-1]} or {
        pair.object: pair for pair in pairs[::-1]
    }
    names = sorted(originals)
    order = numpy_generator(seed, "known_objects").permutation(len(names))[:KNOWN_PAIRS]
    say(f"{len(order)} pairs with a known answer are made where they are not kept")
    made = []
    for number, place in enumerate(tqdm(order, desc="known", unit="pair", mininterval=1.0)):
        defect = CLEAR_DAMAGE[number % len(CLEAR_DAMAGE)]
        try:
            made.append(_spoil(originals[names[place]], defect, folder, seed))
        except ItemFailure:
            continue  # another object serves as well
    return made


def _find_originals(index: PairIndex) -> Iterator[AskedPair]:
    for row in read_documents(index, ["audit"]):
        mesh = index.file(row.sides["x"].mesh or "", "mesh")
        if row.control == "ladder" and mesh is not None and row.word.mode in SHAPE_MODES:
            x, photo = describe_compared(row, "x"), index.file(row.photo or "", "photo")
            yield AskedPair(
                **_select_about(row), object=row.object, x=x, y=x, photo=photo, x_mesh=mesh, y_mesh=mesh
            )


def _select_about(row: PairDocument) -> dict[str, Any]:
    return row.model_dump(include={"place", "group", "arm", "against", "regime", "category"})


def _spoil(pair: AskedPair, defect: str, folder: Path, seed: int) -> AskedPair:
    """Return the pair of X's mesh and a damaged copy of it.

    Raises:
        ItemFailure: The mesh cannot be read.
    """
    grade = CLEAR_GRADES[-1]
    path = folder / f"{digest_json([pair.x.mesh_digest or str(pair.x_mesh), defect, grade, seed])[:20]}.glb"
    if not path.is_file():
        mesh = read_mesh(pair.x_mesh)
        plain = normalize(replace(mesh, colors=colour_vertices(mesh), uv=None, texture=None))
        spoiled = damage(plain, defect, grade, numpy_generator(seed, "known_damage", pair.object))
        with replacing(path) as temporary:
            write_mesh(spoiled, temporary)
    return pair.model_copy(
        update={
            **dict.fromkeys(("group", "arm", "against", "regime"), ""),
            "place": KNOWN,
            "y": Compared(generation=f"{defect}-{grade}", mesh_digest=mesh_digest(read_mesh(path))),
            "y_mesh": path,
            "known": "x",
        }
    )
