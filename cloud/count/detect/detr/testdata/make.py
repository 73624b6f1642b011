"""Writes the small networks of the tests. It needs the Python packages onnx and numpy; the tests do not.

python3 make.py [parameters of the blob detector, name=value] writes model.onnx into each folder.
"""

import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).parent
OPSET = [helper.make_opsetid("", 18)]


class Graph:
    """Collects nodes and constants; op() returns the name of the new tensor."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def const(self, value, dtype=np.float32):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def op(self, kind, *inputs, out=None, outputs=1, **attributes):
        names = [out] if out else [f"t{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def save(self, folder, inputs, outputs, external=None):
        value = lambda v: helper.make_tensor_value_info(*v)
        graph = helper.make_graph(self.nodes, folder, [value(v) for v in inputs], [value(v) for v in outputs], self.constants)
        model = helper.make_model(graph, opset_imports=OPSET, ir_version=9, producer_name="cattlecounter")
        onnx.checker.check_model(model, full_check=True)
        path = HERE / folder / "model.onnx"
        path.parent.mkdir(exist_ok=True)
        if external:
            (path.parent / external).unlink(missing_ok=True)  # the writer appends to an existing file
            onnx.save(model, path, save_as_external_data=True, location=external, size_threshold=90)  # size of the Python object: shapes must stay in the network file
        else:
            onnx.save(model, path)
        print(path, path.stat().st_size, "bytes")


def blobs(side=320, cell=4, cut=-0.045, steep=80.0, sigma=1.9, window=9, radius=3, grow=1.85, weak=5.0, full=22.0, queries=100):
    """Finds objects that are not green on a pasture, in the form of D-FINE and DEIM exports.

    Per pixel, how far green falls behind red and blue, as a soft mask; averaged over cells; a Gaussian of about
    an animal's width gives one peak per animal; around each peak, the first and second moments of the mask give
    centre and extent.
    """
    g = Graph()
    opponent = np.array([0.5, -1.0, 0.5], np.float32).reshape(1, 3, 1, 1) * steep
    mask = g.op("Sigmoid", g.op("Conv", "images", g.const(opponent), g.const([-cut * steep])))
    mask = g.op("AveragePool", mask, kernel_shape=[cell, cell], strides=[cell, cell])
    cells = side // cell

    reach = int(3 * sigma)
    d = np.arange(-reach, reach + 1)
    bell = np.exp(-(d[:, None] ** 2 + d[None, :] ** 2) / (2 * sigma**2))
    soft = g.op("Conv", mask, g.const((bell / bell.sum())[None, None]), pads=[reach] * 4)
    # A slight tilt, so that only one of two equal neighbours is a peak.
    slope = np.arange(cells, dtype=np.float32) * 1e-5
    soft = g.op("Add", g.op("Add", soft, g.const(slope.reshape(1, 1, 1, -1))), g.const(0.31 * slope.reshape(1, 1, -1, 1)))
    top = g.op("MaxPool", soft, kernel_shape=[2 * radius + 1] * 2, strides=[1, 1], pads=[radius] * 4)
    peak = g.op("Cast", g.op("GreaterOrEqual", soft, top), to=TensorProto.FLOAT)

    # A window with soft edges excludes the neighbour from the moments.
    w = np.arange(-window, window + 1)
    x, y = np.broadcast_to(w[None, :], (len(w), len(w))), np.broadcast_to(w[:, None], (len(w), len(w)))
    fade = 1 / (1 + np.exp((np.hypot(x, y) - window + 2) * 2))
    kernels = np.stack([fade, fade * x, fade * y, fade * x * x, fade * y * y])[:, None].astype(np.float32)
    moments = g.op("Conv", mask, g.const(kernels), pads=[window] * 4)

    flat = lambda t, c: g.op("Reshape", t, g.const([0, c, cells * cells], np.int64))
    mass = g.op("Slice", moments, g.const([0], np.int64), g.const([1], np.int64), g.const([1], np.int64))
    ranked = flat(g.op("Mul", peak, mass), 1)
    best, where = g.op("TopK", ranked, g.const([queries], np.int64), axis=2, outputs=2)  # [N,1,Q]
    # Mass in cells to a score: few cells are a tuft, many are an animal.
    score = g.op("Sigmoid", g.op("Div", g.op("Sub", best, g.const((weak + full) / 2)), g.const((full - weak) / 6)))
    g.op("Squeeze", score, g.const([1], np.int64), out="scores")

    index = g.op("Expand", where, g.const([1, 5, 1], np.int64))
    m = g.op("GatherElements", flat(moments, 5), index, axis=2)  # [N,5,Q]
    m0, mx, my, mxx, myy = g.op("Split", m, axis=1, num_outputs=5, outputs=5)
    m0 = g.op("Max", m0, g.const(1e-3))
    column = g.op("Cast", g.op("Mod", where, g.const([cells], np.int64)), to=TensorProto.FLOAT)
    row = g.op("Cast", g.op("Div", where, g.const([cells], np.int64)), to=TensorProto.FLOAT)

    def extent(place, first, second):
        mean = g.op("Div", first, m0)
        spread = g.op("Sub", g.op("Div", second, m0), g.op("Mul", mean, mean))
        half = g.op("Mul", g.op("Sqrt", g.op("Max", spread, g.const(0.05))), g.const(grow))
        centre = g.op("Add", g.op("Add", place, mean), g.const(0.5))
        return g.op("Sub", centre, half), g.op("Add", centre, half)

    x1, x2 = extent(column, mx, mxx)
    y1, y2 = extent(row, my, myy)
    boxes = g.op("Transpose", g.op("Concat", x1, y1, x2, y2, axis=1), perm=[0, 2, 1])  # [N,Q,4] in cells
    size = g.op("Cast", "orig_target_sizes", to=TensorProto.FLOAT)
    size = g.op("Unsqueeze", g.op("Concat", size, size, axis=1), g.const([1], np.int64))
    g.op("Div", g.op("Mul", boxes, size), g.const(float(cells)), out="boxes")
    g.op("Mul", g.op("Squeeze", where, g.const([1], np.int64)), g.const([0], np.int64), out="labels")
    g.save("blobs", [("images", TensorProto.FLOAT, ["N", 3, side, side]), ("orig_target_sizes", TensorProto.INT64, ["N", 2])],
           [("labels", TensorProto.INT64, ["N", queries]), ("boxes", TensorProto.FLOAT, ["N", queries, 4]), ("scores", TensorProto.FLOAT, ["N", queries])])


# The quarters of a picture as centre and size: the four queries of the networks below.
QUARTERS = np.array([[x, y, 0.5, 0.5] for y in (0.25, 0.75) for x in (0.25, 0.75)], np.float32)


HUGGING_FACE, RF_DETR = ("pixel_values", "logits", "pred_boxes"), ("input", "labels", "dets")


def quarters(folder, weights, bias, batch, side, mask, kind=np.float32, external=None, names=HUGGING_FACE):
    """Returns the colour of each quarter of a picture, in the form of Hugging Face exports or of RF-DETR's."""
    picture, scores, places = names
    g = Graph()
    half = kind == np.float16
    pixels = g.op("Cast", picture, to=TensorProto.FLOAT16) if half else picture
    small = g.op("Resize", pixels, "", "", g.const([2, 2], np.int64), axes=[2, 3], mode="linear", antialias=1)
    if mask:  # an all-ones mask must have no effect
        ones = g.op("ReduceMean", g.op("Cast", "pixel_mask", to=TensorProto.FLOAT), g.const([1, 2], np.int64), keepdims=1)
        small = g.op("Mul", small, g.op("Unsqueeze", ones, g.const([3], np.int64)))
    colours = g.op("Transpose", g.op("Reshape", small, g.const([0, 3, 4], np.int64)), perm=[0, 2, 1])
    logits = g.op("Add", g.op("MatMul", colours, g.const(weights, kind)), g.const(bias, kind), out=None if half else scores)
    if half:  # 16 bits inside, 32 bits for inputs and outputs
        logits = g.op("Cast", logits, out=scores, to=TensorProto.FLOAT)
    zero = g.op("Mul", g.op("Slice", logits, g.const([0], np.int64), g.const([1], np.int64), g.const([2], np.int64)), g.const(0))
    g.op("Add", g.op("Concat", zero, zero, zero, zero, axis=2), g.const(QUARTERS[None]), out=places)
    outputs = [(scores, TensorProto.FLOAT, [batch, 4, len(bias)]), (places, TensorProto.FLOAT, [batch, 4, 4])]
    if names == RF_DETR:  # a network with masks
        g.op("MatMul", places, g.const(np.ones((4, 4))), out="masks")
        outputs = [outputs[1], outputs[0], ("masks", TensorProto.FLOAT, [batch, 4, 4])]
    inputs = [(picture, TensorProto.FLOAT, [batch, 3, side or "H", side or "W"])]
    if mask:
        inputs.append(("pixel_mask", TensorProto.INT64, [batch, "H", "W"]))
    g.save(folder, inputs, outputs, external)


