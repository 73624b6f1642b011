"""YOLO folders become COCO folders."""

import cv2
import numpy as np
import pytest

from cattletrain import coco, yolo


@pytest.fixture
def source(tmp_path):
    root = tmp_path / "some-farm"
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    for name in ("a_1", "a_2", "b"):
        cv2.imwrite(str(root / "images" / f"{name}.png"), np.full((50, 100, 3), 60, np.uint8))
    (root / "labels" / "a_1.txt").write_text("0 0.5 0.5 0.2 0.4\n\n3 0.95 0.5 0.2 0.2\n")
    (root / "labels" / "a_2.txt").write_text("0 0.5 0.5 0.01 0.4\n0 0.2 0.2 0.1 0.1\n0 0.2 0.2 0.1 0.1\n")
    (root / "index.csv").write_text("split,name,base\ntrain,a_1,a\ntrain,a_2,a\n")
    return root


def test_converts(source, tmp_path, capsys):
    target = tmp_path / "out"
    assert yolo.main([str(source), str(target)]) == 0
    data = coco.load(target)
    assert data.clips() == {"some_farm/a": 2, "some_farm/b": 1}
    first, second, third = data.images
    assert first.boxes.tolist() == [[40, 15, 60, 35], [85, 20, 100, 30]]
    assert second.boxes.tolist() == [[15, 7.5, 25, 12.5]] and len(third.boxes) == 0
    said = capsys.readouterr().out
    assert "3 boxes kept (1 cut at the edge)" in said
    assert "1 thinner than 2 pixels or outside" in said and "1 written twice" in said


@pytest.mark.parametrize("line", ["0 0.5 0.5 0.2", "0 0.5 0.5 0.2 x", "0 0.5 nan 0.2 0.2", "0 1 1 1 1 1", "\u00e9"])
def test_refuses_bad_lines_and_writes_nothing(source, tmp_path, capsys, line):
    (source / "labels" / "b.txt").write_text(line)
    assert yolo.main([str(source), str(tmp_path / "out")]) == 1
    assert "b.txt" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_refuses_bad_folders(source, tmp_path):
    with pytest.raises(coco.DataError, match="has no folder images"):
        yolo.convert(tmp_path, tmp_path / "out", "x")
    (source / "images" / "b.png").write_bytes(b"broken")
    (source / "index.csv").write_text("name\na_1\n")
    with pytest.raises(coco.DataError) as caught:
        yolo.convert(source, tmp_path / "out", "x")
    assert caught.value.count == 2 and "b.png" in str(caught.value) and "columns name and base" in str(caught.value)


def test_no_label_bytes_break_the_reader(source):
    rng = np.random.default_rng(4)
    file = source / "labels" / "b.txt"
    alphabet = np.frombuffer(b"0123456789.-+einfaN \t\n\r\x00\xff", np.uint8)
    for _ in range(150):
        file.write_bytes(rng.choice(alphabet, int(rng.integers(0, 80))).tobytes())
        faults = coco.Faults(file)
        for row in yolo.read_labels(file, faults):
            assert len(row) == 4 and np.isfinite(row).all()
