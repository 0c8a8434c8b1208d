"""Material libraries of OBJ files: diffuse colour, picture and opacity; keywords in any case."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from verdict3d.errors import ItemFailure
from verdict3d.mesh.readers.own_folder import OwnFolder
from verdict3d.mesh.readers.reading import Reading

_OPTIONS = {
    **dict.fromkeys(("-s", "-o", "-t"), 3),
    "-mm": 2,
    **dict.fromkeys(
        ("-blendu", "-blendv", "-clamp", "-imfchan", "-texres", "-bm", "-boost", "-type", "-cc"), 1
    ),
}
"""Options of a picture, and the most values that follow them."""

_LIBRARY = re.compile(r"\S.*?\.mtl(?=\s|$)", re.IGNORECASE)
_KEYWORDS = frozenset({"kd", "d", "map_kd", "map_d"})
_LINES_AT_ONCE = 1 << 12


@dataclass(frozen=True)
class Material:
    """How a surface looks.

    Attributes:
        color: Red, green and blue, 0 to 255 sRGB, or None.
        picture: Name of its picture as the file's bytes in Latin-1, or None.
        opacity: In [0, 1], ``d``. ``Tr`` is not read: half of the programs write its opposite.
        cut_out: Whether the picture's transparency counts too, which ``map_d`` says by the same name.
        scale: Of texture coordinates.
        offset: Added to scaled texture coordinates.
    """

    color: tuple[int, int, int] | None = None
    picture: str | None = None
    opacity: float = 1.0
    cut_out: bool = False
    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)


def read_materials(libraries: Iterable[str], folder: OwnFolder, reading: Reading) -> dict[str, Material]:
    """Return the materials of libraries by name; of those that cannot be read there are none, with a note.

    Args:
        libraries: What stands behind ``mtllib``: one name, or several.
        folder: Where they are.
        reading: Limits, budget and notes of the mesh file.

    Raises:
        ItemFailure: A library cannot be read, and ``reading`` wants textures.
    """
    found: dict[str, Material] = {}
    for name in dict.fromkeys(one for line in libraries for one in _list_names(line, folder)):
        try:
            content = folder.get(name)
            found |= _read(content.removeprefix(b"\xef\xbb\xbf").decode("latin-1"), reading)
        except ItemFailure as failure:
            reading.lose_texture(failure)
        except (ValueError, IndexError) as error:
            reading.lose_texture(ItemFailure("broken_material", f"{name!r} cannot be parsed: {error}"))
    return found


def _list_names(line: str, folder: OwnFolder) -> list[str]:
    """Return the names in a line: one with spaces where there is such a file, else each that ends in .mtl."""
    several = [match[0] for match in _LIBRARY.finditer(line)]
    return [line] if len(several) < 2 or folder.has(line) else several


def _read(text: str, reading: Reading) -> dict[str, Material]:
    said: dict[str, dict[str, str]] = {}
    name = ""
    for number, line in enumerate(text.splitlines()):
        if number % _LINES_AT_ONCE == 0:
            reading.check_time()
        keyword, _, rest = line.replace("\t", " ").strip().partition(" ")
        keyword = keyword.lower()
        if keyword == "newmtl":
            name = rest.strip()
            said.setdefault(name, {})
        elif keyword in _KEYWORDS:
            said.setdefault(name, {})[keyword] = rest
    materials = {}
    for number, (name, words) in enumerate(said.items()):
        if number % _LINES_AT_ONCE == 0:
            reading.check_time()
        materials[name] = _make_material(words)
    return materials


def _make_material(said: dict[str, str]) -> Material:
    """Return what the last line of each keyword says."""
    material = Material()
    if "map_kd" in said:
        material = _with_picture(material, said["map_kd"].split())
    if "kd" in said:
        material = replace(material, color=_read_color(said["kd"]))
    if "d" in said:
        words = [word for word in said["d"].split() if word.lower() != "-halo"]
        material = replace(material, opacity=min(max(float(words[0]), 0.0), 1.0))
    if "map_d" in said:
        mask = _with_picture(Material(), said["map_d"].split()).picture
        material = replace(material, cut_out=mask is not None and mask == material.picture)
    return material


def _read_color(rest: str) -> tuple[int, int, int]:
    shades = [round(min(max(float(word), 0.0), 1.0) * 255) for word in rest.split()[:3]]
    if len(shades) not in (1, 3):
        raise ValueError(f"a colour has {len(shades)} numbers")
    red, green, blue = shades * 3 if len(shades) == 1 else shades
    return red, green, blue


def _with_picture(material: Material, words: list[str]) -> Material:
    """Read ``map_Kd``: options stand before the name or behind it, and the name may hold spaces."""
    start, values = _read_options(words, 0)
    end = next((at for at in range(start + 1, len(words)) if words[at].lower() in _OPTIONS), len(words))
    values |= _read_options(words, end)[1]
    scale, offset = values.get("-s", []), values.get("-o", [])
    return replace(
        material,
        picture=" ".join(words[start:end]) or None,
        scale=((*scale, 1.0, 1.0)[0], (*scale, 1.0, 1.0)[1]),
        offset=((*offset, 0.0, 0.0)[0], (*offset, 0.0, 0.0)[1]),
    )


def _read_options(words: list[str], start: int) -> tuple[int, dict[str, list[float]]]:
    """Return where a run of options that begins at ``start`` ends, and their numbers."""
    values: dict[str, list[float]] = {}
    while start < len(words) and words[start].lower() in _OPTIONS:
        option, most = words[start].lower(), _OPTIONS[words[start].lower()]
        start += 1
        numbers: list[float] = []
        while (
            start < len(words) and len(numbers) < most and (number := _read_value(words[start])) is not None
        ):
            numbers.append(number)
            start += 1
        if not numbers and option in ("-blendu", "-blendv", "-clamp", "-imfchan", "-type", "-cc"):
            start += 1  # its value is a word
        values[option] = numbers
    return start, values


def _read_value(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None
