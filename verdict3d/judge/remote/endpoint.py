"""A client for OpenAI-compatible chat servers (vLLM, SGLang, hosted ones): one question, one checked reply.

What may pass (busy, overloaded, cut off, silent, garbled) is tried again with growing pauses; what will not
pass (no access, unknown model, another model's answer, refusals without end) stops the run; what concerns one
question spoils that one. The key comes from an environment variable, goes to the configured server only
(redirects are not followed) and is in no message.
"""

from __future__ import annotations

import ipaddress
import json
import os
import random
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx

from verdict3d.config import EndpointParams
from verdict3d.errors import ItemFailure, Verdict3DError

_PASSING = frozenset({408, 409, 425, 429})  # and every 5xx
_NO_USE = frozenset({401, 402, 403, 404, 405, 410, 451})  # and every 3xx
_OTHERWISE = {"max_tokens": "max_completion_tokens", "temperature": ""}
"""Fields that some servers refuse, and the name they take instead; without one the field is left out."""
_LASTING_REFUSALS = 10
"""Refused questions in a row after which no answer is expected any more."""
_LARGEST_REPLY_BYTES = 4 << 20
_CONNECT_S = 10.0
_LONGEST_PAUSE_S = 120.0
_SHOWN_CHARACTERS = 300
_SAID_EVERY_S = 10.0

Reply = dict[str, Any]


