"""Tells a webhook about decisions and failures of scheduled runs.

The address comes from an environment variable, because such addresses are secrets. The body is one JSON
object whose ``text`` chat services show, with the facts beside it.
"""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

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
    problem = ""
    for attempt in range(TRIES):
        time.sleep(PAUSE_S * attempt)
        try:
            request = urllib.request.Request(
                address, body, {"Content-Type": "application/json; charset=utf-8"}, method="POST"
            )
            with urllib.request.urlopen(request, timeout=TIMEOUT_S):
                return True
        except urllib.error.HTTPError as error:
            problem = f"it answered {error.code}"
            error.close()
        except (OSError, ValueError) as error:  # ValueError: no address at all
            problem = type(error).__name__
    say(f"the webhook of {variable} could not be told ({problem}): {text}")
    return False
