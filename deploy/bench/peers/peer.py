"""Count the animals of one clip with a published tracker, for comparison with the worker.

Same detector, tiles, threshold and frames per second as the worker; ONNX Runtime with one thread per core and without
spinning. Prints one JSON object: the number of tracks that lasted for two looks, and the crossings of a line across the middle
of the picture in both directions.

  peer.py bytetrack|botsort CLIP MODEL
"""

import json
import os
import re
import sys

import cv2
import numpy as np
import onnxruntime as ort
import supervision as sv
from trackers import BoTSORTTracker

LOOKS = 3.0  # a second
EDGE = 4  # pixels


def starts(length: int, tile: int, overlap: float) -> list[int]:
    """First pixels of the tiles along a length, as in the worker's grid."""
    if length <= tile:
        return [0]
    step = max(1, int(tile * (1 - overlap)))
    count = -(-(length - tile) // step) + 1
    return [round(i * (length - tile) / (count - 1)) for i in range(count)]


class Detector:
    """The worker's default model: boxes of a frame in tiles, merged by non-maximum suppression."""

    def __init__(self, folder: str):
        card = open(os.path.join(folder, "cattlecounter.yaml"), encoding="utf-8").read()
        number = {k: float(v) for k, v in re.findall(r"^(tile|overlap|threshold): *([\d.]+)", card, re.M)}
        self.tile, self.overlap, self.threshold = int(number["tile"]), number["overlap"], number["threshold"]
        with open(os.path.join(folder, "preprocessor_config.json"), encoding="utf-8") as f:
            prepare = json.load(f)
        self.side = prepare["size"]["height"]
        self.mean = np.array(prepare["image_mean"], np.float32)
        self.std = np.array(prepare["image_std"], np.float32)
        options = ort.SessionOptions()
        options.intra_op_num_threads = os.cpu_count()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        model = os.path.join(folder, "model.onnx")
        self.session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name

    def detect(self, frame: np.ndarray, least: float) -> sv.Detections:
        """Boxes with scores of at least least."""
        height, width = frame.shape[:2]
        boxes, scores = [], []
        for y in starts(height, self.tile, self.overlap):
            for x in starts(width, self.tile, self.overlap):
                tile = np.zeros((self.tile, self.tile, 3), np.uint8)
                part = frame[y : y + self.tile, x : x + self.tile]
                tile[: part.shape[0], : part.shape[1]] = part
                view = cv2.cvtColor(cv2.resize(tile, (self.side, self.side), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)
                view = ((view.astype(np.float32) / 255 - self.mean) / self.std).transpose(2, 0, 1)[None]
                logits, rectangles = self.session.run(["logits", "pred_boxes"], {self.input: view})
                score = 1 / (1 + np.exp(-logits[0].max(axis=1)))
                keep = score >= least
                c = rectangles[0][keep] * self.tile
                boxes.append(np.column_stack([c[:, 0] - c[:, 2] / 2 + x, c[:, 1] - c[:, 3] / 2 + y,
                                              c[:, 0] + c[:, 2] / 2 + x, c[:, 1] + c[:, 3] / 2 + y]))
                scores.append(score[keep])
        found = np.concatenate(boxes).astype(np.float32)
        result = sv.Detections(xyxy=found.clip(0, [width, height, width, height]).astype(np.float32),
                               confidence=np.concatenate(scores), class_id=np.zeros(len(found), int))
        return result.with_nms(threshold=0.5, class_agnostic=True)


def main() -> None:
    method, clip, folder = sys.argv[1:4]
    detector = Detector(folder)
    capture = cv2.VideoCapture(clip)
    every = max(1, round(capture.get(cv2.CAP_PROP_FPS) / LOOKS))
    width, height = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    line = sv.LineZone(sv.Point(width / 2, 0), sv.Point(width / 2, height), triggering_anchors=[sv.Position.CENTER])
    if method == "bytetrack":
        byte = sv.ByteTrack(track_activation_threshold=detector.threshold, frame_rate=LOOKS, lost_track_buffer=30)
    else:
        bot = BoTSORTTracker(frame_rate=LOOKS, lost_track_buffer=30, track_activation_threshold=detector.threshold,
                             enable_cmc=True)
    tracks: dict[int, int] = {}
    number = -1
    while capture.grab():
        number += 1
        if number % every:
            continue
        frame = capture.retrieve()[1]
        boxes = detector.detect(frame, 0.4 * detector.threshold)
        boxes = byte.update_with_detections(boxes) if method == "bytetrack" else bot.update(boxes, frame)
        if boxes.tracker_id is None or len(boxes) == 0:
            continue
        boxes = boxes[boxes.tracker_id >= 0]
        for one in boxes.tracker_id:
            tracks[int(one)] = tracks.get(int(one), 0) + 1
        line.trigger(boxes)
    json.dump({"tracks": sum(n > 1 for n in tracks.values()), "line": line.in_count + line.out_count}, sys.stdout)


if __name__ == "__main__":
    main()
