"""The judge behind an OpenAI-compatible server: both orders, many at a time, margins as of a local one."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import anyio
import httpx
from anyio.from_thread import start_blocking_portal
from PIL import Image

from verdict3d.config_judges import EndpointParams, JudgeParams
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.judge.identity import JudgeIdentity, identify_endpoint
from verdict3d.judge.panel import PairRequest, Pixels, make_picture
from verdict3d.judge.remote.answers import read_logprobs, read_text
from verdict3d.judge.remote.endpoint import EndpointClient
from verdict3d.judge.rubric import split_prompt, write_prompt
from verdict3d.judge.verdict import Margins

Shown = tuple[str, ...]
Replies = dict[Shown, float | ItemFailure]
Content = list[dict[str, Any]]

_ASKED_AGAIN = 2
_AGAIN = "Answer with one letter only: A or B."


class RemoteJudge:
    """A judge that a server answers for.

    Args:
        identity: What the answers depend on.
        endpoint: The server and how it is asked.
        client: Asks it.
        batch_size: Requests asked together.
    """

    def __init__(
        self,
        identity: JudgeIdentity,
        endpoint: EndpointParams,
        client: EndpointClient,
        batch_size: int,
    ) -> None:
        self.identity = identity
        self.batch_size = batch_size
        self._endpoint = endpoint
        self._client = client
        self._texts = split_prompt(
            write_prompt(endpoint.prompt, identity.panel, identity.mode), identity.panel
        )
        self._answered = False

    @classmethod
    def connect(cls, params: JudgeParams) -> RemoteJudge:
        """Return the configured judge; the server is first asked with the first pair.

        Raises:
            Verdict3DError: The judge has no endpoint, or its key is not there.
        """
        if params.endpoint is None:
            raise Verdict3DError(f"judge {params.model!r} has no endpoint; set its section `endpoint`")
        client = EndpointClient(params.endpoint, params.model)
        identity = identify_endpoint(params, params.endpoint)
        return cls(identity, params.endpoint, client, params.batch_size)

    @property
    def digest(self) -> str:
        """Digest of everything the answers depend on, as far as it is known from here."""
        return self.identity.digest

    def showing(self, panel: str, mode: str) -> RemoteJudge:
        """Return the same server's judge of another panel kind or of montages in another mode."""
        identity = self.identity.showing(panel, mode, self._endpoint.prompt)
        return RemoteJudge(identity, self._endpoint, self._client, self.batch_size)

    def compare(self, requests: Sequence[PairRequest]) -> list[Margins]:
        """Ask about every request in both orders; identical montages are one question.

        Returns:
            Answers in the order of ``requests``, margins in nats, or 1 and -1 for letters; an order without a
            usable one makes its answer invalid.

        Raises:
            Verdict3DError: The server will not answer, or answered nothing of a batch.
        """
        answers: list[Margins] = []
        for start in range(0, len(requests), self.batch_size):
            answers.extend(self._compare_batch(requests[start : start + self.batch_size]))
        return answers

    def _compare_batch(self, requests: Sequence[PairRequest]) -> list[Margins]:
        orders: list[tuple[Shown, Shown] | ItemFailure] = []
        addresses: dict[str, str] = {}
        for request in requests:
            try:
                arranged = request.panel.arrange(self.identity.panel)
                addresses.update({name: _write_address(pixels) for name, pixels in arranged.pictures.items()})
                orders.append(arranged.orders)
            except ItemFailure as failure:
                orders.append(failure)
        asked = dict.fromkeys(shown for pair in orders if not isinstance(pair, ItemFailure) for shown in pair)
        replies = self._ask_all(list(asked), addresses)
        return [_answer(pair, replies) for pair in orders]

    def _ask_all(self, asked: list[Shown], addresses: dict[str, str]) -> Replies:
        """Ask many at a time; what shows that nothing will be answered ends all of them."""
        with start_blocking_portal() as portal:  # an event loop of its own, also below a caller's
            replies = portal.call(self._gather, asked, addresses)
        failures = [reply for reply in replies.values() if isinstance(reply, ItemFailure)]
        lost = all(failure.reason == "endpoint_failed" for failure in failures)
        if failures and len(failures) == len(replies) and (lost or not self._answered):
            raise Verdict3DError(
                f"none of {len(replies)} questions was answered: {failures[0].reason}: {failures[0]}. "
                "Verdicts given before are kept, and the same command goes on with the rest"
                + ("; set endpoint.answers to text" if failures[0].reason == "no_logprobs" else "")
            )
        self._answered = self._answered or len(failures) < len(replies)
        return replies

    async def _gather(self, asked: list[Shown], addresses: dict[str, str]) -> Replies:
        """Return the margin of every order, or why there is none."""
        replies: Replies = {}
        limit = anyio.CapacityLimiter(self._endpoint.concurrency)

        async def ask(connections: httpx.AsyncClient, shown: Shown) -> None:
            content = self._write_content([addresses[name] for name in shown])
            async with limit:
                replies[shown] = await self._ask(connections, content)

        try:
            async with self._client.connect() as connections, anyio.create_task_group() as group:
                for shown in asked:
                    group.start_soon(ask, connections, shown)
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return replies

    async def _ask(self, connections: httpx.AsyncClient, content: Content) -> float | ItemFailure:
        """Return the margin of one order, or why there is none."""
        messages = [{"role": "user", "content": content}]
        try:
            if self._endpoint.answers == "text":
                return await self._ask_for_text(connections, messages)
            body = {"messages": messages, "max_tokens": 1, "temperature": 0.0, "logprobs": True}
            body |= {"top_logprobs": self._endpoint.top_logprobs}
            reply = await self._client.complete(connections, body)
            return read_logprobs(reply, self._endpoint.least_mass)
        except ItemFailure as failure:
            return ItemFailure(failure.reason, self._client.hide(str(failure)))

    async def _ask_for_text(self, connections: httpx.AsyncClient, messages: list[dict[str, Any]]) -> float:
        """Read a letter; an answer that is none is returned to the judge up to twice."""
        for left in reversed(range(_ASKED_AGAIN + 1)):
            body = {"messages": messages, "max_tokens": self._endpoint.text_tokens, "temperature": 0.0}
            reply = await self._client.complete(connections, body)
            try:
                return read_text(reply)
            except ItemFailure as failure:
                if not left or failure.reason == "cut_off":
                    raise
                text = reply["choices"][0]["message"].get("content") or ""
                messages = [
                    *messages,
                    {"role": "assistant", "content": str(text)},
                    {"role": "user", "content": _AGAIN},
                ]
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _write_content(self, addresses: list[str]) -> Content:
        """Return the question: texts and pictures in turn."""
        parts: Content = []
        for number, text in enumerate(self._texts):
            if text:
                parts.append({"type": "text", "text": text})
            if number < len(addresses):
                parts.append({"type": "image_url", "image_url": {"url": addresses[number]}})
        return parts


def _answer(pair: tuple[Shown, Shown] | ItemFailure, replies: Replies) -> Margins:
    found = [pair] if isinstance(pair, ItemFailure) else [replies[shown] for shown in pair]
    for reply in found:
        if isinstance(reply, ItemFailure):
            return Margins.invalid(reply.reason, str(reply))
    m1, m2 = (float(reply) for reply in found if not isinstance(reply, ItemFailure))
    return Margins(m1, m2)


def _write_address(pixels: Pixels) -> str:
    """Return a picture as a data address, PNG."""
    stream = io.BytesIO()
    Image.fromarray(make_picture(pixels)).save(stream, "PNG", compress_level=1)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
