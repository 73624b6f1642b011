"""Turn pictures with a point on each animal into a COCO folder.

The source holds images/, points/NAME.csv (columns x, y in pixels) and index.csv
(columns file, clip). The boxes are those of a detector, see assign. A
point without an acceptable box gets an estimated one from the sizes of its
neighbours, or an ignore region when this is impossible. Confident detections
without a point become ignore regions too: some animals at the edges and behind
others have no label.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import assign, coco, scan

TILES = (208, 300, 416, 600, 900)
MAX_POINTS = 10_000


@dataclass
class Counts:
    """The results for the points of one clip."""

    pictures: int = 0
    points: int = 0
    matched: int = 0
    estimated: int = 0
    dropped: int = 0
    ignored: int = 0  # confident detections without a point

    def __str__(self) -> str:
        return (
            f"{self.pictures} pictures, {self.points} points: {self.matched} matched, "
            f"{self.estimated} estimated, {self.dropped} dropped; {self.ignored} detections without a point"
        )


@dataclass
class Source:
    """One labelled picture: points float64 [k, 2] in pixels."""

    path: Path
    clip: str
    points: np.ndarray


def read(root: Path) -> list[Source]:
    """Reads index and points. Raises coco.DataError with all faults."""
    faults = coco.Faults(root)
    sources = []
    for row in _rows(root / "index.csv", ("file", "clip"), faults):
        name = row["file"] or ""
        if not name or Path(name).name != name:
            faults.add(f"index.csv: {name!r} is not the plain name of a file")
            continue
        path = root / "images" / name
        if not path.is_file():
            faults.add(f"index.csv: {name} is missing below images")
            continue
        points = read_points(root / "points" / f"{path.stem}.csv", faults)
        sources.append(Source(path, row["clip"] or root.name, points))
    faults.check()
    if not sources:
        raise coco.DataError(root, ["index.csv names no pictures"])
    return sources


def _rows(file: Path, columns: tuple[str, ...], faults: coco.Faults) -> list[dict[str, str | None]]:
    try:
        with file.open(newline="", encoding="utf-8") as handle:
            rows = csv.DictReader(handle)
            if not set(columns) <= set(rows.fieldnames or ()):
                faults.add(f"{file.name}: want the columns {', '.join(columns)}")
                return []
            return list(rows)
    except (OSError, ValueError, csv.Error) as err:
        faults.add(f"{file.name}: {err}")
        return []


def read_points(file: Path, faults: coco.Faults) -> np.ndarray:
    """The points of one picture, float64 [k, 2]."""
    rows = _rows(file, ("x", "y"), faults)
    if len(rows) > MAX_POINTS:
        faults.add(f"{file.name}: {len(rows)} points, want at most {MAX_POINTS}")
        return np.zeros((0, 2))
    points = []
    for number, row in enumerate(rows, 2):
        try:
            point = float(row["x"] or "nan"), float(row["y"] or "nan")
        except ValueError:
            point = (np.nan, np.nan)
        if not np.isfinite(point).all():
            faults.add(f"{file.name} line {number}: want x and y as numbers")
            continue
        points.append(point)
    return np.asarray(points, np.float64).reshape(-1, 2)


def label(source: Source, pixels: np.ndarray, found: scan.Found, path: Path, counts: Counts) -> coco.Image:
    """The labelled picture with this path; adds to counts.

    Points outside of the picture are dropped, because their animals are not visible.
    """
    height, width = pixels.shape[:2]
    seen = ((source.points >= 0) & (source.points <= [width, height])).all(axis=1)
    points = source.points[seen]
    result = assign.assign(points, found.boxes, found.scores, width, height)
    counts.pictures += 1
    counts.points += len(source.points)
    counts.matched += int((result.kinds == assign.MATCHED).sum())
    counts.estimated += int((result.kinds == assign.ESTIMATED).sum())
    counts.dropped += int((result.kinds == assign.DROPPED).sum() + (~seen).sum())
    counts.ignored += len(result.extra)
    kept = result.kinds != assign.DROPPED
    return coco.Image(
        path=path,
        width=width,
        height=height,
        boxes=result.boxes[kept],
        clip=source.clip,
        ignore=np.concatenate([result.boxes[~kept], result.extra]),
        estimated=result.kinds[kept] == assign.ESTIMATED,
    )


def convert(root: Path, target: Path, detector: scan.Detector, progress=lambda text: None) -> dict[str, Counts]:
    """Writes the COCO folder target and returns the results for the points of each clip."""
    sources = read(root)
    (target / "images").mkdir(parents=True, exist_ok=True)
    counts: dict[str, Counts] = {}
    images = []
    for number, source in enumerate(sources, 1):
        pixels = coco.read_image(source.path)
        found = detector.scan(pixels, TILES)
        copy = target / "images" / source.path.name
        images.append(label(source, pixels, found, copy, counts.setdefault(source.clip, Counts())))
        shutil.copyfile(source.path, copy)
        progress(f"{number}/{len(sources)} {source.path.name}: {len(source.points)} points")
    coco.save(target, images, "boxes from points, see the model card")
    return counts


def main(argv: list[str] | None = None) -> int:
    """Command line: python -m cattletrain.points SRC DST --detector PATH."""
    parser = argparse.ArgumentParser(prog="cattletrain.points", description="Points to boxes, by a detector.")
    parser.add_argument("source", type=Path, help="folder with images, points and index.csv")
    parser.add_argument("target", type=Path, help="COCO folder to write")
    parser.add_argument("--detector", type=Path, required=True, help="ONNX file with images -> labels, boxes, scores")
    args = parser.parse_args(argv)
    try:
        detector = scan.Detector(args.detector)
        counts = convert(args.source, args.target, detector, lambda text: print(text, file=sys.stderr, flush=True))
    except coco.DataError as err:
        print(err, file=sys.stderr)
        return 1
    for clip, count in sorted(counts.items()):
        print(f"{clip}: {count}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
