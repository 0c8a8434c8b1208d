"""Tells a webhook about decisions and failures of scheduled runs.

The address comes from an environment variable, because such addresses are secrets. The body is one JSON
object whose ``text`` chat services show, with the facts beside it.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from flows.chain.asking import ask_within

TRIES = 3
PAUSE_S = 2.0
TIMEOUT_S = 10.0


def notify(
    event: str, text: str, facts: Mapping[str, Any], *, variable: str, say: Callable[[str], None]
) -> bool:
    """Post a message to the webhook, when there is one; a webhook that does not answer is no failure.

    Args:
        event: What happened: ``retrained``, ``decision`` or ``failure``.
        text: One sentence for people.
        facts: JSON values beside it.
        variable: Environment variable that holds the address; nothing is sent when it is unset or empty.
        say: Hears when nothing could be sent. The address itself is never shown.

    Returns:
        Whether the webhook took the message.
    """
    address = os.environ.get(variable)
    if not address:
        return False
    body = json.dumps({**facts, "event": event, "text": text}, sort_keys=True).encode()
    problem: str | None = None
    for attempt in range(TRIES):
        time.sleep(PAUSE_S * attempt)
        problem = _post(address, body)
        if problem is None:
            return True
    say(f"could not reach the webhook in {variable} ({problem}): {text}")
    return False


def _post(address: str, body: bytes) -> str | None:
    """Post once; return what went wrong. A redirect is not followed: only this address gets the message."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # below that it logs addresses
    headers = {"Content-Type": "application/json; charset=utf-8"}
    try:
        status, _ = ask_within(TIMEOUT_S, "POST", address, content=body, headers=headers)
        return None if 200 <= status < 300 else f"it answered {status}"
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        return type(error).__name__
