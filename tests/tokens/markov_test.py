"""Text of a Markov chain, whose entropy rate is known: what a byte can say of the next one is learned, and no more."""

import pathlib

import numpy

import runs
import token_runs

CONFIG = pathlib.Path(__file__).resolve().parents[2] / "configs" / "tokens" / "bytes.ini"
FILE_BYTES, FILES = 1_200_000, 3  # a tenth of them is for test


class Markov(token_runs.TokenTest):
    @classmethod
    def write_data(cls):
        cls.chain = token_runs.MarkovChain(1)
        token_runs.write_texts(cls.data, [cls.chain.text(seed, FILE_BYTES) for seed in range(FILES)])

    def test_loss_is_the_entropy_rate(self):
        run = self.new_path()
        finished = runs.switchyard("train", CONFIG, f"--data.dir={self.data}", f"--run.dir={run}", "--tokens.width=16",
                                   "--model.expert=dense:16 relu dense:width", "--run.threads=1", "--train.epochs=1",
                                   "--train.batch_size=16", "--optim.learning_rate=0.01")
        self.expect(finished, 0)
        found = runs.summary(run)["test"]
        # The mean of some 360,000 surprises strays from the rate by a deviation of 0.0013.
        self.assertLess(self.chain.deviation / numpy.sqrt(FILES * FILE_BYTES / 10), 0.0015)
        self.assertGreater(self.chain.order_0, self.chain.entropy + 0.2, "a byte alone says as much")
        self.assertGreaterEqual(found["loss"], self.chain.entropy - 0.005)
        self.assertLessEqual(found["loss"], self.chain.entropy + 0.01)
        self.assertAlmostEqual(found["bits_per_byte"], found["loss"] / numpy.log(2), delta=1e-12)


if __name__ == "__main__":
    runs.main()
