"""Points get the boxes of their animals."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from cattletrain import assign, coco, points, scan

WIDTH, HEIGHT = 600, 400


def herd(rows=4, columns=5):
    """Points and true boxes of animals that are larger at the bottom, as in an oblique view."""
    spots, boxes = [], []
    for row in range(rows):
        for column in range(columns):
            y, x = 60 + 90 * row, 60 + 115 * column + 20 * (row % 2)
            w = 20 + 0.1 * y
            spots.append((x, y))
            boxes.append((x - w / 2, y - w * 0.3, x + w / 2, y + w * 0.3))
    return np.array(spots, float), np.array(boxes, float)


def candidates(boxes, rng, each=4):
    """Noisy copies of the true boxes with scores."""
    many = np.repeat(boxes, each, axis=0) + rng.normal(0, 0.7, (len(boxes) * each, 4))
    return np.clip(many, 0, [WIDTH, HEIGHT] * 2), rng.uniform(0.3, 0.9, len(many))


def test_every_point_gets_its_box():
    rng = np.random.default_rng(1)
    spots, true = herd()
    found, scores = candidates(true, rng)
    # Pairs with one box, and a fence post: high scores, wrong boxes.
    pairs = np.concatenate([np.minimum(true[0], true[1]), np.maximum(true[0], true[1])]).reshape(2, 4)[[0, 1]]
    group = np.array([[*pairs[0][:2], *pairs[1][2:]]])
    found, scores = np.concatenate([found, group]), np.append(scores, 0.95)
    result = assign.assign(spots, found, scores, WIDTH, HEIGHT)
    assert (result.kinds == assign.MATCHED).all() and len(result.extra) == 0
    assert np.diag(assign.overlap(result.boxes, true)).min() > 0.85


def test_a_point_without_a_candidate_gets_the_size_of_its_neighbours():
    spots, true = herd()
    found, scores = candidates(np.delete(true, 7, axis=0), np.random.default_rng(2))
    result = assign.assign(spots, found, scores, WIDTH, HEIGHT)
    assert np.flatnonzero(result.kinds == assign.ESTIMATED).tolist() == [7]
    assert assign.overlap(result.boxes[7:8], true[7:8])[0, 0] > 0.75


def test_without_a_known_animal_points_become_ignore_regions():
    result = assign.assign(np.array([[5.0, 5.0], [300, 200]]), np.zeros((0, 4)), np.zeros(0), WIDTH, HEIGHT)
    assert (result.kinds == assign.DROPPED).all()
    assert (result.boxes[:, :2] >= 0).all() and (result.boxes[:, 2:] > result.boxes[:, :2]).all()


def test_a_confident_box_without_a_point_is_reported_once():
    spots, true = herd()
    found, scores = candidates(true, np.random.default_rng(3))
    scores = np.full(len(scores), 0.8)
    result = assign.assign(np.delete(spots, 3, axis=0), found, scores, WIDTH, HEIGHT)
    assert len(result.extra) == 1 and assign.overlap(result.extra, true[3:4])[0, 0] > 0.8


def test_no_points():
    result = assign.assign(np.zeros((0, 2)), *candidates(*herd()[1:], np.random.default_rng(1)), WIDTH, HEIGHT)
    assert len(result.boxes) == 0 and len(result.kinds) == 0


class Fake:
    """A detector that returns the true boxes."""

    def scan(self, pixels, tiles):
        boxes, scores = candidates(herd()[1], np.random.default_rng(5))
        return scan.Found(boxes.astype(np.float32), scores.astype(np.float32))


@pytest.fixture
def source(tmp_path):
    root = tmp_path / "flight"
    for folder in ("images", "points"):
        (root / folder).mkdir(parents=True)
    cv2.imwrite(str(root / "images" / "a.jpg"), np.full((HEIGHT, WIDTH, 3), 120, np.uint8))
    (root / "index.csv").write_text("file,clip\na.jpg,one\n")
    rows = "".join(f"{x},{y}\n" for x, y in herd()[0])
    (root / "points" / "a.csv").write_text("x,y\n" + rows + "-50,20\n")
    return root


def test_converts(source, tmp_path):
    counts = points.convert(source, tmp_path / "out", Fake())
    assert counts == {"one": points.Counts(1, 21, 20, 0, 1, 0)}
    (image,) = coco.load(tmp_path / "out").images
    assert image.clip == "one" and len(image.boxes) == 20 and not image.estimated.any()


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("index.csv", "file\na.jpg\n", "want the columns file, clip"),
        ("index.csv", "file,clip\n../a.jpg,one\n", "not the plain name"),
        ("index.csv", "file,clip\nb.jpg,one\n", "b.jpg is missing"),
        ("index.csv", "file,clip\n", "names no pictures"),
        ("points/a.csv", "x\n1\n", "want the columns x, y"),
        ("points/a.csv", "x,y\n1,\n", "a.csv line 2"),
        ("points/a.csv", "x,y\n1,2\n1,inf\n", "a.csv line 3"),
        ("points/a.csv", "x,y\n" + "1,1\n" * (points.MAX_POINTS + 1), "want at most"),
    ],
)
def test_refuses(source, file, text, message):
    (source / file).write_text(text)
    with pytest.raises(coco.DataError, match=message):
        points.read(source)


def test_other_files_are_not_detectors(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(coco.DataError, match="cannot be loaded"):
        scan.Detector(tmp_path / "model.onnx")


@pytest.mark.parametrize("folder", [Path("/nowhere")])
def test_command_line_errors(folder, capsys):
    assert points.main([str(folder), str(folder / "out"), "--detector", str(folder / "model.onnx")]) == 1
    assert "model.onnx" in capsys.readouterr().err


class Still(scan.Detector):
    """A detector whose network finds the bright square in each tile, without a model."""

    def __init__(self):
        self.side = 64

    def _run(self, pixels, batch):
        rows = []
        for region in batch:
            y, x = np.nonzero(region.cut(pixels)[..., 0] > 200)
            box = [x.min(), y.min(), x.max() + 1, y.max() + 1] if len(x) else [0, 0, 1, 1]
            score = 0.9 if len(x) else 0.01
            rows.append((np.array([19]), np.array([box], np.float32), np.array([score], np.float32)))
        labels, boxes, scores = zip(*rows, strict=True)
        return zip(labels, boxes, scores, strict=True)


def test_scan_moves_boxes_to_the_picture_and_drops_parts():
    pixels = np.zeros((100, 200, 3), np.uint8)
    pixels[40:60, 70:90] = 255
    found = Still().scan(pixels, (64,), overlap=0.5)
    assert len(found.boxes) >= 1
    assert (found.boxes == [70, 40, 90, 60]).all() and (found.scores > 0.5).all()
    pixels[:] = 0
    pixels[0:20, 0:20] = 255  # at the edge of the picture: not a part
    assert (Still().scan(pixels, (64,)).boxes == [0, 0, 20, 20]).all()
