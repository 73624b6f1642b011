"""Pictures of flights from farther away."""

import cv2
import numpy as np
import pytest

from cattletrain import coco, far


@pytest.fixture
def data(tmp_path):
    root = tmp_path / "stills"
    (root / "images").mkdir(parents=True)
    pixels = np.full((600, 800, 3), 90, np.uint8)
    boxes = np.array([[100, 200, 180, 280], [500, 300, 580, 380], [700, 500, 760, 560]], np.float32)
    for x1, y1, x2, y2 in boxes.astype(int):
        pixels[y1:y2, x1:x2] = 255
    images = []
    for name, clip in (("a", "north"), ("b", "north"), ("c", "south")):
        cv2.imwrite(str(root / "images" / f"{name}.png"), pixels)
        images.append(coco.Image(root / "images" / f"{name}.png", 800, 600, boxes, clip, np.array([[0, 0, 40, 40]], np.float32)))
    cv2.imwrite(str(root / "images" / "empty.png"), pixels)
    images.append(coco.Image(root / "images" / "empty.png", 800, 600, coco.no_boxes(), "nobody"))
    coco.save(root, images)
    return coco.load(root)


def test_animals_are_small_and_boxes_stay_on_them(data, tmp_path):
    far.far(data, tmp_path / "far", 6, 3)
    images = coco.load(tmp_path / "far").images
    assert [i.clip for i in images] == ["north", "south"] * 3  # without the clip that has no animal
    for image in images:
        pixels = image.read()
        assert pixels.shape == (far.SIDE, far.SIDE, 3) and len(image.boxes) > 20 and len(image.ignore) > 5
        assert 0.8 * far.BODIES[0] < far.body(image) < 1.2 * far.BODIES[1]
        for x1, y1, x2, y2 in np.round(image.boxes).astype(int):
            assert pixels[y1:y2, x1:x2].mean() > 200  # the white animal, even in a mirrored picture


def test_error_without_animals(data, tmp_path):
    with pytest.raises(coco.DataError, match="no picture has an animal"):
        far.far(data.only(["nobody"]), tmp_path / "far", 3, 1)
