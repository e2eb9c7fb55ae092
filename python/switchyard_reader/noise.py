"""The noise of moe.noise in an evaluation: a function of run.seed, the split, the sample's place in it and the expert.

Philox 4x32-10 (Salmon et al. 2011). The counter's words are the place, block * 256 + split * 2^30, 0 (an evaluation is no step)
and 6 (what the numbers are for), where block b holds the experts 4 b to 4 b + 3; the key is the seed.
"""

import statistics

import numpy

SPLITS = ("train", "validation", "test")
_GATE_NOISE, _ROUNDS = 6, 10


def noise_of(config, split, places):
    """[N, E], added to scores: uniform in [0, scale), or normal with that standard deviation."""
    experts, scale = config["moe.experts"], config["moe.noise_scale"]
    blocks = numpy.arange(-(-experts // 4), dtype=numpy.uint64)
    shape = (len(places), len(blocks))
    low = numpy.broadcast_to(numpy.asarray(places, numpy.uint64)[:, None], shape)
    high = numpy.broadcast_to(blocks << numpy.uint64(8) | numpy.uint64(SPLITS.index(split) << 30), shape)
    words = _philox(config["run.seed"], [low, high, numpy.zeros(shape, numpy.uint64), numpy.full(shape, _GATE_NOISE, numpy.uint64)])
    words = numpy.stack(words, -1).reshape(len(places), -1)[:, :experts]
    if config["moe.noise"] == "uniform":
        return (scale or 1) * (words >> numpy.uint64(8)) * 2.0**-24
    return (scale or 1 / experts) * _normal(words)


def _philox(seed, counter):
    """Four words of 32 bits, as uint64."""
    word, shift = numpy.uint64(0xFFFFFFFF), numpy.uint64(32)
    key = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(_ROUNDS):
        p, q = numpy.uint64(0xD2511F53) * counter[0], numpy.uint64(0xCD9E8D57) * counter[2]
        counter = [(q >> shift) ^ counter[1] ^ numpy.uint64(key[0]), q & word,
                   (p >> shift) ^ counter[3] ^ numpy.uint64(key[1]), p & word]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return counter


def _normal(words):
    """The last bit is the sign, the others the probability beyond, below a half. (The program's is within 2e-6 of it.)"""
    inverse = numpy.frompyfunc(statistics.NormalDist().inv_cdf, 1, 1)
    magnitude = -inverse(((words >> numpy.uint64(1)) + 0.5) * 2.0**-32).astype(float)
    return numpy.where(words & numpy.uint64(1), -magnitude, magnitude)
