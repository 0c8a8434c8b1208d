"""Commands for leaving Verdict3D running: ``serve``, ``services`` and ``sync``."""

from __future__ import annotations

import typer


def register_operations(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command(epilog="Example:  verdict3d sync")(sync)


def sync() -> None:
    """Send the runs that could not be recorded because MLflow was down."""
    from flows.environment import project_environment
    from flows.tracking_step import send_unsent
    from flows.workspace import find_project

    project = find_project()
    if not send_unsent(project, project_environment(project), typer.echo):
        typer.echo("nothing waits to be sent")
