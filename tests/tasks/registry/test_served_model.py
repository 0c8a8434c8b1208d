"""The registered model without its server: odd rows of a request beside good ones."""

from __future__ import annotations

import base64
import io
from typing import Any

import pandas as pd
import pytest

from support.places import ROOT
from support.tiny_trellis import tiny_photo, tiny_pipeline
from tasks.registry.served_model import PhotoToMesh
from verdict3d.config import load_params
from verdict3d.trellis.photos import PhotoReader


def png(seed: int = 0) -> bytes:
    stream = io.BytesIO()
    tiny_photo(seed).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def model() -> PhotoToMesh:
    params = load_params(ROOT / "params.yaml")
    made = PhotoToMesh()
    made.pipeline, made.generator, made.batch_size = tiny_pipeline(), params.generator, 4
    made.reader, made.finish = PhotoReader(params.photos), params.photos.finish
    return made


def asked(model: PhotoToMesh, photos: list[Any], seeds: list[Any] | None = None) -> list[tuple[bytes, str]]:
    columns = (
        {"photo": photos} if seeds is None else {"photo": photos, "seed": pd.Series(seeds, dtype=object)}
    )
    answer = model.predict(None, pd.DataFrame(columns))
    return [(row["mesh"], row["failure"]) for row in answer.to_dict("records")]


def test_odd_photos_spoil_their_own_rows_only(model: PhotoToMesh) -> None:
    good = png()
    odd: list[Any] = [
        b"",
        b"AAAA",
        good[:60],
        bytes(1000),
        None,
        3.5,
        "no base64!",
        "\udcff",
        b"\x89PNG\r\n\x1a\n",
    ]
    answers = asked(model, [good, *odd, good])
    assert answers[0][0].startswith(b"glTF") and answers[0] == answers[-1]
    assert [failure for _, failure in answers[1:-1]] == ["not_an_image"] * len(odd)
    assert all(mesh is None for mesh, _ in answers[1:-1])


def test_a_photo_in_base64_is_the_same_photo(model: PhotoToMesh) -> None:
    text = base64.b64encode(png(1))
    (plain,), (encoded,), (words,) = (asked(model, [photo]) for photo in (png(1), text, text.decode()))
    assert plain == encoded == words and plain[0].startswith(b"glTF")


def test_seeds_that_are_none_spoil_their_own_rows_only(model: PhotoToMesh) -> None:
    seeds = [0, None, -1, 2**63, 2**63 - 1, 5]
    answers = asked(model, [png()] * len(seeds), seeds)
    assert [failure for _, failure in answers] == [None, None, "invalid_seed", "invalid_seed", None, None]
    assert answers[0] == answers[1] != answers[5]


def test_what_nobody_foresaw_is_a_failure_of_its_batch_without_a_trace(
    model: PhotoToMesh, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The real pipeline breaks without an interval of guidance; a batch of refused photos does not ask it."""
    photos = [png(), png(1), b"", png(2), b"", b""]
    broken = model.generator.structure.model_copy(update={"guidance_interval": None})
    monkeypatch.setattr(model, "generator", model.generator.model_copy(update={"structure": broken}))
    answers = asked(model, photos)
    assert [failure for _, failure in answers] == ["unexpected_error"] * 4 + ["not_an_image"] * 2
    assert "Traceback" in capsys.readouterr().err
