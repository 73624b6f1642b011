"""Views of labelled pictures: random scale, turn, crop, light and blur, as tiles of one side."""

from dataclasses import dataclass

import cv2
import numpy as np

from .coco import CATTLE, OTHER, Image

LEAST_VISIBLE = 0.3  # least share of a box in the view for a label
LEAST_SIDE = 5.0  # pixels; smaller animals have no label


@dataclass(frozen=True)
class Recipe:
    """The range of changes from a picture to a view."""

    side: int = 416  # pixels of the square view
    scales: tuple[float, float] = (0.4, 3.2)  # log-uniform zoom
    bodies: tuple[float, float] = (12.0, 200.0)  # the zoom keeps the median box side within these pixels
    turn: float = 0.3  # probability of further quarter turns; all turns are within 8 degrees of one
    colour: float = 0.8  # probability of changed colour and light
    blur: float = 0.25  # probability of blur, and of noise
    inside: float = 0.85  # share of views inside the picture, except for the corners of a turn
    empty: float = 0.25  # share of views at a random place instead of on an animal


@dataclass(frozen=True)
class View:
    """pixels uint8 [side, side, 3] RGB; boxes float32 [n, 4], centre x, centre y, width, height as shares of the side; kinds int64 [n]."""

    pixels: np.ndarray
    boxes: np.ndarray
    kinds: np.ndarray


def view(pixels: np.ndarray, image: Image, recipe: Recipe, rng: np.random.Generator) -> View:
    """A random view of `pixels` (uint8 [H, W, 3] BGR, which `image` describes)."""
    matrix = placement(image, recipe, rng)
    side = recipe.side
    fill = tuple(int(v) for v in rng.integers(0, 160, 3)) if rng.random() < 0.5 else (0, 0, 0)
    zoom = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    source = pixels
    if zoom < 0.7:  # linear sampling without this blur would alias
        sigma = 0.4 / zoom
        source = cv2.GaussianBlur(pixels, (0, 0), sigma)
    out = cv2.warpAffine(source, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=fill)
    for x1, y1, x2, y2 in turned(image.ignore, matrix):
        hide(out, x1, y1, x2, y2)
    cattle, others = (clipped(turned(b, matrix), side) for b in (image.boxes, image.others))
    boxes = np.concatenate([cattle, others])
    kinds = np.repeat(np.array([CATTLE, OTHER]), [len(cattle), len(others)])
    if rng.random() < recipe.colour:
        out = relight(out, rng)
    out = degrade(out, recipe, rng)
    return View(cv2.cvtColor(out, cv2.COLOR_BGR2RGB), normalised(boxes, side), kinds)


def placement(image: Image, recipe: Recipe, rng: np.random.Generator) -> np.ndarray:
    """The 2x3 matrix from picture to view."""
    low, high = recipe.scales
    animals = np.concatenate([image.boxes, image.others])
    if len(animals):
        sizes = np.sqrt((animals[:, 2] - animals[:, 0]) * (animals[:, 3] - animals[:, 1]))
        body = float(np.median(sizes))
        low = min(max(low, recipe.bodies[0] / body), 3.0)
        high = max(min(high, recipe.bodies[1] / body), low)
    zoom = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    # A tile of the worker seldom reaches over the edge of the picture, so a view seldom does.
    inside = rng.random() < recipe.inside
    fit = recipe.side / min(image.width, image.height)
    zoom = max(zoom, min(fit, 3.0) if inside else 0.7 * fit)
    angle = rng.uniform(-0.14, 0.14)  # turned boxes are exact only near quarter turns
    if rng.random() < recipe.turn:
        angle += rng.integers(1, 4) * np.pi / 2
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    linear = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.diag([mirror, 1.0])
    half = recipe.side / 2
    if len(animals) and rng.random() >= recipe.empty:
        x1, y1, x2, y2 = animals[rng.integers(len(animals))]
        centre = np.array([(x1 + x2) / 2, (y1 + y2) / 2])
        target = half + rng.uniform(-0.95, 0.95, 2) * half
    else:
        reach = min(half / zoom, min(image.width, image.height) / 2)
        centre = np.array([rng.uniform(reach, image.width - reach), rng.uniform(reach, image.height - reach)])
        target = np.array([half, half])
    offset = target - linear @ centre
    if inside:
        size = np.array([image.width, image.height])
        reach = np.minimum(half / zoom * (abs(np.cos(angle)) + abs(np.sin(angle))), size / 2)
        middle = np.linalg.solve(linear, half - offset)
        offset = half - linear @ np.clip(middle, reach, size - reach)
    return np.hstack([linear, offset[:, None]])


