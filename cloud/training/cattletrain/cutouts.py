"""Cut single animals out of labelled pictures, as material for compose.

GrabCut separates the animal in a box from the ground around it. A cut-out must
look like one whole animal: the animal stands alone, and its mask is in one piece,
fills a plausible share of the box, seldom touches its border and differs clearly
from the ground.

A library is a folder with NAME.png (BGRA, alpha 0 or 255) and cutouts.json, a
list of {"file", "clip", "source", "side", "kind"}; side is the longer side of the
box in pixels of the source picture, kind the class (coco.CATTLE without the key).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from . import coco
from .assign import overlap

LEAST_SIDE = 26.0  # pixels; smaller ones are too coarse for scaling and turning
WORK_SIDE = 112  # longer side of the box while cutting
FILL = (0.33, 0.9)
BORDER_LIMIT = 0.34  # share of the mask's outline on the border of the box
GROUND_LIMIT = 0.22  # share of the animal in the colour of the ground
LEAST_CONTRAST = 22.0  # Lab units between animal and ground


@dataclass
class Cutout:
    """An animal: pixels uint8 [h, w, 4] BGRA, tight around its mask."""

    pixels: np.ndarray
    clip: str
    source: str
    side: float
    kind: int = coco.CATTLE


class Refused(Exception):
    """A box without a clean cut-out, with the reason."""


def cut(pixels: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Cuts the animal in a box out of a BGR picture: uint8 [h, w, 4], at the picture's scale.

    Raises Refused.
    """
    x1, y1, x2, y2 = (float(v) for v in box)
    side = max(x2 - x1, y2 - y1)
    pad = 0.35 * side
    height, width = pixels.shape[:2]
    left, top = int(max(0, x1 - pad)), int(max(0, y1 - pad))
    part = pixels[top : int(min(height, y2 + pad)), left : int(min(width, x2 + pad))]
    scale = max(1.0, WORK_SIDE / side)
    work = cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC) if scale > 1 else part
    inner = np.array([(x1 - left) * scale, (y1 - top) * scale, (x2 - left) * scale, (y2 - top) * scale])
    mask = _segment(work, inner)
    _judge(work, mask, inner)
    if scale > 1:
        mask = cv2.resize(mask, part.shape[1::-1], interpolation=cv2.INTER_AREA)
    alpha = np.where(mask >= 128, 255, 0).astype(np.uint8)
    x, y, w, h = cv2.boundingRect(alpha)
    if min(w, h) < 5:
        raise Refused("too small")
    return np.dstack([part, alpha])[y : y + h, x : x + w]


