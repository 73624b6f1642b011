"""Pieces of pictures around false detections."""

import cv2
import numpy as np
import pytest

from cattletrain import coco, mine


@pytest.fixture
def data(tmp_path):
    root = tmp_path / "stills"
    (root / "images").mkdir(parents=True)
    cv2.imwrite(str(root / "images" / "a.png"), np.full((800, 1200, 3), 90, np.uint8))
    cv2.imwrite(str(root / "images" / "b.png"), np.full((300, 400, 3), 60, np.uint8))
    boxes, ignore = np.array([[100, 100, 160, 150], [700, 500, 760, 560]], np.float32), np.array([[20, 600, 60, 640]], np.float32)
    images = [
        coco.Image(root / "images" / "a.png", 1200, 800, boxes, "north", ignore),
        coco.Image(root / "images" / "b.png", 400, 300, coco.no_boxes(), "south"),
    ]
    coco.save(root, images)
    return coco.load(root)


def seen(*box: float, score: float = 0.6) -> dict:
    return {"box": list(box), "score": score}


def test_pieces_show_false_boxes_with_their_surroundings(data, tmp_path):
    found = {
        "a.png": [
            seen(102, 98, 165, 150),  # an animal
            seen(30, 610, 50, 630),  # in an ignore region
            seen(640, 470, 690, 495),  # false
            seen(560, 460, 600, 490),  # false, near the last one
            seen(1100, 20, 1150, 60, score=0.1),  # below the threshold
        ],
        "b.png": [seen(350, 250, 390, 290)],
    }
    images = mine.mine(data, found, tmp_path / "mined")
    assert [(i.clip, i.width, i.height) for i in images] == [("north", 512, 512), ("south", 400, 300)]
    again = coco.load(tmp_path / "mined").images
    assert again[0].boxes.tolist() == [[291, 274, 351, 334]] and len(again[1].boxes) == 0
    assert again[0].read().shape == (512, 512, 3)


def test_error_without_false_detections(data, tmp_path):
    with pytest.raises(coco.DataError, match="no false detections"):
        mine.mine(data, {"a.png": [], "b.png": []}, tmp_path / "mined")
