import pytest

from cattletrain import benchmark


def test_a_set_names_its_pictures_and_the_ground_they_show(tmp_path):
    for name in ("dunes_01.jpg", "dunes_02.jpg", "works_01.jpg"):
        (tmp_path / name).touch()
    held = benchmark.Set.parse(f"held=empty:{tmp_path}/{{dunes_02,works_*}}.jpg:0.5")
    assert [p.name for p in held.pictures] == ["dunes_02.jpg", "works_01.jpg"] and held.hectares == 0.5 and held.points is None
    herd = benchmark.Set.parse(f"herd=animals:{tmp_path}/dunes_*.jpg:{tmp_path}/points")
    assert len(herd.pictures) == 2 and herd.points == tmp_path / "points"


@pytest.mark.parametrize("text", ["held=empty:{}/none_*.jpg", "held=animals:{}/a.jpg", "held=other:{}/a.jpg", "held", "held=empty:{}/a.jpg:{}"])
def test_a_set_that_cannot_be_measured_is_refused(tmp_path, text):
    (tmp_path / "a.jpg").touch()
    with pytest.raises(ValueError):
        benchmark.Set.parse(text.format(tmp_path, tmp_path))


def test_false_boxes_are_counted_by_picture_and_hectare(tmp_path):
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).touch()
    held = benchmark.Set.parse(f"held=empty:{tmp_path}/*.jpg:0.5")
    line, marks = benchmark.empty("held", "m", held, {"a.jpg": [{"score": 0.5}] * 3, "b.jpg": []})
    assert "1.50 a picture, 3.0 a hectare, most 3" in line and marks == [(0.5, False)] * 3


def test_animals_are_hit_once_and_every_box_has_its_mark(tmp_path):
    (tmp_path / "a.jpg").touch()
    (tmp_path / "a.csv").write_text("x,y\n10,10\n50,50\n")
    held = benchmark.Set.parse(f"herd=animals:{tmp_path}/a.jpg:{tmp_path}")
    boxes = [{"score": 0.6, "box": [5, 5, 15, 15]}, {"score": 0.9, "box": [4, 4, 16, 16]}]
    line, marks = benchmark.animals("herd", "m", held, {"a.jpg": boxes})
    assert "| 2 | 0.500 | 0.500 | 0.500 | +0.0 % |" in line and marks == [(0.9, True), (0.6, False)]


def test_scores_that_are_right_as_often_as_they_say_have_no_error():
    lines, error = benchmark.reliability([(0.75, True)] * 3 + [(0.75, False)])
    assert error == 0 and lines == ["0.7-0.8: 4 boxes, mean score 0.75, right 0.75"]
    _, error = benchmark.reliability([(0.9, False)] * 4 + [(1.0, True)])
    assert error == pytest.approx(0.72)
