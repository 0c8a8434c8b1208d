"""Looking into the verdict store: which verdicts there are, about what, and what one of them was made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image, ImageDraw

from tasks.paths import read_assets
from verdict3d.asking.pairings import STORE
from verdict3d.config_judges import JudgesParams
from verdict3d.errors import Verdict3DError
from verdict3d.judge.store import RecordedAnswer, VerdictStore
from verdict3d.judge.verdict import Margins, Verdict
from verdict3d.project import DATA
from verdict3d.records.files import replacing
from verdict3d.records.generations import Generation
from verdict3d.records.names import Side
from verdict3d.records.record import read_rows
from verdict3d.render.montage_files import read_montages
from verdict3d.render.rig import Rig

EXPORTS = (".csv", ".jsonl")
_LABEL_PX = 24
_SIDES: tuple[Side, Side] = ("x", "y")


class BookVerdict(RecordedAnswer, total=False):
    """A verdict over all view sets on record, beside its first answer's key and names.

    Attributes:
        outcome: ``win``, ``loss``, ``flip``, ``close``, ``same`` or ``invalid``, seen from X.
        d: Preference in nats; ``b`` the position bias, ``r`` the reliability, ``se`` the error of ``d``.
        sets: Both margins of each view set; None where it has no answer. ``views`` names the sets.
        asset: Name of the asset; None, as ``x_name`` and ``y_name``, where no stage's results have the mesh.
    """

    outcome: str
    d: float | None
    b: float | None
    r: float | None
    se: float | None
    sets: list[tuple[float, float] | None]
    views: list[str]
    asset: str | None
    x_name: str | None
    y_name: str | None


@dataclass(frozen=True)
class Book:
    """The verdicts of one workspace, with names for the meshes in them.

    Args:
        root: Where ``data`` and the store are.
        rows: Verdicts, oldest first, each over all view sets on record, whose names are in ``views``;
            ``asset``, ``x_name`` and ``y_name`` are None where no stage's results have the mesh any more.
        generations: Generation rows by mesh digest.
    """

    root: Path
    rows: list[BookVerdict] = field(repr=False)
    generations: dict[str, Generation] = field(repr=False)

    def select(
        self, judge: str | None = None, outcome: str | None = None, asset: str | None = None
    ) -> list[BookVerdict]:
        """Return the rows that fit.

        Args:
            judge: Part of the model's name, or the beginning of the judge's digest.
            outcome: Class, seen from X.
            asset: Name of the asset.
        """
        return [
            row
            for row in self.rows
            if (judge is None or judge in row["model"] or row["judge"].startswith(judge))
            and (outcome is None or row["outcome"] == outcome)
            and (asset is None or row["asset"] == asset)
        ]

    def find(self, key: str) -> BookVerdict:
        """Return the verdict whose key begins with ``key``.

        Raises:
            Verdict3DError: None does, or several different ones do.
        """
        found = {row["key"]: row for row in self.rows if row["key"].startswith(key)}
        if len(found) != 1:
            some = f": {', '.join(name[:16] for name in list(found)[:5])}" if found else ""
            raise Verdict3DError(
                f"{len(found)} verdicts have a key that begins with {key!r}{some}; "
                "`verdict3d verdicts list` shows keys"
            )
        return next(iter(found.values()))

    def draw(self, row: BookVerdict) -> Image.Image:
        """Return what the judge was shown first, X first: reference and both montages, each with its name.

        Raises:
            Verdict3DError: A picture is no longer among the results.
        """
        sides = [
            (f"{side.upper()}  {_get_name(row, side)}", self._draw_montage(row, side)) for side in _SIDES
        ]
        shown = [("reference", self._read_reference(row)), *sides]
        side_px = max(image.height for _, image in shown)
        page = Image.new("RGB", (side_px * len(shown), side_px + _LABEL_PX), "white")
        for number, (label, image) in enumerate(shown):
            page.paste(image.resize((side_px, side_px)), (number * side_px, _LABEL_PX))
            ImageDraw.Draw(page).text((number * side_px + 4, 6), label, fill="black")
        return page

    def _draw_montage(self, row: BookVerdict, side: Side) -> Image.Image:
        made = self.generations.get(row[side])
        path = self.root / (made.montages or {}).get(row["mode"], "") if made else None
        if path is None or not path.is_file():
            raise Verdict3DError(
                f"the montage of {side.upper()} (mesh {row[side][:12]}, {row['mode']}) is not among the "
                "results here: they were made anew, or the mesh is not kept, such as an audit's"
            )
        return Image.fromarray(read_montages(path)[0])

    def _read_reference(self, row: BookVerdict) -> Image.Image:
        """Return the asset's clean condition, if it is still the one that was shown."""
        from verdict3d.judge.panel import digest_picture, read_picture

        for asset in read_assets(self.root) if row["asset"] else []:
            if asset.id == row["asset"]:
                pixels = read_picture(self.root / asset.condition)
                if digest_picture(pixels) == row["reference"]:
                    return Image.fromarray(np.asarray(pixels))
        raise Verdict3DError(f"the reference picture {row['reference'][:12]} is not among the results here")


def open_book(root: Path, judges: JudgesParams) -> Book:
    """Read the store of a workspace and the generations of its stages.

    Raises:
        Verdict3DError: No verdict has been given yet.
    """
    store = VerdictStore(root / STORE)
    rows = combine_answers(store.rows(), Rig(view_px=judges.view_px))
    if not rows:
        raise Verdict3DError(f"no verdicts in {store.path}; `verdict3d run` asks for some")
    generations = {made.mesh_digest: made for made in _read_generations(root) if made.mesh_digest}
    for row in rows:
        sides = [generations.get(row[side]) for side in _SIDES]
        row["asset"] = next((made.asset for made in sides if made), None)
        row["x_name"], row["y_name"] = (made.id if made else None for made in sides)
    return Book(root, rows, generations)


