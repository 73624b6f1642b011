"""Labelled pictures from farther away: those of one flight side by side and smaller, as a COCO folder for training.

A view has at least the height of a whole picture, so the animals of a close
flight are never small in it. Here they are small, as from a higher drone.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

from . import coco
from .augment import clipped

SIDE = 1024  # pixels of a picture
BODIES = (11.0, 32.0)  # pixels: the median side of a box, log-uniform between these


def body(image: coco.Image) -> float:
    """The median side of a picture's boxes in pixels, 0 without any."""
    if not len(image.boxes):
        return 0.0
    return float(np.median(np.sqrt((image.boxes[:, 2:] - image.boxes[:, :2]).prod(1))))


def quilt(images: list[coco.Image], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures side by side: pixels uint8 [SIDE, SIDE, 3] BGR, boxes and ignore float32 [n, 4] in it."""
    want = float(np.exp(rng.uniform(*np.log(BODIES))))
    zoom = min(1.0, want / float(np.median([b for b in map(body, images) if b])))
    out = np.zeros((SIDE, SIDE, 3), np.uint8)
    boxes, ignore = [coco.no_boxes()], [coco.no_boxes()]
    y = 0
    while y < SIDE:
        x, height = 0, SIDE
        while x < SIDE:
            image = images[rng.integers(len(images))]
            small = cv2.resize(image.read(), None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
            if mirror := rng.random() < 0.5:
                small = small[:, ::-1]
            part = small[: SIDE - y, : SIDE - x]
            out[y : y + part.shape[0], x : x + part.shape[1]] = part
            for source, target in ((image.boxes, boxes), (image.ignore, ignore)):
                moved = source * zoom
                if mirror:
                    moved[:, [0, 2]] = small.shape[1] - moved[:, [2, 0]]
                target.append(moved + np.array([x, y, x, y], np.float32))
            x, height = x + part.shape[1], min(height, small.shape[0])
        y += height
    regions = np.clip(np.concatenate(ignore), 0, SIDE)
    return out, clipped(np.concatenate(boxes), SIDE), regions[((regions[:, 2:] - regions[:, :2]) > 0).all(axis=1)]


def far(data: coco.Dataset, target: Path, count: int, seed: int) -> list[coco.Image]:
    """Writes the pictures, each of one clip and the clips in turn, as a COCO folder."""
    rng = np.random.default_rng(seed)
    clips = [c for c in data.clips() if any(body(i) for i in data.only([c]).images)]
    if not clips:
        raise coco.DataError(target, ["no picture has an animal"])
    (target / "images").mkdir(parents=True, exist_ok=True)
    images = []
    for n in range(count):
        clip = clips[n % len(clips)]
        pixels, boxes, ignore = quilt([i for i in data.images if i.clip == clip], rng)
        path = target / "images" / f"{n:05d}.png"
        if not cv2.imwrite(str(path), pixels):
            raise OSError(f"picture {path} cannot be written")
        images.append(coco.Image(path, SIDE, SIDE, boxes, clip, ignore))
    coco.save(target, images, "pictures from further away")
    return images


def main(argv: list[str]) -> int:
    p = argparse.ArgumentParser(prog="cattletrain.far", description=__doc__)
    p.add_argument("data", type=Path, help="COCO folder")
    p.add_argument("target", type=Path, help="COCO folder to write")
    p.add_argument("--clips", nargs="*", help="only these clips; a trailing * stands for any rest")
    p.add_argument("--images", type=int, default=150, help="how many (default 150)")
    p.add_argument("--seed", type=int, default=1)
    a = p.parse_args(argv)
    try:
        images = far(coco.load(a.data).only(a.clips), a.target, a.images, a.seed)
    except (coco.DataError, OSError) as e:
        print(f"far: {e}", file=sys.stderr)
        return 1
    print(f"{a.target}: {len(images)} pictures, {sum(len(i.boxes) for i in images)} animals")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
