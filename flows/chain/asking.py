"""One HTTP request to a server of somebody's: a limit holds for all of the answer, however it trickles."""

from __future__ import annotations

from typing import Any

import anyio
import httpx
from anyio.from_thread import start_blocking_portal


def ask_within(
    limit_s: float,
    method: str,
    url: str,
    *,
    trust_env: bool = True,
    verify: bool = True,
    most_bytes: int = 0,
    **sent: Any,
) -> tuple[int, bytes]:
    """Return the status of an answer and the start of its content; redirects are not followed.

    Args:
        limit_s: Longest time; httpx's own limits are for each piece of an answer.
        method: Of the request.
        url: What is asked.
        trust_env: Whether the environment's proxies are used.
        verify: Whether certificates are read.
        most_bytes: What is read of the content at least, if there is so much.
        **sent: What httpx sends: ``content``, ``headers``, ``params``.

    Raises:
        OSError: It took longer, or there is no connection with this environment.
        httpx.HTTPError: It is no HTTP.
        httpx.InvalidURL: The address is none.
        ValueError: The same.
    """

    async def ask() -> tuple[int, bytes]:
        client = httpx.AsyncClient(timeout=None, trust_env=trust_env, verify=verify)
        with anyio.fail_after(limit_s):
            async with client, client.stream(method, url, **sent) as answer:
                content = b""
                if most_bytes:
                    async for piece in answer.aiter_bytes():
                        content += piece
                        if len(content) >= most_bytes:
                            break
                return answer.status_code, content

    try:
        with start_blocking_portal() as portal:  # its own event loop, also below a caller's
            return portal.call(ask)
    except ImportError as error:  # of what a proxy of the environment needs
        raise OSError(str(error)) from error
