"""Runs somebody's function in a process: ``python -m verdict3d.generators.host DESCRIPTOR FOLDER FUNCTION``.

It imports the function once, from FOLDER first, says so through the socket of that descriptor, and answers
one line of JSON with another: ``{"photo", "seed", "output"}`` with ``{"error": words or null}``. It ends when
the socket closes.
"""

from __future__ import annotations

import importlib
import json
import socket
import sys
import traceback
from pathlib import Path

_LINES = 3


def main(descriptor: str, folder: str, name: str) -> None:
    """Serve until the socket closes."""
    channel = socket.socket(fileno=int(descriptor))
    with channel, channel.makefile("rw", encoding="utf-8") as stream:

        def say(error: str | None) -> None:
            stream.write(json.dumps({"error": error}) + "\n")
            stream.flush()

        module, _, function = name.partition(":")
        sys.path.insert(0, folder)
        try:
            make = getattr(importlib.import_module(module), function)
        except Exception:
            say(_last_lines())
            return
        say(None)
        for line in stream:
            asked = json.loads(line)
            try:
                make(Path(asked["photo"]), asked["seed"], Path(asked["output"]))
                say(None)
            except Exception:
                say(_last_lines())


def _last_lines() -> str:
    return " | ".join(line.strip() for line in traceback.format_exc().strip().splitlines()[-_LINES:])


if __name__ == "__main__":
    main(*sys.argv[1:])