class _Passing(Exception):
    """A failure that may pass; ``wait_s`` is what the server asks for."""

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class EndpointClient:
    """Asks one server, many questions at a time.

    Args:
        params: Where the server is and how it is treated.
        model: Name under which it serves the model.

    Raises:
        Verdict3DError: The key's variable is empty or unusable, or the key would travel unencrypted.
    """

    def __init__(self, params: EndpointParams, model: str) -> None:
        self._params = params
        self._model = model
        self._key = _key(params)
        self._names: dict[str, str] = {}
        self._refused_in_a_row = 0
        self._silent_until = 0.0
        self._local = _is_loopback(params.url)
        self._address = f"{params.url.rstrip('/')}/chat/completions"
        try:
            httpx.URL(self._address, port=urlsplit(params.url).port)
        except (httpx.InvalidURL, ValueError) as error:
            raise Verdict3DError(f"endpoint.url {params.url!r} is no address: {error}") from error
        if self._key and not self._local and urlsplit(params.url).scheme != "https":
            raise Verdict3DError(
                f"the judge's endpoint {params.url} would be sent the key in {params.key_variable} "
                "unencrypted; use an https address, or set endpoint.key_variable to null"
            )

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[httpx.AsyncClient]:
        """Yield connections to the server, for :meth:`complete`; this machine is reached without a proxy.

        Raises:
            Verdict3DError: The environment asks for a proxy or certificates that cannot be used.
        """
        try:
            connections = httpx.AsyncClient(
                headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
                timeout=httpx.Timeout(None, connect=_CONNECT_S),  # the whole exchange has a limit
                limits=httpx.Limits(max_connections=self._params.concurrency),
                follow_redirects=False,
                trust_env=not self._local,
            )
        except (OSError, ImportError, ValueError) as error:
            raise Verdict3DError(
                f"no connection to the judge's endpoint {self._params.url} can be made with this environment "
                f"({type(error).__name__}: {error}); check HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE"
            ) from error
        async with connections:
            yield connections

    async def complete(self, connections: httpx.AsyncClient, body: dict[str, Any]) -> Reply:
        """Ask one question.

        Args:
            connections: From :meth:`connected`.
            body: A chat completion, without the model.

        Returns:
            The server's reply: a JSON object with at least one choice.

        Raises:
            ItemFailure: ``endpoint_refused`` (this question cannot be answered) or ``endpoint_failed`` (no
                usable reply within the configured attempts).
            Verdict3DError: No question will be answered until something is put right.
        """
        problem = _Passing("not asked")
        for attempt in range(self._params.attempts):
            if attempt:
                pause_s = self._pause_s(attempt, problem.wait_s)
                self._say(f"{problem}; attempt {attempt + 1} of {self._params.attempts} in {pause_s:.1f} s")
                await anyio.sleep(pause_s)
            try:
                reply = await self._ask(connections, body)
            except _Passing as passing:
                problem = passing
            except httpx.RequestError as error:
                problem = _Passing(f"{type(error).__name__}: {error}")
            else:
                self._refused_in_a_row = 0
                return reply
        tried = f"no usable reply from {self._params.url} in {self._params.attempts} attempts"
        raise ItemFailure("endpoint_failed", self.hide(f"{tried}: {problem}"))

    def _say(self, what: str) -> None:
        """Tell people what is waited for, now and then: many questions wait for the same thing."""
        now = time.monotonic()
        if now >= self._silent_until:
            self._silent_until = now + _SAID_EVERY_S
            line = self.hide(f"the judge's endpoint {self._params.url}: {what}")
            print(" ".join(line.split()), file=sys.stderr, flush=True)

    def hide(self, message: str) -> str:
        """Return a message without the key."""
        return message.replace(self._key, "<key>") if self._key else message

    def _pause_s(self, attempt: int, asked_s: float) -> float:
        """Return how long to wait: doubling, spread so that questions do not come back together."""
        growing_s = self._params.pause_s * 2 ** (attempt - 1) * random.uniform(0.5, 1.0)
        return min(max(asked_s, growing_s), _LONGEST_PAUSE_S)

    async def _ask(self, connections: httpx.AsyncClient, body: dict[str, Any]) -> Reply:
        """Ask once, and again without a field that this server refuses; all later questions do without it."""
        named = {self._names.get(field, field): value for field, value in body.items()}
        named.pop("", None)
        status, headers, received = await self._exchange(connections, named)
        words = self._shown(received)
        for field, other in _OTHERWISE.items():
            if status == 400 and field in named and (other or field) in words:
                self._names[field] = other
                return await self._ask(connections, body)
        self._check_status(status, headers, words)
        return self._checked(received)

    async def _exchange(
        self, connections: httpx.AsyncClient, body: dict[str, Any]
    ) -> tuple[int, httpx.Headers, bytes]:
        """Send one request and receive the reply; the time limit is for all of it, however it trickles."""
        content = json.dumps({"model": self._model, **body}).encode()
        headers = {"Content-Type": "application/json"}
        received = bytearray()
        try:
            with anyio.fail_after(self._params.timeout_s):
                async with connections.stream(
                    "POST", self._address, content=content, headers=headers
                ) as response:
                    async for chunk in response.aiter_bytes():
                        received += chunk
                        if len(received) > _LARGEST_REPLY_BYTES:
                            raise _Passing(f"the reply is larger than {_LARGEST_REPLY_BYTES} bytes")
        except TimeoutError as error:
            raise _Passing(f"the reply took longer than {self._params.timeout_s:g} s") from error
        return response.status_code, response.headers, bytes(received)

    def _check_status(self, status: int, headers: httpx.Headers, words: str) -> None:
        if status == 200:
            return
        text = f"HTTP {status}: {words}"
        if status in _PASSING or status >= 500:
            raise _Passing(text, _retry_after_s(headers))
        if status in _NO_USE or 300 <= status < 400:
            raise Verdict3DError(
                f"the judge's endpoint {self._params.url} does not serve {self._model!r} to us ({text}); "
                "check endpoint.url, the model's name, the account, and the key in endpoint.key_variable "
                f"({self._params.key_variable})"
            )
        self._refused_in_a_row += 1
        if self._refused_in_a_row >= _LASTING_REFUSALS:
            raise Verdict3DError(
                f"the judge's endpoint {self._params.url} refused {self._refused_in_a_row} questions in a "
                f"row, the last one with {text}. Verdicts given before are kept; put right what the server "
                "names, and the same command goes on with the rest"
            )
        raise ItemFailure("endpoint_refused", text)

    def _checked(self, received: bytes) -> Reply:
        """Return the reply as JSON with a choice, from the model that was asked."""
        try:
            reply = json.loads(received)
            message = reply["choices"][0]["message"]
        except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
            raise _Passing(f"a reply that is no chat completion: {self._shown(received)}") from error
        if not isinstance(message, dict):
            raise _Passing(f"a reply without a message: {self._shown(received)}")
        answering = reply.get("model")
        if isinstance(answering, str) and not same_model(self._model, answering):
            raise Verdict3DError(
                f"the judge's endpoint {self._params.url} was asked for model {self._model!r} and "
                f"{self.hide(repr(answering))} answered; a verdict must come from the configured judge. Set "
                "the judge's model to the name under which the server serves it"
            )
        return reply

    def _shown(self, received: bytes) -> str:
        """Return the start of a reply on one line, without the key."""
        return self.hide(" ".join(received.decode(errors="replace").split()))[:_SHOWN_CHARACTERS]


def same_model(asked: str, answering: str) -> bool:
    """Return whether a server's name of a model is the one asked for, perhaps dated or without its owner."""
    wanted, found = asked.rsplit("/", 1)[-1], answering.rsplit("/", 1)[-1]
    return found == wanted or found.startswith(f"{wanted}-20")


def _key(params: EndpointParams) -> str | None:
    if params.key_variable is None:
        return None
    key = os.environ.get(params.key_variable, "").strip()
    if not key:
        raise Verdict3DError(
            f"the environment variable {params.key_variable} with the key of the judge's endpoint "
            f"{params.url} is not set; set it, or set endpoint.key_variable to null if the server needs none"
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise Verdict3DError(
            f"the environment variable {params.key_variable} holds no key: it has spaces, line ends or "
            "characters outside ASCII; set it to the key alone"
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
