"""Pictures without animals as a COCO folder."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from cattletrain import coco, ground


def picture(path: Path, side: int, channels: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (side, side, channels) if channels > 1 else (side, side)
    cv2.imwrite(str(path), np.full(shape, 90, np.uint8))


def test_large_colour_pictures_are_used(tmp_path, capsys):
    root = tmp_path / "textures"
    picture(root / "grass.png", 600, 3)
    picture(root / "crops" / "wheat.PNG", 512, 4)
    picture(root / "grass-mask.png", 600, 3)
    picture(root / "grey.png", 600, 1)
    picture(root / "small.png", 500, 3)
    (root / "readme.txt").write_text("no picture")
    target = tmp_path / "ground"
    assert ground.main([str(root), str(target), "--without", "mask"]) == 0
    assert "2 pictures" in capsys.readouterr().out
    images = coco.load(target).images
    assert [(i.width, len(i.boxes), i.clip) for i in images] == [(512, 0, "ground"), (600, 0, "ground")]
    assert images[0].read().shape == (512, 512, 3)


def test_unreadable_and_missing_pictures_are_named(tmp_path, capsys):
    root = tmp_path / "textures"
    picture(root / "small.png", 100, 3)
    assert ground.main([str(root), str(tmp_path / "a")]) == 1
    assert "no colour picture of at least 512 pixels" in capsys.readouterr().err
    (root / "torn.png").write_bytes(b"\x89PNG torn")
    with pytest.raises(coco.DataError, match=r"torn\.png: cannot be read"):
        ground.convert(root, tmp_path / "b")
