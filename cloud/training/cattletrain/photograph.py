"""What optics, motion, sensor and video coding do to a rendered picture."""

from __future__ import annotations

import cv2
import numpy as np


def take(canvas: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A picture as a camera gives it: uint8 from float32 [h, w, 3] BGR, 0..255, of the same size."""
    if rng.random() < 0.7:
        canvas = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.3, 1.1))
    if rng.random() < 0.15:
        length, way = rng.uniform(2, 11), rng.uniform(0, np.pi)
        kernel = np.zeros((13, 13), np.float32)
        reach = np.array([np.cos(way), np.sin(way)]) * length / 2
        start, end = np.round((6 - reach) * 16).astype(int), np.round((6 + reach) * 16).astype(int)
        cv2.line(kernel, tuple(map(int, start)), tuple(map(int, end)), 1.0, 1, cv2.LINE_8, 4)
        canvas = cv2.filter2D(canvas, -1, kernel / max(float(kernel.sum()), 1e-3))
    if rng.random() < 0.12:  # haze
        canvas = canvas * 0.8 + np.array([200, 196, 190], np.float32) * 0.2 * rng.uniform(0.3, 1)
    canvas = _develop(canvas, rng)
    if rng.random() < 0.3:
        grey = canvas.mean(2, keepdims=True)
        canvas = grey + (canvas - grey) * rng.uniform(0.5, 1.3)
    canvas += rng.uniform(0.6, 5) * rng.standard_normal((*canvas.shape[:2], 1), np.float32)
    canvas += rng.uniform(0.2, 2) * rng.standard_normal(canvas.shape, np.float32)
    out = np.clip(canvas, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        out = _video(out, rng)
    return out


def _develop(canvas: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another contrast and white balance; by a table, because powers of a whole picture are slow."""
    levels = np.linspace(0, 1, 1024, dtype=np.float32) ** np.float32(np.exp(rng.normal(0, 0.14))) * 255
    at = np.clip(canvas * (1023 / 255), 0, 1023).astype(np.int32)
    return levels[at] * np.exp(rng.normal(0, 0.05, 3)).astype(np.float32)


def _video(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Like a frame of a video of few bits: fine texture is lost, colours are coarse, edges stay."""
    smooth = cv2.bilateralFilter(pixels, 5, float(rng.uniform(8, 26)), 2.0)
    ycc = cv2.cvtColor(smooth, cv2.COLOR_BGR2YCrCb)
    small = cv2.resize(ycc[..., 1:], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    ycc[..., 1:] = cv2.resize(small, (pixels.shape[1], pixels.shape[0]), interpolation=cv2.INTER_LINEAR)
    packed = cv2.imencode(".jpg", cv2.cvtColor(ycc, cv2.COLOR_YCrCb2BGR), [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(28, 70))])[1]
    return cv2.imdecode(packed, cv2.IMREAD_COLOR)
