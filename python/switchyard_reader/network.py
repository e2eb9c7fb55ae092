"""The networks of model.gate and model.expert, from their text and their arrays: docs/checkpoints.md has the formulas.

Images are [N, channels, height, width]; rows, once a dense layer has made some, [N, width]. All in float64.
"""

import collections
import math

import numpy

from .errors import ReadError, one_of

BATCH_NORM_EPSILON = 1e-5
_NUMBERS = 1 << 22  # of windows that a convolution lays side by side at once, 32 MiB


class Network:
    """Layers in the order of a text, with the arrays of a checkpoint below the network's name.

    `skip` words at its end are another's (cosine:experts). With in_bf16, dense layers multiply what was rounded to bfloat16.
    """

    def __init__(self, text, arrays, skip=0, in_bf16=False):
        words = [word.partition(":") for word in text.split()]
        self._arrays, self._in_bf16 = arrays, in_bf16
        self._counts = collections.Counter()
        words = words[:len(words) - skip]
        if words and words[0][0] == "patch_filters":
            self._steps = [self._patch_filters(words)]
            return
        self._steps = []
        for name, _, _ in words:
            if name not in LAYERS:
                raise ReadError(f"{name} is no layer that this reader knows (it knows {one_of(LAYERS)}, and patch_filters alone); "
                                "install the switchyard-reader of the program's version")
            self._steps.append(LAYERS[name](self))

    def __call__(self, x):
        for step in self._steps:
            x = step(x)
        return x

    def with_hidden(self, x):
        """The output, and that of the dense layer before the last, before its ReLU: what attention looks at."""
        dense = [place for place, step in enumerate(self._steps) if getattr(step, "is_dense", False)]
        for place, step in enumerate(self._steps):
            x = step(x)
            if place == dense[-2]:
                hidden = x
        return x, hidden

    def _next(self, kind):
        """The arrays of the next layer of a kind: each kind is numbered from 1."""
        self._counts[kind] += 1
        prefix = f"{kind}_{self._counts[kind]}/"
        return {name[len(prefix):]: _float64(values) for name, values in self._arrays.items() if name.startswith(prefix)}

    def _conv(self, border):
        of = self._next("conv")  # padded or not
        return lambda x: convolved(x, of["weight"], border) + _of_channels(of.get("bias", numpy.zeros(1)))

    def _batch_norm(self):
        of = {name: _of_channels(values) for name, values in self._next("batch_norm").items()}
        root = numpy.sqrt(of["running_variance"] + BATCH_NORM_EPSILON)
        return lambda x: of["gamma"] * (x - of["running_mean"]) / root + of["beta"]

    def _dense(self):
        of = self._next("dense")
        return product(of["weight"], of["bias"], self._in_bf16)

    def _patch_filters(self, words):
        names = [name for name, _, _ in words[1:]]
        activation = next((ACTIVATIONS[name] for name in names if name in ACTIVATIONS), lambda z: z)
        unknown = [name for name in names if name not in {"bias", "sum", *ACTIVATIONS}]
        if unknown:
            raise ReadError(f"{unknown[0]} is no word of patch_filters that this reader knows (it knows bias, sum, "
                            f"{one_of(ACTIVATIONS)}); install the switchyard-reader of the program's version")
        of, filters = self._next("patch_filters"), int(words[0][2])

        def step(x):
            patches = x.reshape(len(x), -1, x.shape[-1])  # rows of the image, channel after channel
            filtered = activation(patches @ of["weight"] + of.get("bias", 0))
            return filtered.sum(1).reshape(len(x), -1, filters).sum(2)

        return step


def product(weight, bias=0, in_bf16=False):
    """x W + b of rows, which an image becomes as [channel][row][column]."""
    weight = rounded_to_bf16(weight) if in_bf16 else weight

    def step(x):
        rows = x.reshape(len(x), -1)
        return (rounded_to_bf16(rows) if in_bf16 else rows) @ weight + bias

    step.is_dense = True
    return step


def convolved(x, weight, border):
    """out[o, y, x] = sum over c, i, j of weight[o, c, i, j] in[c, y + i, x + j], with a border of zeros."""
    x = numpy.pad(x, ((0, 0), (0, 0), (border, border), (border, border)))
    windows = numpy.lib.stride_tricks.sliding_window_view(x, (3, 3), (2, 3))
    images = max(1, _NUMBERS // windows[0].size)
    y = [numpy.tensordot(windows[at:at + images], weight, ((1, 4, 5), (1, 2, 3))) for at in range(0, len(x), images)]
    return numpy.concatenate(y).transpose(0, 3, 1, 2)


def max_pooled(x):
    """The largest of 2 x 2, without an odd last row or column."""
    height, width = (size // 2 * 2 for size in x.shape[2:])
    rows = numpy.maximum(x[:, :, 0:height:2, :width], x[:, :, 1:height:2, :width])
    return numpy.maximum(rows[:, :, :, 0::2], rows[:, :, :, 1::2])


def rounded_to_bf16(x):
    """To the nearest bfloat16, ties to the even one, of what was rounded to float32."""
    bits = numpy.asarray(x, numpy.float32).view(numpy.uint32).astype(numpy.uint64)
    bits = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000
    return bits.astype(numpy.uint32).view(numpy.float32).astype(numpy.float64)


def _float64(values):
    return numpy.asarray(values, numpy.float64)


def _of_channels(values):
    return values.reshape(-1, 1, 1)


def _relu(x):
    return numpy.maximum(x, 0)


# How a layer of each word is made from its network, and the words that patch_filters takes for an activation.
LAYERS = {
    "conv": lambda network: network._conv(border=0),
    "padded_conv": lambda network: network._conv(border=1),
    "batch_norm": Network._batch_norm,
    "relu": lambda network: _relu,
    "max_pool": lambda network: max_pooled,
    "dense": Network._dense,
}
ACTIVATIONS = {
    "relu": _relu,
    "cubic": lambda z: z**3,
    "celu": lambda z: numpy.where(z > 0, z, numpy.expm1(numpy.minimum(z, 0))),
    "gelu": lambda z: z * (1 + numpy.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))) / 2,
    "tanh": numpy.tanh,
}
WORDS = {*LAYERS, "patch_filters", "bias", "sum", *ACTIVATIONS}
