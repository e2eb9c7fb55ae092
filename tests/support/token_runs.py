"""Runs of the token mixture: text whose windows are known, and what a checkpoint holds of it."""

import h5py
import numpy

import runs

EXPERTS = 5
WINDOW = 16
BASE_KEYS = {
    "run.seed": 7,
    "run.threads": 1,
    "run.wait_seconds": 120,
    "data.source": "text",
    "data.window": WINDOW,
    "model.family": "tokens",
    "model.gate": "dense:experts",
    "model.expert": "dense:16 relu dense:width",
    "tokens.width": 12,
    "tokens.blocks": 2,
    "moe.experts": EXPERTS,
    "optim.learning_rate": 3e-3,
    "train.batch_size": 64,
    "train.log_every_steps": 20,
}


class MarkovChain:
    """Bytes of which each depends on the one before alone, as a prediction from one byte can see.

    entropy: of the next byte given this one, in nats; deviation: of -log of its probability; order_0: of a byte alone.
    """

    def __init__(self, seed, values=b"\n abcdefghijklmn"):
        random = numpy.random.default_rng(seed)
        self.values = numpy.frombuffer(values, numpy.uint8)
        n = len(values)
        self.next = random.dirichlet(numpy.ones(n), n) * 0.95 + 0.05 / n
        # The stationary distribution: pi (P - 1) = 0 and sum pi = 1.
        equations = numpy.vstack([self.next.T - numpy.eye(n), numpy.ones(n)])
        self.stationary = numpy.linalg.lstsq(equations, numpy.append(numpy.zeros(n), 1), rcond=None)[0]
        surprise = -numpy.log(self.next)
        weight = self.stationary[:, None] * self.next
        self.entropy = (weight * surprise).sum()
        self.deviation = numpy.sqrt((weight * surprise**2).sum() - self.entropy**2)
        self.order_0 = -(self.stationary * numpy.log(self.stationary)).sum()

    def text(self, seed, size):
        """Of `size` bytes, which begin where the chain may be at any time."""
        uniform = numpy.random.default_rng(seed).random(size)
        cumulative = [row.tolist() for row in self.next.cumsum(1)]
        state = int(numpy.searchsorted(self.stationary.cumsum(), uniform[0]))
        states = []
        for u in uniform.tolist():
            states.append(state)
            row = cumulative[state]
            state = 0
            while state < len(row) - 1 and row[state] <= u:
                state += 1
        return self.values[states].tobytes()


def windows(document, window=WINDOW):
    """Its tokens and targets, [windows, window] each."""
    found = numpy.frombuffer(document, numpy.uint8).astype(int)
    count = (len(found) - 1) // window
    return found[: count * window].reshape(count, window), found[1 : count * window + 1].reshape(count, window)


def write_texts(folder, texts):
    """A file of each, in their order."""
    folder.mkdir(parents=True)
    for number, text in enumerate(texts):
        (folder / f"{number:03}.txt").write_bytes(text)


def parameters(file):
    """Name -> array in float64, without `parameters/`."""
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[()].astype(float)

    with h5py.File(file) as opened:
        opened["parameters"].visititems(visit)
    return found


class TokenTest(runs.RunTest):
    """Three texts of some 50 documents, of one chain."""

    base_keys = BASE_KEYS

    @classmethod
    def write_data(cls):
        chain = MarkovChain(1)
        write_texts(cls.data, [chain.text(seed, 80_000) for seed in range(3)])

    @classmethod
    def splits_of(cls, documents):
        """Which split each is of ("train", "validation" or "test"), which only its bytes say. Documents below 4,096 bytes, so
        many that each split has one."""
        folder, file = cls.new_path("documents"), cls.new_path("samples.h5")
        write_texts(folder, documents)
        config, _ = cls.write_config(data_dir=folder)
        finished = runs.switchyard("samples", config, f"--out={file}")
        if finished.code != 0:
            raise AssertionError(finished)
        splits = [None] * len(documents)
        with h5py.File(file) as opened:
            for split in ("train", "validation", "test"):
                for domain in opened[f"{split}/clusters"][()]:
                    splits[domain] = split
        return splits
