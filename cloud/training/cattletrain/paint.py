"""Recolour cut-outs and paste them into a picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

# Coats as Lab (L 0..255, a and b around 128) and their probabilities.
COATS = {
    "black": ((28, 129, 129), 0.2),
    "dark brown": ((52, 136, 138), 0.16),
    "red": ((92, 150, 156), 0.18),
    "fawn": ((150, 136, 152), 0.14),
    "cream": ((196, 130, 144), 0.12),
    "white": ((226, 128, 131), 0.12),
    "grey": ((130, 128, 130), 0.08),
}


def recolour(piece: np.ndarray, rng: np.random.Generator, keep: float = 0.4) -> np.ndarray:
    """A BGRA cut-out with another coat, or with probability keep only other light.

    The shading of the animal stays: the colour of the coat replaces the mean, and
    brighter and darker parts stay brighter and darker.
    """
    lab = cv2.cvtColor(piece[..., :3], cv2.COLOR_BGR2LAB).astype(np.float32)
    inside = piece[..., 3] > 0
    if rng.random() >= keep:
        first = _coat(lab, inside, _draw(rng), rng)
        if rng.random() < 0.35:
            second = _coat(lab, inside, _draw(rng), rng)
            spots = _blobs(piece.shape[:2], rng)[..., None]
            first = first * spots + second * (1 - spots)
        lab = first
    # No coat is green: green is the old ground behind the animal.
    green = np.clip((127 - lab[..., 1]) / 5, 0, 1)
    lab[..., 1] = np.maximum(lab[..., 1], 127)
    lab[..., 2] += green * (130 - lab[..., 2])
    lab[..., 0] += _relief(piece[..., 3], rng)
    mean = lab[inside, 0].mean()
    lab[..., 0] = (lab[..., 0] - mean) * rng.uniform(0.75, 1.3) + mean * rng.uniform(0.85, 1.15) + rng.uniform(-4, 8)
    bgr = cv2.cvtColor(np.clip(lab, 0, 255).astype(np.uint8), cv2.COLOR_LAB2BGR)
    return np.dstack([bgr, piece[..., 3]])


def _draw(rng: np.random.Generator) -> tuple[int, int, int]:
    colours, odds = zip(*COATS.values(), strict=True)
    return colours[rng.choice(len(colours), p=np.asarray(odds) / sum(odds))]


def _coat(lab: np.ndarray, inside: np.ndarray, colour: tuple[int, int, int], rng: np.random.Generator) -> np.ndarray:
    light = lab[..., 0]
    mean, spread = float(light[inside].mean()), float(light[inside].std()) + 4
    target = colour[0] + rng.normal(0, 10)
    # The shading of a dark coat has a small range; a bright coat needs a larger one.
    depth = np.clip(spread, 8, 30) * (0.55 + target / 255)
    out = np.empty_like(lab)
    out[..., 0] = target + np.clip((light - mean) / spread, -2.2, 2.2) * depth * 0.7
    for channel in (1, 2):
        out[..., channel] = colour[channel] + rng.normal(0, 3) + 0.4 * (lab[..., channel] - lab[inside, channel].mean())
    return out


def _blobs(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Large soft-edged spots, float32 0..1."""
    coarse = rng.normal(size=(int(rng.integers(3, 6)), int(rng.integers(3, 6)))).astype(np.float32)
    field = cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return 1 / (1 + np.exp(-np.clip((field - rng.uniform(-0.5, 0.5)) * 14, -30, 30))).astype(np.float32)


