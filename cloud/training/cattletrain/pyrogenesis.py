"""Read models of the game 0 A.D.: meshes (PMD 4), poses (PSA 1) and actors (XML).

All numbers in the files are little-endian. In the files y points up and z
forward; everything in memory here has x forward, y left, z up.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .faults import DataError

MOST = 1 << 20  # vertices, faces, bones or frames in one file
NO_BONE = 0xFF


@dataclass
class Point:
    """A place of a mesh to which other meshes are attached: transform is float32 [4, 4] in the mesh's axes."""

    name: str
    transform: np.ndarray


@dataclass
class Mesh:
    """Triangles with texture coordinates.

    places and normals are float32 [n, 3], uv float32 [n, 2] (v downwards), faces
    int32 [m, 3]. bones is int32 [n, 4] (NO_BONE: none) with weights float32
    [n, 4]; rest is float32 [b, 4, 4], the transforms of the bones in the rest pose.
    """

    places: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    faces: np.ndarray
    bones: np.ndarray
    weights: np.ndarray
    rest: np.ndarray
    points: list[Point] = field(default_factory=list)


class _Bytes:
    """A file's content, read from front to back; every read is checked against the end."""

    def __init__(self, path: Path):
        self.path, self.at = path, 0
        try:
            self.raw = path.read_bytes()
        except OSError as err:
            raise DataError(path, [f"cannot be read: {err.strerror}"]) from err

    def fail(self, what: str) -> DataError:
        return DataError(self.path, [what])

    def take(self, kind: np.dtype | str, count: int, what: str) -> np.ndarray:
        kind = np.dtype(kind)
        end = self.at + kind.itemsize * count
        if end > len(self.raw):
            raise self.fail(f"ends within its {what}: {len(self.raw)} bytes, {end} are needed")
        out = np.frombuffer(self.raw, kind, count, self.at)
        self.at = end
        return out

    def count(self, what: str) -> int:
        number = int(self.take("<u4", 1, f"number of {what}")[0])
        if number > MOST:
            raise self.fail(f"has {number} {what}, more than {MOST}")
        return number

    def text(self, what: str) -> str:
        size = int(self.take("<u4", 1, what)[0])
        if size > 4096:
            raise self.fail(f"has a name of {size} bytes")
        return self.take("u1", size, what).tobytes().decode("latin-1")

    def head(self, magic: bytes, version: int) -> None:
        found = self.take("u1", 4, "first bytes").tobytes()
        if found != magic:
            raise self.fail(f"begins with {found!r}, not {magic!r}")
        number = int(self.take("<u4", 1, "version")[0])
        if number != version:
            raise self.fail(f"has version {number}; only {version} can be read")
        size = int(self.take("<u4", 1, "size")[0])
        if size != len(self.raw) - 12:
            raise self.fail(f"says {size} bytes of content and has {len(self.raw) - 12}")


_AXES = np.array([[0, 0, -1], [1, 0, 0], [0, 1, 0]], np.float32)  # animals look along -z in the files


def read_mesh(path: Path) -> Mesh:
    """Reads a .pmd file. Raises DataError for a file that is torn or has indices outside of its tables."""
    data = _Bytes(path)
    data.head(b"PSMD", 4)
    vertices, sets = data.count("vertices"), data.count("texture coordinates")
    if not 1 <= sets <= 8:
        raise data.fail(f"has {sets} texture coordinates for each vertex; 1 to 8 are possible")
    layout = np.dtype([("place", "<f4", 3), ("normal", "<f4", 3), ("uv", "<f4", (sets, 2)), ("bones", "u1", 4), ("weights", "<f4", 4)])
    table = data.take(layout, vertices, "vertices")
    faces = data.take("<u2", 3 * data.count("faces"), "faces").reshape(-1, 3).astype(np.int32)
    rest = _transforms(data.take("<f4", 7 * data.count("bones"), "bones"))
    points = []
    for _ in range(data.count("prop points")):
        name = data.text("prop points")
        points.append(Point(name, _transforms(data.take("<f4", 7, "prop points"))[0]))
        data.take("u1", 1, "prop points")
    if len(faces) == 0 or faces.max() >= vertices:
        raise data.fail("has no faces" if len(faces) == 0 else "has a face with a vertex that it does not have")
    bones = table["bones"].astype(np.int32)
    # An index behind the last bone is the mesh's own frame, as if there were no bone.
    bones[bones >= len(rest)] = NO_BONE
    # A copy: the buffer's order of bytes and its gaps would make later steps slow.
    places, normals = (np.ascontiguousarray(table[name] @ _AXES.T, np.float32) for name in ("place", "normal"))
    if not np.isfinite(places).all() or not np.isfinite(table["uv"]).all():
        raise data.fail("has a vertex without a place")
    uv = np.array(table["uv"][:, 0] * [1, -1], np.float32)
    return Mesh(places, normals, uv, faces, bones, np.array(table["weights"], np.float32), rest, points)