def _segment(work: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """The mask (0 or 255) of the animal in the box inner of a picture part."""
    state = np.full(work.shape[:2], cv2.GC_BGD, np.uint8)
    x1, y1, x2, y2 = np.clip(np.round(inner), 0, np.tile(work.shape[1::-1], 2)).astype(int)
    w, h = x2 - x1, y2 - y1
    if w < 8 or h < 8:
        raise Refused("too small")
    state[y1:y2, x1:x2] = cv2.GC_PR_BGD
    centre = (x1 + w // 2, y1 + h // 2)
    cv2.ellipse(state, centre, (int(0.46 * w), int(0.46 * h)), 0, 0, 360, cv2.GC_PR_FGD, -1)
    ground, animal = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(1)  # GrabCut chooses its first clusters at random
    try:
        cv2.grabCut(work, state, None, ground, animal, 4, cv2.GC_INIT_WITH_MASK)
    except cv2.error as err:
        raise Refused("no ground around it") from err
    mask = np.isin(state, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask)
    if count < 2:
        raise Refused("nothing found")
    best = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    if stats[best, cv2.CC_STAT_AREA] < 0.85 * mask.sum():
        raise Refused("in several pieces")
    return _filled((parts == best).astype(np.uint8))


def _filled(mask: np.ndarray) -> np.ndarray:
    """The mask as 0 or 255 with its small holes closed. Large holes are ground between legs."""
    whole = mask * np.uint8(255)
    outlines, tree = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    for outline, links in zip(outlines, tree[0], strict=True):
        if links[3] >= 0 and cv2.contourArea(outline) < 0.03 * mask.sum():
            cv2.drawContours(whole, [outline], -1, 255, -1)
    return whole


def _judge(work: np.ndarray, mask: np.ndarray, inner: np.ndarray) -> None:
    """Raises Refused when a mask does not look like one whole animal."""
    x1, y1, x2, y2 = inner
    area = float((mask > 0).sum())
    fill = area / ((x2 - x1) * (y2 - y1))
    if not FILL[0] <= fill <= FILL[1]:
        raise Refused("fills too little or too much")
    outline, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    points = outline[0][:, 0].astype(np.float64)
    near = (
        (points[:, 0] < x1 + 2) | (points[:, 0] > x2 - 3) | (points[:, 1] < y1 + 2) | (points[:, 1] > y2 - 3)
    )
    if near.mean() > BORDER_LIMIT:
        raise Refused("runs along its box")
    hull = cv2.contourArea(cv2.convexHull(outline[0]))
    if area < 0.68 * hull:
        raise Refused("ragged")
    _, _, bw, bh = cv2.boundingRect(mask)
    if bw < 0.7 * (x2 - x1) or bh < 0.7 * (y2 - y1):
        raise Refused("a part only")
    lab = cv2.cvtColor(work, cv2.COLOR_BGR2LAB).astype(np.float32)
    kernel = np.ones((9, 9), np.uint8)
    ring = (cv2.dilate(mask, kernel, iterations=2) > 0) & (cv2.dilate(mask, kernel) == 0)
    core = cv2.erode(mask, np.ones((5, 5), np.uint8)) > 0
    if not ring.any() or not core.any():
        raise Refused("too small")
    if _grassy(lab[core], lab[ring]) > GROUND_LIMIT:
        raise Refused("holds too much ground")
    if np.linalg.norm(np.median(lab[ring], axis=0) - np.median(lab[core], axis=0)) < LEAST_CONTRAST:
        # Pied animals may have a median like the ground, but a distinct outline.
        spread = np.abs(lab[core] - np.median(lab[ring], axis=0)).sum(axis=1)
        if np.mean(spread > LEAST_CONTRAST) < 0.75:
            raise Refused("hardly differs from the ground")


def _grassy(core: np.ndarray, ring: np.ndarray) -> float:
    """The share of the animal's pixels [n, 3] (Lab) with the colour of a vividly coloured ground.

    Only the direction of the colour counts, so shadows on grass are included.
    """
    tint = np.median(ring[:, 1:], axis=0) - 128
    strength = np.linalg.norm(tint)
    if strength < 12:
        return 0.0
    along = (core[:, 1:] - 128) @ (tint / strength)
    across = np.abs((core[:, 1:] - 128) @ (np.array([-tint[1], tint[0]]) / strength))
    return float(np.mean((along > 0.5 * strength) & (across < 0.35 * along)))


def collect(data: coco.Dataset, per_clip: int | None = None, seed: int = 0) -> tuple[list[Cutout], dict[str, int]]:
    """Cut-outs of a data set, at most per_clip of each clip, and the reasons of the boxes without one."""
    found: list[Cutout] = []
    refused: dict[str, int] = {}
    for image in data.images:
        pixels = image.read()
        boxes = np.concatenate([image.boxes, image.others])
        together = overlap(boxes, np.concatenate([boxes, image.ignore]), smaller=True)
        np.fill_diagonal(together, 0)
        for n, box in enumerate(boxes):
            try:
                _suitable(image, box, n < len(image.boxes) and bool(image.estimated[n]), together[n])
                piece = cut(pixels, box)
            except Refused as err:
                refused[str(err)] = refused.get(str(err), 0) + 1
                continue
            side = float(max(box[2] - box[0], box[3] - box[1]))
            kind = coco.CATTLE if n < len(image.boxes) else coco.OTHER
            found.append(Cutout(piece, image.clip, f"{image.path.stem}_{n}", side, kind))
    if per_clip is not None:
        found = _thin(found, per_clip, seed)
    return found, dict(sorted(refused.items(), key=lambda item: -item[1]))


def _suitable(image: coco.Image, box: np.ndarray, estimated: bool, together: np.ndarray) -> None:
    if estimated:
        raise Refused("estimated box")
    if max(box[2] - box[0], box[3] - box[1]) < LEAST_SIDE:
        raise Refused("too small")
    if box[0] < 2 or box[1] < 2 or box[2] > image.width - 2 or box[3] > image.height - 2:
        raise Refused("at the edge of its picture")
    if together.max(initial=0) > 0.03:
        raise Refused("not alone")


def _thin(found: list[Cutout], per_clip: int, seed: int) -> list[Cutout]:
    rng = np.random.default_rng(seed)
    kept: list[Cutout] = []
    for clip in sorted({piece.clip for piece in found}):
        mine = [piece for piece in found if piece.clip == clip]
        if len(mine) > per_clip:
            mine = [mine[n] for n in sorted(rng.choice(len(mine), per_clip, replace=False))]
        kept += mine
    return kept


def save(folder: Path, pieces: Sequence[Cutout]) -> None:
    """Writes a library. The folder may exist."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for number, piece in enumerate(pieces):
        file = f"{number:05d}.png"
        if not cv2.imwrite(str(folder / file), piece.pixels):
            raise OSError(f"cut-out {folder / file} cannot be written")
        entries.append({"file": file, "clip": piece.clip, "source": piece.source, "side": round(piece.side, 1), "kind": piece.kind})
    (folder / "cutouts.json").write_text(json.dumps(entries), encoding="utf-8")


def load(folder: Path, clips: Sequence[str] | None = None) -> list[Cutout]:
    """Reads a library, of the named clips only. Raises coco.DataError with all faults."""
    file = folder / "cutouts.json"
    faults = coco.Faults(file)
    try:
        entries = json.loads(file.read_bytes())
        entries = [(str(e["file"]), str(e["clip"]), str(e["source"]), float(e["side"]), int(e.get("kind", coco.CATTLE))) for e in entries]
    except OSError as err:
        raise coco.DataError(file, [f"cannot be read: {err.strerror}"]) from err
    except (ValueError, KeyError, TypeError, RecursionError) as err:
        raise coco.DataError(file, [f"is not a list of cut-outs: {err}"]) from err
    pieces = []
    for name, clip, source, side, kind in entries:
        if clips is not None and not coco.clip_in(clip, clips):
            continue
        pixels = cv2.imread(str(folder / Path(name).name), cv2.IMREAD_UNCHANGED)
        if pixels is None or pixels.ndim != 3 or pixels.shape[2] != 4:
            faults.add(f"cut-out {name}: is missing or has no transparency")
            continue
        pieces.append(Cutout(pixels, clip, source, side, kind))
    faults.check()
    if not pieces:
        raise coco.DataError(file, ["has no cut-outs of the required clips"])
    return pieces


def main(argv: list[str] | None = None) -> int:
    """Command line: python -m cattletrain.cutouts DIR... --out DIR."""
    parser = argparse.ArgumentParser(prog="cattletrain.cutouts", description="Cut animals out of COCO folders.")
    parser.add_argument("folders", type=Path, nargs="+", help="COCO folders")
    parser.add_argument("--out", type=Path, required=True, help="folder of the library")
    parser.add_argument("--clips", nargs="*", help="only these clips; a trailing * stands for any rest")
    parser.add_argument("--per-clip", type=int, help="at most so many of each clip")
    args = parser.parse_args(argv)
    pieces: list[Cutout] = []
    try:
        for folder in args.folders:
            found, refused = collect(coco.load(folder, check_pixels=False).only(args.clips), args.per_clip)
            pieces += found
            print(f"{folder}: {len(found)} cut-outs, refused {refused}")
        save(args.out, pieces)
    except (coco.DataError, OSError) as err:
        print(err, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
