"""The command ``verdict3d doctor``: is this machine ready, and which meshes are usable?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from verdict3d.cli.options import MACHINE, AsJson, Preset, Up, UpAxis, print_json


def register_doctor(app: typer.Typer) -> None:
    """Add the command to the command line."""
    examples = "Examples:  verdict3d doctor --preset full   |   verdict3d doctor --meshes FOLDER"
    app.command(rich_help_panel=MACHINE, epilog=examples)(doctor)


def doctor(
    context: typer.Context,
    preset: Preset = None,
    meshes: Annotated[
        Path | None,
        typer.Option(help="Examine the meshes in this folder instead, and draw a contact sheet of them."),
    ] = None,
    up: UpAxis = "auto",
    as_json: AsJson = False,
) -> None:
    """Check whether this machine has what is needed, or which meshes are usable; status 1 if one is not."""
    from verdict3d.cli.pipeline import find_pipeline, open_workspace
    from verdict3d.products.doctor import examine, list_checks
    from verdict3d.project import find_project

    if meshes is not None:
        _examine_meshes(meshes, up, as_json)
        return
    workspace = open_workspace(find_project(), preset)
    checks = [*list_checks(workspace)]
    if pipeline := find_pipeline():
        checks += pipeline.list_checks(workspace.project, context.obj or dict(os.environ))
    findings = []
    for check in examine(checks):
        findings.append(check)
        if not as_json:
            mark = "ok  " if check.ok else "BAD " if check.needed else "note"
            typer.echo(f"{mark} {check.name:12} {check.detail}")
    if as_json:
        print_json([check.as_dict() for check in findings])
    if not all(check.ok or not check.needed for check in findings):
        raise typer.Exit(1)


def _examine_meshes(folder: Path, up: Up, as_json: bool) -> None:
    from tqdm import tqdm

    from verdict3d.config import load_params
    from verdict3d.products.doctor_meshes import describe_finding, examine_meshes, summarise_findings
    from verdict3d.project import STATE_FOLDER, find_project

    project = find_project()
    sheet = project / STATE_FOLDER / "meshes.png"
    limits = load_params(project / "params.yaml").assets.limits
    findings = []
    outcomes = examine_meshes(folder, limits, up, sheet)
    for finding in tqdm(outcomes, desc="meshes", unit="mesh") if as_json else outcomes:
        findings.append(finding)
        if not as_json:
            typer.echo(describe_finding(finding))
    refused = [finding for finding in findings if finding.reason is not None]
    if as_json:
        print_json([finding.as_dict() for finding in findings])
    else:
        pictures = [f"look at them in {sheet}"] if len(refused) < len(findings) else []
        typer.echo("\n".join([*summarise_findings(findings), *pictures]))
    if refused:
        raise typer.Exit(1)
