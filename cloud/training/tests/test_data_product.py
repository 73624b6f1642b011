"""The tiles are those of the worker's grid."""

import json

import cv2
import numpy as np
import pytest

from cattletrain import coco, product

# The numbers of the rule in cloud/count/detect.
CASES = [
    (0, 0.2, 1920, 1080, [0], [0]),
    (416, 0.2, 416, 300, [0], [0]),
    (416, 0.2, 417, 416, [0, 1], [0]),
    (416, 0.2, 1920, 1080, [0, 301, 602, 902, 1203, 1504], [0, 332, 664]),
    (640, 0.25, 1920, 1080, [0, 427, 853, 1280], [0, 440]),
    (300, 0.0, 1000, 601, [0, 233, 467, 700], [0, 151, 301]),
    (32, 0.9, 35, 32, [0, 3], [0]),
    (400, 0.5, 1001, 401, [0, 150, 301, 451, 601], [0, 1]),
]


@pytest.mark.parametrize(("tile", "overlap", "width", "height", "xs", "ys"), CASES)
def test_regions(tile, overlap, width, height, xs, ys):
    regions = product.Grid(tile, overlap).regions(width, height)
    size = (tile, tile) if tile else (width, height)
    assert [tuple(r) for r in regions] == [(x, y, *size) for y in ys for x in xs]


@pytest.mark.parametrize(("tile", "overlap"), [(-1, 0.2), (31, 0.2), (416, -0.1), (416, 0.91), (416, float("nan"))])
def test_refuses(tile, overlap):
    with pytest.raises(ValueError, match="want"):
        product.Grid(tile, overlap)


def test_cut_is_black_outside_of_the_picture():
    tile = product.Region(2, 1, 4, 4).cut(np.full((3, 5, 3), 7, np.uint8))
    assert tile.shape == (4, 4, 3) and tile[:2, :3].min() == 7 and tile[2:].max() == 0 and tile[:, 3:].max() == 0


def test_negatives_are_away_from_animals_and_ignore_regions(tmp_path, capsys):
    (tmp_path / "images").mkdir()
    path = tmp_path / "images" / "a.png"
    cv2.imwrite(str(path), np.zeros((64, 160, 3), np.uint8))
    boxes, ignore = np.array([[2, 2, 20, 20]]), np.array([[140, 10, 150, 20]])
    coco.save(tmp_path, [coco.Image(path, 160, 64, boxes, "one", ignore)])
    assert product.main([str(tmp_path), "--tile", "40", "--overlap", "0"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["region"][:2] for line in lines] == [[40, 0], [80, 0], [40, 24], [80, 24]]
    assert product.main([str(tmp_path), "--clips", "two"]) == 0
    assert capsys.readouterr().out == ""
    assert product.main([str(tmp_path / "nowhere")]) == 1
    assert "cannot be read" in capsys.readouterr().err
