"""The networks of model.gate and model.expert, from their text and their arrays: docs/checkpoints.md has the formulas.

Images are [N, channels, height, width]; rows, once a dense layer has made some, [N, width]. All in float64.
"""

import collections
import math
import re

import numpy

from .errors import ReadError, one_of

BATCH_NORM_EPSILON = 1e-5
_NUMBERS = 1 << 22  # of windows that a convolution lays side by side at once, 32 MiB


class Network:
    """Layers in the order of a text, with the arrays of a checkpoint below the network's name.

    `skip` words at its end are another's (cosine:experts). With in_bf16, dense layers multiply what was rounded to bfloat16.
    """

    def __init__(self, text, arrays, skip=0, in_bf16=False):
        words = [_WORD.fullmatch(word).groups() for word in _without_names(text).split()]
        self._arrays, self._in_bf16 = arrays, in_bf16
        self._counts = collections.Counter()
        words = words[:len(words) - skip]
        self._steps = []
        if words and words[0][0] == "patches":
            side = int(words.pop(0)[1])
            self._steps.append(lambda x: squares(x, side))
        if words and words[0][0] == "patch_filters":
            self._steps.append(self._patch_filters(words))
            return
        for name, channels, stride, expansion in words:
            if name in BLOCKS:
                self._steps.append(BLOCKS[name](self, int(channels), int(stride or 1), int(expansion or 1)))
                continue
            if name not in LAYERS:
                raise ReadError(f"{name} is no layer that this reader knows (it knows {one_of([*LAYERS, *BLOCKS])}, and "
                                "patch_filters alone); install the switchyard-reader of the program's version")
            self._steps.append(LAYERS[name](self, int(stride or 1)))

    def __call__(self, x):
        for step in self._steps:
            x = step(x)
        return x

    def with_hidden(self, x):
        """The output, and that of the dense layer or average before the last, before its ReLU: what attention looks at."""
        dense = [place for place, step in enumerate(self._steps) if getattr(step, "is_dense", False) or step is averaged]
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

    def _conv(self, border, stride=1):
        of = self._next("conv")  # padded or not, of one channel or of all
        return lambda x: convolved(x, of["weight"], border, stride) + _of_channels(of.get("bias", numpy.zeros(1)))

    def _batch_norm(self):
        of = {name: _of_channels(values) for name, values in self._next("batch_norm").items()}
        root = numpy.sqrt(of["running_variance"] + BATCH_NORM_EPSILON)
        return lambda x: of["gamma"] * (x - of["running_mean"]) / root + of["beta"]

    def _dense(self):
        of = self._next("dense")
        return product(of["weight"], of["bias"], self._in_bf16)

    def _residual(self, channels, stride, _expansion):
        """Two convolutions, and what they were given, through one of 1x1 where its size is another: that one comes first."""
        shortcut = None

        def normed(border, step):
            conv, norm = self._conv(border, step), self._batch_norm()
            return lambda x: norm(conv(x))

        def step(x):
            given = x if shortcut is None else shortcut(x)
            return _relu(given + second(_relu(first(x))))

        if stride > 1 or self._channels_given() != channels:
            shortcut = normed(0, stride)
        first, second = normed(1, stride), normed(1, 1)
        return step

    def _inverted_residual(self, channels, stride, expansion):
        given = self._channels_given()
        parts = []
        for border, step, activation in [(0, 1, _relu6)] * (expansion > 1) + [(1, stride, _relu6), (0, 1, lambda x: x)]:
            parts.append((self._conv(border, step), self._batch_norm(), activation))

        def step(x):
            y = x
            for conv, norm, activation in parts:
                y = activation(norm(conv(y)))
            return x + y if stride == 1 and given == channels else y

        return step

    def _channels_given(self):
        """Of what the next layer is given: those of the last convolution."""
        return len(self._arrays[f"conv_{self._counts['conv']}/weight"])

    def _patch_filters(self, words):
        names = [name for name, *_ in words[1:]]
        activation = next((ACTIVATIONS[name] for name in names if name in ACTIVATIONS), lambda z: z)
        unknown = [name for name in names if name not in {"bias", "sum", *ACTIVATIONS}]
        if unknown:
            raise ReadError(f"{unknown[0]} is no word of patch_filters that this reader knows (it knows bias, sum, "
                            f"{one_of(ACTIVATIONS)}); install the switchyard-reader of the program's version")
        of, filters = self._next("patch_filters"), int(words[0][1])

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