def _relief(alpha: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light on a round body and hair, to be added to L: low-resolution cut-outs have none."""
    height, width = alpha.shape
    depth = cv2.distanceTransform((alpha > 0).astype(np.uint8), cv2.DIST_L2, 3)
    round_ = np.sqrt(depth / max(float(depth.max()), 1.0)) - 0.6
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    side = x * np.cos(angle) + y * np.sin(angle)
    hair = rng.normal(0, rng.uniform(1, 5), (height, width))
    patch = cv2.resize(rng.normal(0, rng.uniform(1, 6), (5, 5)), (width, height), interpolation=cv2.INTER_CUBIC)
    return (rng.uniform(0, 22) * round_ + rng.uniform(0, 12) * side + hair + patch).astype(np.float32)


def place(piece: np.ndarray, scale: float, angle: float, flip: bool, stretch: float = 1) -> np.ndarray:
    """A BGRA cut-out scaled, turned (degrees) and perhaps mirrored, tight, with soft edges.

    stretch makes it longer along the one and shorter along the other side.

    The result is float32, colour 0..255 and alpha 0..1.
    """
    if flip:
        piece = piece[:, ::-1]
    alpha = piece[..., 3]
    if min(alpha.shape) > 24:  # the rim has mixed colours with the old ground
        alpha = cv2.erode(alpha, np.ones((3, 3), np.uint8), borderValue=0)
    height, width = alpha.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale)
    turn[:, :2] = turn[:, :2] @ np.diag([stretch, 1 / stretch])
    reach = np.abs(turn[:, :2]) @ [width, height]
    size = int(np.ceil(reach[0])) + 6, int(np.ceil(reach[1])) + 6
    turn[:, 2] = np.array(size) / 2 - turn[:, :2] @ [width / 2, height / 2]
    weight = cv2.GaussianBlur(alpha / np.float32(255), (0, 0), 0.9 if scale > 0.6 else 0.5)[..., None]
    both = np.dstack([piece[..., :3].astype(np.float32) * weight, weight])
    if scale < 1:  # warpAffine does not average areas
        both = cv2.GaussianBlur(both, (0, 0), 0.4 / scale, borderType=cv2.BORDER_CONSTANT)
    both = cv2.warpAffine(both, turn, size, flags=cv2.INTER_LINEAR)
    shown = both[..., 3:]
    # An enlarged outline is as soft as a small one, about a pixel.
    edge = np.clip((shown - 0.5) * max(1.0, 1.8 * scale) + 0.5, 0, 1)
    out = np.dstack([both[..., :3] / np.maximum(shown, 1e-3), edge])
    x, y, w, h = cv2.boundingRect((out[..., 3] > 0.05).astype(np.uint8))
    return out[y : y + h, x : x + w]


@dataclass
class Sun:
    """The light of one picture: direction of the shadows (pixels per pixel of height), darkness and softness."""

    dx: float
    dy: float
    darkness: float
    blur: float

    @staticmethod
    def draw(rng: np.random.Generator) -> Sun:
        """A random light; about one picture in four is overcast, with faint shadows below the animals."""
        angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 1.1) if rng.random() < 0.7 else rng.uniform(1.1, 2.4)
        if rng.random() < 0.25:
            return Sun(0.08 * np.cos(angle), 0.08, rng.uniform(0.1, 0.3), rng.uniform(2, 4))
        return Sun(length * np.cos(angle), length * np.sin(angle), rng.uniform(0.35, 0.85), rng.uniform(0.6, 1.8))


def add_shadow(shade: np.ndarray, piece: np.ndarray, x: int, y: int, sun: Sun) -> None:
    """Draws the shadow of a placed cut-out at (x, y) into shade, float32 [h, w] 0..1.

    The shadow is the outline moved along the ground, as for a body with height.
    """
    height, width = piece.shape[:2]
    body = 0.55 * min(height, width)
    steps = max(2, int(np.hypot(sun.dx, sun.dy) * body / 2) + 2)
    for part in np.linspace(0.15, 1, steps):
        shape = piece[..., 3]
        if part > 0.6:  # the far end belongs to the back, which is narrower than the belly
            small = 1 - 0.5 * (part - 0.6)
            rest = (1 - small) / 2
            shrink = np.array([[small, 0, rest * width], [0, small, rest * height]])
            shape = cv2.warpAffine(shape, shrink, (width, height))
        _onto(shade, shape, round(x + sun.dx * body * part), round(y + sun.dy * body * part))


def _onto(shade: np.ndarray, shape: np.ndarray, x: int, y: int) -> None:
    target, source = windows(shade.shape, shape.shape, x, y)
    np.maximum(shade[target], shape[source], out=shade[target])


Window = tuple[slice, slice]


def windows(whole: tuple[int, ...], part: tuple[int, ...], x: int, y: int) -> tuple[Window, Window]:
    """The slices of a picture and of a part at (x, y) in their overlap."""
    left, top = max(0, x), max(0, y)
    right, bottom = max(left, min(whole[1], x + part[1])), max(top, min(whole[0], y + part[0]))
    target = slice(top, bottom), slice(left, right)
    return target, (slice(top - y, bottom - y), slice(left - x, right - x))


def darken(canvas: np.ndarray, shade: np.ndarray, sun: Sun) -> None:
    """Darkens a float32 BGR canvas by shade; shadows are a little bluer than the ground."""
    soft = cv2.GaussianBlur(shade, (0, 0), sun.blur)[..., None] * sun.darkness
    canvas *= 1 - soft * np.array([0.9, 1.0, 1.04], np.float32)


def paste(canvas: np.ndarray, owner: np.ndarray, piece: np.ndarray, x: int, y: int, number: int) -> int:
    """Pastes a placed cut-out on a float32 BGR canvas and its number on owner (int [h, w]).

    Returns the number of pixels of the whole piece, including those outside of the canvas.
    """
    target, source = windows(canvas.shape, piece.shape, x, y)
    part = piece[source]
    alpha = part[..., 3:]
    canvas[target] = canvas[target] * (1 - alpha) + part[..., :3] * alpha
    owner[target][alpha[..., 0] > 0.5] = number
    return int((piece[..., 3] > 0.5).sum())
