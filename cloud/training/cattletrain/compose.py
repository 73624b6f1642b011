"""Make labelled pictures by pasting cut-out animals on empty ground.

Cut-outs and grounds are from named clips only, so that no clip for validation
gets into training. A picture depends only on the seed and its number.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from . import coco, cutouts, paint

SIDE = 640  # pixels, of the pictures made
BODY = (12.0, 120.0)  # pixels, the longer side of an animal
MOST = 120  # animals in one picture
LARGER = 1.3  # largest scale of a cut-out
LEAST_CHOICE = 5  # least number of cut-outs of one clip and size, so that no single animal fills a picture
ALONE = (22.0, 95.0)  # pixels, the longer side of animals that stand alone
APART, MOST_APART = 1.7, 14  # lengths between such animals, and the most of them in a picture
UNSHADED = 0.4  # share of their pictures without a shadow, as under thick clouds
VISIBLE = 0.35  # visible share of an animal, below which it has no label
HINT = 0.1  # visible share of an animal without a label, from which it is an ignore region
TRIES = 40
FOREIGN_SHARES, FOREIGN_ODDS = (0.0, 0.3, 1.0), (0.75, 0.1, 0.15)  # of other animals among a picture's animals, where there are cut-outs of both


@dataclass(frozen=True)
class Spot:
    """The place of an animal: its middle, the length of its body in pixels and its turn in degrees."""

    x: float
    y: float
    body: float
    angle: float


class Grounds:
    """Empty pieces of ground from data sets. Pictures are read when needed."""

    def __init__(self, images: Sequence[coco.Image]):
        if not images:
            raise coco.DataError("backgrounds", ["have no pictures of the required clips"])
        # Every clip is chosen equally often, whatever its number of pictures.
        groups: dict[str, list[coco.Image]] = {}
        for image in images:
            groups.setdefault(image.clip.split("/")[0], []).append(image)
        self.groups = [groups[name] for name in sorted(groups)]

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """A piece of ground without animals, uint8 [SIDE, SIDE, 3]."""
        for turn in range(100):
            group = self.groups[rng.integers(len(self.groups))]
            image = group[rng.integers(len(group))]
            window = self._window(image, rng, 1.0 if turn < 60 else 0.5)
            if window is not None:
                return _look(_warp(image.read(), window), rng)
        raise coco.DataError("backgrounds", ["have no piece of ground without animals"])

    @staticmethod
    def _window(image: coco.Image, rng: np.random.Generator, shrink: float) -> np.ndarray | None:
        """The corners, float32 [3, 2], of a square in a picture without animals."""
        taken = np.concatenate([image.boxes, image.ignore])
        # Sky and far hills are above the animals; the ground is below.
        top = max(0.0, float(image.boxes[:, 1].min()) - 0.05 * image.height) if len(image.boxes) else 0.0
        low, high = 150.0 * shrink, min(0.95 * min(image.width, image.height - top), 1100.0)
        if high <= low:
            return None
        for _ in range(TRIES):
            side = np.exp(rng.uniform(np.log(low), np.log(high)))
            angle = rng.uniform(0, 2 * np.pi) if rng.random() < 0.5 else rng.normal(0, 0.1)
            half = side / 2 * (abs(np.cos(angle)) + abs(np.sin(angle)))
            if 2 * half > image.width or 2 * half > image.height - top:
                continue
            x, y = rng.uniform(half, image.width - half), rng.uniform(top + half, image.height - half)
            inside = (taken[:, :2] < [x + half, y + half]) & (taken[:, 2:] > [x - half, y - half])
            if inside.all(axis=1).any():
                continue
            right = side / 2 * np.array([np.cos(angle), np.sin(angle)])
            down = np.array([-right[1], right[0]])
            centre = np.array([x, y])
            return np.stack([centre - right - down, centre + right - down, centre - right + down]).astype(np.float32)
        return None


def _warp(pixels: np.ndarray, corners: np.ndarray) -> np.ndarray:
    side = float(np.linalg.norm(corners[1] - corners[0]))
    if side > SIDE:
        pixels = cv2.GaussianBlur(pixels, (0, 0), 0.4 * side / SIDE)
    target = np.array([[0, 0], [SIDE, 0], [0, SIDE]], np.float32)
    turn = cv2.getAffineTransform(corners, target)
    return cv2.warpAffine(pixels, turn, (SIDE, SIDE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)


def _look(ground: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Other light, sometimes another tint, and grain to replace what enlarging removed."""
    if rng.random() < 0.5:
        ground = ground[:, ::-1]
    hsv = cv2.cvtColor(ground, cv2.COLOR_BGR2HSV).astype(np.float32)
    if rng.random() < 0.25:
        hsv[..., 0] = (hsv[..., 0] + rng.normal(0, 9)) % 180
    hsv[..., 1] *= rng.uniform(0.4, 1.2)
    hsv[..., 2] = np.clip(hsv[..., 2] * rng.uniform(0.65, 1.2), 0, 255)
    hsv[..., 1] = np.clip(hsv[..., 1], 0, 255)
    out = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2BGR).astype(np.float32)
    grain = rng.normal(0, rng.uniform(2, 9), (SIDE, SIDE, 1)).astype(np.float32)
    if rng.random() < 0.5:
        grain = cv2.GaussianBlur(grain, (0, 0), 1.0)[..., None] * 2
    return np.clip(out + grain, 0, 255).astype(np.uint8)


