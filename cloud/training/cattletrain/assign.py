"""Give each labelled point of a picture the box of its animal.

The points are near the middle of the animals. Candidates are the boxes of a
detector at several tile sizes, many for each animal. A good candidate for a
point is centred on the point, has a high score, has no other point in its
middle, and has about the size of its neighbours at that place in the picture
of a pinhole camera.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import coco

MATCHED, ESTIMATED, DROPPED = 0, 1, 2

CENTRE_SPREAD = 0.13  # of the side: standard deviation of the points from the middle
CENTRE_LIMIT = 0.34  # of the side: a point farther from the middle belongs to another animal
SIZE_SPREAD = 0.4  # standard deviation of the natural logarithm of the side: cows and calves
CROWD_FACTOR = 0.1  # for each further point in the middle of a box
LEAST_VALUE = 0.03
SURE_VALUE = 0.12
SAME = 0.7  # IoU above which candidates are one animal
LONE_SCORE, EDGE_SCORE = 0.55, 0.3  # least scores of accepted candidates without a point
NEIGHBOURS = 9
LEAST_SURE = 3  # least number of known animals for an estimate of sizes


@dataclass
class Assigned:
    """One row for each point: boxes float32 [k, 4] and kinds int [k].

    extra float32 [m, 4] holds confident candidates without a point.
    """

    boxes: np.ndarray
    kinds: np.ndarray
    extra: np.ndarray


def overlap(a: np.ndarray, b: np.ndarray, smaller: bool = False) -> np.ndarray:
    """IoU of boxes [n, 4] and [m, 4] as float [n, m]; smaller divides by the smaller area."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(axis=2)
    area_a, area_b = areas(a)[:, None], areas(b)[None]
    whole = np.minimum(area_a, area_b) if smaller else area_a + area_b - common
    return common / np.maximum(whole, 1e-6)


def areas(boxes: np.ndarray) -> np.ndarray:
    """Areas of boxes [n, 4] in square pixels."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def assign(points: np.ndarray, boxes: np.ndarray, scores: np.ndarray, width: int, height: int) -> Assigned:
    """Assigns candidates (boxes [n, 4], scores [n]) to points [k, 2] of a picture."""
    points = np.asarray(points, np.float64).reshape(-1, 2)
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    values = _values(points, boxes, scores, width, height, np.zeros(2))
    chosen = _greedy(values, boxes, SURE_VALUE)
    sizes = expected_sides(points, boxes, chosen, points)
    if sizes is not None:
        values = _values(points, boxes, scores, width, height, _bias(points, boxes, chosen))
        sides = np.sqrt(areas(boxes))
        values = values * np.exp(-(np.log(sides[None] / sizes[:, None]) ** 2) / (2 * SIZE_SPREAD**2))
        chosen = _greedy(values, boxes, LEAST_VALUE)
    result = np.zeros((len(points), 4))
    kinds = np.full(len(points), DROPPED)
    for k, n in enumerate(chosen):
        if n >= 0:
            kinds[k] = MATCHED
            result[k] = _fused(boxes, values[k], n)
    if sizes is not None:
        _estimate(points, sizes, result, kinds, width, height)
    side = 0.06 * height
    for k in np.flatnonzero(kinds == DROPPED):
        result[k] = _square(points[k], side, side, width, height)
    extra = _unexplained(points, boxes, np.asarray(scores), chosen, result, width, height)
    return Assigned(result.astype(np.float32), kinds, extra)


def _bias(points: np.ndarray, boxes: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The mean distance of the points from the middle of their boxes, in sides: float [2].

    In a view from the side the points mark the trunk, which is above the middle
    of a box with the legs.
    """
    known = np.flatnonzero(chosen >= 0)
    mine = boxes[chosen[known]]
    off = (points[known] - (mine[:, :2] + mine[:, 2:]) / 2) / (mine[:, 2:] - mine[:, :2])
    return np.clip(np.median(off, axis=0), -0.2, 0.2)


def _values(points, boxes, scores, width: int, height: int, bias: np.ndarray) -> np.ndarray:
    """How well each candidate fits each point, except for its size: float [k, n]."""
    side = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-3)
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    centre = middle + bias * side
    off = np.abs(points[:, None] - centre[None]) / side[None]
    crowd = (off < 0.3).all(axis=2)
    # A point is the middle of the whole animal, even if the picture shows only a
    # part of it: at an edge of the picture it may be anywhere in the box.
    cut = np.stack([(boxes[:, 0] < 3) | (boxes[:, 2] > width - 3), (boxes[:, 1] < 3) | (boxes[:, 3] > height - 3)], 1)
    inside = np.abs(points[:, None] - middle[None]) <= side[None] / 2
    limit = np.where(cut, 0.5, CENTRE_LIMIT)
    fits = (off <= limit[None]).all(axis=2) & inside.all(axis=2)
    off = np.where(cut[None], off * 0.5, off)
    centred = np.exp(-(off**2).sum(axis=2) / (2 * CENTRE_SPREAD**2))
    others = np.clip(crowd.sum(axis=0)[None] - crowd, 0, None)
    return np.where(fits, scores[None] * centred * CROWD_FACTOR**others, 0)


