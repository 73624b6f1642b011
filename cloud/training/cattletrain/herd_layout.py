"""Where the animals of a rendered picture stand: herds in metres on the ground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MOST = 130  # animals in one picture
KINDS = ("sparse", "groups", "pen", "lane", "trough", "pairs")
CHANCES = (0.18, 0.23, 0.24, 0.1, 0.09, 0.16)


@dataclass(frozen=True)
class Spot:
    """The place of an animal in metres, its heading in radians, its size against a grown one, and what it does."""

    x: float
    y: float
    turn: float
    size: float
    state: str


def herd(rng: np.random.Generator, view: float, kind: str, room: float = 1.0) -> list[Spot]:
    """Spots of one herd around the origin in a view of this width in metres; room is the length of an animal against a cow's."""
    spots = {"sparse": _sparse, "groups": _groups, "pen": _pen, "lane": _lane, "trough": _trough, "pairs": _pairs}[kind](rng, view / room)
    grown = [Spot(s.x * room, s.y * room, s.turn, s.size, s.state) for s in _apart(spots, kind in ("pen", "trough"))]
    return grown[:MOST]


def _state(rng: np.random.Generator, graze: float = 0.4) -> str:
    return str(rng.choice(["graze", "stand", "walk", "lie"], p=[graze, 0.35 * (1 - graze), 0.35 * (1 - graze), 0.3 * (1 - graze)]))


def _size(rng: np.random.Generator) -> float:
    if rng.random() < 0.12:
        return float(rng.uniform(0.5, 0.72))
    return float(np.clip(rng.normal(0.98, 0.07), 0.8, 1.15))


def _apart(spots: list[Spot], tight: bool) -> list[Spot]:
    """Without the animals that would stand within another one."""
    kept: list[Spot] = []
    along, across = (1.7, 0.52) if tight else (2.1, 0.75)
    for spot in spots:
        free = True
        for other in kept:
            dx, dy = spot.x - other.x, spot.y - other.y
            for turn in (spot.turn, other.turn):
                a, b = dx * np.cos(turn) + dy * np.sin(turn), -dx * np.sin(turn) + dy * np.cos(turn)
                if (a / along) ** 2 + (b / across) ** 2 < 1:
                    free = False
        if free:
            kept.append(spot)
    return kept


def _sparse(rng: np.random.Generator, view: float) -> list[Spot]:
    most = float(np.clip(view * view / 35, 4, 90))
    count = int(np.ceil(most * rng.random() ** 1.5))
    heading, spread = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 3)
    places = rng.uniform(-view / 2, view / 2, (count, 2))
    return [Spot(x, y, heading + rng.normal(0, spread), _size(rng), _state(rng, 0.5)) for x, y in places]


def _groups(rng: np.random.Generator, view: float) -> list[Spot]:
    out = []
    for _ in range(int(rng.integers(1, 6))):
        middle, wide = rng.uniform(-0.42, 0.42, 2) * view, rng.uniform(1.5, 6)
        heading, spread, graze = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 3), rng.uniform(0, 0.8)
        for x, y in middle + rng.normal(size=(int(rng.integers(2, 28)), 2)) * wide * rng.uniform(0.5, 1, 2):
            out.append(Spot(x, y, heading + rng.normal(0, spread), _size(rng), _state(rng, graze)))
    return out


def _grid(rng: np.random.Generator, columns: int, rows: int, along: float, across: float, rough: float) -> np.ndarray:
    at = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1).reshape(-1, 2).astype(float)
    at -= at.mean(0)
    at[:, 0] += 0.5 * (np.round(at[:, 1]) % 2)
    return at * [along, across] + rng.normal(0, rough, at.shape) * [along, across]


def _turned(places: np.ndarray, angle: float) -> np.ndarray:
    return places @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def _pen(rng: np.random.Generator, view: float) -> list[Spot]:
    along, across = rng.uniform(2.0, 3.0), rng.uniform(0.72, 1.3)
    columns = int(np.clip(rng.uniform(2, 1.2 * view / along + 2), 2, 14))
    rows = int(np.clip(rng.uniform(2, 1.2 * view / across + 2), 2, MOST / columns))
    places = _grid(rng, columns, rows, along, across, rng.uniform(0.08, 0.3))
    places = places[rng.random(len(places)) < rng.uniform(0.5, 1)]
    angle, milling = rng.uniform(0, 2 * np.pi), rng.choice([0.15, 0.5, 3.0], p=[0.5, 0.3, 0.2])
    return [
        Spot(x, y, angle + rng.normal(0, milling) + np.pi * (rng.random() < 0.3), _size(rng), str(rng.choice(["stand", "walk", "lie"], p=[0.6, 0.25, 0.15])))
        for x, y in _turned(places, angle) + rng.uniform(-0.15, 0.15, 2) * view
    ]


def _lane(rng: np.random.Generator, view: float) -> list[Spot]:
    step, abreast = rng.uniform(1.9, 3.6), int(rng.integers(1, 5))
    places = _grid(rng, int(1.5 * view / step) + 1, abreast, step, rng.uniform(0.85, 1.5), 0.14)
    angle = rng.uniform(0, 2 * np.pi)
    kept = places[rng.random(len(places)) < rng.uniform(0.5, 1)]
    kept[:, 1] += rng.uniform(0, 2) * np.sin(kept[:, 0] * rng.uniform(0.05, 0.3))
    return [Spot(x, y, angle + rng.normal(0, 0.12), _size(rng), "walk" if rng.random() < 0.85 else "stand") for x, y in _turned(kept, angle)]


def _trough(rng: np.random.Generator, view: float) -> list[Spot]:
    """Two rows with their heads to a line through the origin along x, turned together."""
    count, step = int(np.clip(rng.uniform(4, max(view, 6)), 4, 50)), rng.uniform(0.75, 1.4)
    angle, out = rng.uniform(0, 2 * np.pi), []
    for side in (1, -1) if rng.random() < 0.6 else (1,):
        for n in range(count):
            if rng.random() < 0.8:
                x, y = _turned(np.array([[(n - count / 2) * step + rng.normal(0, 0.1), side * (1.45 + rng.normal(0, 0.12))]]), angle)[0]
                out.append(Spot(x, y, angle - side * np.pi / 2 + rng.normal(0, 0.14), _size(rng), "graze" if rng.random() < 0.6 else "stand"))
    return out


def _pairs(rng: np.random.Generator, view: float) -> list[Spot]:
    out = []
    for x, y in rng.uniform(-0.47, 0.47, (int(rng.integers(1, np.clip(view * view / 120, 3, 40))), 2)) * view:
        turn = rng.uniform(0, 2 * np.pi)
        out.append(Spot(x, y, turn, float(rng.uniform(0.9, 1.1)), _state(rng)))
        if rng.random() < 0.85:
            side, back = rng.choice([-1, 1]) * rng.uniform(0.8, 1.3), rng.uniform(-0.9, 0.7)
            at = np.array([x, y]) + np.array([np.cos(turn), np.sin(turn)]) * back + np.array([-np.sin(turn), np.cos(turn)]) * side
            out.append(Spot(at[0], at[1], turn + rng.normal(0, 0.5), float(rng.uniform(0.42, 0.65)), _state(rng, 0.15)))
    return out
