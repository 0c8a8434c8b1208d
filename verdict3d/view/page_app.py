"""What every page that is served has in common: hosts, headers, and how a failure is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.middleware.trustedhost import TrustedHostMiddleware

from verdict3d.errors import ItemFailure, Verdict3DError

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self' data: blob:; base-uri 'none'; form-action 'none'"
)
"""Nothing from elsewhere; model-viewer styles its own elements, and gets meshes as blobs."""
HEADERS = {
    "Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def make_page_app(
    title: str,
    hosts: Sequence[str],
    refused: int,
    turn_away: Callable[[Request], Response | None] = lambda request: None,
) -> FastAPI:
    """Return a web application without pages: one that answers the right hosts, with headers and failures.

    Args:
        title: Its name.
        hosts: Names under which the pages may be asked for; others get status 400.
        refused: Status of a :class:`Verdict3DError`; an ``ItemFailure`` has 404.
        turn_away: Returns the answer to a request that goes no further; None lets it pass.
    """
    app = FastAPI(title=title, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)

    @app.middleware("http")
    async def guard(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        response = turn_away(request) or await answer(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    @app.exception_handler(ItemFailure)
    async def tell_missing(request: Request, failure: ItemFailure) -> Response:
        return JSONResponse({"error": str(failure), "reason": failure.reason}, status_code=404)

    @app.exception_handler(Verdict3DError)
    async def tell_refused(request: Request, error: Verdict3DError) -> Response:
        return JSONResponse({"error": str(error)}, status_code=refused)

    return app
