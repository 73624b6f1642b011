"""Precision and recall on whole tiles, to choose checkpoints. Published figures are measured with the worker."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from . import coco, feed, network, product
from .assign import overlap
from .augment import clipped, normalised

LEAST_OVERLAP = 0.4  # IoU of a hit
MOST_TILES = 240


@dataclass(frozen=True)
class Tiles:
    """pixels uint8 [N, 3, side, side]; boxes and ignore regions of each tile, as shares of the side."""

    pixels: torch.Tensor
    boxes: list[np.ndarray]
    ignore: list[np.ndarray]


@dataclass(frozen=True)
class Score:
    """The figures at the threshold with the best F1."""

    f1: float
    precision: float
    recall: float
    threshold: float

    def __str__(self) -> str:
        return f"F1 {self.f1:.4f}, precision {self.precision:.3f}, recall {self.recall:.3f} at {self.threshold:.2f}"


def tiles(sources: Sequence[feed.Source], side: int = network.SIDE, most: int = MOST_TILES) -> Tiles:
    """Evenly chosen tiles of the pictures, cut like those of the worker."""
    cut, grid = [], product.Grid(side)
    for image in (i for s in sources for i in s.images()):
        cut.extend((image, r) for r in grid.regions(image.width, image.height))
    chosen = [cut[i] for i in np.linspace(0, len(cut) - 1, min(most, len(cut))).astype(int)]
    pixels, boxes, ignore, last, whole = [], [], [], None, None
    for image, region in chosen:
        if image is not last:
            last, whole = image, coco.read_image(image.path)
        pixels.append(region.cut(whole)[..., ::-1])
        corner = [region.x, region.y, region.x, region.y]
        boxes.append(normalised(clipped(image.boxes - corner, side), side))
        ignore.append(normalised(np.clip(image.ignore - corner, 0, side), side))
    return Tiles(torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2), boxes, ignore)


def score(model: nn.Module, held: Tiles, batch: int = 8) -> Score:
    """Detections of a fused model against the boxes, each box matched once, by falling score."""
    marks, total = [], sum(len(b) for b in held.boxes)
    for i in range(0, len(held.pixels), batch):
        with torch.inference_mode():
            out = model(pixel_values=network.normalised(held.pixels[i : i + batch].float() / 255))
        rows = zip(out.logits[..., 0].sigmoid().numpy(), out.pred_boxes.numpy(), held.boxes[i : i + batch], held.ignore[i : i + batch], strict=True)
        for scores, found, true, ignore in rows:
            keep = scores > 0.05
            marks.extend(match(scores[keep], found[keep], true, ignore))
    return best(marks, total)


def match(scores: np.ndarray, found: np.ndarray, true: np.ndarray, ignore: np.ndarray) -> list[tuple[float, bool]]:
    """For each detection its score and whether it matches a box. Misses with their middle in an ignore region are skipped."""
    free, marks = np.ones(len(true), bool), []
    away = (np.abs(found[:, None, :2] - ignore[None, :, :2]) < ignore[None, :, 2:] / 2).all(2).any(1)
    shared = overlap(corners(found), corners(true))
    for i in np.argsort(-scores):
        j = int(np.argmax(np.where(free, shared[i], -1))) if len(true) else -1
        hit = j >= 0 and free[j] and shared[i, j] >= LEAST_OVERLAP
        if hit:
            free[j] = False
        if hit or not away[i]:
            marks.append((float(scores[i]), bool(hit)))
    return marks


def corners(boxes: np.ndarray) -> np.ndarray:
    """Boxes as corners instead of centre and size."""
    return np.hstack([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2])


def best(marks: list[tuple[float, bool]], total: int) -> Score:
    """The threshold with the highest F1."""
    if not marks or not total:
        return Score(0.0, 0.0, 0.0, 0.5)
    marks = sorted(marks, reverse=True)
    hits = np.cumsum([hit for _, hit in marks])
    found = np.arange(1, len(marks) + 1)
    f1 = 2 * hits / (found + total)
    i = int(np.argmax(f1))
    return Score(float(f1[i]), float(hits[i] / found[i]), float(hits[i] / total), marks[i][0])
