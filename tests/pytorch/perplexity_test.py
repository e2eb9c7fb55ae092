"""Perplexities beside PyTorch: models of one size on the same tokens in the same order, from first weights that
each side draws."""

import math
import os
import pathlib
import time

import numpy
import torch

import runs
import torch_training
from torch_transformer import Transformer, shape_of

SEEDS, STEPS, BATCH = (1, 2, 3), 800, 16
TOLERANCE = 0.01  # of the mean


class Perplexity(torch_training.TextTest):
    # So much text that no window is seen twice: what is learned by heart differs more from seed to seed.
    text_folder, pattern = pathlib.Path(os.__file__).parent, "*.py"  # Python's library
    base_keys = {"run.threads": 1, "data.source": "text", "model.family": "transformer", "transformer.width": 48,
                 "transformer.layers": 4, "transformer.heads": 3, "transformer.hidden": 128, "transformer.window": 64,
                 "train.batch_size": BATCH, "train.max_steps": STEPS, "train.epochs": 10}
    ADAMW = torch_training.ADAMW | {"optim_schedule_steps": STEPS, "optim_learning_rate": 0.002}

    def ours(self, seed, keys):
        return runs.summary(self.train(**keys, **self.ADAMW, run_seed=seed))["test"]["loss"]

    def theirs(self, seed, keys):
        torch.manual_seed(seed)
        model = Transformer(shape_of(self.base_keys | torch_training.dotted(keys))).float()
        trainer = torch_training.Trainer(model, torch_training.dotted(self.ADAMW))
        tokens, targets = self.windows["train"]
        for rows in torch_training.batches(len(tokens), BATCH, seed, STEPS):
            trainer.step(tokens[rows], targets[rows])
        with torch.no_grad():
            losses = [model.losses(*some)[0] * len(some[0]) for some in zip(*(part.split(64) for part in self.windows["test"]))]
        return (sum(losses) / len(self.windows["test"][0])).item()

    def check(self, **keys):
        means, variances = [], []
        for name, side in (("switchyard", self.ours), ("PyTorch", self.theirs)):
            begin = time.monotonic()
            found = [math.exp(side(seed, keys)) for seed in SEEDS]
            means.append(numpy.mean(found))
            variances.append(numpy.var(found, ddof=1) / len(found))
            print(f"\n{name:<10} {keys}: perplexities {' '.join(f'{p:.3f}' for p in found)}, mean {means[-1]:.4f} "
                  f"({time.monotonic() - begin:.0f} s)", end="", flush=True)
        # By chance alone, of first weights: training_test.py shows that the same ones give the same losses.
        print(f"\nours is {means[0] / means[1] - 1:+.2%} from theirs, with a standard error of "
              f"{math.sqrt(sum(variances)) / means[1]:.2%}", flush=True)
        self.assertLessEqual(abs(means[0] / means[1] - 1), TOLERANCE)

    def test_dense(self):
        self.check(transformer_mixture_every=0)

    def test_mixture(self):
        self.check(transformer_mixture_every=2, moe_experts=4, moe_top_k=1, moe_hidden=128, moe_balance=0.01)


if __name__ == "__main__":
    runs.main()
