"""The voting page: questions whose addresses and contents say nothing about whose meshes they show."""

from __future__ import annotations

import mimetypes
import re
import secrets
import threading
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, HTTPException, Request, Response
from pydantic import Field, ValidationError
from starlette.concurrency import run_in_threadpool

from verdict3d.errors import ItemFailure
from verdict3d.provenance import digest_json
from verdict3d.records.files import read_json, write_json
from verdict3d.records.record import RecordPart
from verdict3d.records.votes import Tag
from verdict3d.view.environment import make_environment
from verdict3d.view.page_app import make_page_app
from verdict3d.view.pairs import server as pages
from verdict3d.view.pairs.meshes import MOST_FACES, make_mesh_document
from verdict3d.view.pictures import encode_picture, read_picture_file
from verdict3d.votes.ballot import Ballot, Pick, Question

OWN = ("vote.css", "vote.js")
SHARED = ("page.css", "pairs.css", "data.js", "model-viewer-umd.min.js", "words.js", "glb.js", "viewer.js")
STATIC = (*SHARED, *OWN)
"""Files that the page loads, in this order."""
PHOTO_PX = 640
LONGEST_ANSWER = 4096
"""Bytes of an answer at most."""
PERSON, KEY = "verdict3d_person", "verdict3d_key"
"""Cookies: the random name of a person, and what a shared page was opened with."""
_PERSON = re.compile(r"[0-9a-f]{16}")
_YEAR_S = 365 * 24 * 3600
SHOWN_LAST = 4096
"""Meshes and photos that keep their addresses."""


class Answer(RecordPart):
    """What the page sends: the name of a question, and the answer to it."""

    question: str = Field(max_length=64)
    pick: Pick
    left: list[Tag] = Field(max_length=4)
    right: list[Tag] = Field(max_length=4)
    seconds: float


class _Addresses:
    """Random names of files for one reader each, so that a mesh is not known again by its address."""

    def __init__(self) -> None:
        self._paths: dict[str, Path] = {}
        self._names: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()

    def name(self, token: str, what: str, path: Path | None) -> str | None:
        """Return the name of a file in a question; None for no file."""
        if path is None:
            return None
        with self._lock:
            if (token, what) not in self._names:
                name = self._names[token, what] = secrets.token_hex(10)
                self._paths[name] = path
                while len(self._paths) > SHOWN_LAST:
                    del self._paths[next(iter(self._paths))]
                    del self._names[next(iter(self._names))]
            return self._names[token, what]

    def path(self, name: str) -> Path:
        """Return the file of a name.

        Raises:
            ItemFailure: ``no_file``: nobody was shown such a file.
        """
        with self._lock:
            path = self._paths.get(name)
        if path is None:
            raise ItemFailure("no_file", "this question is not open any more; load the page again")
        return path


def make_vote_app(ballot: Ballot, kept: Path, hosts: Sequence[str], key: str | None) -> FastAPI:
    """Return the web application of a ballot.

    Args:
        ballot: Asks, and keeps the answers.
        kept: Folder for reduced copies of meshes.
        hosts: Names under which the page may be asked for; others get status 400.
        key: What a reader must bring in the address of the first request; None: nothing.
    """
    addresses = _Addresses()

    def turn_away(request: Request) -> Response | None:
        given = request.query_params.get("key")
        if key is None:
            return None
        if given is not None and secrets.compare_digest(given.encode(), key.encode()):
            response = Response(status_code=303, headers={"Location": "/"})
            _set_cookie(response, KEY, key)
            return response
        if secrets.compare_digest(request.cookies.get(KEY, "").encode(), key.encode()):
            return None
        words = "This page is for people who were sent its whole address, with the key at its end."
        return Response(words, status_code=403, media_type="text/plain")

    app = make_page_app("Verdict3D votes", hosts, refused=503, turn_away=turn_away)

    @app.get("/")
    def page(request: Request) -> Response:
        scripts = [name for name in STATIC if name.endswith(".js")]
        styles = [name for name in STATIC if name.endswith(".css")]
        template = make_environment().get_template("vote.html.j2")
        response = Response(template.render(scripts=scripts, styles=styles), media_type="text/html")
        if not _PERSON.fullmatch(request.cookies.get(PERSON, "")):
            _set_cookie(response, PERSON, secrets.token_hex(8))
        return response

    @app.get("/static/{name}")
    def static(name: str) -> Response:
        if name not in STATIC:
            raise HTTPException(404)
        return Response(read_static(name), media_type=mimetypes.guess_type(name)[0])

    @app.get("/data/turn.json")
    def turn(request: Request) -> Any:
        return _describe_turn(ballot, addresses, _find_person(request))

    @app.post("/data/answers")
    async def answer(request: Request) -> Any:
        _require_own_page(request)
        name, given = _find_person(request), await _read_answer(request)
        await run_in_threadpool(
            ballot.answer, name, given.question, given.pick, given.left, given.right, given.seconds
        )
        return await run_in_threadpool(_describe_turn, ballot, addresses, name)

    @app.get("/data/mesh-{name}.json")
    def mesh(name: str) -> Any:
        return keep_blind_mesh(addresses.path(name), kept)

    @app.get("/pictures/{name}.webp")
    def picture(name: str) -> Response:
        image = read_picture_file(addresses.path(name))
        if image is None:
            raise ItemFailure("missing_image", "the photo is missing")
        return Response(encode_picture(image, PHOTO_PX), media_type="image/webp")

    return app


