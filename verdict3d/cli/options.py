"""What several commands share: options, panels of the help, and JSON on standard output."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, Literal

import typer

from verdict3d.errors import Verdict3DError

CHAIN = "The chain"
SINGLE = "Single files"
JUDGES = "Judges and verdicts"
VERSIONS = "Versions"
SERVERS = "Pages and servers"
MACHINE = "This machine"

Up = Literal["auto", "x", "y", "z"]
UpAxis = Annotated[
    Up,
    typer.Option(
        "--up", help="Axis of the files that points up. auto: y in glTF, guessed elsewhere with a note."
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(help="Merge presets/NAME.yaml over params.yaml; results go to a workspace of their own."),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON document; progress goes to standard error.")
]


def choose_progress(as_json: bool) -> Callable[[str], None]:
    """Return what prints a line for people: to standard error when standard output is for JSON."""
    return partial(typer.echo, err=as_json)


def print_json(document: Any) -> None:
    """Print the JSON document that a command answers with."""
    typer.echo(json.dumps(document, indent=2, sort_keys=True))


def refuse_empty(arguments: Sequence[str]) -> None:
    """Refuse a command line with an empty text: a variable that is not set, which would mean a default.

    Raises:
        Verdict3DError: Some option or argument is empty; the message names it.
    """
    for number, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        is_option = name.startswith("--") and equals
        if (value if is_option else argument).strip():
            continue
        before = arguments[number - 1] if number else ""
        what = name if is_option else before if before.startswith("-") else f"argument {number + 1}"
        raise Verdict3DError(f"{what} is an empty text; give a value, or leave it out")
