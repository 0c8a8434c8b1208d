"""HTTP with one server: whole replies within a time and a size, and a key that shows up nowhere.

The one client for servers of models. What may pass (busy, overloaded, cut off, silent, too slow) is a
:class:`PassingError`; callers decide what else a reply means. The key comes from an environment variable,
goes to the named server only (redirects are not followed) and is in no message.
"""

from __future__ import annotations

import io
import ipaddress
import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import IO
from urllib.parse import urlsplit

import anyio
import httpx

from verdict3d.errors import Verdict3DError

_PASSING = frozenset({408, 409, 425, 429})  # and every 5xx
_CONNECT_S = 10.0
_LONGEST_PAUSE_S = 120.0
_SHOWN_CHARACTERS = 300


class PassingError(Exception):
    """A failure that may pass; ``wait_s`` is what the server asks for."""

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


@dataclass(frozen=True)
class Reply:
    """A whole reply; the content is empty where it went into a file."""

    status: int
    headers: httpx.Headers
    content: bytes


class Server:
    """One server.

    Args:
        url: Address, without name, password or query.
        key_variable: Environment variable that holds the key; None: there is none.
        what: What people call it, such as ``the judge's endpoint``.
        section: Where ``url`` and ``key_variable`` stand in the parameters, such as ``endpoint``.
        connections: Most connections at a time.

    Raises:
        Verdict3DError: The address is none, the key's variable is empty or unusable, or the key would travel
            unencrypted.
    """

    def __init__(self, url: str, key_variable: str | None, what: str, section: str, connections: int) -> None:
        self.url = url
        self.what = f"{what} {url}"
        self._connections = connections
        self._key = _read_key(url, key_variable, what, section)
        self._local = _is_loopback(url)
        try:
            httpx.URL(url, port=urlsplit(url).port)
        except (httpx.InvalidURL, ValueError) as error:
            raise Verdict3DError(f"{section}.url {url!r} is no address: {error}") from error
        if self._key and not self._local and urlsplit(url).scheme != "https":
            raise Verdict3DError(
                f"{self.what} would be sent the key in {key_variable} unencrypted; use an https address, or "
                f"set {section}.key_variable to null"
            )

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[httpx.AsyncClient]:
        """Yield connections to the server, for :meth:`exchange`; this machine is reached without a proxy.

        Raises:
            Verdict3DError: The environment asks for a proxy or certificates that cannot be used.
        """
        try:
            connections = httpx.AsyncClient(
                headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
                timeout=httpx.Timeout(None, connect=_CONNECT_S),  # the whole exchange has a limit
                limits=httpx.Limits(max_connections=self._connections),
                follow_redirects=False,
                trust_env=not self._local,
            )
        except (OSError, ImportError, ValueError) as error:
            raise Verdict3DError(
                f"no connection to {self.what} can be made with this environment "
                f"({type(error).__name__}: {error}); check HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE"
            ) from error
        async with connections:
            yield connections

    async def exchange(
        self,
        connections: httpx.AsyncClient,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        limit_s: float,
        most_bytes: int,
        into: IO[bytes] | None = None,
    ) -> Reply:
        """Send one request and receive the reply; the time limit is for all of it, however it trickles.

        Args:
            connections: From :meth:`connected`.
            method: ``GET`` or ``POST``.
            path: Behind the address, with its slash.
            body: JSON.
            limit_s: Longest time.
            most_bytes: Largest reply.
            into: Gets the content of a reply with status 200.

        Raises:
            PassingError: It took longer, was larger, or the connection broke.
        """
        address = f"{self.url.rstrip('/')}{path}"
        headers = {} if body is None else {"Content-Type": "application/json"}
        kept, received = io.BytesIO(), 0
        try:
            with anyio.fail_after(limit_s):
                async with connections.stream(method, address, content=body, headers=headers) as response:
                    sink = into if into is not None and response.status_code == 200 else kept
                    async for chunk in response.aiter_bytes():
                        received += len(chunk)
                        if received > most_bytes:
                            raise PassingError(f"the reply is larger than {most_bytes} bytes")
                        sink.write(chunk)
        except TimeoutError as error:
            raise PassingError(f"the reply took longer than {limit_s:g} s") from error
        except httpx.RequestError as error:
            raise PassingError(f"{type(error).__name__}: {error}") from error
        return Reply(response.status_code, response.headers, kept.getvalue())

    def refuse_passing(self, reply: Reply) -> None:
        """Raise what a busy or overloaded server says.

        Raises:
            PassingError: The status is one that may pass.
        """
        if reply.status in _PASSING or reply.status >= 500:
            text = f"HTTP {reply.status}: {self.show(reply.content)}"
            raise PassingError(text, _retry_after_s(reply.headers))

    def hide(self, message: str) -> str:
        """Return a message without the key."""
        return message.replace(self._key, "<key>") if self._key else message

    def show(self, received: bytes) -> str:
        """Return the start of a reply on one line, without the key."""
        return self.hide(" ".join(received.decode(errors="replace").split()))[:_SHOWN_CHARACTERS]


def draw_pause_s(pause_s: float, attempt: int, asked_s: float = 0.0) -> float:
    """Return how long to wait before an attempt: doubling, spread so that requests do not come back together.

    Args:
        pause_s: Before the second attempt.
        attempt: Number of the attempt, the second is 1.
        asked_s: What the server asks for.
    """
    growing_s: float = pause_s * 2 ** (attempt - 1) * random.uniform(0.5, 1.0)
    return min(max(asked_s, growing_s), _LONGEST_PAUSE_S)


def _read_key(url: str, key_variable: str | None, what: str, section: str) -> str | None:
    if key_variable is None:
        return None
    key = os.environ.get(key_variable, "").strip()
    if not key:
        raise Verdict3DError(
            f"the environment variable {key_variable} with the key of {what} {url} is not set; set it, or "
            f"set {section}.key_variable to null if the server needs none"
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise Verdict3DError(
            f"the environment variable {key_variable} holds no key: it has spaces, line ends or characters "
            "outside ASCII; set it to the key alone"
        )
    return key


def _is_loopback(url: str) -> bool:
    """Return whether an address is this machine's own."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _retry_after_s(headers: httpx.Headers) -> float:
    """Return the seconds that a Retry-After header asks for, as a number or a date; 0 without one."""
    asked = headers.get("Retry-After", "")
    try:
        return max(0.0, float(asked))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0
