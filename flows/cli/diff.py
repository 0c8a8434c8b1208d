"""The command ``verdict3d diff``: what changed between two runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from verdict3d.cli.options import VERSIONS, AsJson, Preset, choose_progress, print_json

WORSE = 3
"""Exit status where a win-rate is shown to have fallen."""


def register_diff(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(
        rich_help_panel=VERSIONS,
        epilog="Examples:  verdict3d diff before .   |   verdict3d diff 2 3 --open   |   "
        "verdict3d diff 4f1c02 main~2 --json",
    )(diff)


def diff(
    before: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="The earlier run: `before` (the finished run before the results here), a version, the id of "
            "a recorded run or its beginning, or the git commit of one.",
        ),
    ],
    after: Annotated[
        str, typer.Argument(metavar="RUN", help="The later run: the same, or `.` for the results here.")
    ],
    preset: Preset = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for index.html and difference.json. Default: .verdict3d/difference."),
    ] = None,
    pairs_page: Annotated[
        str | None,
        typer.Option(
            "--pairs",
            help="Address of the later run's pages of `verdict3d view`, or of a bundle, that pairs link to.",
        ),
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare two runs: parameters, data, judges, win-rates on the pairs that both have, and verdicts.

    Status 0: compared; 3: compared, and a win-rate is shown to have fallen; 1: an error.
    """
    from flows.chain.workspace import open_workspace
    from flows.products.difference_page import write_difference
    from verdict3d.project import find_project
    from verdict3d.records.record import as_values
    from verdict3d.view.difference import describe_difference, list_worse

    workspace = open_workspace(find_project(), preset)
    say = choose_progress(as_json)
    difference, page = write_difference(workspace, before, after, output, pairs_page)
    say("\n".join(describe_difference(difference)))
    say(f"page: {page}")
    if as_json:
        print_json(as_values(difference))
    if open_page:
        typer.launch(page.as_uri())
    if list_worse(difference):
        raise typer.Exit(WORSE)