def combine_answers(answers: Sequence[RecordedAnswer], rig: Rig) -> list[BookVerdict]:
    """Return verdicts from answers on record: those on one pair from several view sets are one verdict.

    Its key is that of its first answer. Sets of another rig than ``rig`` make verdicts of their own.
    """
    names = dict(zip(rig.set_digests, (one.name for one in rig.view_sets), strict=True))
    places = {digest: number for number, digest in enumerate(rig.set_digests)}
    pairs: dict[tuple[str, ...], list[RecordedAnswer]] = {}
    for row in answers:
        sides = tuple(sorted((row["x"], row["y"])))
        asked = (row["reference"], row["prompt"], row["panel"], row["mode"], row["judge"])
        pairs.setdefault((*sides, *asked, "" if row["rig"] in places else row["rig"]), []).append(row)
    rows = []
    for found in pairs.values():
        first = found[0]
        found.sort(key=lambda row: places.get(row["rig"], 0))
        sets = [Margins(row["m1"], row["m2"], row["reason"], row["message"]) for row in found]
        verdict = Verdict(
            tuple(one if row["x"] == first["x"] else one.flip() for one, row in zip(sets, found, strict=True))
        )
        views = [names.get(row["rig"], "of another rig") for row in found]
        rows.append(cast(BookVerdict, {**first, **verdict.row(), "views": views}))
    return rows


def _read_generations(root: Path) -> Iterator[Generation]:
    for path in sorted((root / DATA).glob("*/**/generations.jsonl")):
        yield from read_rows(path, Generation)


def export_rows(rows: Sequence[BookVerdict], output: Path) -> None:
    """Write verdicts as a table.

    Raises:
        Verdict3DError: The suffix is neither .csv nor .jsonl.
    """
    import pandas as pd

    if output.suffix.lower() not in EXPORTS:
        raise Verdict3DError(f"{output}: verdicts are written as {' or '.join(EXPORTS)}")
    frame = pd.DataFrame(list(rows))
    with replacing(output) as temporary:
        if output.suffix.lower() == ".csv":
            frame.to_csv(temporary, index=False)
        else:
            frame.to_json(temporary, orient="records", lines=True)


HEADINGS = ("key", "outcome", "preference d", "error", "view sets", "X", "Y", "judge", "shown", "panel")


def _get_name(row: BookVerdict, side: Side) -> str | None:
    return row["x_name"] if side == "x" else row["y_name"]


def format_row(row: BookVerdict) -> tuple[str, ...]:
    """Return the cells of a verdict under :data:`HEADINGS`."""
    preference = row["reason"] if row["d"] is None else f"{row['d']:+.3f}"
    error = "" if row["se"] is None else f"{row['se']:.3f}"
    shown = (row["outcome"], preference, error, str(len(row["sets"])))
    names = [_get_name(row, side) or f"mesh {row[side][:12]}" for side in _SIDES]
    return row["key"][:12], *shown, *names, row["model"], row["mode"], row["panel"]


def explain_row(row: BookVerdict, judges: JudgesParams, root: Path) -> str:
    """Return what a verdict was made of and why it is what it is."""
    asked = find_question(row, judges, root) or "no longer configured"
    lines = [
        f"verdict {row['key']}",
        f"  X  {row['x_name'] or 'mesh'} ({row['x'][:12]})",
        f"  Y  {row['y_name'] or 'mesh'} ({row['y'][:12]})",
        f"  reference {row['reference'][:12]}, asset {row['asset'] or 'unknown'}",
        f"  judge {row['model']} ({row['judge'][:12]}), panel {row['panel']}, montages {row['mode']}",
        "question:",
        *(f"  | {line}" for line in asked.splitlines()),
        *_explain_outcome(row),
    ]
    return "\n".join(lines)


def _explain_outcome(row: BookVerdict) -> list[str]:
    m1, m2 = row["m1"], row["m2"]
    if m1 is None or m2 is None:
        return [f"no verdict: {row['reason']}: {row['message']}"]
    says = {True: "the first", False: "the second"}
    why = {
        "win": "both orders name X, by more than the position and the view sets matter",
        "loss": "both orders name Y, by more than the position and the view sets matter",
        "flip": "the orders name different sides",
        "close": "both orders name one side, but the preference is within its error",
    }[row["outcome"]]
    error = "" if row["se"] is None else f", standard error {row['se']:.4f}"
    seen = [
        f"  {view}: no answer" if both is None else f"  {view}: m1 = {both[0]:+.4f}, m2 = {both[1]:+.4f}"
        for view, both in zip(row["views"], row["sets"], strict=True)
    ]
    return [
        f"view sets ({len(seen)}), of which the numbers below are means:",
        *seen,
        f"margin with X first  m1 = {m1:+.4f}: {says[m1 > 0]} shown is better",
        f"margin with Y first  m2 = {m2:+.4f}: {says[m2 > 0]} shown is better",
        f"preference for X     d = (m1 - m2) / 2 = {row['d']:+.4f}{error}",
        f"position bias        b = (m1 + m2) / 2 = {row['b']:+.4f}",
        f"reliability          r = |d| - |b| = {row['r']:+.4f}",
        f"{row['outcome']}: {why}",
    ]


def find_question(row: BookVerdict, judges: JudgesParams, root: Path) -> str | None:
    """Return the text that was asked, if one of the configured judges still asks it."""
    from flows.products.pair_records import question_text
    from verdict3d.judge.rubric import digest_prompt

    for params in judges.by_role.values():
        text = question_text(params, row["panel"], row["mode"], root)
        if digest_prompt(text) == row["prompt"]:
            return text
    return None
