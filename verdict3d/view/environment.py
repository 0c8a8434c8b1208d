"""How pages are made of templates: everything is escaped, and numbers are written one way."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from verdict3d.view import words


def page_environment() -> Environment:
    """Return the environment of all pages' templates."""
    environment = Environment(
        loader=PackageLoader("verdict3d.view", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        number=words.number, signed=words.signed, percent=words.percent, words=words.title
    )
    environment.globals.update(interval=words.interval, outcome=words.outcome, ties=words.ties)
    return environment
