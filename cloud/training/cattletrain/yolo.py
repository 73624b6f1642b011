"""Turn a YOLO folder (images/, labels/, perhaps index.csv) into a COCO folder.

Every class counts as cattle. The base names of index.csv (columns name, base)
become clips, so that rotated copies of one scene are on one side of a split.
Without it every picture is its own clip. Pictures are copied unchanged: the
black corners of rotated copies look like the padding of the worker.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from . import coco

MIN_SIDE = 2.0  # pixels; a thinner box is not an animal
PICTURES = {".jpg", ".jpeg", ".png", ".bmp"}


@dataclass
class Report:
    """The results for the boxes; dropped has the counts by reason."""

    pictures: int = 0
    kept: int = 0
    clipped: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    def drop(self, why: str) -> None:
        """Counts a dropped box."""
        self.dropped[why] = self.dropped.get(why, 0) + 1

    def __str__(self) -> str:
        lost = ", ".join(f"{n} {why}" for why, n in sorted(self.dropped.items())) or "none"
        return f"{self.pictures} pictures, {self.kept} boxes kept ({self.clipped} cut at the edge), dropped: {lost}"


def convert(source: Path, target: Path, name: str) -> Report:
    """Writes the COCO folder target; clips are called NAME/BASE.

    Raises coco.DataError with all faults of the source before it writes anything.
    """
    faults = coco.Faults(source)
    if not (source / "images").is_dir():
        raise coco.DataError(source, ["has no folder images"])
    pictures = sorted(p for p in (source / "images").iterdir() if p.suffix.lower() in PICTURES)
    if not pictures:
        raise coco.DataError(source, ["holds no pictures below images"])
    bases = _bases(source / "index.csv", faults)
    report = Report()
    images = []
    for picture in pictures:
        try:
            height, width = coco.read_image(picture).shape[:2]
        except coco.DataError as err:
            faults.add(f"{picture.name}: {err.faults[0]}")
            continue
        rows = read_labels(source / "labels" / f"{picture.stem}.txt", faults)
        boxes = _boxes(rows, width, height, report)
        clip = f"{name}/{bases.get(picture.stem, picture.stem)}"
        images.append(coco.Image(target / "images" / picture.name, width, height, boxes, clip))
    faults.check()
    (target / "images").mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        shutil.copyfile(picture, target / "images" / picture.name)
    coco.save(target, images, f"boxes of {name}")
    report.pictures = len(images)
    return report


def _bases(file: Path, faults: coco.Faults) -> dict[str, str]:
    if not file.exists():
        return {}
    try:
        with file.open(newline="", encoding="utf-8") as handle:
            rows = csv.DictReader(handle)
            if not {"name", "base"} <= set(rows.fieldnames or ()):
                faults.add(f"{file.name}: want the columns name and base")
                return {}
            return {row["name"]: row["base"] for row in rows if row["name"] and row["base"]}
    except (OSError, ValueError, csv.Error) as err:
        faults.add(f"{file.name}: {err}")
        return {}


def read_labels(file: Path, faults: coco.Faults) -> list[tuple[float, float, float, float]]:
    """The rows of a label file as centre x, centre y, width, height as shares of the picture.

    A missing file is a picture without animals, as in YOLO.
    """
    if not file.exists():
        return []
    try:
        text = file.read_text(encoding="ascii")
    except (OSError, ValueError) as err:
        faults.add(f"{file.name}: {err}")
        return []
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        try:
            values = tuple(float(word) for word in words)
        except ValueError:
            values = ()
        if len(values) != 5 or not np.isfinite(values).all():
            faults.add(f"{file.name} line {number}: want class, x, y, width, height as numbers")
            continue
        rows.append(values[1:])
    return rows


def _boxes(rows: list[tuple[float, float, float, float]], width: int, height: int, report: Report) -> np.ndarray:
    boxes: list[tuple[float, ...]] = []
    limit = np.array([width, height, width, height], np.float64)
    for x, y, w, h in rows:
        whole = np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2]) * limit
        box = np.clip(whole, 0, limit)
        if (box[2:] - box[:2] < MIN_SIDE).any():
            report.drop("thinner than 2 pixels or outside")
            continue
        if any(np.abs(box - other).max() < 1 for other in boxes):
            report.drop("written twice")
            continue
        report.kept += 1
        report.clipped += bool(np.abs(box - whole).max() > 0.5)
        boxes.append(tuple(box))
    return np.asarray(boxes, np.float32).reshape(-1, 4)


def main(argv: list[str] | None = None) -> int:
    """Command line: python -m cattletrain.yolo SRC DST."""
    parser = argparse.ArgumentParser(prog="cattletrain.yolo", description=convert.__doc__)
    parser.add_argument("source", type=Path, help="YOLO folder")
    parser.add_argument("target", type=Path, help="COCO folder to write")
    parser.add_argument("--name", help="first part of the clip names (default: the source folder's name)")
    args = parser.parse_args(argv)
    try:
        report = convert(args.source, args.target, args.name or args.source.resolve().name.replace("-", "_"))
    except coco.DataError as err:
        print(err, file=sys.stderr)
        return 1
    print(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
