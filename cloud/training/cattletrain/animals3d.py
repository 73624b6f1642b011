"""Animals of the game's data as bodies to draw: kinds, sizes, poses and coats."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from . import pyrogenesis
from .coats import Coat
from .faults import DataError
from .raster import Body

CATTLE_LENGTH = 2.4  # metres, a grown cow from nose to tail
MOST_SIDE = 8192  # pixels of a texture
MOST_FACES = 4000  # of a thing, so that a picture takes seconds at most
POSES = ("walk", "stand", "graze", "lie")


@dataclass(frozen=True)
class Kind:
    """A kind of animal: actors of the game, beginnings of its poses' names, length in metres, size of its groups."""

    name: str
    actors: tuple[str, ...]
    poses: tuple[str, ...]
    length: float
    group: tuple[int, int]


CATTLE = Kind(
    "cattle", ("cow", "cow", "cow", "cow", "bull", "bull", "zebu", "zebu", "sanga_cattle"),
    ("bovidae_idle", "bovidae_feeding", "bovidae_walk"), CATTLE_LENGTH, (1, 40),
)  # fmt: skip
OTHERS = (
    Kind("sheep", ("sheep1", "sheep2", "sheep3"), ("sheep_idle", "sheep_walk"), 1.25, (5, 60)),
    Kind("goat", ("goat",), ("goat_idle", "goat_walk"), 1.25, (3, 25)),
    Kind("horse", ("horse_bay_01", "horse_black", "horse_chestnut_01", "horse_gray", "horse_white", "horse_skewbald", "horse_palomino_01", "horse_brown"),
         ("horse_idle", "horse_walk", "horse_trot"), 2.5, (1, 12)),
    Kind("pony", ("pony",), ("pony_idle", "pony_walk"), 2.0, (1, 8)),
    Kind("donkey", ("donkey",), ("donkey_idle", "donkey_walk"), 2.0, (1, 6)),
    Kind("deer", ("deer", "deer1", "deer2"), ("deer_idle", "deer_walk"), 1.8, (2, 25)),
    Kind("gazelle", ("gazelle",), ("deer_idle", "deer_walk"), 1.2, (3, 30)),
    Kind("zebra", ("zebra",), ("zebra_idle", "zebra_walk"), 2.3, (3, 25)),
    Kind("wildebeest", ("wildebeest",), ("bovidae_idle", "bovidae_walk"), 2.1, (3, 30)),
    Kind("camel", ("camel",), ("camel_idle", "camel_walk", "camel_sit"), 3.0, (1, 12)),
    Kind("giraffe", ("giraffe_adult", "giraffe_baby"), ("giraffe_adult_idle", "giraffe_adult_walk"), 3.6, (1, 8)),
    Kind("elephant", ("elephant_african_bush", "elephant_asian"), ("elephant_african_bush_idle", "elephant_african_bush_walk"), 6.0, (1, 12)),
    Kind("pig", ("pig1",), ("animal_pig_idle", "animal_pig_walk"), 1.5, (2, 25)),
    Kind("dog", ("mastiff",), ("mastiff_idle",), 1.1, (1, 3)),
    Kind("rhino", ("rhino",), ("rhino_idle", "rhino_walk"), 3.6, (1, 3)),
    Kind("hippo", ("hippopotamus",), ("hippopotamus_idle", "hippopotamus_walk"), 3.4, (1, 6)),
    Kind("bird", ("peacock", "chicken"), ("peacock_idle", "chicken_idle"), 1.0, (2, 20)),
)  # fmt: skip


