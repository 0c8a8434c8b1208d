"""Commands about recorded verdicts: ``verdict3d verdicts list``, ``export`` and ``explain``."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from flows.products.verdict_book import Book
    from verdict3d.config import Params


class Outcome(StrEnum):
    """Class of a verdict, seen from X."""

    win = "win"
    loss = "loss"
    tie = "tie"
    invalid = "invalid"


Preset = Annotated[str | None, typer.Option(help="Verdicts of this preset's runs.")]
JudgeFilter = Annotated[str | None, typer.Option(help="Part of the judge's model name, or of its digest.")]
OutcomeFilter = Annotated[Outcome | None, typer.Option(help="Seen from X.")]
AssetFilter = Annotated[str | None, typer.Option(help="Only verdicts about meshes of this asset.")]
Json = Annotated[bool, typer.Option("--json", help="Print as JSON lines.")]

verdicts = typer.Typer(
    help="Look into the verdicts on record.",
    no_args_is_help=True,
    epilog="Example:  verdict3d verdicts list --outcome tie",
)


def register_verdicts(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(verdicts, name="verdicts")


@verdicts.command("list", epilog="Example:  verdict3d verdicts list --judge judge-eval --outcome win")
def list_verdicts(
    judge: JudgeFilter = None,
    outcome: OutcomeFilter = None,
    asset: AssetFilter = None,
    limit: Annotated[int, typer.Option(min=0, help="Most lines; the latest are shown. 0: all.")] = 20,
    as_json: Json = False,
    preset: Preset = None,
) -> None:
    """Show verdicts, the latest last."""
    from flows.products.verdict_book import describe_row

    book, _ = _open(preset)
    rows = book.chosen(judge, outcome, asset)
    for row in rows[-limit:] if limit else rows:
        typer.echo(json.dumps(row, sort_keys=True) if as_json else describe_row(row))
    if not as_json:
        typer.echo(f"{len(rows)} of {len(book.rows)} verdicts")


@verdicts.command(epilog="Example:  verdict3d verdicts export verdicts.csv --outcome tie")
def export(
    output: Annotated[Path, typer.Argument(help="Table to write: .csv or .jsonl.")],
    judge: JudgeFilter = None,
    outcome: OutcomeFilter = None,
    asset: AssetFilter = None,
    preset: Preset = None,
) -> None:
    """Write verdicts as a table, one row each."""
    from flows.products.verdict_book import export_rows

    rows = _open(preset)[0].chosen(judge, outcome, asset)
    export_rows(rows, output)
    typer.echo(f"{output}: {len(rows)} verdicts")


@verdicts.command(epilog="Example:  verdict3d verdicts explain 3f2a91 -o verdict.png")
def explain(
    key: Annotated[str, typer.Argument(help="Beginning of the verdict's key, as `list` shows it.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="PNG: what the judge was shown, X first.")
    ] = None,
    as_json: Json = False,
    preset: Preset = None,
) -> None:
    """Show one verdict: what was asked, both margins, the decision, and the pictures."""
    from flows.products.verdict_book import explain_row, question
    from verdict3d.records.files import replacing

    book, params = _open(preset)
    row = book.one(key)
    if as_json:
        typer.echo(json.dumps({**row, "question": question(row, params.judges, book.root)}, sort_keys=True))
    else:
        typer.echo(explain_row(row, params.judges, book.root))
    if output is not None:
        picture = book.picture(row)
        with replacing(output.with_suffix(".png")) as temporary:
            picture.save(temporary)
        typer.echo(output.with_suffix(".png"), err=as_json)


def _open(preset: str | None) -> tuple[Book, Params]:
    from flows.chain.workspace import find_project, open_workspace
    from flows.products.verdict_book import open_book
    from verdict3d.config import load_params

    workspace = open_workspace(find_project(), preset)
    return open_book(workspace.root), load_params(workspace.root / "params.yaml")
