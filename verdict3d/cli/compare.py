"""The command ``verdict3d compare``: folders of meshes of the same photos against each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from verdict3d.cli.options import JUDGES, AsJson, UpAxis, choose_progress, print_json
from verdict3d.config_judges import JudgeRole
from verdict3d.stats.design import Design

NOTHING_COMPARED = 5
"""Exit status where no pair has a verdict."""


def register_compare(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(
        rich_help_panel=JUDGES,
        epilog="Examples:  verdict3d compare june/ july/ --photos photos/ -o page/   |   "
        "verdict3d compare a/ b/ c/ d/ --photos photos/ -o page/ --design balanced --tags tags.csv --json",
    )(compare)


def compare(
    folders: Annotated[
        list[Path],
        typer.Argument(
            help="Folders of meshes named as their photos: chair.glb, or chair-1.glb, chair-2.glb."
        ),
    ],
    photos: Annotated[str, typer.Option(help="Folder of the photos, or a pattern such as 'photos/*.png'.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write the page to.")],
    judge: Annotated[JudgeRole, typer.Option(help="Judge of params.yaml that answers.")] = "evaluation",
    design: Annotated[
        Design,
        typer.Option(
            help="Which of three and more folders meet about a photo: every two, each and the first, or each "
            "and two others in turn."
        ),
    ] = "all",
    tags: Annotated[
        Path | None,
        typer.Option(help="CSV file with the columns stem and tag; numbers are also given by tag."),
    ] = None,
    background: Annotated[
        str | None, typer.Option(help="Model that removes the background of opaque photos, such as u2net.")
    ] = None,
    up: UpAxis = "auto",
    audit: Annotated[
        bool, typer.Option(help="Try the judge on copies and damaged copies of these meshes first.")
    ] = True,
    pairs_page: Annotated[
        str | None,
        typer.Option("--pairs", help="Address of the pages of `verdict3d view` that numbers link to."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Judge folders of meshes of the same photos against each other, and write a page of every pair.

    Status 5 when no pair has a verdict.
    """
    from verdict3d.config import load_params
    from verdict3d.products.compare import CompareOptions, compare_folders, is_compared
    from verdict3d.products.comparison_page import PAGE
    from verdict3d.project import find_project
    from verdict3d.records.record import as_values
    from verdict3d.view.comparison import describe_comparison

    project = find_project()
    params = load_params(project / "params.yaml")
    if background:
        changed = params.photos.model_copy(update={"background": background})
        params = params.model_copy(update={"photos": changed})
    options = CompareOptions(judge, design, tags, up, audit, pairs_page)
    found = compare_folders(folders, photos, output, options, params, project, choose_progress(as_json))
    if as_json:
        print_json(as_values(found))
    else:
        typer.echo("\n".join(describe_comparison(found)))
    typer.echo(output / PAGE, err=as_json)
    if not is_compared(found):
        raise typer.Exit(NOTHING_COMPARED)
