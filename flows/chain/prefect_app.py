"""Prefect's server on a socket that is handed down: ``python -m flows.chain.prefect_app DESCRIPTOR``.

Prefect's own ``server start`` answers whatever host a request names. A page on the web whose name has been
pointed at loopback would therefore be of the server's own origin; this one answers to names of loopback only.
"""

from __future__ import annotations

import socket
import sys

import uvicorn
from prefect.server.api.server import create_app
from starlette.middleware.trustedhost import TrustedHostMiddleware

from verdict3d.processes.environment import LOOPBACK


def main(descriptor: int) -> None:
    """Serve on the socket behind ``descriptor`` until a signal."""
    # around the application, not in it: Prefect's services ask it too, under a name of their own
    app = TrustedHostMiddleware(create_app(final=True), allowed_hosts=LOOPBACK)
    with socket.socket(fileno=descriptor) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on"))
        server.run(sockets=[listener])
    sys.exit(0 if server.started else 3)


if __name__ == "__main__":
    main(int(sys.argv[1]))