def read_poses(path: Path) -> np.ndarray:
    """Reads a .psa file: float32 [frames, bones, 4, 4], the transforms of the bones. Raises DataError for a torn file."""
    data = _Bytes(path)
    data.head(b"PSSA", 1)
    data.text("name")
    data.take("<f4", 1, "time of a frame")
    bones, frames = data.count("bones"), data.count("frames")
    if bones == 0 or frames == 0 or bones * frames > MOST:
        raise data.fail(f"has {bones} bones and {frames} frames")
    return _transforms(data.take("<f4", 7 * bones * frames, "frames")).reshape(frames, bones, 4, 4)


def _transforms(numbers: np.ndarray) -> np.ndarray:
    """Transforms float32 [n, 4, 4] in our axes from rows of a place and a quaternion (x, y, z, w) in the file's axes."""
    rows = numbers.reshape(-1, 7).astype(np.float64)
    if not np.isfinite(rows).all():
        rows = np.nan_to_num(rows, posinf=0, neginf=0)
    length = np.linalg.norm(rows[:, 3:], axis=1, keepdims=True)
    x, y, z, w = (rows[:, 3:] / np.where(length > 1e-9, length, 1)).T
    turn = np.stack(
        [
            np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)], -1),
            np.stack([2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)], -1),
            np.stack([2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)], -1),
        ],
        1,
    )
    out = np.zeros((len(rows), 4, 4), np.float32)
    out[:, :3, :3] = _AXES @ turn @ _AXES.T
    out[:, :3, 3] = rows[:, :3] @ _AXES.T
    out[:, 3, 3] = 1
    return out


