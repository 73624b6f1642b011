"""Things of building sites, shores and parks, from solid shapes. None of them is an animal; many have the size or the colour of one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .raster import Body
from .solids import LEAVES, PAINTS, STONES, STRAW, Colour, Solids, tint

SAND = ((150, 186, 206), (176, 206, 222), (128, 160, 184))
SOIL = ((88, 116, 146), (120, 150, 176), (70, 92, 120), (150, 172, 190), (190, 200, 206))
WEED = ((34, 44, 56), (28, 34, 40), (44, 66, 78), (40, 58, 52))
LIDS = ((214, 218, 220), (170, 174, 176), (190, 120, 40), (170, 90, 30), (60, 90, 130), (40, 130, 220), (120, 124, 126))
MACHINES = ((30, 160, 220), (20, 110, 220), (200, 204, 206), (40, 40, 170), (60, 130, 60))


def _blots(out: Solids, rng: np.random.Generator, count: int, spread: Colour, sizes: Colour, paints: tuple[Colour, ...], high: float) -> Solids:
    """Flat rough rounds scattered over spread (x, y deviations in metres); sizes are (least, most, flattest side)."""
    for _ in range(count):
        wide = float(np.exp(rng.uniform(np.log(sizes[0]), np.log(sizes[1]))))
        at = rng.normal(0, 1, 2) * spread[:2]
        size = (wide, wide * rng.uniform(sizes[2], 1), high * rng.uniform(0.5, 1.5))
        out.round((at[0], at[1], 0.0), size, tint(rng, *paints), rng.uniform(0, 3), 0.35, rng, 12)
    return out


def seaweed(rng: np.random.Generator) -> Body:
    """Weed, twigs and holes along a line of flotsam."""
    out, length = Solids(0.25), rng.uniform(1, 9)
    _blots(out, rng, int(rng.integers(4, 40)), (length / 3, rng.uniform(0.2, 1.2), 0), (0.12, 1.6, 0.2), WEED, 0.08)
    for _ in range(int(rng.integers(0, 5))):
        x, y = rng.normal(0, length / 3), rng.normal(0, 0.5)
        out.drum((x, y, 0.08), rng.uniform(0.03, 0.12), rng.uniform(0.5, 2.5), tint(rng, (110, 124, 136), (60, 76, 92)), "x", rng.uniform(0, 3))
    return out.body()


def rubble(rng: np.random.Generator) -> Body:
    """Many stones beside each other: a groyne, a shore, a heap of concrete."""
    out, base, spread = Solids(0.12), STONES[rng.integers(len(STONES))], rng.uniform(0.8, 4, 2)
    for _ in range(int(rng.integers(6, 36))):
        size = float(np.exp(rng.uniform(np.log(0.25), np.log(1.8))))
        at = rng.normal(0, 1, 2) * spread
        shape = (size, size * rng.uniform(0.45, 1), size * rng.uniform(0.3, 0.8))
        out.round((at[0], at[1], 0.1 * size), shape, tint(rng, base, STONES[rng.integers(len(STONES))]), rng.uniform(0, 3), 0.3, rng, 9)
    return out.body()


def bunker(rng: np.random.Generator) -> Body:
    """Bare sand in grass: the bunker of a golf course, or a worn patch, with its edge."""
    out, sand = Solids(0.04), tint(rng, *SAND)
    wide = rng.uniform(1.5, 9)
    size, turn, rough = (wide, wide * rng.uniform(0.35, 1), 0.1), rng.uniform(0, 3), int(rng.integers(1 << 30))
    out.round((0, 0, 0), size, tint(rng, *LEAVES), turn, 0.3, np.random.default_rng(rough), 20)
    out.round((0, 0, 0.02), (size[0] * 0.9, size[1] * 0.88, 0.12), sand, turn, 0.3, np.random.default_rng(rough), 20)
    return out.body()


def patch(rng: np.random.Generator) -> Body:
    """Pale or dark patches of soil, spilt lime or concrete, puddles."""
    kind = rng.integers(4)
    paints = SOIL if kind < 2 else ((214, 220, 222), (190, 198, 202)) if kind == 2 else ((76, 66, 52), (120, 108, 90), (150, 140, 120))
    count, wide = int(rng.integers(1, 9)), rng.uniform(0.4, 1.4)
    return _blots(Solids(0.1), rng, count, (wide, wide, 0), (0.4, 3.2, 0.3), paints, 0.04).body()


def heap(rng: np.random.Generator) -> Body:
    """A large heap of soil, sand or gravel with steep sides."""
    paint, out = np.array(tint(rng, *SOIL, *SAND, (96, 100, 104))), Solids(0.18)
    wide = rng.uniform(2, 8)
    for _ in range(int(rng.integers(1, 5))):
        at, size = rng.normal(0, 0.25 * wide, 2), wide * rng.uniform(0.5, 1)
        shape, colour = (size, size * rng.uniform(0.5, 1), size * rng.uniform(0.4, 0.8)), tuple(paint * np.exp(rng.normal(0, 0.06)))
        out.round((at[0], at[1], 0), shape, colour, 0, 0.25, rng, 16)
    return out.body()


def lid(rng: np.random.Generator) -> Body:
    """Lids of shafts, caps of pipes, buckets, cones: pale, blue or orange rounds and squares."""
    out, kind, paint = Solids(0.02), rng.integers(4), tint(rng, *LIDS)
    for n in range(int(rng.integers(1, 6))):
        x, y = rng.normal(0, 0.9, 2) if kind != 2 else (n * 0.7, 0.0)
        radius = rng.uniform(0.15, 0.75)
        if kind == 0:
            out.drum((x, y, 0.15), radius * 1.35, 0.3, tint(rng, *STONES)).drum((x, y, 0.18), radius, 0.3, paint, end=paint)
        elif kind == 1:
            out.box((x, y, 0.06), (radius * 2, radius * rng.uniform(1.2, 2), 0.12), paint, rng.uniform(0, 3))
        elif kind == 2:
            out.drum((x, y, 0.4), 0.28, 0.8, tint(rng, *PAINTS), end=paint)
        else:
            out.box((x, y, 0.03), (0.4, 0.4, 0.05), paint).round((x, y, 0.3), (0.28, 0.28, 0.6), paint)
    return out.body()


def pallets(rng: np.random.Generator) -> Body:
    """Pallets, empty or with bricks, bags or something in a white wrap."""
    out, wood = Solids(0.06), tint(rng, (120, 160, 190), (100, 136, 164), (130, 144, 152))
    for n in range(int(rng.integers(1, 8))):
        x, y = (n % 3) * 1.35 + rng.normal(0, 0.08), (n // 3) * 1.05 + rng.normal(0, 0.08)
        for slat in np.linspace(-0.36, 0.36, 5):
            out.box((x, y + slat, 0.12), (1.2, 0.1, 0.04), wood)
        if rng.random() < 0.6:
            high = rng.uniform(0.3, 1.2)
            out.box((x, y, 0.14 + high / 2), (1.1, 0.75, high), tint(rng, (60, 80, 150), (196, 200, 204), (222, 226, 228), *STONES))
    return out.body()


def pipes(rng: np.random.Generator) -> Body:
    """Rows of pipes or short rings of concrete, lying or standing."""
    out, paint, radius = Solids(0.04), tint(rng, (160, 164, 166), (120, 126, 130), (180, 100, 40), (40, 90, 190), (60, 62, 64)), rng.uniform(0.1, 0.7)
    length, dark = rng.uniform(0.6, 2.4) if radius > 0.35 else rng.uniform(2, 9), (34, 34, 36)
    for n in range(int(rng.integers(1, 8))):
        if radius > 0.35 and rng.random() < 0.5:
            out.drum((0, n * 2.2 * radius, 0.4), radius, 0.8, paint).drum((0, n * 2.2 * radius, 0.41), radius * 0.82, 0.8, dark)
        else:
            out.drum((rng.normal(0, 0.1), n * 2.05 * radius, radius), radius, length, paint, "x", rng.normal(0, 0.02), dark)
    return out.body()


def machine(rng: np.random.Generator) -> Body:
    """An excavator, a loader or a roller, its front to +x."""
    out, paint, dark, kind = Solids(0.02), tint(rng, *MACHINES), (36, 38, 40), rng.integers(3)
    turn = rng.uniform(-1.2, 1.2)
    if kind == 0:  # tracks, a turned cabin, and a boom in two parts with a bucket
        for y in (-0.9, 0.9):
            out.box((0, y, 0.4), (3.4, 0.5, 0.8), dark)
        cos, sin = np.cos(turn), np.sin(turn)
        out.box((-0.4 * cos, -0.4 * sin, 1.5), (2.8, 2.2, 1.2), paint, turn)
        out.box((0.5 * cos - 0.6 * sin, 0.5 * sin + 0.6 * cos, 2.2), (1.2, 0.9, 1.0), (60, 52, 46), turn)
        out.box((2.3 * cos, 2.3 * sin, 2.4), (3.2, 0.35, 0.5), paint, turn).box((4.3 * cos, 4.3 * sin, 1.4), (1.6, 0.3, 0.4), paint, turn)
        out.box((5.0 * cos, 5.0 * sin, 0.5), (0.7, 1.1, 0.7), dark, turn)
    elif kind == 1:
        for x in (-1.2, 1.2):
            out.box((x, 0, 0.55), (1.1, 2.1, 1.1), dark)
        out.box((-0.9, 0, 1.4), (2.0, 1.4, 0.9), paint).box((0.5, 0, 2.0), (1.1, 1.3, 1.3), (60, 52, 46)).box((0.5, 0, 2.7), (1.1, 1.3, 0.1), paint)
        out.box((2.3, 0, 1.0), (1.4, 0.9, 0.3), paint).box((3.1, 0, 0.5), (0.8, 2.3, 0.8), tint(rng, (70, 74, 78), *MACHINES))
    else:
        for x in (-1.3, 1.3):
            out.drum((x, 0, 0.6), 0.6, 1.6, (70, 74, 78), "x", np.pi / 2)
        out.box((0, 0, 1.2), (2.6, 1.3, 0.7), paint).box((0, 0, 2.2), (1.4, 1.4, 0.08), tint(rng, *PAINTS))
    return out.body()


def container(rng: np.random.Generator) -> Body:
    """A container, a skip with rubble, or a portable toilet."""
    out, paint, kind = Solids(0.03), tint(rng, *PAINTS, (150, 110, 50)), rng.integers(3)
    if kind == 0:
        out.box((0, 0, 1.3), (rng.choice([3.0, 6.1, 12.2]), 2.44, 2.6), paint)
        for x in np.linspace(-1.2, 1.2, 7):
            out.box((x, 0, 2.62), (0.12, 2.4, 0.05), tuple(np.array(paint) * 0.8))
    elif kind == 1:
        out.box((0, 0, 0.6), (3.6, 1.8, 1.2), paint).box((0, 0, 0.75), (3.4, 1.65, 1.0), (60, 66, 72))
        for _ in range(9):
            x, y = rng.uniform(-1.4, 1.4), rng.uniform(-0.6, 0.6)
            out.round((x, y, 1.2), (rng.uniform(0.3, 0.9), 0.4, 0.3), tint(rng, *STONES, *STRAW), rng.uniform(0, 3), 0.3, rng, 8)
    else:
        for n in range(int(rng.integers(1, 5))):
            out.box((0, n * 1.4, 1.1), (1.1, 1.1, 2.2), paint).box((0, n * 1.4, 2.25), (1.0, 1.0, 0.15), (214, 218, 220))
    return out.body()


def villa(rng: np.random.Generator) -> Body:
    """A house whose roof has dormers, skylights, panels and chimneys."""
    x, y, rise, base = rng.uniform(9, 18), rng.uniform(7, 12), rng.uniform(2, 4), rng.uniform(3, 5.5)
    tiles = tint(rng, (60, 76, 150), (70, 84, 120), (80, 82, 86), (52, 58, 70), (120, 124, 128))
    out = Solids(0.05).roof((x, y, rise), base, tiles, (190, 196, 200))
    slope = rise / (y / 2)
    for side in (-1, 1):
        kind = rng.integers(4)
        for n in range(int(rng.integers(0, 6))):
            at, up = (rng.uniform(-0.42, 0.42) if kind == 3 else (n + 0.5) / 6 - 0.5) * 0.9 * x, rng.uniform(0.25, 0.75) * y / 2
            high = base + rise - slope * up
            if kind == 0:  # dormers
                out.box((at, side * up, high + 0.4), (1.3, 1.8, 1.2), tint(rng, (214, 218, 220), *PAINTS))
                out.box((at, side * up, high + 1.05), (1.6, 2.0, 0.12), tiles)
            elif kind == 1:  # skylights
                out.box((at, side * up, high + 0.02), (0.8, 1.0, 0.25), tint(rng, (206, 200, 190), (120, 100, 80), (60, 50, 44)))
            elif kind == 2:  # solar panels
                out.box((at, side * up, high + 0.08), (1.6, 1.0, 0.12), tint(rng, (70, 44, 30), (60, 50, 46)))
            else:
                out.box((at, side * up, high + 0.6), (0.6, 0.6, 1.4), tint(rng, (70, 80, 130), *STONES))
    return out.body()


def tree(rng: np.random.Generator) -> Body:
    """A tree of a park: a round crown on a trunk, green, yellow or bare at the edge, with a long shadow."""
    leaf, out = np.array(tint(rng, *LEAVES, (60, 120, 110), (50, 110, 150))), Solids(0.25)
    wide = rng.uniform(2.5, 8)
    high, foot = wide * rng.uniform(0.6, 1.3), rng.uniform(0.8, 2.5)
    out.drum((0, 0, foot / 2), 0.06 * wide, foot + 0.4, (50, 60, 70))
    for _ in range(int(rng.integers(50, 110))):
        way = rng.normal(size=3)
        way = way / np.linalg.norm(way) * rng.random() ** 0.4
        size = wide * rng.uniform(0.1, 0.24)
        at = way * [wide / 2, wide / 2, high / 2] + [0, 0, foot + high / 2]
        shade = (0.6 + 0.45 * (at[2] - foot) / high) * np.exp(rng.normal(0, 0.14))
        out.round(tuple(at), (size, size, size * 0.8), tuple(leaf * shade), rng.uniform(0, 3), 0.3, rng, 7)
    return out.body()


def visitors(rng: np.random.Generator) -> Body:
    """What visitors leave on the ground: benches, tables, umbrellas, towels, boats, tents, golf carts."""
    out, kind, paint = Solids(0.03), rng.integers(6), tint(rng, *PAINTS, (40, 60, 200), (60, 200, 220))
    if kind == 0:
        out.box((0, 0, 0.45), (1.8, 0.45, 0.08), tint(rng, *STRAW)).box((0, 0.3, 0.7), (1.8, 0.08, 0.5), tint(rng, *STRAW))
    elif kind == 1:
        out.box((0, 0, 0.75), (1.8, 0.8, 0.06), tint(rng, *STRAW))
        for y in (-0.75, 0.75):
            out.box((0, y, 0.45), (1.8, 0.28, 0.06), paint)
    elif kind == 2:
        for n in range(int(rng.integers(1, 5))):
            out.round((n * 2.6, rng.normal(0, 0.4), 2.1), (2.2, 2.2, 0.5), tint(rng, *PAINTS, (40, 60, 200)))
            out.box((n * 2.6 + 0.8, 0.9, 0.05), (1.9, 0.7, 0.05), paint)
    elif kind == 3:
        length = rng.uniform(2.5, 6)
        out.round((0, 0, 0.3), (length, 0.32 * length, 0.9), tint(rng, (220, 224, 226), *PAINTS))
        out.round((0, 0, 0.62), (0.8 * length, 0.22 * length, 0.5), tint(rng, *STRAW))
    elif kind == 4:
        out.round((0, 0, 0), (rng.uniform(1.8, 4), rng.uniform(1.5, 2.5), rng.uniform(1.8, 3)), paint)
    else:
        out.box((0, 0, 0.5), (2.4, 1.2, 0.5), tint(rng, (210, 214, 216), *PAINTS)).box((0, 0, 1.8), (1.5, 1.2, 0.08), tint(rng, (222, 226, 228), *PAINTS))
    return out.body()


PLACES: dict[str, tuple[str, ...]] = {
    "building site": ("patch", "heap", "lid", "pallets", "pipes", "machine", "container", "rubble"),
    "shore": ("seaweed", "rubble", "patch", "visitors", "tree"),
    "park": ("bunker", "tree", "visitors", "patch", "villa", "lid"),
}
THINGS: dict[str, Callable[[np.random.Generator], Body]] = {
    "seaweed": seaweed, "rubble": rubble, "bunker": bunker, "patch": patch, "heap": heap, "lid": lid, "pallets": pallets, "pipes": pipes,
    "machine": machine, "container": container, "villa": villa, "tree": tree, "visitors": visitors,
}  # fmt: skip
