"""docs/checkpoints.md, gates.md and optimisers.md, held to the program: what a step does. (What a model says is compared in
tests/python/model_test.py.)"""

import gzip
import math

import h5py
import numpy

import runs
from switchyard_reader.network import convolved

SIDE = runs.IMAGE_SIDE


def training_images(data):
    """[N, 1, side, side] as the networks see them."""
    raw = gzip.decompress((data / "train-images-idx3-ubyte.gz").read_bytes())[16:]
    pixels = numpy.frombuffer(raw, numpy.uint8).reshape(-1, 1, SIDE, SIDE) / 255
    return (pixels - runs.BASE_KEYS["data.mean"]) / runs.BASE_KEYS["data.standard_deviation"]


STILL = {"optim_learning_rate": 1e-30, "optim_schedule": "constant", "optim_warmup_steps": 0}


class Training(runs.RunTest):
    def test_running_statistics_move_a_tenth_of_the_way_to_the_unbiased_variance(self):
        data = self.new_path("data")
        runs.write_data_set(data, train_samples=2, test_samples=6)  # few, so that the two variances differ
        run = self.train(train_max_steps=1, data_dir=data, data_validation_samples=0, train_batch_size=2, **STILL)
        with h5py.File(runs.newest_checkpoint(run)) as file:
            weight, bias = (file[f"parameters/gate/conv_1/{name}"][()].astype(float) for name in ("weight", "bias"))
            mean, variance = (file[f"buffers/gate/batch_norm_1/running_{name}"][()] for name in ("mean", "variance"))
        z = convolved(training_images(data), weight, border=0).transpose(1, 0, 2, 3).reshape(8, -1) + bias[:, None]
        numpy.testing.assert_allclose(mean, 0.1 * z.mean(1), rtol=1e-6)
        numpy.testing.assert_allclose(variance, 0.9 + 0.1 * z.var(1, ddof=1), rtol=1e-6)

    def test_the_cosine_and_what_follows(self):
        warmup, end = 3, 9
        run = self.train(train_max_steps=12, optim_warmup_steps=warmup, optim_schedule_steps=end)
        rates = [found["learning_rate"] for found in runs.metrics(run) if found["kind"] == "step"]
        rate = runs.BASE_KEYS["optim.learning_rate"]

        def of_step(n):
            if n <= warmup:
                return rate * n / warmup
            return rate * (1 + math.cos(math.pi * min(1, (n - 1 - warmup) / (end - warmup)))) / 2

        numpy.testing.assert_allclose(rates, [of_step(n) for n in range(1, 13)], rtol=1e-12)
        self.assertGreater(rates[end - 1], 0)
        self.assertEqual(rates[end:], [0, 0, 0])

    def test_the_floor_and_the_stable_rate(self):
        warmup, end, floor = 2, 10, 0.25
        for schedule, begin in (("linear", warmup), ("warmup_stable_decay", end - 3)):  # the share of 0.3
            with self.subTest(schedule):
                share = {"optim_decay_share": 0.3} if schedule == "warmup_stable_decay" else {}
                run = self.train(train_max_steps=12, optim_schedule=schedule, optim_warmup_steps=warmup,
                                 optim_schedule_steps=end, optim_floor=floor, **share)
                rates = [found["learning_rate"] for found in runs.metrics(run) if found["kind"] == "step"]
                rate = runs.BASE_KEYS["optim.learning_rate"]
                done = [min(1, max(0, (n - 1 - begin) / (end - begin))) for n in range(1, 13)]
                expected = [rate * (n / warmup if n <= warmup else floor + (1 - floor) * (1 - done[n - 1]))
                            for n in range(1, 13)]
                numpy.testing.assert_allclose(rates, expected, rtol=1e-12)


class Noise(runs.RunTest):
    """Scores that are 0 before the noise: what reads them without it has a known answer."""

    def step(self, **keys):
        regularisers = {f"moe_{name}": 1 for name in ("importance", "balance", "z_loss", "gate_entropy", "similarity")}
        run = self.train(train_max_steps=1, model_gate="dense:experts", model_gate_init_scale=0, moe_top_k=2,
                         moe_noise="uniform", **regularisers, **STILL, **keys)
        return runs.metrics(run)[0]

    def assert_reads(self, step, noise):
        """Every figure of the weights and the scores is that of undecided gates, or none is."""
        share = 1 / runs.EXPERTS
        nats = math.log(runs.EXPERTS)
        for name, undecided in (("h_s", math.log2(runs.EXPERTS)), ("h_s_chosen", 1), ("z_loss", nats ** 2),
                                ("balance_loss", 1), ("gate_entropy_loss", nats), ("similarity_loss", share)):
            with self.subTest(name):
                self.assertEqual(abs(step[name] - undecided) > 1e-4 * undecided, noise, step)
        halves = numpy.array(step["load"]) / 2
        self.assertNotEqual(len(set(step["load"])), 1, "the noise chooses")
        self.assertEqual(numpy.allclose(step["importance"], halves, rtol=1e-6), not noise, step)
        importance = numpy.array(step["importance"])
        self.assertAlmostEqual(step["importance_loss"], importance.var(ddof=1) / importance.mean() ** 2, places=6)

    def test_the_softmax_is_of_the_scores_without_noise(self):
        self.assert_reads(self.step(), noise=False)

    def test_the_noisy_softmax_is_of_those_with_noise(self):
        self.assert_reads(self.step(moe_gate_value="noisy_softmax"), noise=True)

    def test_a_noisy_factor_leaves_the_weights_without_noise(self):
        self.assert_reads(self.step(moe_gate_value="noisy_logit", model_loss="cross_entropy"), noise=False)


if __name__ == "__main__":
    runs.main()