def lay_out(rng: np.random.Generator) -> list[Spot]:
    """Places for the animals of one picture, from a few animals to a crowded pen."""
    down = rng.random() < 0.55
    kind = rng.random()
    low, high = (28.0, 100.0) if kind >= 0.65 else (18.0, BODY[1])
    body = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    slope = 0.0 if down else rng.uniform(0.2, 0.6)
    if kind < 0.08:
        places = np.zeros((0, 2))
    elif kind < 0.4:
        places = rng.uniform(-20, SIDE + 20, (int(rng.integers(1, 22)), 2))
    elif kind < 0.65:
        places = _groups(body, rng)
    else:
        places = _pen(body, down, rng)
    spots = []
    heading = rng.uniform(0, 360)
    milling = rng.uniform(5, 180)
    for x, y in places[:MOST]:
        size = body * (1 + slope * (y / SIDE - 1)) * np.exp(rng.normal(0, 0.12))
        size *= rng.uniform(0.5, 0.75) if rng.random() < 0.1 else 1  # calves
        angle = heading + rng.normal(0, milling) if down else rng.normal(0, 8)
        spots.append(Spot(float(x), float(y), float(np.clip(size, *BODY)), float(angle)))
    return sorted(spots, key=lambda spot: spot.y)


def lay_out_apart(rng: np.random.Generator) -> list[Spot]:
    """Places for single animals seen from straight above, each at least APART of its lengths from the next one."""
    body = float(np.exp(rng.uniform(np.log(ALONE[0]), np.log(ALONE[1]))))
    spots: list[Spot] = []
    for x, y in rng.uniform(0, SIDE, (int(rng.integers(1, MOST_APART + 1)), 2)):
        if all(np.hypot(x - s.x, y - s.y) >= APART * body for s in spots):
            size = body * rng.uniform(0.8, 1.2)
            spots.append(Spot(float(x), float(y), float(size), float(rng.uniform(0, 360))))
    return sorted(spots, key=lambda spot: spot.y)


def _groups(body: float, rng: np.random.Generator) -> np.ndarray:
    places = []
    for _ in range(int(rng.integers(1, 6))):
        centre = rng.uniform(0, SIDE, 2)
        spread = body * rng.uniform(0.7, 2.2) * rng.uniform(0.4, 1, 2)
        places.append(centre + rng.normal(size=(int(rng.integers(2, 14)), 2)) * spread)
    return np.concatenate(places)


def _pen(body: float, down: bool, rng: np.random.Generator) -> np.ndarray:
    """Animals side by side in a turned rectangle, touching each other."""
    along, across = body * rng.uniform(0.75, 1.25), body * (rng.uniform(0.4, 0.75) if down else rng.uniform(0.45, 0.8))
    columns = int(min(rng.uniform(2, 1.2 * SIDE / along + 2), 16))
    rows = int(min(rng.uniform(2, 1.2 * SIDE / across + 2), MOST / max(columns, 1)))
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1).reshape(-1, 2).astype(float)
    grid -= grid.mean(axis=0)
    grid[:, 0] += 0.5 * (np.round(grid[:, 1]) % 2)
    places = grid * [along, across] + rng.normal(size=grid.shape) * [0.16 * along, 0.16 * across]
    places = places[rng.random(len(places)) < rng.uniform(0.6, 1)]
    angle = rng.uniform(0, np.pi) if down else rng.normal(0, 0.15)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return places @ turn.T + rng.uniform(0.25 * SIDE, 0.75 * SIDE, 2)


