"""docs/checkpoints.md, gates.md and optimisers.md, held to the program: a model is computed from its checkpoint, in numpy."""

import gzip
import json
import math

import h5py
import numpy

import runs

SIDE = runs.IMAGE_SIDE


def images(data, prefix):
    """[N, 1, side, side] as the networks see them, and the labels."""
    raw = gzip.decompress((data / f"{prefix}-images-idx3-ubyte.gz").read_bytes())[16:]
    pixels = numpy.frombuffer(raw, numpy.uint8).reshape(-1, 1, SIDE, SIDE) / 255
    labels = numpy.frombuffer((data / f"{prefix}-labels-idx1-ubyte").read_bytes()[8:], numpy.uint8)
    return (pixels - runs.BASE_KEYS["data.mean"]) / runs.BASE_KEYS["data.standard_deviation"], labels


def relu(x):
    return numpy.maximum(x, 0)


def gelu(z):
    return z * (1 + numpy.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))) / 2


def celu(z):
    return numpy.maximum(0, z) + numpy.minimum(0, numpy.exp(z) - 1)


def max_pool(x):
    n, c, height, width = x.shape
    return x.reshape(n, c, height // 2, 2, width // 2, 2).max((3, 5))


def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - numpy.log(numpy.exp(x).sum(-1, keepdims=True))


class Arrays:
    """The arrays of one network of a checkpoint."""

    def __init__(self, file, network):
        self._file, self._network = file, network

    def _array(self, kind, name):
        path = f"{kind}/{self._network}/{name}"
        return self._file[path][()].astype(numpy.float64) if path in self._file else 0

    def parameter(self, name):
        return self._array("parameters", name)

    def running(self, name):
        return self._array("buffers", f"batch_norm_1/running_{name}")

    def dense(self, number, x):
        layer = f"dense_{number}"
        return x.reshape(len(x), -1) @ self.parameter(f"{layer}/weight") + self.parameter(f"{layer}/bias")

    def conv(self, x, border=0):
        weight = self.parameter("conv_1/weight")
        x = numpy.pad(x, ((0, 0), (0, 0), (border, border), (border, border)))
        windows = numpy.lib.stride_tricks.sliding_window_view(x, (3, 3), (2, 3))
        return numpy.einsum("ncyxij,ocij->noyx", windows, weight) + _of_channels(self.parameter("conv_1/bias"))

    def batch_norm(self, x):
        x = (x - _of_channels(self.running("mean"))) / numpy.sqrt(_of_channels(self.running("variance")) + 1e-5)
        return _of_channels(self.parameter("batch_norm_1/gamma")) * x + _of_channels(self.parameter("batch_norm_1/beta"))

    def patch_filters(self, x, outputs, activation):
        weight, bias = (self.parameter(f"patch_filters_1/{name}") for name in ("weight", "bias"))
        filtered = activation(x.reshape(len(x), SIDE, SIDE) @ weight + bias)
        return filtered.sum(1).reshape(len(x), outputs, -1).sum(2)


def _of_channels(values):
    return numpy.reshape(values, (-1, 1, 1)) if numpy.ndim(values) else values


class Rebuilt(runs.RunTest):
    """Loss and error of the test split."""

    train_samples = 656

    def check(self, gate, expert, scores_of, outputs_of):
        """outputs_of(arrays, x): an expert's outputs and hidden vectors; scores_of(arrays, x, hidden vectors)."""
        run = self.train(train_max_steps=6, moe_importance=0, model_gate=gate, model_expert=expert)
        reported = runs.summary(run)["test"]
        x, labels = images(self.data, "t10k")
        with h5py.File(runs.newest_checkpoint(run)) as file:
            experts = [outputs_of(Arrays(file, f"experts/{e:04}"), x) for e in range(runs.EXPERTS)]
            hidden = [of_expert[1] for of_expert in experts]
            log_weights = log_softmax(scores_of(Arrays(file, "gate"), x, hidden))
        log_y = numpy.stack([log_softmax(of_expert[0]) for of_expert in experts], 1)
        mixed = numpy.exp(log_weights[:, :, None] + log_y).sum(1)
        self.assertAlmostEqual(reported["loss"], -numpy.log(mixed[range(len(x)), labels]).mean(), delta=2e-6)
        self.assertEqual(reported["error"], (mixed.argmax(1) != labels).mean())

    def test_convolutions_and_batch_norm(self):
        def scores(gate, x, _):
            return gate.dense(2, relu(gate.dense(1, max_pool(relu(gate.batch_norm(gate.conv(x)))))))

        def outputs(expert, x):
            return expert.dense(1, max_pool(relu(expert.batch_norm(expert.conv(x, border=1))))), None

        self.check(runs.BASE_KEYS["model.gate"], "padded_conv:3 batch_norm relu max_pool dense:classes", scores, outputs)

    def test_attention(self):
        def scores(gate, x, hidden):
            g = max_pool(relu(gate.conv(x))).reshape(len(x), -1)
            u = g @ gate.parameter("query/weight") @ gate.parameter("key/weight")
            return numpy.stack([(u * h).sum(1) for h in hidden], 1) / math.sqrt(u.shape[1])

        def outputs(expert, x):
            hidden = expert.dense(1, x)
            return expert.dense(2, relu(hidden)), hidden

        self.check("conv:4 relu max_pool attention:experts", "dense:16 relu dense:classes", scores, outputs)

    def test_patch_filters(self):
        self.check("patch_filters:3 bias gelu sum:experts", "patch_filters:4 bias celu sum:classes",
                   lambda gate, x, _: gate.patch_filters(x, runs.EXPERTS, gelu),
                   lambda expert, x: (expert.patch_filters(x, runs.CLASSES, celu), None))


STILL = {"optim_learning_rate": 1e-30, "optim_schedule": "constant", "optim_warmup_steps": 0}


class Training(runs.RunTest):
    def test_running_statistics_move_a_tenth_of_the_way_to_the_unbiased_variance(self):
        data = self.new_path("data")
        runs.write_data_set(data, train_samples=2, test_samples=6)  # few, so that the two variances differ
        run = self.train(train_max_steps=1, data_dir=data, data_validation_samples=0, train_batch_size=2, **STILL)
        x, _ = images(data, "train")
        with h5py.File(runs.newest_checkpoint(run)) as file:
            gate = Arrays(file, "gate")
            z = gate.conv(x).transpose(1, 0, 2, 3).reshape(8, -1)
            numpy.testing.assert_allclose(gate.running("mean"), 0.1 * z.mean(1), rtol=1e-6)
            numpy.testing.assert_allclose(gate.running("variance"), 0.9 + 0.1 * z.var(1, ddof=1), rtol=1e-6)

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