def classifier():
    """A valid network that is not a detector."""
    g = Graph()
    g.op("ReduceMean", "pixel_values", g.const([2, 3], np.int64), keepdims=0, out="logits")
    g.save("classifier", [("pixel_values", TensorProto.FLOAT, ["N", 3, 32, 32])], [("logits", TensorProto.FLOAT, ["N", 3])])


if __name__ == "__main__":
    blobs(**{k: type(blobs.__defaults__[blobs.__code__.co_varnames.index(k)])(v) for k, v in (a.split("=") for a in sys.argv[1:])})
    # Red is a cow, blue a car; the last class is "no object". Values come normalised with ImageNet's mean and deviation.
    quarters("softmax", [[4, -4, 0], [-4, -4, 0], [-4, 4, 0]], [0, 0, 3], "N", 0, True)
    # Red is a cow, blue a sheep, as independent classes. Values are 0..1; a run takes exactly two pictures.
    quarters("sigmoid", [[10, -10], [-10, -10], [-10, 10]], [-5, -5], 2, 32, False)
    # The same colours with 16-bit weights, and with the weights in a file beside the network.
    quarters("half", [[10, -10], [-10, -10], [-10, 10]], [-5, -5], "N", 32, False, np.float16)
    quarters("external", [[10, -10], [-10, -10], [-10, 10]], [-5, -5], "N", 32, False, external="model.onnx_data")
    # Red is cattle, blue a dog; the last class is "no object" and gets a high value everywhere.
    quarters("rfdetr", [[4, -4, 0], [-4, -4, 0], [-4, 4, 0]], [-4, -4, 9], 1, 32, False, names=RF_DETR)
    classifier()
