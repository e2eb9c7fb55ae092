"""Loads that a bias of the choice balances, where nine bytes of ten are one."""

import json

import numpy

import runs
import token_runs

EXPERTS, STEPS, LAST = 4, 300, 150


def variation(load):
    """The coefficient of variation of the experts' loads."""
    return numpy.std(load) / numpy.mean(load)


class Balance(token_runs.TokenTest):
    @classmethod
    def write_data(cls):
        random = numpy.random.default_rng(5)
        letters = numpy.frombuffer(b"\nabcdefghijklmno", numpy.uint8)
        texts = [numpy.where(random.random(80_000) < 0.9, ord("x"), random.choice(letters, 80_000)) for _ in range(3)]
        token_runs.write_texts(cls.data, [text.astype(numpy.uint8).tobytes() for text in texts])

    def loads(self, **keys):
        """[step, block, expert], of the last steps."""
        run = self.train(**{**dict(moe_experts=EXPERTS, moe_top_k=1, train_epochs=100, train_max_steps=STEPS,
                                   train_log_every_steps=1), **keys})
        steps = [m for m in runs.metrics(run) if m["kind"] == "step"]
        return run, numpy.array([[layer["load"] for layer in step["layers"]] for step in steps[-LAST:]])

    def test_a_stream_of_one_symbol(self):
        """Rows of one byte are equal, and in a step they go together: it is over steps that experts share them."""
        _, without = self.loads()
        self.assertGreater(variation(without.sum(0)[0]), 1)
        for scores in ("softmax", "sigmoid"):
            with self.subTest(scores):
                _, balanced = self.loads(moe_scores=scores, moe_bias_rate=0.02)
                for block in range(2):
                    self.assertLess(variation(balanced.sum(0)[block]), 0.2, balanced.sum(0))

    def test_an_evaluation_leaves_the_bias_as_it_is_or_out(self):
        run, _ = self.loads(moe_bias_rate=0.3, train_max_steps=STEPS + 1)  # so large that the bias alone chooses

        def evaluate(*arguments):
            return json.loads(self.expect(runs.switchyard("eval", run, *arguments), 0).out)

        expected = runs.summary(run)["test"]
        biased = evaluate()
        for key in ("loss", "layers"):
            self.assertEqual(biased[key], expected[key])
        unbiased = evaluate("--moe.bias_rate=0")
        self.assertNotEqual(unbiased["layers"][0]["load"], biased["layers"][0]["load"])
        dense = evaluate("--moe.bias_rate=0", "--moe.top_k=0")
        self.assertEqual(len(set(dense["layers"][0]["load"])), 1)
        refused = runs.switchyard("eval", run, "--moe.top_k=0")
        self.expect(refused, 2, "moe.bias_rate = 0.3 needs a gate that ends in dense:experts and moe.top_k below")


if __name__ == "__main__":
    runs.main()
