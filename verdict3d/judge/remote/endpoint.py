"""A client for OpenAI-compatible chat servers (vLLM, SGLang, hosted ones): one question, one checked reply.

What may pass (busy, overloaded, cut off, silent, garbled) is tried again with growing pauses; what will not
pass (no access, unknown model, another model's answer) stops the run; what concerns one question spoils that
one. The key comes from an environment variable, goes to the configured server only and is in no message.
"""

from __future__ import annotations

import json
import os
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import httpx

from verdict3d.config import EndpointParams
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.randomness import numpy_generator

_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_NO_USE = frozenset({401, 403, 404, 405})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_LARGEST_REPLY_BYTES = 4 << 20
_CONNECT_S = 10.0
_LONGEST_PAUSE_S = 120.0
_SHOWN_CHARACTERS = 300

Reply = dict[str, Any]


class _Passing(Exception):
    """A failure that may pass; ``wait_s`` is what the server asks for."""

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class EndpointClient:
    """Asks one server; may be used by several threads.

    Args:
        params: Where the server is and how it is treated.
        model: Name under which it serves the model.

    Raises:
        Verdict3DError: The key's variable is empty, or the key would travel unencrypted.
    """

    def __init__(self, params: EndpointParams, model: str) -> None:
        self._params = params
        self._model = model
        self._stop = threading.Event()
        self._key = _key(params)
        address = urlsplit(params.url)
        local = address.hostname in _LOOPBACK
        if self._key and address.scheme != "https" and not local:
            raise Verdict3DError(
                f"the judge's endpoint {params.url} would be sent the key in {params.key_variable} "
                "unencrypted; use an https address, or set endpoint.key_variable to null"
            )
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=httpx.Timeout(params.timeout_s, connect=min(_CONNECT_S, params.timeout_s), pool=None),
            limits=httpx.Limits(max_connections=params.concurrency),
            trust_env=not local,
        )

    def stop(self) -> None:
        """Ask nothing any more; pauses end, and what other threads were asking for fails."""
        self._stop.set()

    def complete(self, body: dict[str, Any]) -> Reply:
        """Ask one question.

        Args:
            body: Of a chat completion, without the model.

        Returns:
            The server's reply: a JSON object with at least one choice.

        Raises:
            ItemFailure: ``endpoint_refused`` (this question cannot be answered) or ``endpoint_failed`` (no
                usable reply within the configured attempts).
            Verdict3DError: No question will be answered until something is put right.
        """
        content = json.dumps({"model": self._model, **body}, ensure_ascii=False).encode()
        problem = _Passing("stopped")
        for attempt in range(self._params.attempts):
            if self._stop.is_set() or (attempt and self._stop.wait(self._pause_s(attempt, problem.wait_s))):
                break
            try:
                return self._once(content)
            except _Passing as passing:
                problem = passing
            except httpx.TransportError as error:
                problem = _Passing(f"{type(error).__name__}: {error}")
            except ItemFailure:
                raise
            except Verdict3DError:
                self.stop()
                raise
        tried = f"no usable reply from {self._params.url} in {self._params.attempts} attempts"
        raise ItemFailure("endpoint_failed", self._hide(f"{tried}: {problem}"))

    def _pause_s(self, attempt: int, asked_s: float) -> float:
        """Return how long to wait: doubling, spread so that threads do not come back together."""
        random = numpy_generator(0, "endpoint_pause", threading.get_ident(), time.monotonic_ns())
        growing_s = self._params.pause_s * 2 ** (attempt - 1) * float(random.uniform(0.5, 1.0))
        return min(max(asked_s, growing_s), _LONGEST_PAUSE_S)

    def _once(self, content: bytes) -> Reply:
        """Send one request within the time limit, which also bounds a reply that trickles."""
        deadline = time.monotonic() + self._params.timeout_s
        address = f"{self._params.url.rstrip('/')}/chat/completions"
        headers = {"Content-Type": "application/json"}
        received = b""
        with self._http.stream("POST", address, content=content, headers=headers) as response:
            for chunk in response.iter_bytes():
                received += chunk
                if time.monotonic() > deadline:
                    raise _Passing(f"the reply took longer than {self._params.timeout_s:g} s")
                if len(received) > _LARGEST_REPLY_BYTES:
                    raise _Passing(f"the reply is larger than {_LARGEST_REPLY_BYTES} bytes")
        self._check_status(response, received)
        return self._checked(received)

    def _check_status(self, response: httpx.Response, received: bytes) -> None:
        status = response.status_code
        if status == 200:
            return
        text = f"HTTP {status}: {received[:_SHOWN_CHARACTERS].decode(errors='replace')}"
        if status in _PASSING:
            raise _Passing(text, _retry_after_s(response))
        if status in _NO_USE or 300 <= status < 400:
            raise Verdict3DError(
                self._hide(
                    f"the judge's endpoint {self._params.url} does not serve {self._model!r} to us ({text}); "
                    "check endpoint.url, the model's name and the key in endpoint.key_variable "
                    f"({self._params.key_variable})"
                )
            )
        raise ItemFailure("endpoint_refused", self._hide(text))

    def _checked(self, received: bytes) -> Reply:
        """Return the reply as JSON with a choice, from the model that was asked."""
        try:
            reply = json.loads(received)
            message = reply["choices"][0]["message"]
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise _Passing(f"a reply that is no chat completion: {received[:_SHOWN_CHARACTERS]!r}") from error
        if not isinstance(message, dict):
            raise _Passing(f"a reply without a message: {received[:_SHOWN_CHARACTERS]!r}")
        answering = reply.get("model")
        if isinstance(answering, str) and not same_model(self._model, answering):
            raise Verdict3DError(
                f"the judge's endpoint {self._params.url} was asked for model {self._model!r} and "
                f"{answering!r} answered; a verdict must come from the configured judge. Set the judge's "
                "model to the name under which the server serves it"
            )
        return reply

    def _hide(self, message: str) -> str:
        return message.replace(self._key, "<key>") if self._key else message


def _key(params: EndpointParams) -> str | None:
    if params.key_variable is None:
        return None
    key = os.environ.get(params.key_variable, "").strip()
    if not key:
        raise Verdict3DError(
            f"the environment variable {params.key_variable} with the key of the judge's endpoint "
            f"{params.url} is not set; set it, or set endpoint.key_variable to null if the server needs none"
        )
    return key


def same_model(asked: str, answering: str) -> bool:
    """Return whether a server's name of a model is the one asked for, perhaps dated or without its owner."""
    wanted, found = asked.rsplit("/", 1)[-1], answering.rsplit("/", 1)[-1]
    return found == wanted or found.startswith(f"{wanted}-20")


def _retry_after_s(response: httpx.Response) -> float:
    """Return the seconds of a Retry-After header, 0 where there is none in seconds."""
    try:
        return max(0.0, float(response.headers.get("Retry-After", "0")))
    except ValueError:
        return 0.0
