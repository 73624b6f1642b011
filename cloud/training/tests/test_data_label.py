import cv2
import numpy as np

from cattletrain import coco, label


def test_each_point_takes_one_box_and_each_animal_one_point():
    points = np.array([[50.0, 50], [150, 50], [400, 400]])
    boxes = np.array([[30, 30, 70, 70], [32, 28, 72, 72], [130, 30, 170, 70], [0, 0, 300, 300]], np.float32)
    own, has = label.matched(points, boxes, np.array([0.9, 0.6, 0.5, 0.8]))
    assert has.tolist() == [True, True, False]
    assert own[0].tolist() == [30, 30, 70, 70] and own[1].tolist() == [130, 30, 170, 70]


def test_two_points_in_one_box_share_nothing():
    points = np.array([[48.0, 50], [52, 50]])
    _, has = label.matched(points, np.array([[30, 30, 70, 70]], np.float32), np.array([0.9]))
    assert has.sum() == 1


def test_a_point_at_the_edge_of_a_box_is_not_its_animal():
    _, has = label.matched(np.array([[31.0, 50]]), np.array([[30, 30, 70, 70]], np.float32), np.array([0.9]))
    assert not has.any()


def test_a_point_without_a_box_is_ignored_ground_of_the_size_of_an_animal():
    points, boxes = np.array([[50.0, 50], [5, 5]]), np.array([[30, 40, 70, 60]], np.float32)
    own, has = label.matched(points, boxes, np.array([0.9]))
    around = label.around(points, own, has)
    assert around.tolist() == [[-15, -15, 25, 25]]
    assert label.inside(around, 100, 100).tolist() == [[0, 0, 25, 25]]


def test_animals_of_both_classes_become_other_animals(tmp_path):
    program = tmp_path / "worker"
    line = '{"image":"sheep.png","detections":[{"box":[1,2,30,40],"score":0.6}],"others":[{"box":[50,60,80,90],"score":0.9},{"box":[0,0,9,9],"score":0.2}]}'
    program.write_text(f"#!/bin/sh\nwhile [ $1 != --out ]; do shift; done\necho '{line}' > $2\n")
    program.chmod(0o755)
    cv2.imwrite(str(tmp_path / "sheep.png"), np.full((100, 100, 3), 90, np.uint8))
    args = [str(tmp_path / "sheep.png"), str(tmp_path / "out"), "--worker", str(program), "--model", "model"]
    assert label.main([*args, "--others", "0.4"]) == 0
    (image,) = coco.load(tmp_path / "out").images
    assert not len(image.boxes) and image.others.tolist() == [[1, 2, 30, 40], [50, 60, 80, 90]]
