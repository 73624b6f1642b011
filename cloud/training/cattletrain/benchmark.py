"""One table of models over all sets of footage: animals, ground without animals, other animals, time, and how far scores can be trusted.

A set is NAME=KIND:PATTERN[:POINTS]. KIND animals: every picture has POINTS/NAME.csv
(x,y). KIND empty: no picture has cattle, so every box is false. The pictures of the
patterns are split by site in the Makefile: what trained a model is in sets of its own.
"""

import argparse
import itertools
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import coco, evaluate
from .label import read_points

BINS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)  # of scores
KINDS = ("animals", "empty")
VIEW_TIME = re.compile(r"([0-9.]+) ?ms")


@dataclass(frozen=True)
class Set:
    """Pictures of one kind; points is None for pictures without cattle. hectares is the ground of one picture, 0 if unknown."""

    name: str
    pictures: list[Path]
    points: Path | None
    hectares: float = 0.0

    @classmethod
    def parse(cls, text: str) -> "Set":
        """NAME=animals:PATTERN:POINTS or NAME=empty:PATTERN[:HECTARES]; PATTERN is a path, its last part may have *. Raises ValueError."""
        name, _, rest = text.partition("=")
        kind, pattern, *more = rest.split(":")
        if kind not in KINDS or len(more) > 1 or (kind == "animals") != bool(more and not _number(more[0])):
            raise ValueError(f"{text}: want NAME=animals:PATTERN:POINTS or NAME=empty:PATTERN[:HECTARES]")
        where = Path(pattern)
        pictures = sorted(p for part in _alternatives(where.name) for p in where.parent.glob(part))
        if not pictures:
            raise ValueError(f"{text}: no picture matches {pattern}")
        if kind == "animals":
            return cls(name, pictures, Path(more[0]))
        return cls(name, pictures, None, float(more[0]) if more else 0.0)


def _number(text: str) -> bool:
    return re.fullmatch(r"[0-9.]+", text) is not None


def _alternatives(pattern: str) -> list[str]:
    """a{b,c}d as abd and acd, like a shell."""
    match = re.fullmatch(r"(.*)\{(.*)\}(.*)", pattern)
    return [f"{match[1]}{part}{match[3]}" for part in match[2].split(",")] if match else [pattern]


def animals(name: str, model: str, held: Set, found: dict[str, list[dict]]) -> tuple[str, list[tuple[float, bool]]]:
    """A line of the table, and for each box its score and whether it hit."""
    tally, marks = evaluate.Tally(), []
    for path in held.pictures:
        points = read_points(held.points / f"{path.stem}.csv")
        seen = sorted(found[path.name], key=lambda d: -d["score"])
        right = evaluate.matches(seen, points)
        tally.add(len(points), len(seen), sum(right))
        marks += [(d["score"], hit) for d, hit in zip(seen, right, strict=True)]
    count, precision, recall, f1, error = tally.row()
    return f"| {name} | {model} | {len(held.pictures)} | {count} | {precision} | {recall} | {f1} | {error} | |", marks


def empty(name: str, model: str, held: Set, found: dict[str, list[dict]]) -> tuple[str, list[tuple[float, bool]]]:
    """A line of the table with the false boxes, and their scores."""
    scores = [d["score"] for path in held.pictures for d in found[path.name]]
    each = f"{len(scores) / len(held.pictures):.2f} a picture"
    if held.hectares:
        each += f", {len(scores) / len(held.pictures) / held.hectares:.1f} a hectare"
    worst = max(len(found[path.name]) for path in held.pictures)
    return f"| {name} | {model} | {len(held.pictures)} | 0 | | | | | {each}, most {worst} |", [(s, False) for s in scores]


def reliability(marks: list[tuple[float, bool]]) -> tuple[list[str], float]:
    """For each bin of scores its boxes and the share that is right; and the expected calibration error (Guo et al., 2017)."""
    scores, hit = np.array([s for s, _ in marks]), np.array([h for _, h in marks], float)
    lines, error = [], 0.0
    for low, high in itertools.pairwise(BINS):
        mine = (scores >= low) & (scores < high if high < 1 else scores <= high)
        if mine.any():
            lines.append(f"{low:.1f}-{high:.1f}: {mine.sum()} boxes, mean score {scores[mine].mean():.2f}, right {hit[mine].mean():.2f}")
            error += mine.sum() * abs(scores[mine].mean() - hit[mine].mean())
    return lines, error / max(1, len(scores))


def view_time(worker: Path, model: Path) -> str:
    """What `worker model verify` says about the time of a view, empty if nothing."""
    done = subprocess.run([str(worker), "model", "verify", str(model)], capture_output=True, text=True, check=False)
    match = VIEW_TIME.search(done.stdout)
    return f"{match[1]} ms" if match else ""


def main(argv: list[str]) -> int:
    p = argparse.ArgumentParser(prog="cattletrain.benchmark", description=__doc__)
    p.add_argument("--worker", type=Path, required=True, help="the worker program")
    p.add_argument("--model", type=Path, action="append", required=True, help="model folder or file; several times")
    p.add_argument("--set", type=Set.parse, action="append", required=True, dest="sets", help="NAME=KIND:PATTERN[:POINTS]; several times")
    p.add_argument("--every", type=int, default=1, help="only every n-th picture, for a quick look")
    p.add_argument("--keep", type=Path, metavar="DIR", help="write the boxes of each model and set as DIR/MODEL-SET.json")
    a = p.parse_args(argv)
    print("| set | model | pictures | animals | precision | recall | F1 | count error | false boxes |\n" + "| --- " * 9 + "|")
    trust = []
    try:
        for model in a.model:
            name, marks = model.name if model.is_dir() else model.parent.name, []
            for each in a.sets:
                few = Set(each.name, each.pictures[:: a.every], each.points, each.hectares)
                found = evaluate.detect(a.worker, model, few.pictures)
                if a.keep:
                    a.keep.mkdir(parents=True, exist_ok=True)
                    (a.keep / f"{name}-{few.name}.json".replace(" ", "_")).write_text(json.dumps(found))
                line, more = (animals if few.points else empty)(few.name, name, few, found)
                marks += more
                print(line, flush=True)
            lines, error = reliability(marks)
            trust.append(f"{name}: expected calibration error {error:.3f}; time of a view {view_time(a.worker, model) or 'unknown'}\n  " + "\n  ".join(lines))
    except (coco.DataError, evaluate.EvaluationError, OSError) as e:
        print(f"benchmark: {e}", file=sys.stderr)
        return 1
    print("\nReliability of scores over all sets:\n" + "\n".join(trust))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