@dataclass
class Picture:
    """A composed picture: pixels uint8 [SIDE, SIDE, 3] BGR, boxes of cattle, others and ignore float32 [n, 4]."""

    pixels: np.ndarray
    boxes: np.ndarray
    ignore: np.ndarray
    others: np.ndarray


class Composer:
    """Makes pictures from cut-outs and grounds. It can be copied to other processes."""

    def __init__(self, pieces: Sequence[cutouts.Cutout], grounds: Grounds, seed: int, apart: float = 0.0):
        """apart is the share of pictures with single animals far from each other."""
        self.grounds, self.seed, self.apart = grounds, seed, apart
        self.cattle = _Herd([p for p in pieces if p.kind == coco.CATTLE])
        self.others = _Herd([p for p in pieces if p.kind == coco.OTHER])

    def make(self, number: int) -> Picture:
        """Picture `number` of this seed, always the same."""
        rng = np.random.default_rng([self.seed, number])
        canvas = self.grounds.draw(rng).astype(np.float32)
        owner = np.zeros((SIDE, SIDE), np.int32)
        shade = np.zeros((SIDE, SIDE), np.float32)
        sun = paint.Sun.draw(rng)
        one_coat = rng.random() < 0.3
        pale = canvas.mean() + rng.uniform(-25, 45) if rng.random() < 0.25 else None
        foreign = rng.choice(FOREIGN_SHARES, p=FOREIGN_ODDS) if self.others.groups and self.cattle.groups else float(not self.cattle.groups)
        placed, kinds = [], []
        apart = self.apart > 0 and rng.random() < self.apart
        unshaded = apart and rng.random() < UNSHADED
        for spot in lay_out_apart(rng) if apart else lay_out(rng):
            kinds.append(coco.OTHER if rng.random() < foreign else coco.CATTLE)
            herd = self.others if kinds[-1] == coco.OTHER else self.cattle
            own = apart or one_coat or kinds[-1] == coco.OTHER  # a single animal in paint looks like a stone
            piece = herd.piece(spot, rng, keep=0.9 if own else 0.35)
            if pale is not None and rng.random() < 0.7:
                piece[..., :3] = np.clip(piece[..., :3] + pale - piece[..., :3][piece[..., 3] > 0.5].mean(), 0, 255)
            x, y = round(spot.x - piece.shape[1] / 2), round(spot.y - piece.shape[0] / 2)
            paint.add_shadow(shade, piece, x, y, sun)
            placed.append((piece, x, y))
        if not unshaded:
            paint.darken(canvas, shade, sun)
        whole = [paint.paste(canvas, owner, *entry, n) for n, entry in enumerate(placed, 1)]
        boxes, ignore, shown = _visible(owner, whole)
        other = np.array([kinds[n] == coco.OTHER for n in shown], bool)
        return Picture(_camera(canvas, rng), boxes[~other], ignore, boxes[other])


class _Herd:
    """Cut-outs of one kind of animal, by clip."""

    def __init__(self, pieces: Sequence[cutouts.Cutout]):
        groups: dict[str, list[cutouts.Cutout]] = {}
        for piece in pieces:
            groups.setdefault(piece.clip.split("/")[0], []).append(piece)
        self.groups = [groups[name] for name in sorted(groups)]
        self.sizes = [np.array([max(p.pixels.shape[:2]) for p in group]) for group in self.groups]

    def piece(self, spot: Spot, rng: np.random.Generator, keep: float) -> np.ndarray:
        """A cut-out for a place, with another coat unless by the probability keep."""
        # Every clip with large enough animals is chosen equally often. A size that
        # no clip has is made from the largest cut-outs.
        fit = [np.flatnonzero(sizes * LARGER >= spot.body) for sizes in self.sizes]
        groups = [n for n, large in enumerate(fit) if len(large) >= LEAST_CHOICE]
        if not groups:
            groups = [int(np.argmax([sizes.max() for sizes in self.sizes]))]
            fit[groups[0]] = np.argsort(self.sizes[groups[0]], kind="stable")[-LEAST_CHOICE:]
        group = groups[rng.integers(len(groups))]
        at = int(fit[group][rng.integers(len(fit[group]))])
        pixels = self.groups[group][at].pixels
        scale = spot.body / self.sizes[group][at]
        look = paint.recolour(pixels, rng, keep)
        return paint.place(look, scale, spot.angle, bool(rng.random() < 0.5), float(np.exp(rng.normal(0, 0.07))))


