"""The commands ``audit`` and ``preflight``: may the judges be believed, and is there something to learn?"""

from __future__ import annotations

from typing import Annotated

import typer

from verdict3d.cli.options import JUDGES, AsJson, Preset, choose_progress, print_json
from verdict3d.config_judges import JudgeRole, PlantedFault


def register_audit(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    examples = "Examples:  verdict3d audit   |   verdict3d audit --planted coin-flip"
    app.command(rich_help_panel=JUDGES, epilog=examples)(audit)
    app.command(rich_help_panel=JUDGES, epilog="Example:  verdict3d preflight --json")(preflight)


def audit(
    preset: Preset = None,
    planted: Annotated[
        PlantedFault | None,
        typer.Option(help="Replace a judge by this faulty one, for a drill: its audit must fail."),
    ] = None,
    role: Annotated[JudgeRole, typer.Option(help="Judge that --planted replaces.")] = "evaluation",
    generated: Annotated[
        bool,
        typer.Option("--generated", help="Ask about generations too, and make them where they are missing."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Try the judges on the objects and show their certificates; status 1 when one has failed.

    Nothing is generated for it.
    """
    from flows.chain.workspace import open_workspace
    from flows.products.audit import audit_judges, drill
    from verdict3d.judge.audit.words import describe
    from verdict3d.project import find_project
    from verdict3d.records.record import as_values

    workspace = open_workspace(find_project(), preset)
    if planted is None:
        certificates = audit_judges(workspace, choose_progress(as_json), generated)
    else:
        certificates = [drill(workspace, role, planted)]
    if as_json:
        print_json([as_values(certificate) for certificate in certificates])
    else:
        for certificate in certificates:
            typer.echo("\n".join(describe(certificate)))
    if not all(certificate.passed for certificate in certificates):
        raise typer.Exit(1)


def preflight(preset: Preset = None, as_json: AsJson = False) -> None:
    """Say from the training judge's verdicts on known pairs whether there is anything to learn.

    Status 1 when there is not.
    """
    from flows.chain.workspace import open_workspace
    from tasks.preflight import examine
    from verdict3d.config import load_params
    from verdict3d.project import find_project
    from verdict3d.records.record import as_values
    from verdict3d.stats.preflight import describe_preflight

    workspace = open_workspace(find_project(), preset)
    params = load_params(workspace.root / "params.yaml")
    found = examine(params, workspace.root)
    if as_json:
        print_json(as_values(found))
    else:
        limits = params.preflight
        for sentence in describe_preflight(
            found, params.evaluate.target, limits.power, limits.least_headroom
        ):
            typer.echo(sentence)
    if not found.signal:
        raise typer.Exit(1)
