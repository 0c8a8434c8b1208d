"""The command line ``verdict3d``. Thin: every command imports what it needs when it is called."""

from __future__ import annotations

import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from flows.chain.environment import TELEMETRY_OFF, loopback_direct
from flows.cli.audit import register_audit
from flows.cli.generate import register_generate
from flows.cli.operations import register_operations
from flows.cli.preflight import register_preflight
from flows.cli.promotion import register_promotion
from flows.cli.verdicts import register_verdicts
from verdict3d.errors import Verdict3DError, storage_problem

app = typer.Typer(
    help="Judge single-image-to-3D generators without order bias, and adapt them with the judge.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Preset = Annotated[
    str | None, typer.Option(help="Lay presets/NAME.yaml over params.yaml, with results of its own.")
]


class View(StrEnum):
    """What `render` draws."""

    condition = "condition"
    montage = "montage"
    rig = "rig"


class Mode(StrEnum):
    """How `render` draws."""

    normal = "normal"
    clay = "clay"
    rgb = "rgb"
    splat = "splat"


class JudgeName(StrEnum):
    """Which configured judge answers."""

    training = "training"
    evaluation = "evaluation"


@app.command(epilog="Examples:  verdict3d run   |   verdict3d run --preset quick")
def run(
    preset: Preset = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Most stages at a time; by default by cores, memory and GPUs.")
    ] = None,
    stage_timeout_s: Annotated[
        float | None, typer.Option(min=1, help="Stop a stage that runs longer than this.")
    ] = None,
    allow_uncertified: Annotated[
        bool,
        typer.Option(help="Go on with judges that failed their audit; recorded, and never promoted."),
    ] = False,
) -> None:
    """Bring the whole chain up to date, record the run in MLflow, show the win-rates."""
    from flows.chain.run import run_chain
    from flows.chain.workspace import find_project, open_workspace, uncertified

    place = open_workspace(find_project(), uncertified(preset) if allow_uncertified else preset)
    run_chain(place, jobs, stage_timeout_s)


@app.command(epilog="Example:  verdict3d status")
def status(preset: Preset = None) -> None:
    """Say which stages would run and why, and show the last results. Runs nothing."""
    from flows.chain.dvc_stages import changed_stages
    from flows.chain.environment import project_environment
    from flows.chain.own_meshes import watch_own_meshes
    from flows.chain.run import describe_results
    from flows.chain.workspace import find_project, open_workspace

    workspace = open_workspace(find_project(), preset)
    watch_own_meshes(workspace)
    changed = changed_stages(workspace.root, project_environment(workspace.project))
    for stage, reasons in changed.items():
        typer.echo(f"{stage}: {'; '.join(reasons)}")
    if not changed:
        typer.echo("every stage is up to date")
    typer.echo(f"\n{describe_results(workspace)}")


@app.command(epilog="Example:  verdict3d render mesh.glb -o montage.png --view montage --mode clay")
def render(
    mesh: Annotated[Path, typer.Argument(help="GLB, OBJ, PLY or STL file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="PNG file.")],
    view: Annotated[View, typer.Option(help="One view, the judge's 2x2, or all 24 views.")] = View.montage,
    mode: Annotated[Mode, typer.Option(help="What the surface shows.")] = Mode.normal,
    size_px: Annotated[int, typer.Option(min=8, max=4096, help="Side of one view.")] = 224,
    yaw_deg: Annotated[float, typer.Option(help="Of the condition view; 0 sees the front.")] = 30.0,
    elevation_deg: Annotated[float, typer.Option(min=-89, max=89, help="Of the condition view.")] = 20.0,
) -> None:
    """Draw a mesh."""
    from flows.products.single import render_file

    render_file(
        mesh,
        output,
        view=view.value,
        mode=mode.value,
        size_px=size_px,
        yaw_deg=yaw_deg,
        elevation_deg=elevation_deg,
    )
    typer.echo(output)


@app.command(epilog="Example:  verdict3d judge --reference photo.png a.glb b.glb --json")
def judge(
    x: Annotated[Path, typer.Argument(help="One mesh.")],
    y: Annotated[Path, typer.Argument(help="The other mesh.")],
    reference: Annotated[Path, typer.Option(help="Picture of the object that both meshes show.")],
    by: Annotated[JudgeName, typer.Option(help="Which judge of params.yaml answers.")] = JudgeName.evaluation,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
) -> None:
    """Say which of two meshes is better, asked in both orders, with the margins."""
    from flows.chain.workspace import find_project
    from flows.products.single import describe_verdict, judge_files
    from tasks.asking.certificates import read_certificate, with_chosen_panels
    from verdict3d.config import load_params

    project = find_project()
    judges = with_chosen_panels(load_params(project / "params.yaml"), project).judges
    params = judges.training if by is JudgeName.training else judges.evaluation
    row = judge_files(reference, x, y, params, project)
    typer.echo(json.dumps(row, indent=2) if as_json else describe_verdict(row))
    if read_certificate(project, by.value) is None:
        words = f"the {by.value} judge has not been audited here (`verdict3d audit`)"
        typer.echo(f"note: {words}; it was shown {row['panel']}", err=True)
    if row["outcome"] == "invalid":
        raise typer.Exit(1)


@app.command(epilog="Example:  verdict3d report --open")
def report(
    preset: Preset = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Print where the report page of the last run is."""
    from flows.chain.workspace import find_project, open_workspace

    page = open_workspace(find_project(), preset).report
    if not page.is_file():
        raise Verdict3DError(f"{page} is not there yet; `verdict3d run` makes it")
    typer.echo(page)
    if open_page:
        typer.launch(page.as_uri())


@app.command(epilog="Examples:  verdict3d doctor   |   verdict3d doctor --preset full")
def doctor(
    preset: Preset = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Look whether this machine has what a run needs."""
    from flows.chain.workspace import find_project, open_workspace
    from flows.products.doctor import examine

    findings = []
    for check in examine(open_workspace(find_project(), preset)):
        findings.append(check)
        if not as_json:
            typer.echo(f"{'ok ' if check.ok else 'BAD'}  {check.name:12} {check.detail}")
    if as_json:
        typer.echo(json.dumps([check.as_dict() for check in findings], indent=2))
    if not all(check.ok for check in findings):
        raise typer.Exit(1)


register_audit(app)
register_generate(app)
register_operations(app)
register_verdicts(app)
register_preflight(app)
register_promotion(app)


def main() -> None:
    """Entry point of the console script: a problem is one message and status 1."""
    os.environ.update(TELEMETRY_OFF | loopback_direct(os.environ))
    try:
        app()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        message = str(error) if isinstance(error, Verdict3DError) else storage_problem(error)
        if message is None:
            raise
        print(f"error: {message}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
