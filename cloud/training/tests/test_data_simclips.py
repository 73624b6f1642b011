"""Frames of simulated clips."""

import cv2
import numpy as np
import pytest

from cattletrain import coco, simclips


def test_frames_have_the_boxes_of_the_truth(tmp_path):
    clip = tmp_path / "clip.avi"
    out = cv2.VideoWriter(str(clip), cv2.VideoWriter_fourcc(*"MJPG"), 3, simclips.SIZE)
    frames = []
    for number in range(3):
        pixels = np.full((simclips.SIZE[1], simclips.SIZE[0], 3), 60, np.uint8)
        x = 100 + 200 * number
        pixels[300:380, x : x + 90] = 240
        out.write(pixels)
        animals = [
            {"id": 1, "box": [x, 300, x + 90, 380], "visible": 1},
            {"id": 2, "box": [x + 60, 300, x + 120, 380], "visible": 0.2},  # mostly behind the first
            {"id": 3, "box": [1278.5, 10, 1400, 60], "visible": 0.5},  # a rest of 1.5 px
            {"id": 4, "box": [-40, -30, 50, 60], "visible": 0.9},
        ]
        frames.append({"frame": number, "animals": animals})
    out.release()
    target = tmp_path / "data"
    (target / "images").mkdir(parents=True)
    coco.save(target, simclips.pictures(clip, {"per_frame": frames}, target, "a"))
    images = coco.load(target).images
    assert [i.path.name for i in images] == ["a-0.jpg", "a-2.jpg"]
    for image, x in zip(images, (100, 500), strict=True):
        assert image.boxes.tolist() == [[x, 300, x + 90, 380], [0, 0, 50, 60]] and len(image.ignore) == 1
        assert image.read()[310:370, x + 5 : x + 80].mean() > 200


def test_error_of_the_renderer_is_told(tmp_path):
    program = tmp_path / "herdsim"
    program.write_text("#!/bin/sh\necho 'no such herd' >&2\nexit 2\n")
    program.chmod(0o755)
    with pytest.raises(OSError, match="no such herd"):
        simclips.simulate(program, tmp_path / "data", 1, 1)
