"""The command line ``verdict3d``. Thin: every command imports what it needs when it is called."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from verdict3d.errors import Verdict3DError

app = typer.Typer(
    help="Judge and adapt single-image-to-3D generators: a de-biased judge, and the pipeline around it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
)

Preset = Annotated[
    str | None, typer.Option(help="Use presets/NAME.yaml over params.yaml, with results of its own.")
]


@app.command(
    epilog="Examples: [bold]verdict3d run[/bold] | [bold]verdict3d run --preset quick[/bold]",
)
def run(
    preset: Preset = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Most stages at a time; by default by cores, memory and GPUs.")
    ] = None,
    stage_timeout_s: Annotated[
        float | None, typer.Option(min=1, help="Stop a stage that runs longer than this.")
    ] = None,
) -> None:
    """Bring the whole chain up to date, record the run in MLflow, show the win-rates."""
    from flows.run import run_chain
    from flows.workspace import find_project, open_workspace

    run_chain(open_workspace(find_project(), preset), jobs, stage_timeout_s)


@app.command(epilog="Example: [bold]verdict3d status[/bold]")
def status(preset: Preset = None) -> None:
    """Say which stages would run and why, and show the last results. Changes nothing."""
    from flows.dvc_stages import changed_stages
    from flows.environment import project_environment
    from flows.run import describe_results
    from flows.workspace import find_project, open_workspace

    workspace = open_workspace(find_project(), preset)
    changed = changed_stages(workspace.root, project_environment(workspace.project))
    for stage, reasons in changed.items():
        typer.echo(f"{stage}: {'; '.join(reasons)}")
    if not changed:
        typer.echo("every stage is up to date")
    typer.echo(f"\n{describe_results(workspace)}")


def main() -> None:
    """Entry point of the console script."""
    try:
        app()
    except Verdict3DError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
