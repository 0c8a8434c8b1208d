"""Folders of meshes of the same photos against each other: trials of the judge, verdicts, numbers, a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from verdict3d.asking.certificates import read_certificate, with_chosen_panels
from verdict3d.asking.pairings import STORE
from verdict3d.asking.roles import select_judge
from verdict3d.config import Params
from verdict3d.config_judges import JudgeRole
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.folders import readable
from verdict3d.judge.audit.certificate import list_objections
from verdict3d.judge.audit.trials import COLOUR, describe_trials
from verdict3d.judge.identity import read_own_prompt
from verdict3d.judge.loading import load_judge
from verdict3d.judge.modes import TEXTURE_MODE
from verdict3d.judge.rubric import write_prompt
from verdict3d.judge.store import VerdictStore
from verdict3d.mesh.axes import Up
from verdict3d.products.asked_judge import ORDERS, AskedJudge
from verdict3d.products.compared_files import MeshFolder, find_compared_photos, match_files, read_tags
from verdict3d.products.compared_numbers import count_duels, describe_side
from verdict3d.products.compared_pairs import Judging, plan_pairs
from verdict3d.products.comparison_page import write_page
from verdict3d.products.drawn_meshes import DrawnMeshes, PreparedPhotos
from verdict3d.randomness import numpy_generator
from verdict3d.records.comparisons import Colours, Comparison, RefusedPhoto, Trial
from verdict3d.records.record import write_record, write_rows
from verdict3d.render.rig import Rig
from verdict3d.stats.design import Design
from verdict3d.stats.ranking import rank_sides

DOCUMENT, ROWS, COLOUR_ROWS = "comparison.json", "pairs.jsonl", "colours.jsonl"


@dataclass(frozen=True)
class CompareOptions:
    """How folders are to be compared.

    Attributes:
        role: Judge of params.yaml that answers.
        design: Which of three and more sides meet.
        tags: CSV file with a tag for each photo; None for none.
        up: Axis of the mesh files that points up.
        trials: Whether the judge is tried on these meshes first.
        pairs_page: Address of the page of pairs that numbers lead to; None: they lead nowhere.
    """

    role: JudgeRole = "evaluation"
    design: Design = "all"
    tags: Path | None = None
    up: Up = "auto"
    trials: bool = True
    pairs_page: str | None = None


def compare_folders(
    folders: Sequence[Path],
    photos: str,
    output: Path,
    options: CompareOptions,
    params: Params,
    project: Path,
    say: Callable[[str], None],
) -> Comparison:
    """Judge the meshes of each photo against each other and write a page of it.

    Pictures of meshes and photos, and all answers, are kept below ``.verdict3d``: what was drawn or asked
    before is not drawn or asked again.

    Args:
        folders: Folders of meshes, at least two.
        photos: Folder of the photos, or a pattern.
        output: Folder for ``index.html``, ``pictures``, ``comparison.json``, ``pairs.jsonl`` and
            ``colours.jsonl``.
        options: How they are compared.
        params: Judges, photos, seed, and how intervals are made.
        project: Where the judge and what is kept are below.
        say: Called with one line for people.

    Raises:
        Verdict3DError: The folders, photos, tags, output or judge cannot be used.
    """
    project = project.resolve()
    require_own_folder(output)
    found = find_compared_photos(photos)
    sides = match_files(folders, [photo.stem for photo in found])
    tags = read_tags(options.tags) if options.tags else {}
    references, refused = _prepare_photos(found, sides, PreparedPhotos(params.photos, project), say)
    plan = plan_pairs(references, sides, tags, options.design)
    left_out = f"; {len(refused)} of {len(found)} photos are left out" if refused else ""
    say(f"{len(sides)} folders, {len(references)} photos, {len(plan)} pairs{left_out}")

    settings = select_judge(with_chosen_panels(params, project, [options.role]).judges, options.role)
    judge = AskedJudge(load_judge(settings, project, settled=True))
    rig = Rig(view_px=params.judges.view_px)
    meshes = DrawnMeshes(rig, settings.views, settings.mode, options.up, project)
    judging = Judging(judge, VerdictStore(project / STORE), meshes, rig, project)
    trials = judging.try_out(plan, params) if options.trials else None
    for sentence in describe_trials(trials) if trials else ():
        say(sentence)
    unasked = colours_unasked(trials)
    meshes.in_colour = not unasked
    rows = judging.judge_plan(plan, sides, say)
    names = [side.name for side in sides]
    colours = [] if unasked else judging.judge_colours(plan, sides)
    if not unasked and not colours:
        unasked = "in no pair have both meshes a surface"
    say(f"answers asked for now: {judge.tally.answers}; all others were on record")

    own = read_own_prompt(settings, project)
    modes = [judge.identity.mode, *([TEXTURE_MODE] if colours else [])]
    rng = numpy_generator(params.seed, "compare_board")
    resamples, confidence = params.evaluate.bootstrap, params.evaluate.confidence
    certificate, today = read_certificate(project, options.role), datetime.now(UTC).date()
    comparison = Comparison(
        sides=[describe_side(side, [photo.stem for photo, _ in references], meshes) for side in sides],
        photos=len(references),
        refused=refused,
        design=options.design,
        questions=ORDERS * sum(len(row.sets) for row in [*rows, *colours]),
        texts={mode: write_prompt(own, judge.identity.panel, mode) for mode in modes},
        judge=judge.identity.record(),
        role=options.role,
        certified=not list_objections(certificate, judge.identity, rig.digest, today),
        trials=trials,
        duels=count_duels(rows, names, params),
        colours=Colours(
            reason=unasked, surfaces=len(colours), duels=count_duels(colours, names, params, "colour")
        ),
        board=rank_sides(rows, names, rng, resamples, confidence) if len(sides) > 2 else None,
        seed=params.seed,
        confidence=confidence,
    )
    shown = {photo.name: reference for photo, reference in references}
    write_page(comparison, rows, colours, shown, meshes, output, options.pairs_page)
    write_rows(output / ROWS, rows)
    write_rows(output / COLOUR_ROWS, colours)
    write_record(output / DOCUMENT, comparison)
    return comparison


def require_own_folder(output: Path) -> None:
    """Check that a folder is new, empty, or holds an earlier comparison.

    Raises:
        Verdict3DError: It holds something else, or is no folder.
    """
    if output.exists() and not output.is_dir():
        raise Verdict3DError(f"{output} is a file; name a folder for the page")
    if output.is_dir() and any(output.iterdir()) and not (output / DOCUMENT).is_file():
        raise Verdict3DError(f"{output} does not hold a comparison; name a new folder for the page")


def colours_unasked(trials: Sequence[Trial] | None) -> str:
    """Return why the judge is not asked about colours; empty where it is."""
    if trials is None:
        return "the judge was not tried on these meshes"
    tried = [trial for trial in trials if trial.name == COLOUR]
    if not tried:
        return "no mesh that the judge was tried on has a surface"
    return "" if tried[0].tells else "the judge is not shown to tell right colours from wrong ones here"


def is_compared(comparison: Comparison) -> bool:
    """Return whether any pair has a valid verdict."""
    return any(duel.summary.pairs > duel.summary.invalid for duel in comparison.duels)


def _prepare_photos(
    photos: Sequence[Path], sides: Sequence[MeshFolder], prepared: PreparedPhotos, say: Callable[[str], None]
) -> tuple[list[tuple[Path, Path]], list[RefusedPhoto]]:
    """Return the photos that can be judged by, each with the picture of its object, and the others."""
    with_meshes = {stem for side in sides for stem, _ in side.files}
    references: list[tuple[Path, Path]] = []
    refused: list[RefusedPhoto] = []

    def refuse(photo: Path, reason: str, message: str) -> None:
        refused.append(RefusedPhoto(photo=readable(photo.name), reason=reason, message=readable(message)))
        say(f"{readable(str(photo))}: {reason}: {readable(message)}")

    for photo in photos:
        if photo.stem not in with_meshes:
            refuse(photo, "no_meshes", "no folder has a mesh of it")
            continue
        if readable(photo.stem) != photo.stem:
            refuse(photo, "bad_name", "its name is not UTF-8; rename it and its meshes")
            continue
        try:
            reference, doubts = prepared.prepare(photo)
        except ItemFailure as failure:
            refuse(photo, failure.reason, str(failure))
            continue
        references.append((photo, reference))
        if doubts:
            say(f"warning: {readable(str(photo))}: {doubts}")
    return references, refused