def turned(boxes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Boxes under the matrix: the upright boxes of their inscribed ellipses, because bodies do not fill the corners."""
    if not len(boxes):
        return np.zeros((0, 4), np.float32)
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]) / 2
    moved = centre @ matrix[:, :2].T + matrix[:, 2]
    reach = np.sqrt((half**2) @ (matrix[:, :2] ** 2).T)
    return np.hstack([moved - reach, moved + reach]).astype(np.float32)


def clipped(boxes: np.ndarray, side: int) -> np.ndarray:
    """The parts of boxes inside a view, without boxes with too small parts."""
    if not len(boxes):
        return boxes
    inside = np.clip(boxes, 0, side)
    size = inside[:, 2:] - inside[:, :2]
    area = size.prod(1)
    whole = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return inside[(area >= LEAST_VISIBLE * whole) & (size.min(1) >= LEAST_SIDE)]


def normalised(boxes: np.ndarray, side: int) -> np.ndarray:
    """Corners in pixels to centre and size as shares of the side."""
    if not len(boxes):
        return np.zeros((0, 4), np.float32)
    return np.hstack([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]]).astype(np.float32) / side


def hide(pixels: np.ndarray, x1: float, y1: float, x2: float, y2: float) -> None:
    """Covers a region that is neither animal nor ground with its own mean colour."""
    side = pixels.shape[0]
    x1, y1, x2, y2 = (int(np.clip(v, 0, side)) for v in (x1, y1, x2, y2))
    if x2 > x1 and y2 > y1:
        pixels[y1:y2, x1:x2] = pixels[y1:y2, x1:x2].mean((0, 1))


def relight(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Other exposure, contrast, white balance, saturation and hue; sometimes grey."""
    out = pixels.astype(np.float32) / 255
    out = out ** float(np.exp(rng.normal(0, 0.25)))
    out *= np.exp(rng.normal(0, 0.06, 3)).astype(np.float32)
    mean = out.mean()
    out = (out - mean) * float(np.exp(rng.normal(0, 0.2))) + mean + float(rng.normal(0, 0.05))
    grey = out @ np.array([0.114, 0.587, 0.299], np.float32)
    keep = 0.0 if rng.random() < 0.05 else float(np.exp(rng.normal(0, 0.3)))
    out = grey[..., None] + (out - grey[..., None]) * keep
    out = (np.clip(out, 0, 1) * 255).astype(np.uint8)
    if rng.random() < 0.4:
        hsv = cv2.cvtColor(out, cv2.COLOR_BGR2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(int) + int(rng.integers(-14, 15))) % 180
        out = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
    return out


def degrade(pixels: np.ndarray, recipe: Recipe, rng: np.random.Generator) -> np.ndarray:
    """Blur of focus or motion, sensor noise and compression."""
    if rng.random() < recipe.blur:
        if rng.random() < 0.6:
            pixels = cv2.GaussianBlur(pixels, (0, 0), float(rng.uniform(0.4, 1.4)))
        else:
            pixels = cv2.filter2D(pixels, -1, streak(int(rng.integers(3, 8)), float(rng.uniform(0, np.pi))))
    if rng.random() < recipe.blur:
        noise = rng.normal(0, rng.uniform(2, 9), pixels.shape)
        pixels = np.clip(pixels + noise, 0, 255).astype(np.uint8)
    if rng.random() < recipe.blur:
        _, packed = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 90))])
        pixels = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    return pixels


def streak(length: int, angle: float) -> np.ndarray:
    """The kernel of a straight motion, float32 [length, length]."""
    kernel = np.zeros((length, length), np.float32)
    c = (length - 1) / 2
    d = np.array([np.cos(angle), np.sin(angle)]) * c
    cv2.line(kernel, tuple(np.rint(c - d).astype(int).tolist()), tuple(np.rint(c + d).astype(int).tolist()), 1.0)
    return kernel / kernel.sum()
