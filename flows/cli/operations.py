"""Commands for leaving Verdict3D running: ``serve``, ``services`` and ``sync``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register_operations(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command(epilog="Examples:  verdict3d serve   |   verdict3d serve --pool verdict3d")(serve)
    app.command(epilog="Example:  verdict3d services")(services)
    app.command(epilog="Example:  verdict3d sync")(sync)


def serve(
    pool: Annotated[
        str | None, typer.Option(help="Deploy prefect.yaml to this work pool and work for it.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Preset of the runs made from here.")] = None,
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Of Prefect's server, where PREFECT_API_URL names none.")
    ] = 4200,
) -> None:
    """Retrain on the schedule of params.yaml until Ctrl-C, with a Prefect server of its own if need be."""
    from flows.chain.workspace import find_project
    from flows.service.serve import serve_schedule

    serve_schedule(find_project(), pool=pool, preset=preset, port=port, say=typer.echo)


def services(
    folder: Annotated[
        Path | None, typer.Option(help="Keeps databases and artifacts; by default .verdict3d/services.")
    ] = None,
    postgres_port: Annotated[int, typer.Option(min=1, max=65535, help="Of PostgreSQL.")] = 5433,
    mlflow_port: Annotated[int, typer.Option(min=1, max=65535, help="Of MLflow.")] = 5000,
    prefect_port: Annotated[int, typer.Option(min=1, max=65535, help="Of Prefect.")] = 4200,
) -> None:
    """Run MLflow and Prefect on PostgreSQL, on this machine only, until Ctrl-C."""
    from flows.chain.environment import STATE_FOLDER
    from flows.chain.workspace import find_project
    from flows.service.services import Ports, run_services

    project = find_project()
    place = (folder or project / STATE_FOLDER / "services").resolve()
    run_services(project, place, Ports(postgres_port, mlflow_port, prefect_port), typer.echo)


def sync() -> None:
    """Send the runs that could not be recorded because MLflow was down."""
    from flows.chain.environment import project_environment
    from flows.chain.tracking_step import send_unsent
    from flows.chain.workspace import find_project

    project = find_project()
    if not send_unsent(project, project_environment(project), typer.echo):
        typer.echo("nothing waits to be sent")
