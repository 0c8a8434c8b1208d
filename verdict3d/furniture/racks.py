"""Shelves of free arrangement. Units are centimetres, the floor is z = 0, the front faces -y."""

from __future__ import annotations

import numpy as np

from verdict3d.furniture.frames import LEG_STYLES, feet
from verdict3d.furniture.outlines import arc, ball, band, ellipse, round_corners, shift_outline, turn_upright
from verdict3d.furniture.palette import Palette, pick
from verdict3d.furniture.parts import Part, bar, box, lathe, move, prism, rod


def cell_shelf(rng: np.random.Generator, look: Palette) -> list[Part]:
    """Open and closed cells in an irregular outline: every column has its own floor and height."""
    columns, rows = pick(rng, (2, 3, 4, 5)), pick(rng, (2, 3, 4, 5))
    widths, heights = rng.uniform(20, 55, size=columns), rng.uniform(18, 50, size=rows)
    depth = rng.uniform(20, 50)
    thick = 0.034 * max(float(widths.sum()), float(heights.sum()))
    xs = np.concatenate([[0.0], np.cumsum(widths)]) - widths.sum() / 2
    zs = np.concatenate([[0.0], np.cumsum(heights)])
    tops = rng.integers(1, rows + 1, size=columns)
    tops[int(rng.integers(columns))] = rows
    if rng.random() < 0.3:
        tops = np.full(columns, rows)
    share = pick(rng, (0.0, 0.2, 0.5))
    parts: list[Part] = []
    for column in range(columns):
        left, right = xs[column], xs[column + 1]
        x, wide = (left + right) / 2, right - left
        parts += [
            box((x, 0, z + thick / 2), (wide + 0.9 * thick, depth - 0.8, thick), look.wood)
            for z in zs[: tops[column] + 1]
        ]
        for row in range(tops[column]):
            z = (zs[row] + zs[row + 1] + thick) / 2
            if rng.random() < share:
                full = rng.uniform(0.4, 1.0)
                kind = look.second_wood if rng.random() < 0.5 else look.fabric
                parts.append(
                    box(
                        (x, (1 - full) * depth / 2, z),
                        (wide, full * (depth - 1), zs[row + 1] - zs[row]),
                        kind,
                    )
                )
    for line in range(columns + 1):
        near = [tops[i] for i in (line - 1, line) if 0 <= i < columns]
        tall = zs[max(near)] + thick
        parts.append(box((xs[line], 0, tall / 2), (thick, depth, tall), look.wood))
    if rng.random() < 0.3:
        lift = rng.uniform(8, 40)
        parts = move(parts, (0, 0, lift))
        parts += feet((float(widths.sum()), depth), lift + 1, 1.4 * thick, look.metal, pick(rng, LEG_STYLES))
    return parts


