"""The command line ``verdict3d``. Thin: every command imports what it needs when it is called."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Annotated

import typer

from flows.cli.audit import register_audit
from flows.cli.chain import register_chain
from flows.cli.diff import register_diff
from flows.cli.operations import register_operations
from flows.cli.promotion import register_promotion
from flows.cli.verdicts import register_verdicts
from flows.cli.view import register_view
from flows.cli.vote import register_vote
from flows.cli.votes import register_votes
from verdict3d.cli.compare import register_compare
from verdict3d.cli.generate import register_generate
from verdict3d.cli.single import register_single
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
        from importlib.metadata import version

        typer.echo(f"verdict3d {version('verdict3d')}")
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
    register_chain,
    register_single,
    register_generate,
    register_compare,
    register_audit,
    register_verdicts,
    register_view,
    register_vote,
    register_votes,
    register_promotion,
    register_diff,
    register_operations,
):
    register(app)


def main() -> None:
    """Entry point of the console script: a problem is one message and status 1."""
    shell = dict(os.environ)  # as the user has it: `doctor` looks at that
    with contextlib.suppress(Verdict3DError, OSError):  # a command that needs the project says what it lacks
        project = find_project()
        os.environ.update(place_caches(project) | shell)
        protect_state(project)
    os.environ.update(TELEMETRY_OFF | exempt_loopback(shell))
    try:
        with one_message():
            app(obj=shell)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
