"""Scores of known detections, and errors of the worker."""

import json
import stat
from pathlib import Path

import cv2
import numpy as np
import pytest

from cattletrain import coco, evaluate


@pytest.fixture
def stills(tmp_path) -> Path:
    """Two pictures of one clip with a point each, in the form of labelled points."""
    root = tmp_path / "stills"
    (root / "images").mkdir(parents=True)
    (root / "points").mkdir()
    for n in range(2):
        cv2.imwrite(str(root / f"images/north__{n}.png"), np.full((80, 100, 3), 90, np.uint8))
        (root / f"points/north__{n}.csv").write_text("x,y\n50,40\n")
    return root


def program(path: Path, body: str) -> Path:
    """A program in place of the worker; the options are $1, $2, … in body."""
    path.write_text(f'#!/bin/sh\nwhile [ $# -gt 0 ]; do case $1 in --images) dir=$2;; --out) out=$2;; esac; shift; done\n{body}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_scores_by_clip(stills, tmp_path, capsys):
    line = json.dumps({"image": "NAME", "detections": [{"box": [40, 30, 60, 50], "score": 0.9}, {"box": [0, 0, 9, 9], "score": 0.3}]})
    worker = program(tmp_path / "worker", f"for f in $dir/*; do echo '{line}' | sed \"s|NAME|$(basename $f)|\"; done > $out")
    assert evaluate.main(["--worker", str(worker), "--model", "m", "--points", str(stills)]) == 0
    assert "| m | north | 2 | 0.500 | 1.000 | 0.667 | +100.0 % |" in capsys.readouterr().out
    assert evaluate.main(["--worker", str(worker), "--model", "m", "--points", str(stills), "--sweep"]) == 0
    assert "| m at 0.35 | all | 2 | 1.000 | 1.000 | 1.000 | +0.0 % |" in capsys.readouterr().out


@pytest.mark.parametrize(("body", "message"), [("echo no network >&2; exit 4", "no network"), (": > $out", "no detections for")])
def test_a_worker_that_fails(stills, tmp_path, capsys, body, message):
    assert evaluate.main(["--worker", str(program(tmp_path / "worker", body)), "--model", "m", "--points", str(stills)]) == 1
    assert message in capsys.readouterr().err


def test_each_point_is_hit_once():
    twice = [{"box": [0, 0, 20, 20], "score": 0.9}, {"box": [1, 1, 21, 21], "score": 0.8}]
    assert evaluate.hits(twice, np.array([[10.0, 10.0]])) == 1
    assert evaluate.hits(twice, np.array([[10.0, 10.0], [12.0, 12.0]])) == 2
    assert evaluate.hits([{"box": [0, 0, 20, 20], "score": 1}], np.array([[24.0, 10.0]])) == 1  # within the slack
    assert evaluate.hits([{"box": [0, 0, 20, 20], "score": 1}], np.array([[25.0, 10.0]])) == 0
    assert evaluate.hits([], np.zeros((0, 2))) == 0


def test_empty_tiles(tmp_path):
    root = tmp_path / "coco"
    (root / "images").mkdir(parents=True)
    path = root / "images/a.png"
    cv2.imwrite(str(path), np.full((416, 1000, 3), 90, np.uint8))
    coco.save(root, [coco.Image(path, 1000, 416, np.array([[10, 10, 40, 40]], np.float32), clip="a")])
    out = tmp_path / "tiles"
    out.mkdir()
    assert evaluate.empty_tiles(root, out) == 2 == len(list(out.iterdir()))
