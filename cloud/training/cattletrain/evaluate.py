"""Precision, recall, F1 and count error of models, measured through `worker detect`.

A detection hits an animal when the animal's point is in its box, with 4 pixels
of slack. Each point is hit once, by falling score (the rule of cloud/count/detect/score).
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from . import coco, product

SLACK = 4.0


class EvaluationError(Exception):
    """The detections are missing or belong to other pictures."""


@dataclass(frozen=True)
class Truth:
    """points float64 [n, 2] of the animals of one picture."""

    path: Path
    clip: str
    points: np.ndarray


@dataclass
class Tally:
    """Sums over pictures: animals, boxes, boxes matched to an animal."""

    points: int = 0
    boxes: int = 0
    hits: int = 0

    def add(self, points: int, boxes: int, hits: int) -> None:
        self.points, self.boxes, self.hits = self.points + points, self.boxes + boxes, self.hits + hits

    def row(self) -> list[str]:
        """Animals, precision, recall, F1, count error."""
        ratio = lambda a, b: a / b if b else 0.0  # noqa: E731
        error = ratio(self.boxes - self.points, self.points)
        return [
            str(self.points), f"{ratio(self.hits, self.boxes):.3f}", f"{ratio(self.hits, self.points):.3f}",
            f"{ratio(2 * self.hits, self.points + self.boxes):.3f}", f"{100 * error:+.1f} %",
        ]  # fmt: skip


def from_points(root: Path) -> list[Truth]:
    """Pictures in images/ with the points of each in points/NAME.csv (x,y); the clip is the name up to "__"."""
    truths = []
    for path in sorted((root / "images").iterdir()):
        with open(root / "points" / f"{path.stem}.csv", newline="") as f:
            points = [(float(r["x"]), float(r["y"])) for r in csv.DictReader(f)]
        truths.append(Truth(path, path.stem.split("__")[0], np.array(points).reshape(-1, 2)))
    return truths


def from_boxes(root: Path) -> list[Truth]:
    """A COCO folder, with the middle of each box as the point."""
    images = coco.load(root, check_pixels=False).images
    return [Truth(i.path, i.clip.split("/")[0] or root.name, (i.boxes[:, :2] + i.boxes[:, 2:]) / 2) for i in images]


def empty_tiles(root: Path, folder: Path, side: int = 416) -> int:
    """Writes the animal-free tiles of a COCO folder as PNG files and returns their number."""
    data, last, pixels, count = coco.load(root, check_pixels=False), None, None, 0
    for n in product.negatives(data, product.Grid(side)):
        if n.file != last:
            last, pixels = n.file, coco.read_image(root / "images" / n.file)
        cv2.imwrite(str(folder / f"{count:06d}.png"), n.region.cut(pixels))
        count += 1
    return count


def detect(worker: Path, model: Path, paths: Sequence[Path], options: Sequence[str] = (), others: bool = False) -> dict[str, list[dict]]:
    """Detections by file name, with others also those of other animals. Raises EvaluationError."""
    with tempfile.TemporaryDirectory() as work:
        folder, out = Path(work) / "images", Path(work) / "out.jsonl"
        folder.mkdir()
        for path in paths:
            (folder / path.name).symlink_to(path.resolve())
        command = [str(worker), "detect", "--images", str(folder), "--out", str(out), "--model", str(model), *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise EvaluationError(f"{' '.join(command)}: {done.stderr.strip()[-800:]}")
        lines = [json.loads(line) for line in out.read_text().splitlines()]
    found = {line["image"]: line.get("detections", []) + (line.get("others", []) if others else []) for line in lines}
    if missing := {p.name for p in paths} - found.keys():
        raise EvaluationError(f"no detections for {sorted(missing)[:5]} ({len(missing)} pictures)")
    return found


def hits(detections: list[dict], points: np.ndarray) -> int:
    """The number of detections matched to a point."""
    return sum(matches(sorted(detections, key=lambda d: -d["score"]), points))


def matches(detections: list[dict], points: np.ndarray) -> list[bool]:
    """For each detection, given by falling score, whether it is matched to a point."""
    free, right = np.ones(len(points), bool), []
    for d in detections:
        x1, y1, x2, y2 = d["box"]
        low, high = np.array([x1, y1]) - SLACK, np.array([x2, y2]) + SLACK
        inside = free & (points >= low).all(1) & (points <= high).all(1)
        right.append(bool(inside.any()))
        if right[-1]:
            far = ((points - (low + high) / 2) ** 2).sum(1)
            free[np.argmin(np.where(inside, far, np.inf))] = False
    return right


def tallies(truths: Sequence[Truth], found: dict[str, list[dict]], threshold: float = 0.0) -> dict[str, Tally]:
    """By clip, and "all"."""
    result: dict[str, Tally] = {}
    for truth in truths:
        kept = [d for d in found[truth.path.name] if d["score"] >= threshold]
        for name in (truth.clip, "all"):
            result.setdefault(name, Tally()).add(len(truth.points), len(kept), hits(kept, truth.points))
    return result


def table(name: str, by_clip: dict[str, Tally]) -> str:
    """Lines of a Markdown table."""
    return "\n".join("| " + " | ".join([name, clip, *tally.row()]) + " |" for clip, tally in sorted(by_clip.items()))


def main(argv: list[str]) -> int:
    p = argparse.ArgumentParser(prog="cattletrain.evaluate", description=__doc__)
    p.add_argument("--worker", type=Path, required=True, help="the worker program")
    p.add_argument("--model", type=Path, action="append", required=True, help="model folder; several times")
    p.add_argument("--points", type=Path, action="append", default=[], help="folder with images/ and points/")
    p.add_argument("--data", type=Path, action="append", default=[], help="COCO folder")
    p.add_argument("--empty", type=Path, action="append", default=[], help="COCO folder; boxes on its animal-free tiles are counted")
    p.add_argument("--clips", default="", help="only these clips, separated by commas")
    sweep = "a table for each of several thresholds, out of one run at 0.1; boxes of tiles merge a little differently there"
    p.add_argument("--sweep", action="store_true", help=sweep)
    p.add_argument("options", nargs="*", help="after --: more options for `worker detect`")
    a = p.parse_args(argv)
    try:
        truths = [t for root in a.points for t in from_points(root)] + [t for root in a.data for t in from_boxes(root)]
        if a.clips:
            truths = [t for t in truths if t.clip in a.clips.split(",")]
        print("| model | clip | animals | precision | recall | F1 | count error |\n| --- | --- | --- | --- | --- | --- | --- |")
        for model in a.model:
            if truths:
                found = detect(a.worker, model, [t.path for t in truths], a.options + (["--threshold", "0.1"] if a.sweep else []))
                for threshold in np.arange(0.15, 0.66, 0.05) if a.sweep else [0.0]:
                    print(table(model.name + (f" at {threshold:.2f}" if a.sweep else ""), tallies(truths, found, threshold)), flush=True)
            for root in a.empty:
                with tempfile.TemporaryDirectory() as work:
                    count = empty_tiles(root, Path(work))
                    boxes = sum(len(d) for d in detect(a.worker, model, sorted(Path(work).iterdir()), a.options).values())
                print(f"\n{model.name}: {boxes} boxes on {count} animal-free tiles of {root.name}\n", flush=True)
    except (coco.DataError, EvaluationError, OSError, KeyError, ValueError) as e:
        print(f"evaluate: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
