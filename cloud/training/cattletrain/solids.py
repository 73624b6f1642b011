"""Simple solid shapes with colours, and the things of a farm that are made of them. None of them is an animal."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .raster import Body

Colour = tuple[float, float, float]


class Solids:
    """Shapes joined to one body. Colours are display BGR; grain roughens them."""

    def __init__(self, grain: float = 0.08):
        self.places: list[np.ndarray] = []
        self.normals: list[np.ndarray] = []
        self.colours: list[np.ndarray] = []
        self.faces: list[np.ndarray] = []
        self.count, self.grain = 0, grain

    def add(self, places: np.ndarray, normals: np.ndarray, faces: np.ndarray, colour: np.ndarray | Colour) -> None:
        """Adds triangles: places and normals [n, 3] in metres, faces [m, 3], one colour or one for each place."""
        self.places.append(places)
        self.normals.append(normals)
        self.faces.append(faces + self.count)
        self.colours.append(np.broadcast_to(np.asarray(colour, np.float32), places.shape))
        self.count += len(places)

    def box(self, middle: Colour, size: Colour, colour: Colour, turn: float = 0.0) -> Solids:
        """A box around middle; size along x, y, z in metres."""
        places, normals, faces = [], [], []
        for axis in range(3):
            for sign in (-1, 1):
                others = [a for a in range(3) if a != axis]
                quad = np.zeros((4, 3))
                quad[:, axis] = sign
                quad[:, others[0]], quad[:, others[1]] = [-1, 1, 1, -1], [-1, -1, 1, 1]
                faces.append(np.array([[0, 1, 2], [0, 2, 3]]) + 4 * len(places))
                places.append(quad)
                normals.append(np.tile(np.eye(3)[axis] * sign, (4, 1)))
        self._put(np.concatenate(places) * np.array(size) / 2, np.concatenate(normals), np.concatenate(faces), middle, turn, colour)
        return self

    def round(self, middle: Colour, size: Colour, colour: Colour, turn: float = 0.0, rough: float = 0.0, rng: np.random.Generator | None = None,
              cells: int = 9) -> Solids:  # fmt: skip
        """An ellipsoid around middle; rough moves its surface in and out by this share."""
        up, around = np.meshgrid(np.linspace(-np.pi / 2, np.pi / 2, cells // 2 + 2), np.linspace(0, 2 * np.pi, cells + 1), indexing="ij")
        unit = np.stack([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)], -1)
        reach = np.ones(up.shape)
        if rough and rng is not None:
            for _ in range(5):
                way = rng.normal(size=3)
                reach += rough * 0.45 * np.sin(unit @ way * rng.uniform(1, 3.5) + rng.uniform(0, 6))
        shape = unit * reach[..., None] * np.array(size) / 2
        rows, columns = up.shape
        at = np.arange(rows * columns).reshape(rows, columns)
        a, b, c, d = at[:-1, :-1].ravel(), at[:-1, 1:].ravel(), at[1:, 1:].ravel(), at[1:, :-1].ravel()
        faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
        normals = (unit / np.array(size)).reshape(-1, 3)
        if rough:
            normals = _normals(shape.reshape(-1, 3), faces, unit.reshape(-1, 3))
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
        self._put(shape.reshape(-1, 3), normals, faces, middle, turn, colour)
        return self

    def drum(self, middle: Colour, radius: float, length: float, colour: Colour, axis: str = "z", turn: float = 0.0, end: Colour | None = None) -> Solids:
        """A cylinder around middle, along x or z; end colours its two ends."""
        around = np.linspace(0, 2 * np.pi, 19)
        ring = np.stack([np.cos(around), np.sin(around), np.zeros(19)], 1)
        side = np.concatenate([ring * radius + [0, 0, -length / 2], ring * radius + [0, 0, length / 2]])
        n = np.arange(18)
        faces = np.concatenate([np.stack([n, n + 1, n + 20], 1), np.stack([n, n + 20, n + 19], 1)])
        parts = [(side, np.concatenate([ring, ring]), faces, colour)]
        for sign in (-1, 1):
            disc = np.concatenate([ring * radius, np.zeros((1, 3))]) + np.array([0, 0, sign * length / 2])
            parts.append((disc, np.tile([0.0, 0, sign], (20, 1)), np.stack([n, n + 1, np.full(18, 19)], 1), end or colour))
        for places, normals, faces, paint in parts:
            if axis == "x":
                places, normals = places[:, [2, 1, 0]], normals[:, [2, 1, 0]]
            self._put(places, normals, faces, middle, turn, paint)
        return self

    def roof(self, size: Colour, base: float, colour: Colour, walls: Colour) -> Solids:
        """A house: walls of size x, y up to base and a gabled roof of height z above them."""
        x, y, z = size[0] / 2, size[1] / 2, size[2]
        self.box((0, 0, base / 2), (size[0] * 0.95, size[1] * 0.92, base), walls)
        for sign in (-1, 1):
            places = np.array([[-x, sign * y, base], [x, sign * y, base], [x, 0, base + z], [-x, 0, base + z]])
            normal = np.array([0, sign * z, y]) / np.hypot(z, y)
            self.add(places, np.tile(normal, (4, 1)), np.array([[0, 1, 2], [0, 2, 3]]), colour)
        return self

    def _put(self, places: np.ndarray, normals: np.ndarray, faces: np.ndarray, middle: Colour, turn: float, colour: Colour) -> None:
        cos, sin = np.cos(turn), np.sin(turn)
        matrix = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
        self.add(places @ matrix.T + np.array(middle), normals @ matrix.T, faces, colour)

    def body(self) -> Body:
        """All shapes as one body."""
        places = np.concatenate(self.places).astype(np.float32)
        colours = np.concatenate(self.colours)
        # The colour takes the place of texture coordinates and the rest pose.
        return Body(places, np.concatenate(self.normals).astype(np.float32), places[:, :2].copy(), colours, np.concatenate(self.faces), _Grainy(self.grain))


def _normals(places: np.ndarray, faces: np.ndarray, outwards: np.ndarray) -> np.ndarray:
    """Normals of the corners from the faces around them; outwards [n, 3] gives their side."""
    a, b, c = (places[faces[:, n]] for n in range(3))
    flat = np.cross(b - a, c - a)
    flat *= np.sign((flat * outwards[faces].sum(1)).sum(1, keepdims=True) + 1e-12)
    out = 1e-6 * outwards
    for n in range(3):
        np.add.at(out, faces[:, n], flat)
    return out


class _Grainy:
    def __init__(self, grain: float):
        self.grain = grain

    def __call__(self, uv: np.ndarray, own: np.ndarray, pixel: float) -> tuple[np.ndarray, np.ndarray]:
        x, y = uv[:, 0], uv[:, 1]
        rough = np.sin(x * 23 + 4 * np.sin(y * 9)) * np.sin(y * 29 + 3 * np.sin(x * 13)) + 0.6 * np.sin(x * 71 + y * 57)
        return np.clip(own * (1 + self.grain * rough)[:, None], 4, 246), np.ones(len(x), np.float32)


def tint(rng: np.random.Generator, *colours: Colour) -> Colour:
    """One of the colours, a little brighter or darker."""
    base = np.array(colours[rng.integers(len(colours))]) * np.exp(rng.normal(0, 0.12))
    return tuple(np.clip(base + rng.normal(0, 5, 3), 8, 240))


STRAW = ((120, 170, 190), (90, 140, 165), (80, 130, 140))
PAINTS = ((225, 228, 230), (40, 40, 42), (120, 122, 125), (50, 50, 150), (120, 70, 40), (180, 182, 185), (60, 110, 60), (40, 160, 200))
STONES = ((128, 132, 134), (96, 104, 112), (160, 168, 172), (84, 96, 120), (190, 194, 196), (60, 62, 64))
LEAVES = ((48, 88, 66), (40, 70, 56), (62, 104, 92), (70, 98, 108), (84, 118, 112), (36, 56, 42))


def cars(rng: np.random.Generator) -> list[tuple[Body, float, float]]:
    """A row of parked cars with their places beside each other, in metres."""
    step = rng.uniform(2.5, 3.1)
    return [(car(rng), rng.normal(0, 0.2), n * step) for n in range(int(rng.integers(2, 12))) if rng.random() < 0.85]


def car(rng: np.random.Generator) -> Body:
    """A car or a pickup, its front to +x."""
    paint, glass = tint(rng, *PAINTS), tint(rng, (52, 46, 42))
    out = Solids(0.01)
    length, wide = rng.uniform(3.8, 5.4), rng.uniform(1.7, 2.0)
    for x in (-0.3, 0.3):
        out.box((x * length, 0, 0.3), (0.7, wide * 1.0, 0.6), (30, 30, 30))
    out.box((0, 0, 0.65), (length, wide, 0.6), paint)
    if rng.random() < 0.35:  # a pickup
        out.box((0.08 * length, 0, 1.2), (0.3 * length, wide * 0.9, 0.6), glass).box((0.08 * length, 0, 1.52), (0.24 * length, wide * 0.8, 0.06), paint)
        out.box((-0.28 * length, 0, 0.97), (0.38 * length, wide * 0.8, 0.05), (60, 62, 66))
    else:
        out.box((-0.05 * length, 0, 1.2), (0.6 * length, wide * 0.9, 0.5), glass).box((-0.07 * length, 0, 1.46), (0.42 * length, wide * 0.82, 0.06), paint)
    return out.body()


def tractor(rng: np.random.Generator) -> Body:
    """A tractor, half of them with a trailer behind."""
    paint, out = tint(rng, (40, 120, 40), (40, 40, 160), (150, 80, 40), (30, 140, 200)), Solids(0.02)
    for y in (-0.85, 0.85):
        out.drum((-0.8, y, 0.8), 0.8, 0.45, (28, 28, 30), "x", np.pi / 2).drum((1.3, y * 0.8, 0.5), 0.5, 0.3, (28, 28, 30), "x", np.pi / 2)
    out.box((1.0, 0, 1.1), (2.0, 0.8, 0.8), paint).box((-0.7, 0, 1.9), (1.5, 1.4, 1.2), (48, 46, 44)).box((-0.7, 0, 2.55), (1.5, 1.4, 0.12), paint)
    if rng.random() < 0.5:
        out.box((-4.2, 0, 1.0), (4.5, 2.2, 0.7), tint(rng, *PAINTS)).box((-4.2, 0, 1.36), (4.2, 1.9, 0.05), tint(rng, *STRAW))
    return out.body()


def bale(rng: np.random.Generator) -> Body:
    """A bale of straw or wrapped silage, round or square."""
    skin = tint(rng, *STRAW) if rng.random() < 0.6 else tint(rng, (222, 226, 226), (40, 42, 42), (110, 150, 120))
    radius, length = rng.uniform(0.55, 0.8), rng.uniform(1.1, 1.4)
    out = Solids(0.1)
    if rng.random() < 0.3:
        return out.box((0, 0, 0.4), (rng.uniform(1, 2.4), rng.uniform(0.5, 1.2), 0.8), skin).body()
    axis = "x" if rng.random() < 0.75 else "z"
    return out.drum((0, 0, radius if axis == "x" else length / 2), radius, length, skin, axis, end=tuple(np.array(skin) * 0.85)).body()


def trough(rng: np.random.Generator) -> Body:
    """A long trough or a round tank, with water or feed."""
    wall, inside = tint(rng, (150, 154, 156), (120, 110, 100), (70, 90, 110)), tint(rng, (90, 80, 66), (60, 72, 80), *STRAW)
    out = Solids(0.04)
    if rng.random() < 0.4:
        radius = rng.uniform(0.8, 2.2)
        return out.drum((0, 0, 0.3), radius, 0.6, wall, end=wall).drum((0, 0, 0.32), radius * 0.9, 0.6, inside).body()
    length, wide = rng.uniform(1.5, 8), rng.uniform(0.5, 0.9)
    return out.box((0, 0, 0.25), (length, wide, 0.5), wall).box((0, 0, 0.28), (length - 0.12, wide - 0.15, 0.5), inside).body()


def feeder(rng: np.random.Generator) -> Body:
    """A ring of bars around hay."""
    paint, out = tint(rng, (140, 142, 146), (40, 60, 140), (60, 110, 60)), Solids(0.03)
    radius = rng.uniform(0.9, 1.3)
    out.round((0, 0, 0.25), (radius * 1.5, radius * 1.5, 0.8), tint(rng, *STRAW), 0, 0.2, rng)
    for turn in np.linspace(0, 2 * np.pi, 17)[:-1]:
        x, y = radius * np.cos(turn), radius * np.sin(turn)
        out.box((x, y, 0.55), (0.05, 0.05, 1.1), paint).box((x, y, 1.08), (0.06, radius * 0.4, 0.06), paint, turn)
    return out.body()


def person(rng: np.random.Generator) -> Body:
    """A person on foot."""
    shirt, legs, out = tint(rng, *PAINTS), tint(rng, (80, 60, 48), (40, 40, 44), (110, 130, 140)), Solids(0.02)
    step = rng.uniform(-0.25, 0.25)
    for sign in (-1, 1):
        out.drum((sign * step, sign * 0.1, 0.42), 0.08, 0.85, legs).round((sign * step * 0.9, sign * -0.27, 1.1), (0.16, 0.12, 0.7), shirt)
    hat = tint(rng, (40, 60, 90), (30, 34, 40), (120, 190, 210), (200, 205, 210))
    return out.round((0, 0, 1.15), (0.3, 0.5, 0.75), shirt).round((0.04, 0, 1.63), (0.24, 0.2, 0.28), hat).body()


def shed(rng: np.random.Generator) -> Body:
    """A shed with a gabled roof."""
    size = rng.uniform(3, 14), rng.uniform(2.5, 8), rng.uniform(0.3, 1.6)
    out = Solids(0.03).roof(size, rng.uniform(2, 3.5), tint(rng, (140, 146, 150), (70, 80, 140), (90, 92, 94), (190, 192, 194), (60, 70, 84)), (120, 130, 140))
    return out.body()


def house(rng: np.random.Generator) -> Body:
    """A house of tiles with a chimney or panels, or a flat roof with boxes on it."""
    size = rng.uniform(7, 18), rng.uniform(6, 11), rng.uniform(1.2, 2.8)
    tiles = tint(rng, (60, 76, 150), (70, 84, 120), (80, 82, 86), (52, 58, 70), (150, 154, 158))
    out = Solids(0.05)
    if rng.random() < 0.4:
        out.box((0, 0, 2), (size[0], size[1], 4), tint(rng, (150, 154, 158), (110, 112, 114), (190, 192, 194)))
        for _ in range(int(rng.integers(1, 7))):
            at = rng.uniform(-0.4, 0.4, 2) * size[:2]
            out.box((at[0], at[1], 4.3), (rng.uniform(0.5, 2.5), rng.uniform(0.5, 1.5), 0.7), tint(rng, *PAINTS))
        return out.body()
    out.roof(size, rng.uniform(3, 5.5), tiles, (170, 176, 180))
    out.box((rng.uniform(-0.3, 0.3) * size[0], 0.12 * size[1], size[2] + 4.6), (0.7, 0.7, 1.6), (70, 80, 110))
    return out.body()


def boulder(rng: np.random.Generator) -> Body:
    """One to three stones."""
    stone, out = tint(rng, *STONES), Solids(0.1)
    for _ in range(int(rng.integers(1, 4))):
        size = rng.uniform(0.5, 2.6)
        at = rng.normal(0, 0.5 * size, 2)
        out.round((at[0], at[1], 0.12 * size), (size, size * rng.uniform(0.4, 1), size * rng.uniform(0.35, 0.8)), stone, rng.uniform(0, 3), 0.28, rng, 14)
    return out.body()


def bush(rng: np.random.Generator) -> Body:
    """A bush of many leafy balls."""
    leaf, out = np.array(tint(rng, *LEAVES)), Solids(0.22)
    wide = rng.uniform(0.6, 3.2)
    high = wide * rng.uniform(0.35, 0.9)
    stretch = rng.uniform(0.5, 1)
    for _ in range(int(rng.integers(25, 70))):
        way = rng.normal(size=3) * [1, stretch, 0.6]
        way = way / np.linalg.norm(way) * rng.random() ** 0.5
        size = wide * rng.uniform(0.1, 0.3)
        at = way * [wide / 2, wide * stretch / 2, high / 2] + [0, 0, high * 0.5]
        shade = (0.6 + 0.5 * at[2] / high) * np.exp(rng.normal(0, 0.16))
        out.round(tuple(at), (size, size, size * 0.8), tuple(leaf * shade), rng.uniform(0, 3), 0.25, rng, 7)
    return out.body()


def tussock(rng: np.random.Generator) -> Body:
    """A tuft of blades of grass."""
    blade, out = np.array(tint(rng, (84, 128, 132), (110, 150, 160), (60, 110, 90), (120, 140, 140))), Solids(0.15)
    wide = rng.uniform(0.3, 1.0)
    for _ in range(40):
        way, lean = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.5) * wide
        tip = np.array([np.cos(way) * lean, np.sin(way) * lean, wide * rng.uniform(0.4, 0.9)])
        base = np.array([np.cos(way), np.sin(way), 0]) * lean * 0.25
        side = np.array([-np.sin(way), np.cos(way), 0]) * 0.03
        places = np.stack([base - side, base + side, tip])
        out.add(places, np.tile([0, 0, 1.0], (3, 1)), np.array([[0, 1, 2]]), blade * np.exp(rng.normal(0, 0.2)))
    return out.body()


def stump(rng: np.random.Generator) -> Body:
    """A stump, or some logs side by side."""
    bark, wood, out = tint(rng, (60, 76, 92), (90, 100, 108)), tint(rng, (120, 160, 190), (90, 120, 150)), Solids(0.12)
    if rng.random() < 0.5:
        length, radius = rng.uniform(1.2, 7), rng.uniform(0.12, 0.35)
        for n in range(int(rng.integers(1, 4))):
            out.drum((rng.normal(0, 0.2), (n - 1) * 2.1 * radius, radius), radius, length * rng.uniform(0.8, 1), bark, "x", rng.normal(0, 0.03), wood)
        return out.body()
    radius = rng.uniform(0.2, 0.6)
    return out.drum((0, 0, 0.2), radius, 0.4, bark, end=wood).body()


def mound(rng: np.random.Generator) -> Body:
    """Heaps of earth, dung or ants."""
    earth, out = tint(rng, (70, 92, 116), (60, 70, 84), (110, 140, 164), (60, 84, 140), (36, 44, 52)), Solids(0.16)
    for _ in range(int(rng.integers(1, 4))):
        wide = rng.uniform(0.3, 2.2)
        at = rng.normal(0, 0.6, 2)
        out.round((at[0], at[1], 0), (wide, wide * rng.uniform(0.6, 1), wide * rng.uniform(0.2, 1.3)), earth, rng.uniform(0, 3), 0.22, rng, 12)
    return out.body()


def junk(rng: np.random.Generator) -> Body:
    """Bags, tarpaulins, blocks, tyres, barrels, pipes: the size of animals and of their colours."""
    out, kind = Solids(0.05), rng.integers(6)
    paint = tint(rng, *PAINTS, *STONES, *STRAW)
    if kind == 0:
        for _ in range(int(rng.integers(1, 5))):
            at = rng.normal(0, 0.6, 2)
            out.round((at[0], at[1], 0.25), (rng.uniform(0.7, 1.6), rng.uniform(0.4, 0.9), rng.uniform(0.3, 0.8)), paint, rng.uniform(0, 3), 0.15, rng, 12)
    elif kind == 1:
        out.round((0, 0, 0.1), (rng.uniform(1, 3.5), rng.uniform(0.8, 2.2), rng.uniform(0.2, 0.8)), paint, 0, 0.3, rng, 16)
    elif kind == 2:
        for n in range(int(rng.integers(1, 5))):
            out.box((n * 1.3, rng.normal(0, 0.1), 0.35), (1.2, 0.6, 0.7), tint(rng, *STONES), rng.normal(0, 0.08))
    elif kind == 3:
        for _ in range(int(rng.integers(1, 6))):
            x, y = rng.normal(0, 0.8, 2)
            out.drum((x, y, 0.12), 0.42, 0.24, (34, 34, 36)).drum((x, y, 0.13), 0.22, 0.24, (70, 90, 104))
    elif kind == 4:
        for n in range(int(rng.integers(1, 6))):
            out.drum((0, n * 0.65, 0.45), 0.3, 0.9, paint, end=tuple(np.array(paint) * 0.8))
    else:
        length = rng.uniform(2, 8)
        for n in range(int(rng.integers(2, 7))):
            out.drum((rng.normal(0, 0.2), n * 0.3, 0.15), 0.13, length, paint, "x")
    return out.body()


THINGS: dict[str, Callable[[np.random.Generator], Body]] = {
    "car": car, "tractor": tractor, "bale": bale, "trough": trough, "feeder": feeder, "person": person, "shed": shed, "house": house, "boulder": boulder,
    "bush": bush, "tussock": tussock, "stump": stump, "mound": mound, "junk": junk,
}  # fmt: skip
