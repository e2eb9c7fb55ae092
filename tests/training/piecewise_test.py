"""The mixture of 1991 on a function of four linear pieces: each expert comes to be of one piece."""

import json

import h5py
import numpy

import runs

SEEDS = 10
SLOPES, OFFSETS, NOISE = numpy.array([3, -2, 4, -3]), numpy.array([3, -1.5, 1, -1]), 0.05
KEYS = {
    "run.threads": 1,
    "data.source": "hdf5",
    "data.validation_samples": 0,
    "model.gate": "dense:64 relu dense:64 relu dense:experts",
    "model.expert": "dense:classes",
    "model.loss": "gaussian",
    "moe.experts": 8,
    "moe.importance": 0.5,
    "optim.name": "adam",
    "optim.learning_rate": 0.01,
    "optim.schedule": "cosine",
    "train.batch_size": 100,
    "train.epochs": 60,
}


def made_up(count, random):
    x = random.uniform(-1, 1, size=(count, 1))
    piece = ((x[:, 0] + 1) * 2).astype(int)
    return x, SLOPES[piece] * x[:, 0] + OFFSETS[piece] + NOISE * random.normal(size=count), piece


def entropy(shares):
    shares = shares[shares > 0]
    return -(shares * numpy.log2(shares)).sum()


class Piecewise(runs.RunTest):
    def test_experts_find_the_pieces(self):
        random, file, config = numpy.random.default_rng(1), self.new_path("pieces.h5"), self.new_path("pieces.ini")
        with h5py.File(file, "w") as out:
            for split, count in (("train", 2000), ("test", 1000)):
                out[f"{split}/samples"], out[f"{split}/labels"], out[f"{split}/clusters"] = made_up(count, random)
        config.write_text("")
        shares, explained = [], []
        for seed in range(1, SEEDS + 1):
            run = self.new_path()
            keys = {**KEYS, "data.file": file, "run.dir": run, "run.seed": seed}
            self.expect(runs.switchyard("train", config, *(f"--{key}={value}" for key, value in keys.items())), 0)
            test = runs.summary(run)["test"]
            counts = numpy.array(test["cluster_by_expert"], float)
            counts /= counts.sum()
            information = entropy(counts.sum(0)) + entropy(counts.sum(1)) - entropy(counts.ravel())
            shares.append(information / entropy(counts.sum(1)))
            explained.append(test["r2"])
        words = json.dumps({"I(E;piece) / H(piece)": shares, "r2": explained})
        self.assertGreaterEqual(sum(share > 0.9 for share in shares), 9, words)
        self.assertGreater(numpy.median(explained), 0.98, words)


if __name__ == "__main__":
    runs.main()
