"""What the pipeline of a checkout adds to the commands of the library.

A wheel holds the library alone. In a checkout whose environment has the pipeline's packages, the folder
``flows`` stands beside ``verdict3d`` and adds its commands; elsewhere these commands say what they need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import typer

from verdict3d.errors import Verdict3DError
from verdict3d.project import Workspace, find_checkout

if TYPE_CHECKING:
    from verdict3d.products.doctor import Checks
    from verdict3d.products.pair_index import RunReader

COMMANDS = {
    "run": "Bring the whole chain up to date and show the win-rates.",
    "status": "List the stages that would run, and why.",
    "report": "Say where the report is.",
    "audit": "Try the judges on the objects and show their certificates.",
    "preflight": "Say whether there is anything to learn.",
    "verdicts": "List, export and explain the recorded verdicts.",
    "vote": "Serve a page on which people say which of two meshes is better.",
    "votes": "Take over, write out and report what people answered.",
    "promote": "Ask the gate, and move the champion if it agrees.",
    "rollback": "Restore the previous champion.",
    "reproduce": "Make a recorded run once more and compare all digests.",
    "export": "Write an arm as a LoRA set for the hub.",
    "diff": "Compare two runs.",
    "ui": "Show the recorded runs.",
    "serve": "Retrain on a schedule.",
    "services": "Run MLflow and Prefect on PostgreSQL.",
    "sync": "Send the runs that MLflow did not take.",
}
"""The pipeline's commands, with what they do."""
_PACKAGE = "prefect"
"""A package that only the pipeline needs; where it is, the others of the lock are."""


class Pipeline(Protocol):
    """The module :mod:`flows.cli.commands` of a checkout."""

    def register_commands(self, app: typer.Typer) -> None:
        """Add the pipeline's commands to the command line."""
        ...

    def open_workspace(self, project: Path, preset: str | None) -> Workspace:
        """Return the workspace of a preset, or the project itself."""
        ...

    def list_checks(self, project: Path, shell: Mapping[str, str]) -> Checks:
        """Yield what ``doctor`` looks at beside the machine and the models."""
        ...

    def keep_pages(self, workspace: Workspace, bundle: Path, say: Callable[[str], None]) -> None:
        """Keep a bundle of pages with the recorded run."""
        ...

    def find_reader(self) -> RunReader:
        """What reads the pairs of a run."""
        ...


def find_pipeline() -> Pipeline | None:
    """Return the pipeline of the checkout that this package stands in; None where there is none."""
    if find_checkout() is None or find_spec(_PACKAGE) is None:
        return None
    return cast(Pipeline, import_module("flows.cli.commands"))


def require_pipeline(what: str) -> Pipeline:
    """Return the pipeline.

    Args:
        what: What needs it, for the message.

    Raises:
        Verdict3DError: There is none.
    """
    pipeline = find_pipeline()
    if pipeline is None:
        raise Verdict3DError(
            f"{what} needs the pipeline: a checkout of this project, and `make install` in it, which brings "
            "what requirements.lock lists"
        )
    return pipeline


def open_workspace(project: Path, preset: str | None) -> Workspace:
    """Return the workspace of a preset, or the project itself.

    Raises:
        Verdict3DError: A preset was named and there is no pipeline, or the pipeline refuses it.
    """
    if preset is None:
        return Workspace(project, project, None)
    return require_pipeline("--preset").open_workspace(project, preset)


def add_commands(app: typer.Typer) -> None:
    """Add the pipeline's commands, or in their places what says that they need it."""
    if pipeline := find_pipeline():
        pipeline.register_commands(app)
        return
    for name, what in COMMANDS.items():
        app.command(
            name,
            help=f"{what} Needs the pipeline.",
            rich_help_panel="In a checkout",
            context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
        )(_refusing(name))


def _refusing(name: str) -> Callable[[], None]:
    def refuse() -> None:
        require_pipeline(f"`verdict3d {name}`")

    return refuse
