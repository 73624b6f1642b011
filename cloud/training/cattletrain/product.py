"""Tiles like those of the worker, and the ones without animals.

The rule is the one of cloud/count/detect/grid.go; a test compares both.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import coco


class Region(NamedTuple):
    """A part of a picture in pixels; it may reach over the right and bottom edge."""

    x: int
    y: int
    width: int
    height: int

    def cut(self, pixels: np.ndarray) -> np.ndarray:
        """Copies the region of a picture; the part outside is black."""
        part = pixels[self.y : self.y + self.height, self.x : self.x + self.width]
        tile = np.zeros((self.height, self.width, *pixels.shape[2:]), pixels.dtype)
        tile[: part.shape[0], : part.shape[1]] = part
        return tile

    def touches(self, boxes: np.ndarray, margin: float = 0) -> np.ndarray:
        """Which boxes [n, 4] (x1 y1 x2 y2) overlap the region grown by margin: bool [n]."""
        return (
            (boxes[:, 0] < self.x + self.width + margin)
            & (boxes[:, 2] > self.x - margin)
            & (boxes[:, 1] < self.y + self.height + margin)
            & (boxes[:, 3] > self.y - margin)
        )


@dataclass(frozen=True)
class Grid:
    """How pictures are cut: the side of a tile (0: in one piece) and the least overlap."""

    tile: int = 416
    overlap: float = 0.2

    def __post_init__(self) -> None:
        if self.tile < 0 or 0 < self.tile < 32:
            raise ValueError(f"tile of {self.tile} pixels, want 0 (whole picture) or at least 32")
        if not 0 <= self.overlap <= 0.9:
            raise ValueError(f"overlap of {self.overlap}, want 0 to 0.9")

    def regions(self, width: int, height: int) -> list[Region]:
        """The tiles of a picture, row by row, evenly spread over it."""
        if self.tile == 0:
            return [Region(0, 0, width, height)]
        return [Region(x, y, self.tile, self.tile) for y in self._starts(height) for x in self._starts(width)]

    def _starts(self, length: int) -> list[int]:
        if length <= self.tile:
            return [0]
        step = max(1.0, math.floor(float(self.tile) * (1 - self.overlap)))
        n = math.ceil((length - self.tile) / step) + 1
        # Half a pixel is rounded up, as in Go; Python's round would choose the even number.
        return [math.floor(i * (length - self.tile) / (n - 1) + 0.5) for i in range(n)]


class Negative(NamedTuple):
    """A tile without any animal: the file below images/ and the place in it."""

    file: str
    clip: str
    region: Region


def negatives(data: coco.Dataset, grid: Grid, margin: float = 8) -> Iterator[Negative]:
    """The tiles of data without an animal or ignore region within margin.

    margin is in pixels of the picture. Tiles over the edge are skipped when the
    picture covers less than half of them.
    """
    for image in data.images:
        taken = np.concatenate([image.boxes, image.others, image.ignore])
        for region in grid.regions(image.width, image.height):
            inside = min(region.width, image.width) * min(region.height, image.height)
            if inside * 2 >= region.width * region.height and not region.touches(taken, margin).any():
                yield Negative(image.path.name, image.clip, region)


def main(argv: list[str] | None = None) -> int:
    """Command line: python -m cattletrain.product DIR... prints one JSON line for each empty tile."""
    parser = argparse.ArgumentParser(prog="cattletrain.product", description="List tiles without animals.")
    parser.add_argument("folders", type=Path, nargs="+", help="COCO folders")
    parser.add_argument("--tile", type=int, default=416)
    parser.add_argument("--overlap", type=float, default=0.2)
    parser.add_argument("--clips", nargs="*", help="only these clips; a trailing * stands for any rest")
    args = parser.parse_args(argv)
    try:
        grid = Grid(args.tile, args.overlap)
        for folder in args.folders:
            data = coco.load(folder, check_pixels=False).only(args.clips)
            for found in negatives(data, grid):
                line = {"folder": str(folder), "file": found.file, "clip": found.clip, "region": list(found.region)}
                print(json.dumps(line))
    except (coco.DataError, ValueError) as err:
        print(err, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
