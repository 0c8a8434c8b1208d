"""A client for OpenAI-compatible chat servers (vLLM, SGLang, hosted ones): one question, one checked reply.

What may pass (busy, overloaded, cut off, silent, garbled) is tried again with growing pauses; what will not
pass (no access, unknown model, another model's answer, refusals without end) stops the run; what concerns one
question spoils that one.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import httpx

from verdict3d import exchange
from verdict3d.config_judges import EndpointParams
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.exchange import PassingError, Server, draw_pause_s

_NO_USE = frozenset({401, 402, 403, 404, 405, 410, 451})  # and every 3xx
_OTHERWISE = {"max_tokens": "max_completion_tokens", "temperature": ""}
"""Fields that some servers refuse, and the name they take instead; without one the field is left out."""
_LASTING_REFUSALS = 10
"""Refused questions in a row after which no answer is expected any more."""
_LARGEST_REPLY_BYTES = 4 << 20
_SAID_EVERY_S = 10.0

Reply = dict[str, Any]


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
        self._server = Server(
            params.url, params.key_variable, "the judge's endpoint", "endpoint", params.concurrency
        )
        self._names: dict[str, str] = {}
        self._refused_in_a_row = 0
        self._silent_until = 0.0

    def connect(self) -> AbstractAsyncContextManager[httpx.AsyncClient]:
        """Return connections to the server, for :meth:`complete`.

        Raises:
            Verdict3DError: The environment asks for a proxy or certificates that cannot be used.
        """
        return self._server.connect()

    async def complete(self, connections: httpx.AsyncClient, body: dict[str, Any]) -> Reply:
        """Ask one question.

        Args:
            connections: From :meth:`connect`.
            body: A chat completion, without the model.

        Returns:
            The server's reply: a JSON object with at least one choice.

        Raises:
            ItemFailure: ``endpoint_refused`` (this question cannot be answered) or ``endpoint_failed`` (no
                usable reply within the configured attempts).
            Verdict3DError: No question will be answered until something is put right.
        """
        problem = PassingError("not asked")
        for attempt in range(self._params.attempts):
            if attempt:
                pause_s = draw_pause_s(self._params.pause_s, attempt, problem.wait_s)
                self._say(f"{problem}; attempt {attempt + 1} of {self._params.attempts} in {pause_s:.1f} s")
                await anyio.sleep(pause_s)
            try:
                reply = await self._ask(connections, body)
            except PassingError as passing:
                problem = passing
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
        return self._server.hide(message)

    async def _ask(self, connections: httpx.AsyncClient, body: dict[str, Any]) -> Reply:
        """Ask once, and again without a field that this server refuses; all later questions do without it."""
        named = {self._names.get(field, field): value for field, value in body.items()}
        named.pop("", None)
        content = json.dumps({"model": self._model, **named}).encode()
        reply = await self._server.exchange(
            connections,
            "POST",
            "/chat/completions",
            content,
            limit_s=self._params.timeout_s,
            most_bytes=_LARGEST_REPLY_BYTES,
        )
        words = self._server.show(reply.content)
        for field, other in _OTHERWISE.items():
            if reply.status == 400 and field in named and (other or field) in words:
                self._names[field] = other
                return await self._ask(connections, body)
        self._check_status(reply, words)
        return self._check(reply.content)

    def _check_status(self, reply: exchange.Reply, words: str) -> None:
        if reply.status == 200:
            return
        self._server.refuse_passing(reply)
        text = f"HTTP {reply.status}: {words}"
        if reply.status in _NO_USE or 300 <= reply.status < 400:
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

    def _check(self, received: bytes) -> Reply:
        """Return the reply as JSON with a choice, from the model that was asked."""
        try:
            reply = json.loads(received)
            message = reply["choices"][0]["message"]
        except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
            words = self._server.show(received)
            raise PassingError(f"a reply that is no chat completion: {words}") from error
        if not isinstance(message, dict):
            raise PassingError(f"a reply without a message: {self._server.show(received)}")
        answering = reply.get("model")
        if isinstance(answering, str) and not match_model(self._model, answering):
            raise Verdict3DError(
                f"the judge's endpoint {self._params.url} was asked for model {self._model!r} and "
                f"{self.hide(repr(answering))} answered; a verdict must come from the configured judge. Set "
                "the judge's model to the name under which the server serves it"
            )
        return reply


def match_model(asked: str, answering: str) -> bool:
    """Return whether a server's name of a model is the one asked for, perhaps dated or without its owner."""
    wanted, found = asked.rsplit("/", 1)[-1], answering.rsplit("/", 1)[-1]
    return found == wanted or found.startswith(f"{wanted}-20")
