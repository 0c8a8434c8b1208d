"""Commands about versions: ``promote``, ``rollback``, ``reproduce`` and ``export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from verdict3d.cli.options import VERSIONS, AsJson, Preset, choose_progress, print_json
from verdict3d.errors import Verdict3DError

STATUS = {"PROMOTE": 0, "HOLD": 3, "REJECT": 4}
"""Exit status of ``promote`` by what became of the candidate; 1 is an error, 2 wrong usage."""


def register_promotion(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    examples = 'Examples:  verdict3d promote   |   verdict3d promote --force --reason "demo"'
    app.command(rich_help_panel=VERSIONS, epilog=examples)(promote)
    app.command(rich_help_panel=VERSIONS, epilog="Example:  verdict3d rollback --reason 'chairs got worse'")(
        rollback
    )
    examples = "Examples:  verdict3d reproduce 3   |   verdict3d reproduce 3 --again gate --again report"
    app.command(rich_help_panel=VERSIONS, epilog=examples)(reproduce)
    examples = (
        "Examples:  verdict3d export encoder_repair hub/   |   "
        "verdict3d export encoder_repair hub/ --licence mit --base microsoft/TRELLIS-image-large --json"
    )
    app.command(rich_help_panel=VERSIONS, epilog=examples)(export)


def promote(
    preset: Preset = None,
    arm: Annotated[str | None, typer.Option(help="Candidate. Default: the gate's choice.")] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print the decision and its evidence; change nothing.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Move the champion whatever the gate says; the record shows it.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Reason for --force, kept with the version.")] = "",
    as_json: AsJson = False,
) -> None:
    """Compare with the current champion, decide, and move the champion when the gate says PROMOTE.

    Status 0: promoted (or the candidate is the champion already). 3: HOLD. 4: REJECT. 1: an error.
    """
    from flows.chain.workspace import open_workspace
    from flows.promotion.promote import explain_decision, promote_candidate, read_decision
    from verdict3d.project import find_project

    if force != bool(reason.strip()):
        raise Verdict3DError("--force and --reason belong together: say why the gate is overruled")
    workspace = open_workspace(find_project(), preset)
    if explain:
        if as_json:
            print_json(read_decision(workspace, arm or ""))
        else:
            typer.echo(explain_decision(workspace, arm or ""))
        return
    done = promote_candidate(
        workspace, arm or "", reason.strip(), choose_progress(as_json), to_stderr=as_json
    )
    if as_json:
        print_json(done)
    if not done["moved"]:
        raise typer.Exit(STATUS[done["decision"]])


def rollback(
    preset: Preset = None,
    to: Annotated[
        str, typer.Option(help="Version to go back to, or `base`. Default: the previous champion.")
    ] = "",
    reason: Annotated[str, typer.Option(help="Reason, kept with the version.")] = "",
    as_json: AsJson = False,
) -> None:
    """Restore the previous champion."""
    from flows.chain.workspace import open_workspace
    from flows.promotion.promote import roll_back
    from verdict3d.project import find_project

    done = roll_back(open_workspace(find_project(), preset), to, reason, choose_progress(as_json))
    if as_json:
        print_json(done)


def reproduce(
    reference: Annotated[str, typer.Argument(help="Version of the model, or id of an MLflow run.")],
    preset: Preset = None,
    into: Annotated[
        Path | None, typer.Option(help="Folder to make. Default: below .verdict3d/reproduce.")
    ] = None,
    again: Annotated[
        list[str] | None,
        typer.Option(help="Stage to run although the cache holds its outputs; `all` runs every one."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a recorded run once more from its own code, data and parameters, and compare all digests."""
    from flows.chain.workspace import open_workspace
    from flows.promotion.reproduce import reproduce_run
    from verdict3d.project import find_project

    workspace = open_workspace(find_project(), preset)
    say = choose_progress(as_json)
    matches = reproduce_run(workspace, reference, into, again or (), say)
    differing = [match.stage for match in matches if match.differing]
    if as_json:
        print_json({"same": not differing, "stages": [vars(match) for match in matches]})
    if differing:
        raise Verdict3DError(f"not reproduced: {', '.join(differing)}")
    say("reproduced: all digests are the same")


def export(
    arm: Annotated[str, typer.Argument(help="Trained arm that is LoRA.")],
    folder: Annotated[Path, typer.Argument(help="Folder to make.")],
    preset: Preset = None,
    licence: Annotated[
        str | None,
        typer.Option(
            help="Licence of the weights, as the hub calls it, such as mit. Default: apache-2.0 for an arm "
            "that was trained here; the set of somebody else needs its own."
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(help="Id of the base on the hub. Default: what params.yaml names, if it is such an id."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write an arm as a LoRA set for the hub: PEFT's two files, and a card with what was measured of it."""
    from flows.chain.workspace import open_workspace
    from flows.products.hub import export_arm
    from verdict3d.project import find_project

    workspace = open_workspace(find_project(), preset)
    done = export_arm(workspace.root, arm, folder, licence, base, workspace.option)
    if as_json:
        print_json(done)
        return
    for name in done["files"]:
        typer.echo(folder / name)
    for note in done["notes"]:
        typer.echo(f"note: {note}", err=True)
