import numpy as np

from cattletrain import label


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