def _greedy(values: np.ndarray, boxes: np.ndarray, least: float) -> np.ndarray:
    """The candidate of each point, -1 for none, best pairs first."""
    chosen = np.full(values.shape[0], -1)
    if not values.size:
        return chosen
    left = np.where(values >= least, values, 0)
    while True:
        k, n = np.unravel_index(np.argmax(left), left.shape)
        if left[k, n] <= 0:
            return chosen
        chosen[k] = n
        left[k] = 0
        left[:, overlap(boxes[n : n + 1], boxes)[0] > SAME] = 0


def _fused(boxes: np.ndarray, values: np.ndarray, best: int) -> np.ndarray:
    """The mean of the candidates that agree with the best one, weighted by value."""
    same = np.flatnonzero((overlap(boxes[best : best + 1], boxes)[0] > SAME) & (values >= 0.3 * values[best]))
    return np.average(boxes[same], axis=0, weights=values[same])


def expected_sides(points: np.ndarray, boxes: np.ndarray, chosen: np.ndarray, at: np.ndarray) -> np.ndarray | None:
    """Expected square root of the box area at places [m, 2], None with too few known animals.

    With a pinhole camera over flat ground sizes are linear in y. The line is
    fitted robustly and corrected by the median of the nearest animals.
    """
    known = np.flatnonzero(chosen >= 0)
    if len(known) < LEAST_SURE:
        return None
    place, side = points[known], np.sqrt(areas(boxes[chosen[known]]))
    line = _line(place[:, 1], side)
    ratio = np.log(side / line(place[:, 1]))
    away = np.hypot(*(at[:, None] - place[None]).transpose(2, 0, 1))
    sizes = np.empty(len(at))
    for row, distance in enumerate(away):
        others = np.argsort(distance, kind="stable")
        others = others[distance[others] > 0.5][:NEIGHBOURS]  # not the animal itself
        sizes[row] = line(at[row, 1]) * np.exp(np.median(ratio[others]) if len(others) else 0)
    return sizes


def _line(y: np.ndarray, side: np.ndarray):
    """A robust line side(y), never below a fifth of the median side."""
    first, second = np.triu_indices(len(y), 1)
    far = np.abs(y[first] - y[second]) > 20
    slope = np.median((side[first] - side[second])[far] / (y[first] - y[second])[far]) if far.sum() >= 5 else 0.0
    level = np.median(side - slope * y)
    floor = 0.2 * np.median(side)
    return lambda at: np.maximum(level + slope * at, floor)


def _square(point: np.ndarray, width: float, height: float, limit_x: int, limit_y: int) -> np.ndarray:
    """A box around a point, inside the picture."""
    half = np.array([width, height]) / 2
    limit = np.array([limit_x, limit_y])
    inner = np.clip(point, 1, limit - 1)
    return np.concatenate([np.clip(inner - half, 0, limit), np.clip(inner + half, 0, limit)])


def _estimate(points, sizes, result, kinds, width: int, height: int) -> None:
    """Fills boxes for points without a candidate from the neighbours' size and shape."""
    known = np.flatnonzero(kinds == MATCHED)
    for k in np.flatnonzero(kinds == DROPPED):
        near = known[np.argsort(np.hypot(*(points[known] - points[k]).T))[:NEIGHBOURS]]
        shape = result[near, 2:] - result[near, :2]
        aspect = np.exp(np.median(np.log(shape[:, 0] / shape[:, 1]))) if len(near) else 1.0
        w, h = sizes[k] * np.sqrt(aspect), sizes[k] / np.sqrt(aspect)
        result[k] = _square(points[k], w, h, width, height)
        kinds[k] = ESTIMATED


def _unexplained(points, boxes, scores, chosen, result, width: int, height: int) -> np.ndarray:
    """Confident candidates away from every labelled animal, duplicates merged.

    At the edge of the picture less confidence is enough, because many labels are
    missing there.
    """
    edge = (boxes[:, :2] < 3).any(axis=1) | (boxes[:, 2:] > [width - 3, height - 3]).any(axis=1)
    keep = scores >= np.where(edge, EDGE_SCORE, LONE_SCORE)
    sizes = expected_sides(points, boxes, chosen, (boxes[:, :2] + boxes[:, 2:]) / 2)
    if sizes is not None:
        ratio = np.sqrt(areas(boxes)) / sizes
        keep &= (ratio > np.where(edge, 0.15, 0.4)) & (ratio < 2.5)
    if len(points):
        inside = (points[:, None] >= boxes[None, :, :2]).all(2) & (points[:, None] <= boxes[None, :, 2:]).all(2)
        keep &= ~inside.any(axis=0) & (overlap(result, boxes, smaller=True).max(axis=0) < 0.5)
    kept: list[np.ndarray] = []
    for n in np.flatnonzero(keep)[np.argsort(-scores[keep], kind="stable")]:
        if not kept or overlap(np.stack(kept), boxes[n : n + 1], smaller=True).max() < 0.5:
            kept.append(boxes[n])
    return np.asarray(kept, np.float32).reshape(-1, 4) if kept else coco.no_boxes()
