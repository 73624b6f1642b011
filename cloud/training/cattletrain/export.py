"""A checkpoint as a model folder for the worker: network, configuration, card.

`python -m cattletrain.export CHECKPOINT FOLDER` writes model.onnx with any
batch size, compares it with PyTorch on the same input, and writes the files for
Hugging Face and the worker.
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from torch import nn

from . import checkpoint, coco, fuse, network

NETWORK = "model.onnx"
OPSET = 17
LARGEST_DIFFERENCE = 2e-3  # of scores, and of box coordinates as shares of the side
COMPARED = 30  # best queries of a picture
AGREEING = 0.9  # share of them
LEAST_HALVED = 1024  # least numbers in a weight stored with 16 bits


class ExportError(Exception):
    """The exported network differs from the checkpoint, or cannot be written."""


class Exported(nn.Module):
    """pixel_values float32 [N,3,S,S] to logits [N,Q,2] (cattle, other animal) and pred_boxes [N,Q,4]."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        out = self.model(pixel_values=pixel_values)
        return out.logits, out.pred_boxes


def to_onnx(model: nn.Module, path: Path, side: int) -> None:
    """Writes the fused model with any batch size."""
    axes = {name: {0: "batch"} for name in ("pixel_values", "logits", "pred_boxes")}
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # warnings of the tracer about intentionally fixed shapes
        torch.onnx.export(
            Exported(model), (torch.rand(2, 3, side, side),), str(path), input_names=["pixel_values"],
            output_names=["logits", "pred_boxes"], dynamic_axes=axes, opset_version=OPSET, dynamo=False,
        )  # fmt: skip


def halve(path: Path) -> None:
    """Stores large weights with 16 bits; the network converts them when it is loaded and computes with 32."""
    proto = onnx.load(str(path))
    graph, casts = proto.graph, []
    for weight in graph.initializer:
        value = numpy_helper.to_array(weight)
        if value.dtype != np.float32 or value.size < LEAST_HALVED:
            continue
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(value.astype(np.float16), name + ".half"))
        casts.append(onnx.helper.make_node("Cast", [name + ".half"], [name], to=onnx.TensorProto.FLOAT))
    for cast in reversed(casts):
        graph.node.insert(0, cast)
    onnx.save(proto, str(path))


def difference(model: nn.Module, path: Path, side: int) -> float:
    """Largest difference of scores and boxes between PyTorch and ONNX Runtime, over batches of 1 and 3.

    Each of the best queries of PyTorch is compared with the nearest one of ONNX Runtime, because equal proposals may
    be in another order. Only the nine tenths with the best agreement count: rounding changes the last chosen ones.
    """
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    worst = 0.0
    for count in (1, 3):
        x = network.normalised(scene(count, side))
        with torch.inference_mode():
            ours = Exported(model)(x)
        theirs = session.run(None, {"pixel_values": x.numpy()})
        a, b = queries(*(t.numpy() for t in ours)), queries(*theirs)
        for one, other in zip(a, b, strict=True):
            one = one[np.argsort(-one[:, 0])[:COMPARED]]
            apart = np.sort(np.abs(one[:, None] - other[None]).max(-1).min(1))
            worst = max(worst, float(apart[int(AGREEING * (len(apart) - 1))]))
    return worst


def scene(count: int, side: int) -> torch.Tensor:
    """Pictures with dark ovals on noise: enough for clear proposals."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[0:side, 0:side]
    pictures = rng.uniform(0.45, 0.6, (count, 3, side, side))
    for picture in pictures:
        for _ in range(6):
            cx, cy, a, b = *rng.uniform(0.1, 0.9, 2) * side, *rng.uniform(8, 30, 2)
            picture[:, ((x - cx) / a) ** 2 + ((y - cy) / b) ** 2 < 1] *= 0.2
    return torch.from_numpy(pictures.astype(np.float32))


def queries(logits: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Score and box of every query, [N, Q, 5]."""
    return np.concatenate([1 / (1 + np.exp(-logits)), boxes], -1)


def describe(folder: Path, config: dict, name: str, side: int, threshold: float, tile: int, tuned_from: str = "") -> None:
    """Writes config.json, preprocessor_config.json and cattlecounter.yaml."""
    config = {k: v for k, v in config.items() if not k.startswith("_")} | {"architectures": ["RTDetrV2ForObjectDetection"]}
    preprocessor = {
        "do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": [network.MEAN] * 3, "image_std": [network.SPREAD] * 3,
        "resample": 2, "rescale_factor": 1 / 255, "size": {"height": side, "width": side},
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor, indent=2) + "\n")
    classes = f"cattle: [{network.LABELS[coco.CATTLE]}]\nother: [{network.LABELS[coco.OTHER]}]\n"
    start = f"finetuned_from: {tuned_from}\n" if tuned_from else ""
    (folder / "cattlecounter.yaml").write_text(f"name: {name}\ntile: {tile}\noverlap: 0.2\nthreshold: {threshold:g}\n{classes}{start}")