def convolved(x, weight, border, stride=1):
    """out[o, y, x] = sum over c, i, j of weight[o, c, i, j] in[c, s y + i, s x + j], with a border of zeros; of one c = o alone
    where weights are of one channel and images of several."""
    x = numpy.pad(x, ((0, 0), (0, 0), (border, border), (border, border)))
    windows = numpy.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], (2, 3))[:, :, ::stride, ::stride]
    if weight.shape[1] < x.shape[1]:
        return numpy.einsum("ncyxij,cij->ncyx", windows, weight[:, 0])
    images = max(1, _NUMBERS // windows[0].size)
    y = [numpy.tensordot(windows[at:at + images], weight, ((1, 4, 5), (1, 2, 3))) for at in range(0, len(x), images)]
    return numpy.concatenate(y).transpose(0, 3, 1, 2)


def max_pooled(x):
    """The largest of 2 x 2, without an odd last row or column."""
    height, width = (size // 2 * 2 for size in x.shape[2:])
    rows = numpy.maximum(x[:, :, 0:height:2, :width], x[:, :, 1:height:2, :width])
    return numpy.maximum(rows[:, :, :, 0::2], rows[:, :, :, 1::2])


def squares(x, side):
    """The patches of images, [N, 1, patches, numbers]: squares of so many pixels a side, each [channel][row][column]."""
    n, channels, height, width = x.shape
    x = x.reshape(n, channels, height // side, side, width // side, side).transpose(0, 2, 4, 1, 3, 5)
    return x.reshape(n, 1, -1, channels * side * side)


def averaged(x):
    """The mean of each channel."""
    return x.mean((2, 3))


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


def _relu6(x):
    return numpy.clip(x, 0, 6)


def _without_names(text):
    """The layers that a text stands for: a whole network may have a name."""
    name, _, outputs = text.strip().partition(":")
    return f"{NAMED[name]} dense:{outputs}" if name in NAMED else text


# "inverted_residual:24/2*6": a word, what its number counts, a stride, an expansion.
_WORD = re.compile(r"([^:/*]*)(?::([^/*]*))?(?:/(\d+))?(?:\*(\d+))?")


# How a layer of each word is made from its network, and the words that patch_filters takes for an activation.
LAYERS = {
    "conv": lambda network, _: network._conv(0),
    "padded_conv": lambda network, stride: network._conv(1, stride),
    "pointwise_conv": lambda network, stride: network._conv(0, stride),
    "depthwise_conv": lambda network, stride: network._conv(1, stride),
    "batch_norm": lambda network, _: network._batch_norm(),
    "relu": lambda network, _: _relu,
    "relu6": lambda network, _: _relu6,
    "max_pool": lambda network, _: max_pooled,
    "global_average_pool": lambda network, _: averaged,
    "dense": lambda network, _: network._dense(),
}
BLOCKS = {"residual": Network._residual, "inverted_residual": Network._inverted_residual}
ACTIVATIONS = {
    "relu": _relu,
    "cubic": lambda z: z**3,
    "celu": lambda z: numpy.where(z > 0, z, numpy.expm1(numpy.minimum(z, 0))),
    "gelu": lambda z: z * (1 + numpy.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))) / 2,
    "tanh": numpy.tanh,
}
NAMED = {
    "resnet18": "padded_conv:64 batch_norm relu residual:64 residual:64 residual:128/2 residual:128 residual:256/2 residual:256 "
                "residual:512/2 residual:512 global_average_pool",
    "mobilenet_v2": "padded_conv:32 batch_norm relu6 inverted_residual:16 "
                    + " ".join(f"inverted_residual:{channels}{'/2' if stride > 1 and first else ''}*6"
                               for channels, count, stride in [(24, 2, 1), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1)]
                               for first in [True] + [False] * (count - 1))
                    + " pointwise_conv:1280 batch_norm relu6 global_average_pool",
}
WORDS = {*LAYERS, *BLOCKS, *NAMED, "patches", "patch_filters", "bias", "sum", *ACTIVATIONS}
