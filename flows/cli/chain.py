"""The commands ``run``, ``status`` and ``report``: the chain, what it would do, and what came out."""

from __future__ import annotations

from typing import Annotated

import typer

from verdict3d.cli.options import CHAIN, AsJson, Preset, choose_progress, print_json
from verdict3d.errors import Verdict3DError


def register_chain(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    examples = "Examples:  verdict3d run   |   verdict3d run --preset quick"
    app.command(rich_help_panel=CHAIN, epilog=examples)(run)
    app.command(rich_help_panel=CHAIN, epilog="Example:  verdict3d status")(status)
    app.command(rich_help_panel=CHAIN, epilog="Example:  verdict3d report --open")(report)


def run(
    preset: Preset = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Largest number of stages at a time. Default: by cores, memory and GPUs."),
    ] = None,
    stage_timeout_s: Annotated[
        float | None, typer.Option(min=1, help="Seconds after which a stage is stopped.")
    ] = None,
    allow_uncertified: Annotated[
        bool,
        typer.Option(
            "--allow-uncertified",
            help="Accept judges that failed their audit; the results say so and are never promoted.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the whole chain up to date, record the run in MLflow, and show the win-rates."""
    from flows.chain.run import read_results, run_chain
    from flows.chain.workspace import name_uncertified, open_workspace
    from verdict3d.project import find_project

    workspace = open_workspace(find_project(), name_uncertified(preset) if allow_uncertified else preset)
    done = run_chain(workspace, jobs, stage_timeout_s, choose_progress(as_json), to_stderr=as_json)
    if as_json:
        print_json({**done, **read_results(workspace)})


def status(preset: Preset = None, as_json: AsJson = False) -> None:
    """Say which stages would run and why, and show the last results. Runs nothing."""
    from flows.chain.counted_votes import count_new_votes
    from flows.chain.dvc_stages import find_changed_stages
    from flows.chain.environment import make_project_environment
    from flows.chain.outside_files import watch_generators
    from flows.chain.own_meshes import watch_own_meshes
    from flows.chain.run import describe_changes, describe_results, read_results
    from flows.chain.stopped import locate_page
    from flows.chain.workspace import open_workspace
    from verdict3d.project import find_project

    workspace = open_workspace(find_project(), preset)
    watch_own_meshes(workspace)
    watch_generators(workspace)
    changed = find_changed_stages(workspace.root, make_project_environment(workspace.project))
    if as_json:
        print_json({"changed": changed, **read_results(workspace)})
        return
    typer.echo(describe_changes(workspace, changed))
    if locate_page(workspace).is_file():
        typer.echo(f"the last run stopped; what there is, on a page: {locate_page(workspace)}")
    if new := count_new_votes(workspace):
        typer.echo(f"{new} new answers of people: a run counts them")
    typer.echo(f"\n{describe_results(workspace)}")


def report(
    preset: Preset = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print where the report page of the last run is; of one that stopped, the page of what there is."""
    from flows.chain.stopped import locate_page
    from flows.chain.workspace import open_workspace
    from verdict3d.project import find_project

    workspace = open_workspace(find_project(), preset)
    stopped = locate_page(workspace).is_file()
    page = locate_page(workspace) if stopped else workspace.report
    if not page.is_file():
        raise Verdict3DError(f"{page} is not there yet; `verdict3d run` makes it")
    if as_json:
        print_json({"report": str(page), "stopped": stopped})
    else:
        typer.echo(page)
    if open_page:
        typer.launch(page.as_uri())