def sums(folder: Path) -> None:
    """Writes SHA256SUMS of every other file, as sha256sum does."""
    lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n" for p in sorted(folder.iterdir()) if p.name != "SHA256SUMS"]
    (folder / "SHA256SUMS").write_text("".join(lines))


def calibrate(model: nn.Module, slope: float, offset: float, others: float = 0.0) -> None:
    """Makes the score of cattle sigmoid(slope * logit + offset), in the weights of the last layer (Platt, 1999).

    others is added to the logits of other animals: below 0, fewer cattle pass for them.
    """
    last = model.model.decoder.class_embed[-1]
    last.weight.data[coco.CATTLE] *= slope
    last.bias.data[coco.CATTLE] = slope * last.bias.data[coco.CATTLE] + offset
    last.bias.data[coco.OTHER] += others


def export(
    source: Path, target: Path, name: str, side: int = network.SIDE, threshold: float = 0.4, half: bool = True, card: str = "", tile: int = 0,
    calibration: tuple[float, ...] = (1.0, 0.0), tuned_from: str = "",
) -> float:  # fmt: skip
    """Writes the complete folder or nothing, in place of an earlier one. Returns the largest difference to PyTorch.

    tile: pixels of the frame in a view of the worker, 0 for the side of the view.
    calibration: the arguments of calibrate after the model. tuned_from: the model that this one continues, for the card.
    Raises checkpoint.CheckpointError and ExportError.
    """
    model, state = checkpoint.model_of(source)
    model = fuse.fused(model)
    calibrate(model, *calibration)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as part:
        folder = Path(part) / "model"
        folder.mkdir()
        to_onnx(model, folder / NETWORK, side)
        if half:
            halve(folder / NETWORK)
        worst = difference(model, folder / NETWORK, side)
        limit = LARGEST_DIFFERENCE * (10 if half else 1)
        if worst > limit:
            raise ExportError(f"{source}: the exported network differs from the checkpoint by {worst:.2g}, want at most {limit:.2g}")
        describe(folder, state["config"], name, side, threshold, tile or side, tuned_from)
        text = card or f"# {name}\n\nTrained for {state.get('step', 0)} steps; exported with a largest difference to PyTorch of {worst:.1g}.\n"
        (folder / "README.md").write_text(text)
        sums(folder)
        if target.exists():
            if not (target / NETWORK).is_file() and any(target.iterdir()):
                raise ExportError(f"{target}: exists and is not a model folder")
            old = Path(part) / "old"  # on the same disk
            os.rename(target, old)
            try:
                os.rename(folder, target)
            except OSError:
                os.rename(old, target)
                raise
        else:
            os.rename(folder, target)
    return worst


def main(argv: list[str]) -> int:
    p = argparse.ArgumentParser(prog="cattletrain.export", description=__doc__)
    p.add_argument("checkpoint", type=Path)
    p.add_argument("folder", type=Path)
    p.add_argument("--name", help="name in results; the folder's by default")
    p.add_argument("--side", type=int, default=network.SIDE, help="pixels of a tile")
    p.add_argument("--tile", type=int, default=network.TILE, help="pixels of the frame that the network sees as one picture, scaled to the side")
    p.add_argument("--threshold", type=float, default=0.4, help="least score the model recommends")
    calibration = "of the logits of cattle, so that a score of 0.8 is right in 80 %%"
    p.add_argument("--calibration", type=float, nargs=2, default=(1.0, 0.0), metavar=("SLOPE", "OFFSET"), help=calibration)
    p.add_argument("--others", type=float, default=0.0, metavar="OFFSET", help="of the logits of other animals; below 0 fewer cattle pass for them")
    p.add_argument("--full", dest="half", action="store_false", help="store the weights with 32 bits instead of 16")
    p.add_argument("--slim", type=Path, metavar="FILE", help="also write the weights as a checkpoint for other runs to start from")
    p.add_argument("--card", type=Path, help="text of README.md")
    a = p.parse_args(argv)
    try:
        card = a.card.read_text() if a.card else ""
        worst = export(a.checkpoint, a.folder, a.name or a.folder.name, a.side, a.threshold, a.half, card, a.tile, (*a.calibration, a.others))
        if a.slim:
            checkpoint.slim(a.checkpoint, a.slim)
    except (checkpoint.CheckpointError, ExportError, OSError) as e:
        print(f"export: {e}", file=sys.stderr)
        return 1
    size = (a.folder / NETWORK).stat().st_size
    print(f"{a.folder}: {size / 1e6:.1f} MB, largest difference to PyTorch {worst:.1g}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
