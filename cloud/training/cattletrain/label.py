"""Labels by a model through `worker detect`, as a COCO folder: points become boxes, or every box is another animal.

Each point takes the box that holds it best. A point without a box gets an
ignore region of the size of its neighbours; boxes without a point are dropped.
With --others there are no points: each detection, of either class, is an animal that is no cattle.
"""

import argparse
import csv
import shutil
import sys
from pathlib import Path

import numpy as np

from . import coco, evaluate
from .assign import overlap

LEAST_SCORE = 0.05
REACH = 0.35  # of a box's sides: the largest distance of the point from its middle
SHARED = 0.75  # of the smaller box; more is the same animal twice


def matched(points: np.ndarray, boxes: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each point its box, float32 [n, 4], and whether it has one: pairs by falling score and nearness."""
    own, has = np.zeros((len(points), 4), np.float32), np.zeros(len(points), bool)
    if not len(points) or not len(boxes):
        return own, has
    size = boxes[:, 2:] - boxes[:, :2]
    apart = np.abs(points[:, None] - (boxes[None, :, :2] + boxes[None, :, 2:]) / 2) / size
    worth = np.where((apart < REACH).all(-1), scores[None] * (1 - apart.max(-1)), 0)
    while worth.max(initial=0) > 0:
        p, b = np.unravel_index(int(np.argmax(worth)), worth.shape)
        own[p], has[p] = boxes[b], True
        worth[p] = 0
        worth[:, overlap(boxes[b : b + 1], boxes, smaller=True)[0] > SHARED] = 0
    return own, has


def around(points: np.ndarray, own: np.ndarray, has: np.ndarray) -> np.ndarray:
    """Squares around the points without a box, with the median side of the boxes."""
    side = float(np.median((own[has][:, 2:] - own[has][:, :2]).max(1))) if has.any() else 40.0
    lost = points[~has]
    return np.hstack([lost - side / 2, lost + side / 2]).astype(np.float32)


def inside(boxes: np.ndarray, width: int, height: int) -> np.ndarray:
    """Boxes cut at the edges of their picture, without those outside."""
    cut = np.clip(boxes, 0, [width, height, width, height]).astype(np.float32).reshape(-1, 4)
    return cut[(cut[:, 2:] - cut[:, :2] > 2).all(1)]


def read_points(file: Path) -> np.ndarray:
    """The columns x and y of a CSV file, float64 [n, 2]."""
    with open(file, newline="") as f:
        return np.array([(float(r["x"]), float(r["y"])) for r in csv.DictReader(f)]).reshape(-1, 2)


def label(pictures: list[Path], points: Path | None, found: dict[str, list[dict]], target: Path, least: float) -> list[coco.Image]:
    """Writes copies of the pictures and their labels; the clip is the name up to "__" or its whole name."""
    (target / "images").mkdir(parents=True, exist_ok=True)
    images = []
    for path in pictures:
        height, width = coco.read_image(path).shape[:2]
        seen = found[path.name] if points else [d for d in found[path.name] if d["score"] >= least]
        boxes = np.array([d["box"] for d in seen], np.float32).reshape(-1, 4)
        copy = target / "images" / path.name
        shutil.copyfile(path, copy)
        image = coco.Image(copy, width, height, clip=path.stem.split("__")[0])
        if points:
            own = read_points(points / f"{path.stem}.csv")
            held, has = matched(own, boxes, np.array([d["score"] for d in seen]))
            image.boxes, image.ignore = inside(held[has], width, height), inside(around(own, held, has), width, height)
            image.estimated = np.zeros(len(image.boxes), bool)
        else:
            image.others = inside(boxes, width, height)
        images.append(image)
    coco.save(target, images, "labelled by a model")
    return images


def main(argv: list[str]) -> int:
    p = argparse.ArgumentParser(prog="cattletrain.label", description=__doc__)
    p.add_argument("pictures", type=Path, nargs="+", help="picture files")
    p.add_argument("target", type=Path, help="COCO folder to write")
    p.add_argument("--worker", type=Path, required=True, help="the worker program")
    p.add_argument("--model", type=Path, required=True, help="model folder")
    kind = p.add_mutually_exclusive_group(required=True)
    kind.add_argument("--points", type=Path, help="folder with NAME.csv (x,y) for each picture")
    kind.add_argument("--others", type=float, metavar="SCORE", help="detections of at least this score are other animals")
    a = p.parse_args(argv)
    try:
        found = evaluate.detect(a.worker, a.model, a.pictures, ["--threshold", str(a.others or LEAST_SCORE)], others=a.points is None)
        images = label(a.pictures, a.points, found, a.target, a.others or LEAST_SCORE)
    except (coco.DataError, evaluate.EvaluationError, OSError) as e:
        print(f"label: {e}", file=sys.stderr)
        return 1
    counts = [sum(len(getattr(i, k)) for i in images) for k in ("boxes", "others", "ignore")]
    print(f"{a.target}: {len(images)} pictures, {counts[0]} cattle, {counts[1]} other animals, {counts[2]} ignored")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
