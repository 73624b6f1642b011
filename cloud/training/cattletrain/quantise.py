"""A model folder with convolutions in 8 bits, to compare with the original.

`python -m cattletrain.quantise MODEL FOLDER --data COCO` uses tiles of labelled pictures to find the range of every
value. All other parts stay at 32 bits.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from . import coco, export, feed, network, validate

TILES = 96  # number of tiles; all their values are in memory


class Tiles(CalibrationDataReader):
    """Single tiles as inputs of the network."""

    def __init__(self, sources: list[feed.Source], side: int):
        held = validate.tiles(sources, side, TILES).pixels
        self.rows = iter([network.normalised(held[i : i + 1].float() / 255).numpy() for i in range(len(held))])

    def get_next(self) -> dict[str, np.ndarray] | None:
        row = next(self.rows, None)
        return None if row is None else {"pixel_values": row}


def quantise(model: Path, target: Path, sources: list[feed.Source], side: int = network.SIDE) -> None:
    """Writes the folder target, which must not exist, with the other files of model."""
    if target.exists():
        raise export.ExportError(f"{target}: exists already")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as part:
        folder = Path(part) / "model"
        shutil.copytree(model, folder)
        whole, network_file = Path(part) / "whole.onnx", folder / export.NETWORK
        quant_pre_process(str(network_file), str(whole), skip_symbolic_shape=True)
        quantize_static(
            str(whole), str(network_file), Tiles(sources, side), quant_format=QuantFormat.QDQ, per_channel=True,
            op_types_to_quantize=["Conv"], activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )  # fmt: skip
        export.sums(folder)
        folder.rename(target)


def main(argv: list[str]) -> int:
    p = argparse.ArgumentParser(prog="cattletrain.quantise", description=__doc__)
    p.add_argument("model", type=Path, help="model folder")
    p.add_argument("folder", type=Path, help="model folder to write")
    p.add_argument("--data", required=True, action="append", type=feed.Source.parse, metavar="FOLDER[#CLIPS]", help="COCO folder; several times")
    p.add_argument("--side", type=int, default=network.SIDE, help="pixels of the network's view")
    a = p.parse_args(argv)
    try:
        quantise(a.model, a.folder, a.data, a.side)
    except (coco.DataError, export.ExportError, DecodeError, OSError, ValueError) as e:
        print(f"quantise {a.model}: {e}", file=sys.stderr)
        return 1
    print(f"{a.folder}: {(a.folder / export.NETWORK).stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
