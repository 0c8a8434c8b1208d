"""``verdict3d preflight``: is there a signal to learn from?"""

from __future__ import annotations

import json
from typing import Annotated

import typer


def register_preflight(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example:  verdict3d preflight --json")(preflight)


def preflight(
    preset: Annotated[str | None, typer.Option(help="The preset's results instead of the project's.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Say from the judge's verdicts on known pairs whether there is anything to learn, and what it takes."""
    from flows.workspace import find_project, open_workspace
    from tasks.preflight import examine
    from verdict3d.config import load_params

    workspace = open_workspace(find_project(), preset)
    found = examine(load_params(workspace.root / "params.yaml"), workspace.root)
    if as_json:
        typer.echo(json.dumps(found, indent=2, sort_keys=True))
    else:
        typer.echo("there is a signal to learn from" if found["signal"] else "; ".join(found["reasons"]))
        typer.echo(f"most promising regime: {found['regime'] or 'none has enough headroom'}")
        needed = found["objects_needed"] or "more than can be had"
        typer.echo(f"held-out objects: {found['objects_heldout']}, needed for the target: {needed}")
    if not found["signal"]:
        raise typer.Exit(1)