def keep_blind_mesh(path: Path, kept: Path) -> Any:
    """Return what the page loads of a mesh: its copy, and not how many faces the file has.

    Raises:
        ItemFailure: The file is gone or cannot be read.
    """
    try:
        found = path.stat()
    except OSError:
        raise ItemFailure("missing_mesh", "the mesh is missing; vote `cannot tell`") from None
    name = digest_json([str(path), found.st_size, found.st_mtime_ns, MOST_FACES])[:20]
    copy = kept / f"blind-{name}.json"
    if not copy.is_file():
        try:
            write_json(copy, {"glb": make_mesh_document(path, MOST_FACES).glb})
        except ItemFailure as failure:
            raise ItemFailure(failure.reason, "the mesh cannot be read; vote `cannot tell`") from failure
    return read_json(copy)


def read_static(name: str) -> bytes:
    """Return a file that the page loads."""
    if name in OWN:
        return (files("verdict3d.view") / "vote" / "static" / name).read_bytes()
    return pages.read_static(name)


def _describe_turn(ballot: Ballot, addresses: _Addresses, name: str) -> dict[str, Any]:
    """Return what a person is asked now and next, and how far the person has come."""
    questions = [_describe_question(question, addresses) for question in ballot.open_questions(name)]
    answered, pairs = ballot.count_answers(name)
    return {"questions": questions, "answered": answered, "pairs": pairs}


def _describe_question(question: Question, addresses: _Addresses) -> dict[str, str | None]:
    pair, token = question.pair, question.token
    sides = (pair.x_mesh, pair.y_mesh) if question.first == "x" else (pair.y_mesh, pair.x_mesh)
    return {
        "question": token,
        "photo": addresses.name(token, "photo", pair.photo),
        "a": addresses.name(token, "a", sides[0]),
        "b": addresses.name(token, "b", sides[1]),
    }


def _set_cookie(response: Response, name: str, value: str) -> None:
    response.set_cookie(name, value, max_age=_YEAR_S, httponly=True, samesite="lax", path="/")


def _find_person(request: Request) -> str:
    name = request.cookies.get(PERSON, "")
    if not _PERSON.fullmatch(name):
        raise HTTPException(403, "open the page first; it needs cookies to know its questions again")
    return name


def _require_own_page(request: Request) -> None:
    """Refuse what another site makes a browser send."""
    origin, host = request.headers.get("origin", ""), request.headers.get("host", "")
    if (
        urlsplit(origin).netloc != host
        or request.headers.get("sec-fetch-site", "same-origin") != "same-origin"
    ):
        raise HTTPException(403, "answers are taken from the voting page only")
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise HTTPException(415, "an answer is JSON")


async def _read_answer(request: Request) -> Answer:
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > LONGEST_ANSWER:
            raise HTTPException(413, f"an answer has at most {LONGEST_ANSWER} bytes")
    try:
        return Answer.model_validate_json(content)
    except ValidationError as error:
        raise HTTPException(400, f"this is no answer: {error.errors(include_url=False)[0]['msg']}") from error
