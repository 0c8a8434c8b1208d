"""Commands about what is left running on this machine: pages, servers, the schedule."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from verdict3d.cli.options import SERVERS, Preset


def register_operations(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command(rich_help_panel=SERVERS, epilog="Example:  verdict3d ui --last --open")(ui)
    examples = "Examples:  verdict3d serve   |   verdict3d serve --pool verdict3d"
    app.command(rich_help_panel=SERVERS, epilog=examples)(serve)
    app.command(rich_help_panel=SERVERS, epilog="Example:  verdict3d services")(services)
    app.command(rich_help_panel=SERVERS, epilog="Example:  verdict3d sync")(sync)


def ui(
    preset: Preset = None,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Port of the pages. Default: 5000, or a free one."),
    ] = None,
    last: Annotated[
        bool, typer.Option("--last", help="Show the page of the run of the results here.")
    ] = False,
    open_page: Annotated[bool, typer.Option("--open", help="Open the runs in the browser.")] = False,
) -> None:
    """Show the recorded runs: start MLflow's pages on this machine until Ctrl-C, without its telemetry.

    Where MLFLOW_TRACKING_URI names a server, the address of the runs there is printed and nothing is started.
    """
    from flows.chain.tracking_step import find_recorded
    from flows.chain.workspace import open_workspace
    from flows.service.ui import show_runs
    from verdict3d.project import find_project

    project = find_project()
    run = find_recorded(open_workspace(project, preset)) if last else None
    show_runs(project, preset, port, typer.echo, typer.launch if open_page else None, run)


def serve(
    pool: Annotated[
        str | None, typer.Option(help="Work pool to deploy prefect.yaml to, and to work for.")
    ] = None,
    preset: Preset = None,
    port: Annotated[
        int,
        typer.Option(
            min=1, max=65535, help="Port of the Prefect server to start if PREFECT_API_URL is not set."
        ),
    ] = 4200,
) -> None:
    """Retrain on the schedule of params.yaml until Ctrl-C, with a Prefect server of its own if need be."""
    from flows.service.serve import serve_schedule
    from verdict3d.project import find_project

    serve_schedule(find_project(), pool=pool, preset=preset, port=port, say=typer.echo)


def services(
    folder: Annotated[
        Path | None,
        typer.Option(help="Folder for databases and artifacts. Default: .verdict3d/services."),
    ] = None,
    postgres_port: Annotated[int, typer.Option(min=1, max=65535, help="PostgreSQL port.")] = 5433,
    mlflow_port: Annotated[int, typer.Option(min=1, max=65535, help="MLflow port.")] = 5000,
    prefect_port: Annotated[int, typer.Option(min=1, max=65535, help="Prefect port.")] = 4200,
) -> None:
    """Run MLflow and Prefect on PostgreSQL, on this machine only, until Ctrl-C."""
    from flows.service.services import Ports, run_services
    from verdict3d.project import STATE_FOLDER, find_project

    project = find_project()
    place = (folder or project / STATE_FOLDER / "services").resolve()
    run_services(project, place, Ports(postgres_port, mlflow_port, prefect_port), typer.echo)


def sync() -> None:
    """Send the runs that MLflow did not take because it was down, too slow, or refused them."""
    from flows.chain.environment import make_project_environment
    from flows.chain.tracking_step import send_everything
    from verdict3d.project import find_project

    project = find_project()
    if not send_everything(project, make_project_environment(project), typer.echo):
        typer.echo("nothing waits to be sent")