def _visible(owner: np.ndarray, whole: list[int]) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Tight boxes of the visible parts of each animal, those of mostly hidden animals, and the numbers of the first."""
    boxes, ignore, shown = [], [], []
    rows, columns = np.nonzero(owner)
    numbers = owner[rows, columns]
    order = np.argsort(numbers, kind="stable")
    bounds = np.searchsorted(numbers[order], np.arange(1, len(whole) + 2))
    for n, area in enumerate(whole):
        mine = order[bounds[n] : bounds[n + 1]]
        seen = len(mine) / max(area, 1)
        if seen < HINT or len(mine) < 4:
            continue
        x, y = columns[mine], rows[mine]
        box = [x.min(), y.min(), x.max() + 1, y.max() + 1]
        large = min(box[2] - box[0], box[3] - box[1]) >= 3
        if seen >= VISIBLE and large:
            boxes.append(box)
            shown.append(n)
        else:
            ignore.append(box)
    return np.asarray(boxes, np.float32).reshape(-1, 4), np.asarray(ignore, np.float32).reshape(-1, 4), shown


def _camera(canvas: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Effects of optics and sensor on the whole picture, so that pasted parts do not look sharper."""
    if rng.random() < 0.5:
        canvas = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.3, 1.0))
    canvas = canvas + rng.normal(0, rng.uniform(0.5, 4), canvas.shape).astype(np.float32)
    return np.clip(canvas, 0, 255).astype(np.uint8)


_composer: Composer | None = None


def _start(composer: Composer) -> None:
    global _composer
    _composer = composer
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this process when its parent has ended; it would wait for the parent's queue without end."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _make(job: tuple[int, Path]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    number, path = job
    picture = _composer.make(number)
    quality = 80 + number % 4 * 5
    if not cv2.imwrite(str(path), picture.pixels, [cv2.IMWRITE_JPEG_QUALITY, quality]):
        raise OSError(f"picture {path} cannot be written")
    return picture.boxes, picture.ignore, picture.others


def write(composer: Composer, target: Path, count: int, workers: int = 2) -> list[coco.Image]:
    """Makes pictures 0 to count-1 into the COCO folder target; its name is their clip."""
    (target / "images").mkdir(parents=True, exist_ok=True)
    jobs = [(n, target / "images" / f"{n:06d}.jpg") for n in range(count)]
    # A forked child would inherit OpenCV's locks without the threads that own them.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_start, initargs=(composer,)) as pool:
        made = list(pool.map(_make, jobs, chunksize=8))
    clip = target.resolve().name
    images = [
        coco.Image(path, SIDE, SIDE, boxes, clip, ignore, others=others)
        for (_, path), (boxes, ignore, others) in zip(jobs, made, strict=True)
    ]
    coco.save(target, images, f"composed, seed {composer.seed}")
    return images


def main(argv: list[str] | None = None) -> int:
    """Command line: python -m cattletrain.compose --cutouts DIR --backgrounds DIR... --out DIR."""
    parser = argparse.ArgumentParser(prog="cattletrain.compose", description="Paste cut-outs on empty ground.")
    parser.add_argument("--cutouts", type=Path, required=True, help="library of cut-outs")
    parser.add_argument("--backgrounds", type=Path, nargs="+", required=True, help="COCO folders")
    parser.add_argument("--out", type=Path, required=True, help="COCO folder to write")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--apart", type=float, default=0.0, help="share of pictures with single animals far from each other, 0 to 1")
    parser.add_argument("--workers", type=int, default=2)
    clips = "take cut-outs and grounds of these only; a trailing * stands for any rest"
    parser.add_argument("--clips", nargs="+", required=True, help=clips)
    args = parser.parse_args(argv)
    try:
        if args.images < 1 or args.workers < 1 or args.seed < 0:
            raise coco.DataError("command line", ["images and workers must be at least 1, seed at least 0"])
        if not 0 <= args.apart <= 1:
            raise coco.DataError("command line", [f"--apart {args.apart} is not between 0 and 1"])
        pieces = cutouts.load(args.cutouts, args.clips)
        images = [i for d in args.backgrounds for i in coco.load(d, check_pixels=False).only(args.clips).images]
        made = write(Composer(pieces, Grounds(images), args.seed, args.apart), args.out, args.images, args.workers)
    except (coco.DataError, OSError) as err:
        print(err, file=sys.stderr)
        return 1
    boxes, ignored = sum(len(i.boxes) for i in made), sum(len(i.ignore) for i in made)
    print(f"{args.out}: {len(made)} pictures from {len(pieces)} cut-outs, {boxes} animals, {ignored} mostly hidden")
    return 0


if __name__ == "__main__":
    sys.exit(main())
