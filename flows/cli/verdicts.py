"""Commands about recorded verdicts: ``verdict3d verdicts list``, ``export`` and ``explain``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verdict3d.cli.options import JUDGES, Preset
from verdict3d.records.names import Outcome

if TYPE_CHECKING:
    from flows.products.verdict_book import Book
    from verdict3d.config import Params


JudgeFilter = Annotated[
    str | None, typer.Option(help="Part of the judge's model name, or start of its digest.")
]
OutcomeFilter = Annotated[Outcome | None, typer.Option(help="Outcome, as seen from X.")]
AssetFilter = Annotated[str | None, typer.Option(help="Asset whose meshes were compared.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one verdict a line.")]

verdicts = typer.Typer(
    help="List, export and explain the recorded verdicts.",
    no_args_is_help=True,
    epilog="Example:  verdict3d verdicts list --outcome flip",
)


def register_verdicts(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(verdicts, name="verdicts", rich_help_panel=JUDGES)


@verdicts.command("list", epilog="Example:  verdict3d verdicts list --judge judge-eval --outcome win")
def list_verdicts(
    judge: JudgeFilter = None,
    outcome: OutcomeFilter = None,
    asset: AssetFilter = None,
    limit: Annotated[int, typer.Option(min=0, help="Number of latest verdicts to show; 0 shows all.")] = 20,
    as_json: Json = False,
    preset: Preset = None,
) -> None:
    """Show verdicts, the latest last."""
    from flows.chain.results import format_text
    from flows.products.verdict_book import HEADINGS, format_row

    book, _ = _open(preset)
    rows = book.select(judge, outcome, asset)
    shown = rows[-limit:] if limit else rows
    if as_json:
        for row in shown:
            typer.echo(json.dumps(row, sort_keys=True))
        return
    typer.echo(format_text(HEADINGS, [format_row(row) for row in shown]))
    typer.echo(f"{len(rows)} of {len(book.rows)} verdicts")


@verdicts.command(epilog="Example:  verdict3d verdicts export verdicts.csv --outcome flip")
def export(
    output: Annotated[Path, typer.Argument(help="Table to write (.csv or .jsonl).")],
    judge: JudgeFilter = None,
    outcome: OutcomeFilter = None,
    asset: AssetFilter = None,
    preset: Preset = None,
) -> None:
    """Write verdicts as a table, one row each."""
    from flows.products.verdict_book import export_rows

    rows = _open(preset)[0].select(judge, outcome, asset)
    export_rows(rows, output)
    typer.echo(f"{output}: {len(rows)} verdicts")


@verdicts.command(epilog="Example:  verdict3d verdicts explain 3f2a91 -o verdict.png")
def explain(
    key: Annotated[str, typer.Argument(help="Key of the verdict, or its beginning, as `list` shows it.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="PNG file for what the judge was shown, X first.")
    ] = None,
    as_json: Json = False,
    preset: Preset = None,
) -> None:
    """Show one verdict: what was asked, both margins, the decision, and the pictures."""
    from flows.products.verdict_book import explain_row, find_question
    from verdict3d.records.files import replacing

    book, params = _open(preset)
    row = book.find(key)
    if as_json:
        typer.echo(
            json.dumps({**row, "question": find_question(row, params.judges, book.root)}, sort_keys=True)
        )
    else:
        typer.echo(explain_row(row, params.judges, book.root))
    if output is not None:
        picture = book.draw(row)
        with replacing(output.with_suffix(".png")) as temporary:
            picture.save(temporary)
        typer.echo(output.with_suffix(".png"), err=as_json)


def _open(preset: str | None) -> tuple[Book, Params]:
    from flows.chain.workspace import open_workspace
    from flows.products.verdict_book import open_book
    from verdict3d.config import load_params
    from verdict3d.project import find_project

    workspace = open_workspace(find_project(), preset)
    params = load_params(workspace.root / "params.yaml")
    return open_book(workspace.root, params.judges), params
