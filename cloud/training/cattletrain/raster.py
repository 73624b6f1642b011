"""Draw triangles from above in software: a camera, the sun, pictures of single bodies and their shadows.

World axes in metres: x right, y away from the camera, z up; the ground is z = 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

FINE = 4  # fixed-point bits of corners
LARGEST = 1400  # pixels, the longest side of one body's picture; a larger one is not drawn
MARGIN = 48  # pixels around the picture that are drawn too, for soft edges
MOST_WORK = 1.5e6  # parts of pixels of one body


@dataclass(frozen=True)
class Camera:
    """A pinhole camera: focal length and middle in pixels, height in metres, tilt in radians (0 looks straight down)."""

    focal: float
    x: float
    y: float
    height: float
    tilt: float

    @staticmethod
    def over(side: int, scale: float, tilt: float, spread: float, offset: tuple[float, float] = (0.0, 0.0)) -> Camera:
        """A camera that shows the ground in the middle of a square picture at scale pixels per metre.

        spread is the width of the view in radians; offset moves the optical axis out of the
        picture's middle, in pixels, as in a part that is cut from a frame.
        """
        focal = side / (2 * np.tan(spread / 2))
        return Camera(focal, side / 2 + offset[0], side / 2 + offset[1], focal / scale * np.cos(tilt), tilt)

    def project(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels, float64 [n, 2], and distances along the axis, float64 [n], of places [n, 3]."""
        sin, cos = np.sin(self.tilt), np.cos(self.tilt)
        y, z = places[:, 1] + self.height * np.tan(self.tilt), places[:, 2] - self.height
        depth = np.maximum(y * sin - z * cos, 1e-3)
        up = y * cos + z * sin
        return np.stack([self.x + self.focal * places[:, 0] / depth, self.y - self.focal * up / depth], 1), depth

    def ground(self, pixels: np.ndarray) -> np.ndarray:
        """The places on the ground, float64 [n, 2], of pixels [n, 2]; not for pixels above the horizon."""
        sin, cos = np.sin(self.tilt), np.cos(self.tilt)
        right = (pixels[:, 0] - self.x) / self.focal
        up = (self.y - pixels[:, 1]) / self.focal
        fall = cos - up * sin
        reach = self.height / np.maximum(fall, 1e-3)
        return np.stack([right * reach, (sin + up * cos) * reach - self.height * np.tan(self.tilt)], 1)


@dataclass(frozen=True)
class Light:
    """The light of a picture: direction to the sun (length 1), its share of the light (0: overcast), softness of shadows.

    soft is the blur of a shadow's edge in metres for each metre of the body's height.
    """

    sun: np.ndarray
    strength: float
    soft: float

    def shade(self, normals: np.ndarray) -> np.ndarray:
        """Brightness of faces against that of level ground, float32 [n]."""
        direct = np.maximum(normals @ self.sun.astype(np.float32), 0) / max(float(self.sun[2]), 0.2)
        sky = 0.62 + 0.38 * normals[:, 2]
        return (self.strength * direct + (1 - self.strength) * sky).astype(np.float32)


@dataclass
class Body:
    """A thing in the world, ready to be drawn.

    places and normals float32 [n, 3] in metres, uv float32 [n, 2], own float32 [n, 3]: the places in
    the thing's rest pose, for colours that are fixed to it. faces int32 [m, 3]. paint gives BGR colours
    float32 [k, 3], 0..255, and opacity [k] for uv [k, 2], own [k, 3] and the pixels' size in metres.
    leafy: the texture has holes.
    """

    places: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    own: np.ndarray
    faces: np.ndarray
    paint: Callable[[np.ndarray, np.ndarray, float], tuple[np.ndarray, np.ndarray]]
    leafy: bool = False

    def moved(self, x: float, y: float, turn: float, scale: float = 1.0) -> Body:
        """The body turned (radians) about its origin, scaled, and moved on the ground."""
        cos, sin = np.cos(turn), np.sin(turn)
        matrix = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], np.float32)
        places = self.places @ matrix.T * scale + np.array([x, y, 0], np.float32)
        return Body(places, self.normals @ matrix.T, self.uv, self.own, self.faces, self.paint, self.leafy)


