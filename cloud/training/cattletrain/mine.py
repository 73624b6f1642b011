"""The places of labelled pictures with false detections of a model, as a COCO folder for training.

Most views are on animals, so objects far from animals are rare in training: lorries, huts, clods. A box on an animal
that is no cattle is false too.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

from . import coco, evaluate
from .assign import overlap
from .augment import clipped

SIDE = 512  # pixels of a piece of a picture
LEAST_SCORE = 0.25
TOUCH = 0.1  # of the smaller box; with more overlap the box is an imprecise detection


def false_boxes(image: coco.Image, detections: list[dict]) -> np.ndarray:
    """Boxes of detections, float32 [n, 4], without an animal and outside of ignore regions."""
    boxes = np.array([d["box"] for d in detections if d["score"] >= LEAST_SCORE], np.float32).reshape(-1, 4)
    taken = np.concatenate([image.boxes, image.ignore])
    if len(boxes) and len(taken):
        boxes = boxes[overlap(boxes, taken, smaller=True).max(axis=1) < TOUCH]
    return boxes


def pieces(image: coco.Image, false: np.ndarray) -> list[tuple[int, int]]:
    """Corners of pieces of the picture with every false box; near ones are in one piece."""
    corners: list[tuple[int, int]] = []
    for x1, y1, x2, y2 in false:
        if any(x1 >= x and y1 >= y and x2 <= x + SIDE and y2 <= y + SIDE for x, y in corners):
            continue
        x, y = int((x1 + x2 - SIDE) / 2), int((y1 + y2 - SIDE) / 2)
        corners.append((max(0, min(x, image.width - SIDE)), max(0, min(y, image.height - SIDE))))
    return corners


def mine(data: coco.Dataset, found: dict[str, list[dict]], target: Path) -> list[coco.Image]:
    """Writes the pieces with false boxes and their labels as a COCO folder; with the same clips."""
    (target / "images").mkdir(parents=True, exist_ok=True)
    images = []
    for image in data.images:
        corners = pieces(image, false_boxes(image, found[image.path.name]))
        pixels = image.read() if corners else None
        for x, y in corners:
            part = pixels[y : y + SIDE, x : x + SIDE]
            height, width = part.shape[:2]
            path = target / "images" / f"{len(images):05d}.png"
            if not cv2.imwrite(str(path), part):
                raise OSError(f"picture {path} cannot be written")
            corner = np.array([x, y, x, y], np.float32)
            limit = np.array([width, height, width, height], np.float32)
            boxes, others = (clipped(b - corner, SIDE) for b in (image.boxes, image.others))
            ignore = np.clip(image.ignore - corner, 0, limit)
            ignore = ignore[((ignore[:, 2:] - ignore[:, :2]) > 0).all(axis=1)]
            images.append(coco.Image(path, width, height, np.minimum(boxes, limit), image.clip, ignore, others=np.minimum(others, limit)))
    if not images:
        raise coco.DataError(target, ["the model has no false detections"])
    coco.save(target, images, "pieces with false boxes")
    return images


def main(argv: list[str]) -> int:
    p = argparse.ArgumentParser(prog="cattletrain.mine", description=__doc__)
    p.add_argument("data", type=Path, help="COCO folder")
    p.add_argument("target", type=Path, help="COCO folder to write")
    p.add_argument("--worker", type=Path, required=True, help="the worker program")
    p.add_argument("--model", type=Path, required=True, help="model folder")
    p.add_argument("--clips", nargs="*", help="only these clips; a trailing * stands for any rest")
    a = p.parse_args(argv)
    try:
        data = coco.load(a.data, check_pixels=False).only(a.clips)
        found = evaluate.detect(a.worker, a.model, [i.path for i in data.images], ["--threshold", str(LEAST_SCORE)])
        images = mine(data, found, a.target)
    except (coco.DataError, evaluate.EvaluationError, OSError) as e:
        print(f"mine: {e}", file=sys.stderr)
        return 1
    print(f"{a.target}: {len(images)} pieces")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
