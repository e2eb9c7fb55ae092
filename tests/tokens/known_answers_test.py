"""What a transformer has to reach on text of which that is known: the entropy of a chain, and all of a repetition."""

import math

import numpy

import runs
import token_runs

KEYS = {"run.seed": 5, "run.threads": 1, "data.source": "text", "model.family": "transformer", "transformer.layers": 2,
        "optim.name": "adamw", "optim.beta2": 0.95, "optim.schedule": "cosine", "optim.floor": 0.05,
        "train.batch_size": 32, "train.epochs": 1}
DENSE = dict(transformer_mixture_every=0)
MIXTURE = dict(transformer_mixture_every=2, moe_experts=4, moe_top_k=1, moe_balance=0.01)
MULTI_HEAD = dict(transformer_mixture_every=2, moe_experts=4, moe_top_k=2, moe_sub_heads=2, moe_balance=0.01)


class Markov(token_runs.TokenTest):
    """A byte depends on the one before alone, so there is no more to find than that."""

    FILE_BYTES, FILES = 400_000, 3  # a tenth of them is for test
    base_keys = KEYS | {"transformer.width": 16, "transformer.heads": 2, "transformer.hidden": 32, "transformer.window": 32,
                        "moe.hidden": 32, "optim.learning_rate": 0.01, "optim.warmup_steps": 20}

    @classmethod
    def write_data(cls):
        cls.chain = token_runs.MarkovChain(1)
        token_runs.write_texts(cls.data, [cls.chain.text(seed, cls.FILE_BYTES) for seed in range(cls.FILES)])

    def test_loss_is_the_entropy_rate(self):
        # The mean of some 120,000 surprises strays from the rate by a deviation of 0.0024.
        self.assertLess(self.chain.deviation / numpy.sqrt(self.FILES * self.FILE_BYTES / 10), 0.0025)
        for keys in (DENSE, MIXTURE, MULTI_HEAD):
            with self.subTest(**keys):
                loss = runs.summary(self.train(**keys))["test"]["loss"]
                self.assertLessEqual(abs(loss - self.chain.entropy), 0.01)


class Repetition(token_runs.TokenTest):
    """Windows of which the second half is the first again, of symbols that are all as likely: attention has to find what
    followed when a symbol was there before, and when the repetition begins."""

    SYMBOLS, HALF = 16, 32
    DOCUMENT = 8192  # where text without a line break is cut; windows divide it
    DOCUMENTS = 200
    base_keys = KEYS | {"transformer.width": 32, "transformer.heads": 2, "transformer.hidden": 64,
                        "transformer.window": 2 * HALF, "moe.hidden": 64, "optim.learning_rate": 0.005,
                        "optim.warmup_steps": 50}

    @classmethod
    def write_data(cls):
        windows = cls.DOCUMENTS * cls.DOCUMENT // (2 * cls.HALF)
        halves = ord("a") + numpy.random.default_rng(1).integers(0, cls.SYMBOLS, (windows, cls.HALF)).astype(numpy.uint8)
        token_runs.write_texts(cls.data, [numpy.hstack([halves, halves]).tobytes()])

    def test_second_half_is_known(self):
        """A window has as many targets that are the first half's symbols again as targets that are drawn (of its own first half
        and the next window's first symbol). Nothing says more of these than ln V, so that of the mean of both,
        2 loss - ln V is at least what is lost on the repetition."""
        for keys in (DENSE, MIXTURE):
            with self.subTest(**keys):
                loss = runs.summary(self.train(**keys))["test"]["loss"]
                of_repetition = 2 * loss - math.log(self.SYMBOLS)
                self.assertLess(of_repetition, 0.02)
                # Rounding, and what some 80,000 symbols that are drawn may be by chance.
                self.assertGreater(of_repetition, -0.005)


if __name__ == "__main__":
    runs.main()