@dataclass
class Sprite:
    """A picture of one body: colours float32 [h, w, 3] and opacity [h, w], not multiplied; (x, y) is its corner."""

    colour: np.ndarray
    alpha: np.ndarray
    x: int
    y: int


def _window(points: np.ndarray, side: int, cut: bool) -> tuple[int, int, int, int] | None:
    """The corner and size of the part of the picture with these points; cut leaves out what is outside of the picture."""
    low, high = np.floor(points.min(0)).astype(int) - 2, np.ceil(points.max(0)).astype(int) + 3
    if (high < 0).any() or (low > side).any():
        return None
    if cut:
        low, high = np.maximum(low, -MARGIN), np.minimum(high, side + MARGIN)
    width, height = high - low
    if width > LARGEST or height > LARGEST or width < 1 or height < 1:
        return None
    return int(low[0]), int(low[1]), int(width), int(height)


def _fineness(corners: np.ndarray, over: float, leafy: bool, window: tuple[int, int, int, int]) -> float:
    """Parts of a pixel's side to draw: over, or fewer where a body would take too long."""
    work = float(window[2] * window[3])
    if leafy:  # every face is looked at on its own
        spans = np.minimum(np.ptp(corners, axis=1), [window[2], window[3]])
        work = max(work, float(spans.prod(1).sum()))
    return min(over, float(np.sqrt(MOST_WORK / max(work, 1.0))))


def draw(body: Body, camera: Camera, light: Light, side: int, over: float = 3, cut: bool = False) -> Sprite | None:
    """The picture of a body; None where it is wholly outside of the square picture or too large.

    over is the number of parts of a pixel's side; cut leaves out the parts outside of the picture.
    """
    points, depth = camera.project(body.places)
    window = _window(points, side, cut)
    if window is None:
        return None
    x, y, width, height = window
    corners = (points - [x, y])[body.faces]
    over = _fineness(corners, over, body.leafy, window)
    shape = max(1, round(height * over)), max(1, round(width * over))
    corners = corners * [shape[1] / width, shape[0] / height]
    order = np.argsort(-depth[body.faces].mean(1), kind="stable")
    numbers = np.full(shape, -1, np.int32)
    _fill(numbers, corners, order, body)
    rows, columns = np.nonzero(numbers >= 0)
    if len(rows) == 0:
        return None
    face = numbers[rows, columns]
    share = _shares(corners, face, columns + 0.5, rows + 0.5)
    owners = body.faces[face]
    normals = _mix(body.normals, owners, share)
    normals /= np.sqrt(np.maximum(np.einsum("ij,ij->i", normals, normals), 1e-9))[:, None]
    pixel = float(np.median(depth) / camera.focal)
    colour, alpha = body.paint(_mix(body.uv, owners, share), _mix(body.own, owners, share), pixel)
    if body.leafy:
        # Leaves face everywhere: their cards' normals would make stripes.
        normals = np.float32(0.35) * normals * np.sign(normals[:, 2:] + 1e-6) + np.array([0, 0, 0.65], np.float32)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    else:
        alpha = np.ones_like(alpha)
    height_share = np.clip(_mix(body.places[:, 2:], owners, share)[:, 0] / max(float(body.places[:, 2].max()), 1e-3), 0, 1)
    bright = light.shade(normals) * (0.55 + 0.45 * height_share)  # less light comes near the ground
    # Textures are in display values, where brightness grows as about the root of light.
    colour = colour * np.sqrt(np.maximum(bright, 0.02))[:, None]
    out = np.zeros((*shape, 4), np.float32)
    out[rows, columns, :3], out[rows, columns, 3] = colour * alpha[:, None], alpha
    out = _sized(out, width, height)
    shown = out[..., 3]
    return Sprite(out[..., :3] / np.maximum(shown, 1e-4)[..., None], shown, x, y)


