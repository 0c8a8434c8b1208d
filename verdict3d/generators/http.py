"""Kind ``http``: a server that is given a set of photos and, some time later, gives a ZIP of their meshes.

The contract (docs/generators.md has it for those who write servers):

* ``GET /status`` says ``{"state": "loading"}`` until the server is ready, then ``{"state": "ready"}``;
* ``POST /generate`` with ``{"photos": [{"stem", "seed", "image": base64 of a PNG}]}`` starts a batch and
  answers ``{"batch": id}``; the same set of stems is the same batch, also when it is posted again;
* ``GET /status?batch=id`` says ``{"state": "working" or "done", "done": number, "of": number}``;
* ``GET /results?batch=id`` is a ZIP with what is there so far: ``<stem>.glb`` of meshes, and ``_failed.json``
  with ``{stem: reason}``. Once the batch is done, every stem is in one of both.

A stem is the photo's with a digest of photo, seed and try, so it never stands for two things.
"""

from __future__ import annotations

import base64
import io
import json
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx

from verdict3d.config_generators import HttpParams
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.exchange import PassingError, Reply, Server, draw_pause_s
from verdict3d.generators.attempts import SEEDS
from verdict3d.generators.generator import Request
from verdict3d.generators.outputs import read_output
from verdict3d.generators.results import unpack_results
from verdict3d.mesh.mesh import Mesh, MeshOrFailure
from verdict3d.provenance import digest_bytes, digest_json
from verdict3d.records.generators import GeneratorRecord

_LARGEST_WORDS_BYTES = 1 << 20
_DIGITS, _LONGEST_ID = 12, 8192
_MIB = 1 << 20


