"""The commands ``render`` and ``judge``: single files through the parts of the chain."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from verdict3d.cli.options import JUDGES, SINGLE, AsJson, UpAxis, print_json
from verdict3d.config_judges import JudgeRole, Mode

View = Literal["condition", "montage", "rig"]
DrawMode = Literal[Mode, "splat"]


def register_single(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    drawing = "Example:  verdict3d render mesh.glb -o montage.png --view montage --mode clay"
    app.command(rich_help_panel=SINGLE, epilog=drawing)(render)
    judging = "Example:  verdict3d judge --reference photo.png a.glb b.glb --json"
    app.command(rich_help_panel=JUDGES, epilog=judging)(judge)


def render(
    mesh: Annotated[Path, typer.Argument(help="Mesh to draw: GLB, glTF, OBJ, PLY or STL.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="PNG file to write.")],
    view: Annotated[
        View, typer.Option(help="What to draw: one view, the judge's 2x2 montage, or all 24 views.")
    ] = "montage",
    mode: Annotated[DrawMode, typer.Option(help="How to draw the surface.")] = "normal",
    size_px: Annotated[int, typer.Option(min=8, max=4096, help="Side of one view, in pixels.")] = 224,
    yaw_deg: Annotated[
        float, typer.Option(help="Yaw of the condition view, in degrees; 0 sees the front.")
    ] = 30.0,
    elevation_deg: Annotated[
        float, typer.Option(min=-89, max=89, help="Elevation of the condition view, in degrees.")
    ] = 20.0,
    up: UpAxis = "auto",
) -> None:
    """Draw a mesh."""
    from verdict3d.products.drawing import render_file

    notes = render_file(
        mesh,
        output,
        view=view,
        mode=mode,
        size_px=size_px,
        yaw_deg=yaw_deg,
        elevation_deg=elevation_deg,
        up=up,
    )
    typer.echo(output)
    say_notes(notes)


def judge(
    x: Annotated[Path, typer.Argument(help="One mesh.")],
    y: Annotated[Path, typer.Argument(help="The other mesh.")],
    reference: Annotated[Path, typer.Option(help="Picture of the object that both meshes show.")],
    by: Annotated[JudgeRole, typer.Option(help="Judge of params.yaml that answers.")] = "evaluation",
    up: UpAxis = "auto",
    as_json: AsJson = False,
) -> None:
    """Ask in both orders which of two meshes is better, and print the margins."""
    from verdict3d.asking.certificates import list_doubts
    from verdict3d.cli.judged_files import describe_verdict, judge_files
    from verdict3d.interface.judge import Judge
    from verdict3d.project import find_project

    project = find_project()
    row = judge_files(reference, x, y, lambda: Judge.load(role=by, project=project), up)
    if as_json:
        print_json(row)
    else:
        typer.echo(describe_verdict(row))
    say_notes(row["notes"])
    for doubt in list_doubts(project, by, row["judge_digest"]):
        typer.echo(f"note: the {by} judge {doubt}; it was shown {row['panel']}", err=True)
    if row["outcome"] == "invalid":
        raise typer.Exit(1)


def say_notes(notes: Sequence[str]) -> None:
    """Say what was changed or guessed while meshes were read, beside the answer."""
    for note in notes:
        typer.echo(f"note: {note}", err=True)
