"""Find animals in a whole picture with an ONNX detector, over tiles of several sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

from . import coco
from .product import Grid

ANIMALS = tuple(range(14, 24))  # bird to giraffe in the 80 COCO classes
BATCH = 8


@dataclass
class Found:
    """Candidate boxes of one picture: boxes float32 [n, 4] in its pixels, scores float32 [n]."""

    boxes: np.ndarray
    scores: np.ndarray


class Detector:
    """An ONNX model of the form images, orig_target_sizes -> labels, boxes, scores.

    images is float32 [n, 3, s, s], RGB, 0 to 1. Not safe for several threads.
    """

    def __init__(self, path: str | Path, threads: int = 2):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as err:  # the library has one class per fault, without a common base class
            raise coco.DataError(path, [f"cannot be loaded: {err}"]) from err
        inputs = {entry.name: entry.shape for entry in self.session.get_inputs()}
        outputs = {entry.name for entry in self.session.get_outputs()}
        shape = inputs.get("images", [])
        if len(shape) != 4 or not isinstance(shape[3], int) or "orig_target_sizes" not in inputs:
            raise coco.DataError(path, ["is not a detector: want inputs images [n, 3, s, s] and orig_target_sizes"])
        if not {"labels", "boxes", "scores"} <= outputs:
            raise coco.DataError(path, ["is not a detector: want outputs labels, boxes and scores"])
        self.side: int = shape[3]

    def scan(
        self,
        pixels: np.ndarray,
        tiles: Sequence[int],
        overlap: float = 0.3,
        threshold: float = 0.08,
        labels: Sequence[int] | None = ANIMALS,
    ) -> Found:
        """All candidates of a BGR picture, duplicates of several tiles and sizes included.

        Boxes at an inner edge of a tile are skipped, because they are parts of animals.
        labels None is every class.
        """
        height, width = pixels.shape[:2]
        regions = [r for tile in tiles for r in Grid(tile, overlap).regions(width, height)]
        boxes, scores = [coco.no_boxes()], [np.zeros(0, np.float32)]
        for at in range(0, len(regions), BATCH):
            batch = regions[at : at + BATCH]
            for region, (label, box, score) in zip(batch, self._run(pixels, batch), strict=True):
                keep = score >= threshold
                if labels is not None:
                    keep &= np.isin(label, labels)
                box, score = box[keep], score[keep]
                slack = 0.01 * region.width
                open_left, open_top = region.x > 0, region.y > 0
                open_right, open_bottom = region.x + region.width < width, region.y + region.height < height
                whole = ~(
                    (open_left & (box[:, 0] < slack))
                    | (open_top & (box[:, 1] < slack))
                    | (open_right & (box[:, 2] > region.width - slack))
                    | (open_bottom & (box[:, 3] > region.height - slack))
                )
                moved = box[whole] + np.array([region.x, region.y, region.x, region.y], np.float32)
                boxes.append(np.clip(moved, 0, [width, height, width, height]).astype(np.float32))
                scores.append(score[whole])
        return Found(np.concatenate(boxes), np.concatenate(scores))

    def _run(self, pixels: np.ndarray, batch: Sequence) -> zip:
        images = np.empty((len(batch), 3, self.side, self.side), np.float32)
        sizes = np.empty((len(batch), 2), np.int64)
        for row, region in enumerate(batch):
            tile = region.cut(pixels)
            how = cv2.INTER_AREA if region.width > self.side else cv2.INTER_LINEAR
            small = cv2.resize(tile, (self.side, self.side), interpolation=how)
            images[row] = small[:, :, ::-1].transpose(2, 0, 1) / np.float32(255)
            sizes[row] = region.width, region.height
        labels, boxes, scores = self.session.run(
            ["labels", "boxes", "scores"], {"images": images, "orig_target_sizes": sizes}
        )
        return zip(labels, boxes, scores, strict=True)
