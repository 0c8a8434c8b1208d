"""Commands about versions: ``promote``, ``rollback`` and ``reproduce``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from verdict3d.errors import Verdict3DError

Preset = Annotated[str | None, typer.Option(help="Of this preset, which has versions of its own.")]


def register_promotion(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command(epilog='Examples:  verdict3d promote   |   verdict3d promote --force --reason "demo"')(
        promote
    )
    app.command(epilog="Example:  verdict3d rollback --reason 'chairs got worse'")(rollback)
    app.command(
        epilog="Examples:  verdict3d reproduce 3   |   verdict3d reproduce 3 --again gate --again report"
    )(reproduce)


def promote(
    preset: Preset = None,
    arm: Annotated[str | None, typer.Option(help="Candidate; by default the gate's choice.")] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print the decision and all it rests on; change nothing.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Move the champion whatever the gate says; leaves a trace.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why, with --force.")] = "",
) -> None:
    """Compare with the current champion, decide, and move the champion when the gate says PROMOTE."""
    from flows.chain.workspace import find_project, open_workspace
    from flows.promotion.promote import explain_decision, promote_candidate

    if force != bool(reason.strip()):
        raise Verdict3DError("--force and --reason belong together: say why the gate is overruled")
    workspace = open_workspace(find_project(), preset)
    if explain:
        typer.echo(explain_decision(workspace, arm or ""))
        return
    promote_candidate(workspace, arm or "", reason.strip(), typer.echo)


def reproduce(
    reference: Annotated[str, typer.Argument(help="A version of the model, or the id of an MLflow run.")],
    preset: Preset = None,
    into: Annotated[
        Path | None, typer.Option(help="Folder to make; by default in .verdict3d/reproduce.")
    ] = None,
    again: Annotated[
        list[str] | None,
        typer.Option(help="Run this stage though the cache holds its outputs; `all`: every one, no cache."),
    ] = None,
) -> None:
    """Make a recorded run once more from its own code, data and parameters, and compare all digests."""
    from flows.chain.workspace import find_project, open_workspace
    from flows.promotion.reproduce import reproduce_run

    workspace = open_workspace(find_project(), preset)
    matches = reproduce_run(workspace, reference, into, again or (), typer.echo)
    differing = [match.stage for match in matches if match.differing]
    if differing:
        raise Verdict3DError(f"not reproduced: {', '.join(differing)}")
    typer.echo("reproduced: all digests are the same")


def rollback(
    preset: Preset = None,
    to: Annotated[str, typer.Option(help="Version to go back to, or `base`; by default the last one.")] = "",
    reason: Annotated[str, typer.Option(help="Why.")] = "",
) -> None:
    """Let the champion stand where it stood before."""
    from flows.chain.workspace import find_project, open_workspace
    from flows.promotion.promote import roll_back

    roll_back(open_workspace(find_project(), preset), to, reason, typer.echo)
