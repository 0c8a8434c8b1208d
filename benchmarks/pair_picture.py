"""The README's picture: photo, degraded photo, the meshes of base and adapter, and the verdict.

`python -m benchmarks.pair_picture --arm repair_and_majority --regime severe -o docs/pair.png` reads a
finished run. It shows the decided pair with the median |d|, neither the clearest nor the closest one.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from verdict3d.mesh.files import read_mesh
from verdict3d.render.renderer import Renderer

SIDE_PX = 300
HEAD_PX = 44
WORDS = {"win": "the adapted mesh is better", "loss": "the base's mesh is better"}


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def find_median_pair(rows: Sequence[dict[str, Any]], regime: str) -> dict[str, Any]:
    """Return the decided pair of a regime whose |d| is the median (the lower of two)."""
    decided = [row for row in rows if row["regime"] == regime and row["outcome"] in WORDS]
    ordered = sorted(decided, key=lambda row: (abs(row["d"]), row["object"]))
    return ordered[(len(ordered) - 1) // 2]


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path, default=Path(), help="folder of the finished run")
    parser.add_argument("--arm", default="repair_and_majority")
    parser.add_argument("--regime", default="severe")
    parser.add_argument("-o", "--output", type=Path, required=True, help="PNG file")
    options = parser.parse_args(arguments)
    data = options.project / "data"
    row = find_median_pair(read_rows(data / "evaluate" / options.arm / "verdicts.jsonl"), options.regime)
    clean = {
        each["id"]: each["condition"] for each in read_rows(data / "assets/assets.jsonl") if "id" in each
    }
    degraded = {
        (each["asset"], each["regime"]): each["image"]
        for each in read_rows(data / "degrade/conditions.jsonl")
        if "asset" in each
    }
    renderer = Renderer()
    pictures = [
        _make_photo(options.project / clean[row["object"]]),
        _make_photo(options.project / degraded[row["object"], options.regime]),
        *(
            Image.fromarray(
                renderer.montage(read_mesh(options.project / row[side]["mesh"]), "normal", SIDE_PX // 2)
            )
            for side in ("base", "arm")
        ),
    ]
    titles = [
        ("photo", row["object"]),
        ("degraded photo", options.regime),
        ("base's mesh", f"F-score {row['base']['f_score']:.2f}"),
        ("adapted mesh", f"F-score {row['arm']['f_score']:.2f}"),
    ]
    page = Image.new("RGB", (len(pictures) * SIDE_PX, SIDE_PX + 2 * HEAD_PX), "white")
    draw, bold, plain = ImageDraw.Draw(page), ImageFont.load_default(18), ImageFont.load_default(14)
    for number, (picture, (title, below)) in enumerate(zip(pictures, titles, strict=True)):
        page.paste(picture, (number * SIDE_PX, HEAD_PX))
        draw.text((number * SIDE_PX + 8, 4), title, fill="black", font=bold)
        draw.text((number * SIDE_PX + 8, 25), below, fill="#555555", font=plain)
    verdict = (
        f"verdict: {WORDS[row['outcome']]}; margins {row['m1']:+.1f} and {row['m2']:+.1f} in the two orders "
        f"(preference d = {row['d']:+.1f}, bias b = {row['b']:+.1f})"
    )
    draw.text((8, SIDE_PX + HEAD_PX + 12), verdict, fill="black", font=bold)
    page.save(options.output, optimize=True)
    print(f"{options.output}: {row['object']}, {options.regime}")


def _make_photo(path: Path) -> Image.Image:
    """Return a picture in a square, on white."""
    picture = Image.open(path).convert("RGBA").resize((SIDE_PX, SIDE_PX))
    square = Image.new("RGB", picture.size, "white")
    square.paste(picture, (0, 0), picture)
    return square


if __name__ == "__main__":
    main()