def free_shelf(rng: np.random.Generator, look: Palette) -> list[Part]:
    """Staggered boards on posts, discs on a column, zigzags, arches, trees, corner and hanging shelves."""
    width, depth, high = rng.uniform(45, 140), rng.uniform(22, 50), rng.uniform(70, 200)
    thick = 0.036 * max(width, high)
    kind = pick(
        rng, ("staggered", "staggered", "column", "zigzag", "arch", "tree", "quarter", "frame", "inclined")
    )
    rows = pick(rng, (3, 4, 5, 6))
    zs = np.sort(rng.uniform(0.05, 0.97, size=rows)) if rng.random() < 0.4 else np.linspace(0.06, 0.97, rows)
    zs = zs * high
    parts: list[Part] = []
    if kind == "staggered":
        posts = np.sort(rng.uniform(-0.4, 0.4, size=pick(rng, (1, 2, 2, 3)))) * width
        back = depth / 2 - thick / 2
        wide = pick(rng, (thick, thick, 0.12 * width))
        parts = [box((x, back, high / 2), (wide, thick, high), look.metal) for x in posts]
        parts.append(
            box(
                (float(posts.mean()), 0, thick / 2),
                (max(float(np.ptp(posts)), 0.3 * width) + thick, depth, thick),
                look.metal,
            )
        )
        for z in zs:
            reach = rng.uniform(0.3, 1.0) * width
            x = float(pick(rng, posts.tolist())) + rng.uniform(-0.4, 0.4) * reach
            deep = rng.uniform(0.6, 1.0) * depth
            parts.append(box((x, depth / 2 - deep / 2, z), (reach, deep, thick), look.wood))
            if rng.random() < 0.3:
                parts.append(
                    box(
                        (x + rng.uniform(-0.2, 0.2) * reach, depth / 2 - deep / 2, z + 0.07 * high),
                        (0.35 * reach, 0.8 * deep, 0.14 * high),
                        pick(rng, (look.fabric, look.second_wood)),
                    )
                )
    elif kind == "column":
        shape = pick(
            rng, (ellipse(width, width), round_corners(width, 0.6 * width, 4), ellipse(width, width, count=6))
        )
        parts = [rod((0, 0, 0), (0, 0, high), rng.uniform(0.03, 0.1) * width + 2, look.metal)]
        parts += [
            prism(
                shape * (1.0 if i == 0 else rng.uniform(0.4, 1.0)),
                max(z - thick, 0),
                max(z, thick),
                look.wood,
            )
            for i, z in enumerate(zs)
        ]
    elif kind == "zigzag":
        side = pick(rng, (-1, 1))
        path = [
            (side * (1 if i % 2 else -1) * width / 2 * rng.uniform(0.6, 1.0), float(z))
            for i, z in enumerate(np.linspace(thick / 2, high, rows + 1))
        ]
        parts = [
            turn_upright(band(path, 1.2 * thick), -depth / 2, depth / 2, look.wood),
            box((0, 0, thick / 2), (width, depth, thick), look.second_wood),
        ]
        if rng.random() < 0.6:
            parts.append(box((0, depth / 2 - thick / 2, high / 2), (0.3 * width, thick, high), look.metal))
    elif kind == "arch":
        hoop = np.concatenate(
            [[[width / 2, -high]], ellipse(width, width, 0, 180, 10), [[-width / 2, -high]]]
        )
        inner = np.concatenate(
            [
                [[width / 2 - thick, -high]],
                ellipse(width - 2 * thick, width - 2 * thick, 0, 180, 10),
                [[-width / 2 + thick, -high]],
            ]
        )
        ring = np.concatenate([hoop[::-1], inner])[::-1]
        parts = [turn_upright(shift_outline(ring, 0, high), -depth / 2, depth / 2, look.wood)]
        parts += [box((0, 0, z), (width - thick, depth - 1, thick), look.second_wood) for z in zs[:-1]]
        if rng.random() < 0.5:
            parts.append(
                box((0, depth / 2 - thick / 2, high / 2), (width - 2, thick, high), look.second_wood)
            )
    elif kind == "tree":
        parts = [
            box((0, 0, high / 2), (1.6 * thick, 1.6 * thick, high), look.wood),
            box((0, 0, thick / 2), (0.7 * width, depth, thick), look.wood),
        ]
        for i, z in enumerate(zs):
            side, reach = (1, -1)[i % 2], rng.uniform(0.25, 0.5) * width
            rise = rng.uniform(0.0, 0.16) * high
            parts.append(bar((0, 0, z), (side * reach, 0, z + rise), 1.2 * thick, look.wood))
            parts.append(
                box((side * reach, 0, z + rise), (0.5 * reach + 10, 0.8 * depth, thick), look.second_wood)
            )
    elif kind == "quarter":
        corner = np.concatenate([ellipse(2 * width, 2 * width, 180, 270, 11), [[0.0, 0.0]]])
        outline = shift_outline(corner, width / 2, width / 2)
        parts = [
            prism(
                (outline - width / 2) * (1.0 if rng.random() < 0.6 else rng.uniform(0.75, 1.0)) + width / 2,
                max(z - thick, 0),
                max(z, thick),
                look.wood,
            )
            for z in zs
        ]
        edge = width / 2 - thick / 2
        parts += [
            box((edge, 0, high / 2), (thick, rng.uniform(0.1, 1) * width, high), look.second_wood),
            box((0, edge, high / 2), (width, thick, high), look.second_wood),
        ]
    elif kind == "frame":
        size = min(width, high)
        parts = [
            turn_upright(
                shift_outline(arc(size, high, 1.4 * thick, 0.5, 359.5, 16), 0, high / 2),
                -depth / 2,
                depth / 2,
                look.metal,
            )
        ]
        for z in zs[1:-1]:
            half = size / 2 * max(0.1, 1 - (2 * z / high - 1) ** 2) ** 0.5
            parts.append(box((0, 0, z), (2 * half - thick, depth - 1, thick), look.wood))
        parts.append(box((0, 0, 0.6 * thick), (0.5 * size, 1.2 * depth, 1.2 * thick), look.wood))
    else:
        lean = rng.uniform(0.05, 0.4) * width
        for s in (-1, 1):
            parts.append(
                bar((s * width / 2, 0, 0), (s * (width / 2 - lean), 0, high), 1.6 * thick, look.wood)
            )
            if rng.random() < 0.5:
                parts.append(
                    bar((s * width / 2, 0, 0), (-s * (width / 2 - lean), 0, high), 1.2 * thick, look.metal)
                )
        parts += [
            box(
                (0, 0, z),
                (width - 2 * lean * z / high + 2 * thick, depth * (1 if z < high / 2 else 0.75), thick),
                look.second_wood,
            )
            for z in zs
        ]
    if rng.random() < 0.15:
        parts.append(
            lathe(ball(9, zs[-1] - 1, zs[-1] + 22), look.fabric, axis=(0, 0))
            if kind == "column"
            else rod((0, 0, zs[0] - 1), (0, 0, zs[0] + 15), 7, look.fabric)
        )
    return parts
