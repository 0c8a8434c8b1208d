"""The pages of pairs on loopback: data from the index, pictures and meshes as they are asked for."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response

from verdict3d.errors import ItemFailure
from verdict3d.mesh.files import read_mesh
from verdict3d.mesh.mesh import Mesh
from verdict3d.records.files import read_json, write_json
from verdict3d.view.environment import make_environment
from verdict3d.view.page_app import POLICY, make_page_app
from verdict3d.view.pairs.fields import describe_fields
from verdict3d.view.pairs.index import PairIndex
from verdict3d.view.pairs.meshes import MOST_FACES, make_mesh_document
from verdict3d.view.pairs.pictures import make_picture
from verdict3d.view.pairs.query import make_query

STATIC = (
    "page.css",
    "pairs.css",
    "data.js",
    "model-viewer-umd.min.js",
    "words.js",
    "glb.js",
    "viewer.js",
    "list.js",
    "pair.js",
    "app.js",
)
"""Files that a page loads, in this order."""
BESIDE = {"report.html": "Report", "difference.html": "What changed"}
"""Pages whose numbers lead to pairs, and what a link to each says."""


def make_app(
    index: PairIndex,
    kept: Path,
    hosts: Sequence[str],
    beside: Mapping[str, Callable[[], str | None]],
    read: Callable[[Path], Mesh] = read_mesh,
) -> FastAPI:
    """Return the web application of an index.

    Args:
        index: The pairs.
        kept: Folder for reduced copies of meshes.
        hosts: Names under which the pages may be asked for; others get status 400.
        beside: What returns each page of :data:`BESIDE` that there may be, with links from its numbers to
            their pairs; None where it is not there.
        read: Reads the file of a mesh.
    """
    index.find(make_query([]))  # reads the columns now, and not while somebody waits
    app = make_page_app("Verdict3D pairs", hosts, refused=400)

    @app.get("/")
    @app.get("/index.html")
    def page() -> Response:
        return Response(render_shell(bundle=False, beside=beside), media_type="text/html")

    @app.get("/{name}.html")
    def page_beside(name: str) -> Response:
        text = beside[f"{name}.html"]() if f"{name}.html" in beside else None
        if text is None:
            raise HTTPException(404, f"{name}.html is not here; `verdict3d run` makes report.html")
        headers = {"Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'"}
        return Response(text, media_type="text/html", headers=headers)

    @app.get("/static/{name}")
    def static(name: str) -> Response:
        if name not in STATIC:
            raise HTTPException(404)
        kind = mimetypes.guess_type(name)[0]
        return Response(read_static(name), media_type=kind)

    @app.get("/data/facts.json")
    def facts() -> Any:
        return collect_facts(index)

    @app.get("/data/pairs.json")
    def pairs(request: Request) -> Response:
        found = index.find(make_query(request.query_params.multi_items()))
        return Response(found.model_dump_json(), media_type="application/json")

    @app.get("/data/ids.json")
    def ids(request: Request) -> Any:
        return index.ids(make_query(request.query_params.multi_items()))

    @app.get("/data/pair-{name}.json")
    def pair(name: str) -> Any:
        document = index.document(name)
        if document is None:
            raise ItemFailure("no_pair", f"there is no pair {name} in these results; they were made anew")
        return document.model_dump(mode="json")

    @app.get("/data/mesh-{key}.json")
    def mesh(key: str) -> Any:
        return keep_mesh(index, kept, key, read)

    @app.get("/pictures/{name}.webp")
    def picture(name: str) -> Response:
        content = make_picture(index, name)
        return Response(content, media_type="image/webp", headers={"Cache-Control": "max-age=600"})

    return app


def keep_mesh(index: PairIndex, kept: Path, key: str, read: Callable[[Path], Mesh]) -> Any:
    """Return what the page loads of a mesh, from its folder or made now.

    Raises:
        ItemFailure: No pair shows such a mesh, or its file is gone or cannot be read.
    """
    path = index.file(key, "mesh")
    if path is None:
        raise ItemFailure("no_mesh", f"no pair shows a mesh {key}")
    copy = kept / f"{key}-{MOST_FACES}.json"
    if not copy.is_file():
        write_json(copy, make_mesh_document(path, MOST_FACES, read).model_dump())
    return read_json(copy)


def collect_facts(index: PairIndex) -> dict[str, Any]:
    """Return what the page must know before it shows anything."""
    return {
        **describe_fields(),
        "pairs": len(index),
        **{name: index.fact(name) for name in ("title", "questions", "views")},
    }


def render_shell(bundle: bool, beside: Collection[str]) -> str:
    """Return the HTML document into which scripts draw the list and the pairs.

    Args:
        bundle: Whether data lies in files beside it.
        beside: The pages of :data:`BESIDE` that it leads to.
    """
    scripts = [name for name in STATIC if name.endswith(".js")]
    template = make_environment().get_template("pairs.html.j2")
    return template.render(
        bundle=bundle,
        beside={name: words for name, words in BESIDE.items() if name in beside},
        scripts=scripts,
        policy=POLICY.replace("'self'", "'self' file:"),
    )


def read_static(name: str) -> bytes:
    """Return a file that pages load."""
    folder = files("verdict3d.view")
    place = folder / "templates" if name == "page.css" else folder / "pairs" / "static"
    return (place / name).read_bytes()
