"""Commands about people's answers: ``verdict3d votes import``, ``export`` and ``report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from verdict3d.cli.options import JUDGES, AsJson, Preset, choose_progress, print_json

votes = typer.Typer(
    help="Take over, write out and report what people answered.",
    no_args_is_help=True,
    epilog="Example:  verdict3d votes report",
)


def register_votes(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(votes, name="votes", rich_help_panel=JUDGES)


@votes.command("import", epilog="Example:  verdict3d votes import from-the-lab.jsonl")
def import_(
    files: Annotated[list[Path], typer.Argument(help="Files that `verdict3d votes export` wrote (.jsonl).")],
    preset: Preset = None,
    as_json: AsJson = False,
) -> None:
    """Take over answers of another machine; those that are there already are left alone."""
    from flows.chain.workspace import open_workspace
    from flows.products.votes import import_votes
    from verdict3d.project import find_project

    new, known = import_votes(open_workspace(find_project(), preset), files)
    if as_json:
        print_json({"new": new, "known": known})
    else:
        typer.echo(f"{new} new answers, {known} that were there")


@votes.command(
    epilog="Examples:  verdict3d votes export votes.jsonl   |   verdict3d votes export votes.csv   |   "
    "verdict3d votes export preferences.jsonl --labels"
)
def export(
    output: Annotated[Path, typer.Argument(help="File to write: every answer (.jsonl), or a table (.csv).")],
    labels: Annotated[
        bool,
        typer.Option("--labels", help="Write preferences to train on instead, as the stage label does."),
    ] = False,
    preset: Preset = None,
) -> None:
    """Write answers for another machine or for a spreadsheet, or the preferences that follow from them."""
    from flows.chain.workspace import open_workspace
    from flows.products.votes import export_preferences, export_votes
    from verdict3d.project import find_project

    workspace = open_workspace(find_project(), preset)
    if labels:
        typer.echo(f"{output}: {export_preferences(workspace, output)} preferences")
    else:
        typer.echo(f"{output}: {export_votes(workspace, output)} answers")


@votes.command(epilog="Examples:  verdict3d votes report   |   verdict3d votes report --json")
def report(
    comparisons: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Folders that `verdict3d compare` wrote; those in the project's folder are found."
        ),
    ] = None,
    preset: Preset = None,
    as_json: AsJson = False,
) -> None:
    """Show what people say, how far they agree with each other, and how far each judge agrees with them."""
    from flows.chain.workspace import open_workspace
    from flows.products.votes import report_votes
    from verdict3d.project import find_project
    from verdict3d.records.record import as_values
    from verdict3d.votes.words import describe_people

    workspace = open_workspace(find_project(), preset)
    found = report_votes(workspace, comparisons or [], choose_progress(True))
    if as_json:
        print_json(as_values(found))
    else:
        typer.echo("\n".join(describe_people(found)))
