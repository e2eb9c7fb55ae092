"""The noise of moe.noise, a pure function of run.seed, step, split, layer and row: Philox 4x32-10."""

import statistics

import numpy

GATE_NOISE, DROPOUT = 6, 8  # what the numbers are for: part of the counter


def philox(seed, use, a, b):
    """Four 32-bit words at each counter (a, b) of the stream (seed, use); Salmon et al. 2011. [..., 4], as uint64."""
    a = numpy.asarray(a, numpy.uint64)
    low, shift = numpy.uint64(0xFFFFFFFF), numpy.uint64(32)
    c = [a & low, a >> shift, numpy.full_like(a, b), numpy.full_like(a, use)]
    key = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        p, q = numpy.uint64(0xD2511F53) * c[0], numpy.uint64(0xCD9E8D57) * c[2]
        c = [(q >> shift) ^ c[1] ^ numpy.uint64(key[0]), q & low, (p >> shift) ^ c[3] ^ numpy.uint64(key[1]), p & low]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return numpy.stack(c, -1)


def _normal(word):
    """The exact inverse of the distribution function: the program's is within 2e-6 of it."""
    magnitude = -statistics.NormalDist().inv_cdf(((int(word) >> 1) + 0.5) * 2.0**-32)
    return -magnitude if int(word) & 1 else magnitude


def seed_of(seed, router):
    """Of a router by its name in checkpoints, where a model has several: with FNV-1a of that."""
    hash_of_name = 0xCBF29CE484222325
    for byte in router.encode():
        hash_of_name = (hash_of_name ^ byte) * 0x100000001B3 % 2**64
    return seed ^ hash_of_name


def _words(use, seed, step, ids, columns, stream=0):
    quads = numpy.arange((columns + 3) // 4, dtype=numpy.uint64) << numpy.uint64(40)
    counters = numpy.asarray(ids, numpy.uint64)[:, None] | quads | numpy.uint64(stream << 62)
    return philox(seed, use, counters, step).reshape(len(ids), -1)[:, :columns]


def uniform(use, seed, step, ids, columns, stream=0):
    """[len(ids), columns], in [0, 1)."""
    return (_words(use, seed, step, ids, columns, stream) >> numpy.uint64(8)) * 2.0**-24


def noise(kind, scale, seed, step, ids, experts, stream=0):
    """[len(ids), experts]; step from 0; ids of the rows below 2^40; stream: the split, 0 is training."""
    if kind == "uniform":
        return scale * uniform(GATE_NOISE, seed, step, ids, experts, stream)
    return scale * numpy.frompyfunc(_normal, 1, 1)(_words(GATE_NOISE, seed, step, ids, experts, stream)).astype(float)
