"""The order of an epoch's samples (train.order = shuffled), a pure function of run.seed and the epoch."""

import math

import numpy

import gate_noise

SAMPLER = 1  # what the numbers are for: part of the counter
ROUNDS = 8


def order(samples, seed, epoch):
    """Of an epoch from 0: a generalised Feistel network of Philox (Black and Rogaway 2002) on pairs (left, right), applied again
    to what falls outside of the samples."""
    sizes = [math.isqrt(samples - 1) + 1]
    sizes.append(-(-samples // sizes[0]))
    left_size, right_size = map(numpy.uint64, sizes)

    def added(step, half):
        words = gate_noise.philox(seed, SAMPLER, half | numpy.uint64(epoch << 32), step)
        return (words[:, 1] << numpy.uint64(32) | words[:, 0]) >> numpy.uint64(1)

    values = numpy.arange(samples, dtype=numpy.uint64)
    walking = numpy.ones(samples, bool)
    while walking.any():
        left, right = numpy.divmod(values[walking], right_size)
        for step in range(0, ROUNDS, 2):
            left = (left + added(step, right)) % left_size
            right = (right + added(step + 1, left)) % right_size
        values[walking] = left * right_size + right
        walking = values >= samples
    return values.astype(int)