class HttpGenerator:
    """A server as a generator.

    Args:
        settings: Where it is, and how it is treated.
        record: What it is.

    Raises:
        Verdict3DError: The address or the key cannot be used.
    """

    def __init__(self, settings: HttpParams, record: GeneratorRecord) -> None:
        self.settings = settings
        self.record = record
        self._server = Server(settings.url, settings.key_variable, "the generator at", "generator", 4)
        self._warm = False

    def generate(self, requests: Sequence[Request]) -> list[MeshOrFailure]:
        """Ask for all requests as one batch, and again for those without a mesh."""
        return anyio.run(self._generate, list(requests))

    async def _generate(self, requests: list[Request]) -> list[MeshOrFailure]:
        outcomes: list[MeshOrFailure] = [ItemFailure("not_asked", "") for _ in requests]
        async with self._server.connect() as connections:
            if not self._warm:
                await self._warm_up(connections)
                self._warm = True
            for number in range(self.settings.tries):
                left = [place for place, one in enumerate(outcomes) if not isinstance(one, Mesh)]
                if not left:
                    break
                made = await self._make(connections, [requests[place] for place in left], number)
                for place, outcome in zip(left, made, strict=True):
                    outcomes[place] = outcome
        return outcomes

    async def _warm_up(self, connections: httpx.AsyncClient) -> None:
        """Wait until the server says that it is ready.

        Raises:
            Verdict3DError: It does not within its time.
        """
        end, said = time.monotonic() + self.settings.warm_up_s, "it was not asked"
        while time.monotonic() < end:
            try:
                status = self._read(await self._ask(connections, "GET", "/status"))
                if status.get("state") != "loading":
                    return
                said = "it is still loading"
            except PassingError as passing:
                said = str(passing)
            await anyio.sleep(max(self.settings.pause_s, 0.05))
        raise Verdict3DError(
            f"{self._server.what} was not ready within {self.settings.warm_up_s:g} s ({said}); start it, or "
            "set generator.warm_up_s higher"
        )

    async def _make(
        self, connections: httpx.AsyncClient, requests: Sequence[Request], number: int
    ) -> list[MeshOrFailure]:
        """Ask for one batch and return what came of it."""
        photos = [_photo(request, number) for request in requests]
        body = json.dumps({"photos": photos}).encode()
        stems = [str(photo["stem"]) for photo in photos]
        end = time.monotonic() + self.settings.timeout_s
        batch, late = await self._wait(connections, body, end)
        with tempfile.TemporaryDirectory(prefix="verdict3d-") as folder:
            archive = Path(folder, "results.zip")
            await self._insist(partial(self._fetch, connections, batch, archive, len(stems)))
            reasons = unpack_results(archive, Path(folder, "meshes"), stems, self.settings.limits)
            missing = "timed_out" if late else "missing_mesh"
            return [self._compare(Path(folder, "meshes"), stem, reasons, missing) for stem in stems]

    async def _wait(self, connections: httpx.AsyncClient, body: bytes, end: float) -> tuple[str, bool]:
        """Start a batch and wait for it; return its id, and whether its time was over before it was done."""
        batch = await self._start(connections, body)
        while True:
            status = await self._insist(partial(self._look, connections, batch))
            if status is None:  # the server has forgotten it: the same set is the same batch
                batch = await self._start(connections, body)
            elif status.get("state") == "done":
                return batch, False
            if time.monotonic() > end:
                return batch, True
            await anyio.sleep(max(self.settings.pause_s, 0.05))

    def _compare(self, folder: Path, stem: str, reasons: dict[str, str], missing: str) -> MeshOrFailure:
        found = folder / f"{stem}.glb"
        if found.is_file():
            return read_output(found, self.settings)
        if stem in reasons:
            return ItemFailure("generator_failed", self._server.hide(reasons[stem]))
        limit = f"within {self.settings.timeout_s:g} s" if missing == "timed_out" else "though it was done"
        return ItemFailure(missing, f"{self.settings.name} gave no mesh {limit}")

    async def _start(self, connections: httpx.AsyncClient, body: bytes) -> str:
        async def start() -> str:
            reply = await self._ask(connections, "POST", "/generate", body)
            batch = self._read(reply).get("batch")
            if not isinstance(batch, str) or not batch.isprintable() or not 0 < len(batch) <= _LONGEST_ID:
                said = self._server.show(reply.content)
                raise PassingError(f"no id of a batch, printable and at most {_LONGEST_ID} long: {said}")
            return batch

        batch: str = await self._insist(start)
        return batch

    async def _look(self, connections: httpx.AsyncClient, batch: str) -> dict[str, Any] | None:
        """Return the status of a batch; None where the server does not know it."""
        reply = await self._ask(connections, "GET", f"/status?batch={_quoted(batch)}", unknown=True)
        return None if reply.status == 404 else self._read(reply)

    async def _fetch(self, connections: httpx.AsyncClient, batch: str, archive: Path, count: int) -> None:
        most = int(self.settings.limits.file_mib * _MIB) * count + _LARGEST_WORDS_BYTES
        with archive.open("wb") as stream:
            await self._ask(connections, "GET", f"/results?batch={_quoted(batch)}", most=most, into=stream)

    async def _insist(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Ask as often as the settings say, while what goes wrong may pass.

        Raises:
            Verdict3DError: It did not pass.
        """
        problem = PassingError("not asked")
        for attempt in range(self.settings.attempts):
            if attempt:
                await anyio.sleep(draw_pause_s(self.settings.pause_s, attempt, problem.wait_s))
            try:
                return await ask()
            except PassingError as passing:
                problem = passing
        raise Verdict3DError(
            f"{self._server.what} gave no usable reply in {self.settings.attempts} attempts "
            f"({self._server.hide(str(problem))}). Meshes made before are kept; the same command goes on"
        )

    async def _ask(
        self,
        connections: httpx.AsyncClient,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        most: int = _LARGEST_WORDS_BYTES,
        into: io.BufferedWriter | None = None,
        unknown: bool = False,
    ) -> Reply:
        reply = await self._server.exchange(
            connections, method, path, body, limit_s=self.settings.reply_s, most_bytes=most, into=into
        )
        self._server.refuse_passing(reply)
        if reply.status not in (200, 202) and not (unknown and reply.status == 404):
            raise Verdict3DError(
                f"{self._server.what} answered {method} {path.partition('?')[0]} with HTTP {reply.status}: "
                f"{self._server.show(reply.content)}; check generator.url and generator.key_variable"
            )
        return reply

    def _read(self, reply: Reply) -> dict[str, Any]:
        try:
            answer = json.loads(reply.content)
        except (ValueError, RecursionError) as error:
            raise PassingError(f"no JSON: {self._server.show(reply.content)}") from error
        if not isinstance(answer, dict):
            raise PassingError(f"no JSON object: {self._server.show(reply.content)}")
        return answer


def _photo(request: Request, number: int) -> dict[str, Any]:
    """Return what is sent of a request; its stem is its own whatever the server remembers."""
    stream = io.BytesIO()
    request.image.save(stream, "PNG")
    content, seed = stream.getvalue(), request.seed % SEEDS
    own = digest_json([digest_bytes(content), seed, number])[:_DIGITS]
    image = base64.b64encode(content).decode()
    return {"stem": f"{request.stem}-{own}", "seed": seed, "image": image}


def _quoted(batch: str) -> str:
    return str(httpx.QueryParams({"b": batch})).removeprefix("b=")


def load(settings: HttpParams, record: GeneratorRecord, root: Path) -> HttpGenerator:
    """Return the server as a generator."""
    return HttpGenerator(settings, record)
