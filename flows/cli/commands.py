"""What the pipeline adds to the command line of the library (:mod:`verdict3d.cli.pipeline`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from flows.chain import workspace as places
from flows.cli.audit import register_audit
from flows.cli.chain import register_chain
from flows.cli.diff import register_diff
from flows.cli.operations import register_operations
from flows.cli.promotion import register_promotion
from flows.cli.verdicts import register_verdicts
from flows.cli.vote import register_vote
from flows.cli.votes import register_votes

if TYPE_CHECKING:
    from verdict3d.products.doctor import Checks
    from verdict3d.products.pair_index import RunReader
    from verdict3d.project import Workspace


def register_commands(app: typer.Typer) -> None:
    """Add the pipeline's commands to the command line."""
    for register in (
        register_chain,
        register_audit,
        register_verdicts,
        register_vote,
        register_votes,
        register_promotion,
        register_diff,
        register_operations,
    ):
        register(app)


def open_workspace(project: Path, preset: str | None) -> Workspace:
    """Return the workspace of a preset, or the project itself."""
    return places.open_workspace(project, preset)


def list_checks(project: Path, shell: Mapping[str, str]) -> Checks:
    """Yield what ``doctor`` looks at beside what the library needs."""
    from flows.products import doctor

    return doctor.list_checks(project, shell)


def find_reader() -> RunReader:
    """Return what reads the pairs of a run."""
    from flows.products.run_pairs import READER

    return READER


def keep_pages(workspace: Workspace, bundle: Path, say: Callable[[str], None]) -> None:
    """Keep a bundle of pages with the recorded run: ``pairs`` among its artifacts."""
    from flows.chain.environment import make_project_environment
    from flows.chain.tracking_step import attach_to_run

    attach_to_run(workspace, make_project_environment(workspace.project), bundle, "pairs", say)
