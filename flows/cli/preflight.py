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
    from flows.chain.workspace import find_project, open_workspace
    from tasks.preflight import examine
    from verdict3d.config import load_params
    from verdict3d.stats.preflight import preflight_words

    workspace = open_workspace(find_project(), preset)
    params = load_params(workspace.root / "params.yaml")
    found = examine(params, workspace.root)
    if as_json:
        typer.echo(json.dumps(found, indent=2, sort_keys=True))
    else:
        wanted = params.preflight
        for sentence in preflight_words(found, params.evaluate.target, wanted.power, wanted.least_headroom):
            typer.echo(sentence)
    if not found["signal"]:
        raise typer.Exit(1)
