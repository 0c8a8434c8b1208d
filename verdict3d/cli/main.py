"""The command line ``verdict3d``. Thin: every command imports what it needs when it is called."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Annotated

import typer

from verdict3d.cli.compare import register_compare
from verdict3d.cli.doctor import register_doctor
from verdict3d.cli.generate import register_generate
from verdict3d.cli.options import refuse_empty
from verdict3d.cli.pipeline import add_commands
from verdict3d.cli.single import register_single
from verdict3d.cli.view import register_view
from verdict3d.errors import Verdict3DError, one_message
from verdict3d.processes.environment import TELEMETRY_OFF, exempt_loopback, place_caches, protect_state
from verdict3d.project import find_project

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        import verdict3d

        typer.echo(f"verdict3d {verdict3d.__version__}")
        raise typer.Exit


@app.callback()
def verdict3d(
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", is_eager=True, callback=_print_version, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Judge single-image-to-3D generators without order bias, and adapt them with the judge."""


for register in (
    register_single,
    register_generate,
    register_compare,
    register_view,
    register_doctor,
):
    register(app)
add_commands(app)


def main() -> None:
    """Entry point of the console script: a problem is one message and status 1."""
    shell = dict(os.environ)  # as the user has it: `doctor` looks at that
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files that the terminal cannot show
    with contextlib.suppress(Verdict3DError, OSError):  # a command that needs the project says what it lacks
        project = find_project()
        os.environ.update(place_caches(project) | shell)
        protect_state(project)
    os.environ.update(TELEMETRY_OFF | exempt_loopback(shell))
    try:
        with one_message():
            refuse_empty(sys.argv[1:])
            app(obj=shell)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