def _mix(table: np.ndarray, owners: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Values of corners, table [n, d], mixed by barycentric coordinates: float32 [k, d]."""
    return table[owners[:, 0]] * share[:, :1] + table[owners[:, 1]] * share[:, 1:2] + table[owners[:, 2]] * share[:, 2:]


def _fill(numbers: np.ndarray, corners: np.ndarray, order: np.ndarray, body: Body) -> None:
    """Writes the number of the nearest face into every pixel that it covers: far faces first."""
    fixed = np.round(np.clip(corners, -4096, 4096) * (1 << FINE)).astype(np.int32)
    if not body.leafy:
        for n in order:
            cv2.fillConvexPoly(numbers, fixed[n], int(n), cv2.LINE_8, FINE)
        return
    high, wide = numbers.shape
    for n in order:
        low, top = np.floor(corners[n].min(0)).astype(int), np.ceil(corners[n].max(0)).astype(int) + 1
        x0, y0, x1, y1 = max(low[0], 0), max(low[1], 0), min(top[0], wide), min(top[1], high)
        if x1 <= x0 or y1 <= y0:
            continue
        ys, xs = np.mgrid[y0:y1, x0:x1]
        share = _shares(corners, np.full(xs.size, n), xs.ravel() + 0.5, ys.ravel() + 0.5, clip=False)
        inside = np.flatnonzero((share >= 0).all(1))
        if len(inside) == 0:
            continue
        at = body.faces[n]
        _, alpha = body.paint(share[inside] @ body.uv[at], share[inside] @ body.own[at], 0.0)
        inside = inside[alpha > 0.5]
        numbers[ys.ravel()[inside], xs.ravel()[inside]] = n


def _sized(parts: np.ndarray, width: int, height: int) -> np.ndarray:
    """Averages over the parts of each pixel."""
    return cv2.resize(parts, (width, height), interpolation=cv2.INTER_AREA if parts.shape[0] >= height else cv2.INTER_LINEAR)


def _shares(corners: np.ndarray, face: np.ndarray, x: np.ndarray, y: np.ndarray, clip: bool = True) -> np.ndarray:
    """Barycentric coordinates, float32 [k, 3], of pixels in their faces."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1])
    area = np.where(np.abs(area) < 1e-6, 1e-6, area)
    rows = np.stack([b[:, 1] - c[:, 1], c[:, 0] - b[:, 0], c[:, 1] - a[:, 1], a[:, 0] - c[:, 0]], 1) / area[:, None]
    rows, base = rows[face].astype(np.float32), c[face].astype(np.float32)
    dx, dy = x.astype(np.float32) - base[:, 0], y.astype(np.float32) - base[:, 1]
    first = rows[:, 0] * dx + rows[:, 1] * dy
    second = rows[:, 2] * dx + rows[:, 3] * dy
    out = np.stack([first, second, 1 - first - second], 1)
    if clip:
        out = np.clip(out, 0, 1)
        out /= np.maximum(out[:, :1] + out[:, 1:2] + out[:, 2:], 1e-6)
    return out


def shadow(body: Body, camera: Camera, light: Light, side: int) -> Sprite | None:
    """The shadow of a body on the ground, as opacity 0..1 (colour stays empty); None where it is outside."""
    reach = body.places[:, 2:] / max(float(light.sun[2]), 0.15)
    fallen = np.concatenate([body.places[:, :2] - light.sun[:2] * reach, np.zeros_like(reach)], 1)
    points, depth = camera.project(fallen)
    window = _window(points, side, True)
    if window is None:
        return None
    x, y, width, height = window
    corners = (points - [x, y])[body.faces]
    over = _fineness(corners, 2, body.leafy, window)
    shape = max(1, round(height * over)), max(1, round(width * over))
    numbers = np.full(shape, -1, np.int32)
    corners = corners * [shape[1] / width, shape[0] / height]
    _fill(numbers, corners, np.arange(len(corners)), body)
    mask = _sized((numbers >= 0).astype(np.float32), width, height)
    blur = light.soft * float(body.places[:, 2].max()) * camera.focal / float(np.median(depth))
    if blur > 0.3:
        pad = int(2 * blur) + 1
        mask = cv2.copyMakeBorder(mask, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=0.0)
        mask, x, y = cv2.GaussianBlur(mask, (0, 0), blur), x - pad, y - pad
    return Sprite(np.zeros((0, 0, 3), np.float32), mask, x, y)
