"""How pages are made of templates: everything is escaped, and numbers are written one way."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from verdict3d.view import words
from verdict3d.view.audit import say_failed


def make_environment() -> Environment:
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
        number=words.say_number,
        signed=words.say_signed,
        percent=words.say_percent,
        words=words.say_title,
        reason=say_failed,
    )
    environment.globals.update(
        interval=words.say_interval, outcome=words.say_outcome, ties=words.say_ties, count=words.say_count
    )
    return environment
