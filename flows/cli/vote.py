"""The command ``verdict3d vote``: ask people which mesh is better."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from verdict3d.cli.options import JUDGES, Preset, choose_progress


class From(Enum):
    """Pairs that people are asked about; Typer takes no list of literals."""

    EVALUATE = "evaluate"
    CHALLENGE = "challenge"
    LABEL = "label"
    COMPARE = "compare"


def register_vote(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(
        rich_help_panel=JUDGES,
        epilog="Examples:  verdict3d vote --open   |   verdict3d vote --from challenge --people 3   |   "
        "verdict3d vote june-july/ --from compare --share 192.168.1.20",
    )(vote)


def vote(
    comparisons: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Folders that `verdict3d compare` wrote; those in the project's folder are found."
        ),
    ] = None,
    sources: Annotated[
        list[From] | None,
        typer.Option(
            "--from",
            help="Pairs that people are asked about: arms against the base (evaluate, the default), "
            "candidates against the champion, pairs to learn from, folders. May stand several times.",
        ),
    ] = None,
    people: Annotated[int, typer.Option(min=1, max=100, help="Number of people that each pair needs.")] = 2,
    share: Annotated[
        str | None,
        typer.Option(
            help="Address of this machine under which others may vote; the printed link holds a key. "
            "Default: only this machine."
        ),
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of the page. Default: 7373, or a free one.")
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    preset: Preset = None,
) -> None:
    """Serve a page on which people say which of two meshes is better, without knowing whose they are."""
    from flows.chain.workspace import open_workspace
    from flows.products.vote import serve_votes
    from flows.products.voted_pairs import SOURCES
    from verdict3d.project import find_project

    workspace = open_workspace(find_project(), preset)
    named = {one.value for one in sources or (From.EVALUATE,)}
    asked = [name for name in SOURCES if name in named]
    launch = typer.launch if open_page else None
    serve_votes(workspace, comparisons or [], asked, people, share, port, choose_progress(False), launch)