def pose(mesh: Mesh, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The places and normals, float32 [n, 3], of a mesh in one frame of read_poses.

    A frame of another number of bones belongs to another skeleton: ValueError.
    """
    if len(frame) < len(mesh.rest):
        raise ValueError(f"frame has {len(frame)} bones, the mesh {len(mesh.rest)}")
    if not len(mesh.rest):
        return mesh.places, mesh.normals
    moves = frame[: len(mesh.rest)] @ np.linalg.inv(mesh.rest)
    moves = np.concatenate([moves, np.eye(4, dtype=np.float32)[None]])  # the last one stands for no bone
    index = np.where(mesh.bones == NO_BONE, len(mesh.rest), mesh.bones)
    weights = np.where(mesh.bones == NO_BONE, 0, mesh.weights)
    weights[:, 0] += 1 - weights.sum(1)
    mixed = np.einsum("nk,nkij->nij", weights, moves[index])
    places = np.einsum("nij,nj->ni", mixed[:, :3, :3], mesh.places) + mixed[:, :3, 3]
    normals = np.einsum("nij,nj->ni", mixed[:, :3, :3], mesh.normals)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-6)
    return places.astype(np.float32), normals.astype(np.float32)


@dataclass
class Part:
    """A mesh with its texture (files) and its place in the whole: transform float32 [4, 4]."""

    mesh: Path
    texture: Path
    transform: np.ndarray


class Art:
    """The folder art/ of the game's data. Files are read when needed."""

    def __init__(self, root: Path):
        self.root = root / "art" if (root / "art").is_dir() else root
        if not (self.root / "meshes").is_dir():
            raise DataError(root, ["has no folder art/meshes: it is not the data of 0 A.D."])
        self._meshes: dict[Path, Mesh] = {}
        self._trees: dict[Path, ElementTree.Element] = {}

    def mesh(self, path: Path) -> Mesh:
        """A mesh by its path; read once."""
        if path not in self._meshes:
            self._meshes[path] = read_mesh(path)
        return self._meshes[path]

    def file(self, folder: str, name: str) -> Path | None:
        """The stored form of a source file: the game's packages hold NAME.cached.pmd for NAME, for example."""
        for end in ("", ".cached.pmd", ".cached.psa", ".cached.dds"):
            path = self.root / folder / (name + end)
            if path.is_file() and path.suffix in (".pmd", ".psa", ".dds", ".png"):
                return path
        return None

    def assemble(self, actor: str, rng: np.random.Generator, depth: int = 0) -> list[Part]:
        """One random variant of an actor (a path below actors/) with everything attached to it.

        Actors with parts that are missing give the rest. Raises DataError for XML that cannot be read.
        """
        chosen = self._variant(actor, rng)
        mesh = self.file("meshes", chosen["mesh"]) if chosen["mesh"] else None
        texture = self.file("textures/skins", chosen["texture"]) if chosen["texture"] else None
        if mesh is None or texture is None:
            return []
        parts = [Part(mesh, texture, np.eye(4, dtype=np.float32))]
        if depth > 3:
            return parts
        places = {p.name: p.transform for p in self.mesh(mesh).points}
        for where, prop in chosen["props"].items():
            at = np.eye(4, dtype=np.float32) if where == "root" else places.get(where)
            if at is None:
                continue
            for part in self.assemble(prop, rng, depth + 1):
                parts.append(Part(part.mesh, part.texture, at @ part.transform))
        return parts

    def _xml(self, path: Path) -> ElementTree.Element:
        if path not in self._trees:
            try:
                self._trees[path] = ElementTree.fromstring(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
            except (OSError, ElementTree.ParseError) as err:
                raise DataError(path, [f"is not an actor that can be read: {err}"]) from err
        return self._trees[path]

    def _variant(self, actor: str, rng: np.random.Generator) -> dict:
        tree = self._xml(self.root / "actors" / actor)
        chosen: dict = {"mesh": None, "texture": None, "props": {}}
        for group in tree.iter("group"):
            variants = [v for v in group.findall("variant") if not any(w in (v.get("name", "") + v.get("file", "")).lower() for w in _ENDS)]
            if not variants:
                continue
            weights = np.array([_frequency(v) for v in variants])
            weights = weights / weights.sum() if weights.sum() > 0 else np.full(len(variants), 1 / len(variants))
            one = variants[rng.choice(len(variants), p=weights)]
            shared = self.root / "variants" / (one.get("file") or "none")
            if shared.is_file():
                _merge(self._xml(shared), chosen)
            _merge(one, chosen)
        return chosen


_ENDS = ("death", "gather", "_run")  # variants of the game's course, without an own look


def _frequency(variant: ElementTree.Element) -> float:
    try:
        return max(0.0, float(variant.get("frequency") or 0))
    except ValueError:
        return 0.0


def _merge(source: ElementTree.Element, chosen: dict) -> None:
    """Mesh, texture and attached actors of a variant replace those chosen before."""
    mesh = source.find("mesh")
    chosen["mesh"] = mesh.text.strip() if mesh is not None and mesh.text else chosen["mesh"]
    for texture in source.iter("texture"):
        if texture.get("name") == "baseTex":
            chosen["texture"] = texture.get("file")
    for prop in source.iter("prop"):
        chosen["props"].pop(prop.get("attachpoint"), None)
        if prop.get("actor"):
            chosen["props"][prop.get("attachpoint")] = prop.get("actor")
