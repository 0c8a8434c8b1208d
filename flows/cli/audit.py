"""The command ``audit``: may the judges be believed?"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer


class Fault(StrEnum):
    """Bad judges on purpose."""

    always_first = "always-first"
    reference_blind = "reference-blind"
    coin_flip = "coin-flip"


class Role(StrEnum):
    """Which configured judge is meant."""

    training = "training"
    evaluation = "evaluation"
    third = "third"


def register_audit(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(epilog="Examples:  verdict3d audit   |   verdict3d audit --planted coin-flip")(audit)


def audit(
    preset: Annotated[str | None, typer.Option(help="Audit in the place of this preset.")] = None,
    planted: Annotated[
        Fault | None, typer.Option(help="A drill: put this bad judge in the place; its audit must fail.")
    ] = None,
    role: Annotated[Role, typer.Option(help="In whose place the bad judge stands.")] = Role.evaluation,
    as_json: Annotated[bool, typer.Option("--json", help="Print the certificates as JSON.")] = False,
) -> None:
    """Bring the judges' certificates up to date and show them; status 1 when one has failed."""
    from flows.chain.workspace import find_project, open_workspace
    from flows.products.audit import audit_judges, drill
    from verdict3d.judge.audit.controls import describe

    workspace = open_workspace(find_project(), preset)
    if planted is None:
        certificates = audit_judges(workspace, lambda line: typer.echo(line, err=as_json))
    else:
        certificates = [drill(workspace, role.value, planted.value.replace("-", "_"))]
    if as_json:
        typer.echo(json.dumps(certificates, indent=2))
    else:
        for certificate in certificates:
            typer.echo("\n".join(describe(certificate)))
    if not all(certificate["passed"] for certificate in certificates):
        raise typer.Exit(1)