class Texture:
    """A picture that repeats: colours float32 [h, w, 3] BGR and opacity [h, w] 0..1."""

    def __init__(self, path: Path):
        self.colour, self.alpha = read_texture(path)
        self._shades: np.ndarray | None = None

    def shades(self) -> np.ndarray:
        """The fine shades without the broad ones, float32 [h, w] around 1."""
        if self._shades is None:
            grey = cv2.cvtColor(self.colour, cv2.COLOR_BGR2GRAY)
            broad = cv2.GaussianBlur(grey, (0, 0), grey.shape[0] / 24)
            self._shades = np.clip((grey + 12) / (broad + 12), 0.5, 1.6)
        return self._shades

    def look(self, uv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Colours [n, 3] and opacity [n] at texture coordinates [n, 2]."""
        high, wide = self.alpha.shape
        x = np.floor(uv[:, 0] * wide).astype(np.int64) % wide
        y = np.floor(uv[:, 1] * high).astype(np.int64) % high
        return self.colour[y, x], self.alpha[y, x]


def read_texture(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """A texture's colours, float32 [h, w, 3] BGR, and opacity, float32 [h, w]. Raises DataError where it cannot be read."""
    from PIL import Image  # only here: OpenCV does not read DDS

    try:
        with Image.open(path) as file:
            if max(file.size) > MOST_SIDE:
                raise DataError(path, [f"is a texture of {file.width}x{file.height} pixels; up to {MOST_SIDE} on a side can be used"])
            rgba = np.asarray(file.convert("RGBA"), np.float32)
    except (OSError, ValueError, NotImplementedError, SyntaxError, Image.DecompressionBombError) as err:
        raise DataError(path, [f"is not a texture that can be read: {err}"]) from err
    return np.ascontiguousarray(rgba[..., 2::-1]), rgba[..., 3] / 255


class Zoo:
    """Makes animals. Files are read once and kept."""

    def __init__(self, art: pyrogenesis.Art):
        self.art = art
        self._textures: dict[Path, Texture] = {}
        self._poses: dict[str, list[tuple[str, np.ndarray]]] = {}

    def texture(self, path: Path) -> Texture:
        """A texture by its path; read once. Raises DataError where it cannot be read."""
        if path not in self._textures:
            self._textures[path] = Texture(path)
        return self._textures[path]

    def has(self, kind: Kind) -> bool:
        """Whether the data has all actors of a kind."""
        return all((self.art.root / "actors" / "fauna" / f"{name}.xml").is_file() for name in kind.actors)

    def cattle(self, breed: str, size: float, state: str, rng: np.random.Generator) -> Body:
        """A head of cattle at the origin, its nose to +x; size 1 is a grown cow; state is one of POSES."""
        part = self._part(CATTLE, rng)
        coat = Coat.draw(breed, rng)
        mesh, texture = self.art.mesh(part.mesh), self.texture(part.texture)
        places, normals = self._posed(mesh, CATTLE, state, rng)
        wide = rng.uniform(0.98, 1.28) * (0.86 if size < 0.75 else 1.0)
        places, normals = _fit(mesh, places, normals, CATTLE_LENGTH * size, wide)
        if state == "lie":
            places = _lie(places, rng)
        places, normals = _bend(places, normals, rng)
        return Body(places, normals, mesh.uv, _own(mesh), mesh.faces, _CoatPaint(coat, texture, rng.uniform(0.25, 0.8), rng.uniform(0, 0.07)))

    def other(self, kind: Kind, rng: np.random.Generator) -> Body:
        """Another animal at the origin, its nose to +x. Raises DataError where the game's data lacks it."""
        part = self._part(kind, rng)
        mesh, texture = self.art.mesh(part.mesh), self.texture(part.texture)
        places, normals = self._posed(mesh, kind, "walk" if rng.random() < 0.4 else "stand", rng)
        places, normals = _fit(mesh, places, normals, kind.length * np.exp(rng.normal(0, 0.12)), rng.uniform(1.0, 1.3))
        places, normals = _bend(places, normals, rng)
        return Body(places, normals, mesh.uv, _own(mesh), mesh.faces, _SkinPaint(texture, np.exp(rng.normal(0, 0.18)), rng.uniform(0, 0.6)))

    def thing(self, actor: str, wide: float, leafy: bool, rng: np.random.Generator) -> Body:
        """A model with all that is attached to it, wide metres wide, on the ground. Raises DataError where the data lacks it."""
        parts = self.art.assemble(actor, rng)
        bodies = []
        for part in parts:
            mesh = self.art.mesh(part.mesh)
            places = mesh.places @ part.transform[:3, :3].T + part.transform[:3, 3]
            bodies.append((places, mesh.normals @ part.transform[:3, :3].T, mesh.uv, mesh.faces, self.texture(part.texture)))
        if not bodies or sum(len(b[3]) for b in bodies) > MOST_FACES:
            raise DataError(self.art.root, [f"has no model {actor}, or one of more than {MOST_FACES} faces"])
        places = np.concatenate([b[0] for b in bodies])
        size = float(np.ptp(places[:, :2], axis=0).max())
        places = (places - [*((places[:, :2].max(0) + places[:, :2].min(0)) / 2), places[:, 2].min()]) * (wide / max(size, 1e-3))
        starts = np.cumsum([0] + [len(b[0]) for b in bodies])
        faces = np.concatenate([b[3] + start for b, start in zip(bodies, starts[:-1], strict=True)])
        which = np.concatenate([np.full((len(b[0]), 3), n, np.float32) for n, b in enumerate(bodies)])
        paint = _ManyPaint([b[4] for b in bodies], float(np.exp(rng.normal(0, 0.2))), rng.uniform(0.1, 0.6))
        normals, uv = np.concatenate([b[1] for b in bodies]), np.concatenate([b[2] for b in bodies])
        return Body(places.astype(np.float32), normals.astype(np.float32), uv, which, faces, paint, leafy)

    def _part(self, kind: Kind, rng: np.random.Generator) -> pyrogenesis.Part:
        for _ in range(8):
            parts = self.art.assemble(f"fauna/{kind.actors[rng.integers(len(kind.actors))]}.xml", rng)
            if parts:
                return parts[0]
        raise DataError(self.art.root, [f"has no model of kind {kind.name}"])

    def _posed(self, mesh: pyrogenesis.Mesh, kind: Kind, state: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        choice = [p for p in self._frames(kind) if p[1].shape[1] == len(mesh.rest)]
        word = {"walk": "walk", "stand": "idle", "graze": "feeding", "lie": "idle"}[state]
        fit = [p for p in choice if word in p[0]] or choice
        if not fit or len(mesh.rest) == 0:
            return mesh.places, mesh.normals
        frames = fit[rng.integers(len(fit))][1]
        return pyrogenesis.pose(mesh, frames[rng.integers(len(frames))])

    def _frames(self, kind: Kind) -> list[tuple[str, np.ndarray]]:
        if kind.name not in self._poses:
            files = sorted((self.art.root / "animation" / "quadraped").glob("*.psa"))
            mine = [f for f in files if f.name.startswith(kind.poses)]
            self._poses[kind.name] = [(f.name, pyrogenesis.read_poses(f)) for f in mine]
        return self._poses[kind.name]


class _CoatPaint:
    """The coat's colours with the fine shades of the mesh's texture."""

    def __init__(self, coat: Coat, texture: Texture, detail: float, grain: float):
        self.coat, self.texture, self.detail, self.grain = coat, texture, detail, grain

    def __call__(self, uv: np.ndarray, own: np.ndarray, pixel: float) -> tuple[np.ndarray, np.ndarray]:
        high, wide = self.texture.alpha.shape
        x, y = (uv[:, 0] * wide).astype(np.int64) % wide, (uv[:, 1] * high).astype(np.int64) % high
        shade = self.texture.shades()[y, x] ** self.detail
        hair = 1 + self.grain * np.sin(own[:, 0] * 310 + 9 * np.sin(own[:, 1] * 57)) * np.sin(own[:, 1] * 260 + own[:, 0] * 33)
        return self.coat.colour(own) * (shade * hair)[:, None].astype(np.float32), np.ones(len(uv), np.float32)


class _SkinPaint:
    """The mesh's own texture, brighter or darker, with more or less colour."""

    def __init__(self, texture: Texture, gain: float, grey: float):
        self.texture, self.gain, self.grey = texture, gain, grey

    def __call__(self, uv: np.ndarray, own: np.ndarray, pixel: float) -> tuple[np.ndarray, np.ndarray]:
        colour, _ = self.texture.look(uv)
        colour = colour * (1 - self.grey) + colour.mean(1, keepdims=True) * self.grey
        return np.clip(colour * self.gain, 6, 245), np.ones(len(uv), np.float32)


class _ManyPaint:
    """Several textures; the first coordinate of the rest place is the number of the texture."""

    def __init__(self, textures: list[Texture], gain: float, grey: float):
        self.textures, self.gain, self.grey = textures, gain, grey

    def __call__(self, uv: np.ndarray, own: np.ndarray, pixel: float) -> tuple[np.ndarray, np.ndarray]:
        colour, alpha = np.zeros((len(uv), 3), np.float32), np.zeros(len(uv), np.float32)
        which = np.round(own[:, 0]).astype(int)
        for n, texture in enumerate(self.textures):
            mine = which == n
            if mine.any():
                colour[mine], alpha[mine] = texture.look(uv[mine])
        colour = colour * (1 - self.grey) + colour.mean(1, keepdims=True) * self.grey
        return np.clip(colour * self.gain, 4, 245), alpha


def _own(mesh: pyrogenesis.Mesh) -> np.ndarray:
    low, high = mesh.places.min(0), mesh.places.max(0)
    size = np.maximum(high - low, 1e-3)
    return ((mesh.places - low) / size - [0, 0.5, 0]).astype(np.float32)


def _fit(mesh: pyrogenesis.Mesh, places: np.ndarray, normals: np.ndarray, length: float, wide: float) -> tuple[np.ndarray, np.ndarray]:
    """The animal in metres, its middle over the origin, on the ground, wide times as wide as its model."""
    scale = length / max(float(np.ptp(mesh.places[:, 0])), 1e-3)
    middle = (places[:, :2].min(0) + places[:, :2].max(0)) / 2
    out = (places - [middle[0], middle[1], 0]) * scale * [1, wide, 1]
    out[:, 2] = np.maximum(out[:, 2] - min(0.0, float(out[:, 2].min())), 0)
    turned = normals / [1, wide, 1]
    turned /= np.maximum(np.linalg.norm(turned, axis=1, keepdims=True), 1e-6)
    return out.astype(np.float32), turned.astype(np.float32)


def _lie(places: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The animal at rest: its belly on the ground, its legs folded beside it."""
    out = places.copy()
    top = float(places[:, 2].max())
    drop = 0.42 * top
    below = np.clip(1 - places[:, 2] / drop, 0, 1)
    out[:, 2] = np.where(places[:, 2] > drop, places[:, 2] - drop * 0.92, 0.08 * places[:, 2])
    side = rng.choice([-1, 1])
    out[:, 1] += below * (0.16 * side + 0.1 * np.sign(places[:, 1]))
    out[:, 0] += below * np.where(places[:, 0] > 0, -0.12, 0.16)
    return out


def _bend(places: np.ndarray, normals: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Body and neck turned to a side: the neck up to about 50 degrees."""
    length = float(np.ptp(places[:, 0]))
    along = places[:, 0] / length  # -0.5 tail, 0.5 nose
    angle = rng.normal(0, 0.25) * along
    neck = np.clip((along - 0.12) / 0.3, 0, 1)
    angle = angle + (rng.normal(0, 0.45) if rng.random() < 0.6 else 0) * neck * neck
    cos, sin = np.cos(angle), np.sin(angle)
    hinge = np.minimum(places[:, 0], 0.12 * length)
    x = places[:, 0] - hinge
    out = places.copy()
    out[:, 0] = hinge + x * cos - places[:, 1] * sin
    out[:, 1] = x * sin + places[:, 1] * cos
    turned = normals.copy()
    turned[:, 0] = normals[:, 0] * cos - normals[:, 1] * sin
    turned[:, 1] = normals[:, 0] * sin + normals[:, 1] * cos
    return out.astype(np.float32), turned.astype(np.float32)
