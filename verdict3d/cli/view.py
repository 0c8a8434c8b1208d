"""The command ``verdict3d view``: pages of every pair."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from verdict3d.cli.options import SERVERS, Preset, choose_progress, print_json


def register_view(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(
        rich_help_panel=SERVERS,
        epilog="Examples:  verdict3d view --open   |   verdict3d view --bundle pairs/   |   "
        "verdict3d view --json --query 'truth=contradicts&sort=loudest&rows=10'",
    )(view)


def view(
    comparisons: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Folders that `verdict3d compare` wrote; those in the project's folder are found."
        ),
    ] = None,
    preset: Preset = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of the pages. Default: 7373, or a free one.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen at. Everybody who reaches another than 127.0.0.1 can look.")
    ] = "127.0.0.1",
    open_page: Annotated[bool, typer.Option("--open", help="Open the pages in the browser.")] = False,
    bundle: Annotated[
        Path | None,
        typer.Option(
            help="Folder to write the pages to instead: for any web server, or opened from disk. "
            "Goes on where it was."
        ),
    ] = None,
    record: Annotated[
        bool,
        typer.Option("--record", help="Also keep the bundle in MLflow: `pairs` among the run's artifacts."),
    ] = False,
    mesh_megabytes: Annotated[
        float,
        typer.Option(min=1, help="Megabytes for all meshes of a bundle; each keeps at least 1,500 faces."),
    ] = 64,
    query: Annotated[
        str,
        typer.Option(help="Pairs that --json prints, as in the address of the list: 'outcome=flip&q=chair'."),
    ] = "",
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print the list, or what a bundle holds, as one JSON document; serve nothing."
        ),
    ] = False,
) -> None:
    """Show every pair of every arm, comparison and audit: a list with filters, and both meshes of each."""
    from verdict3d.cli.pipeline import find_pipeline, open_workspace, require_pipeline
    from verdict3d.products.view import bundle_pairs, open_pairs, serve_pairs
    from verdict3d.project import find_project
    from verdict3d.view.pairs.query import parse_query

    workspace = open_workspace(find_project(), preset)
    pipeline = require_pipeline("--record") if record else find_pipeline()
    reader = pipeline.find_reader() if pipeline else None
    say, folders = choose_progress(as_json), comparisons or []
    if bundle is not None:
        made = bundle_pairs(workspace, folders, reader, bundle, mesh_megabytes, say)
        if as_json:
            print_json(asdict(made))
        missing = f"; {made.missing} pictures and meshes are gone or unreadable" if made.missing else ""
        say(
            f"{made.pairs} pairs, {made.pictures} pictures, {made.meshes} meshes "
            f"({made.mesh_bytes / 1e6:.1f} MB), {made.all_bytes / 1e6:.1f} MB in all{missing}"
        )
        typer.echo(bundle / "index.html", err=as_json)
        if record and pipeline:
            pipeline.keep_pages(workspace, bundle, say)
    elif as_json:
        print_json(open_pairs(workspace, folders, reader, say).find(parse_query(query)).model_dump())
    else:
        serve_pairs(workspace, folders, reader, host, port, say, typer.launch if open_page else None)
