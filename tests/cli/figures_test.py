"""Every figure of docs/metrics.md, of gates whose answer is known: by hand, and by an independent float64 program.

Four experts and pictures of four pixels, one of them lit. A gate that weighs pixel e for expert e is decided, one
without weights is even, and an expert whose pixel is never lit is dead. Each with K = 1, 2 and E experts a sample.
"""

import itertools
import json
import math

import numpy

import runs

E, C = 4, 3
LIT = {"all": 4, "three": 3}  # pixels
WEIGHTS = {"importance": 0.3, "balance": 0.7, "z_loss": 0.2, "gate_entropy": 0.4, "similarity": 0.6}
PARTS = {"importance": "importance_loss", "balance": "balance_loss", "z_loss": "z_loss",
         "gate_entropy": "gate_entropy_loss", "similarity": "similarity_loss"}


def weights_of(k):
    """A dense gate's load is even whatever it does: it has no balance loss."""
    return {**WEIGHTS, "balance": WEIGHTS["balance"] if k < E else 0}


def softmax(z):
    e = numpy.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def entropy(p):
    """In bits, along the last axis."""
    return -numpy.where(p > 0, p * numpy.log2(numpy.where(p > 0, p, 1)), 0).sum(axis=-1)


def information(counts):
    p = counts / counts.sum()
    return entropy(p.sum(axis=0)) + entropy(p.sum(axis=1)) - entropy(p.ravel())


class Reference:
    """The mixture of linear maps on one batch. parameters: gate weight and bias, experts' weights and biases."""

    def __init__(self, parameters, x, labels, k, chosen=None):
        gate, gate_bias, expert, expert_bias = parameters
        self.x, self.labels, self.k = x, labels, k
        self.n = len(x)
        self.z = x @ gate + gate_bias
        self.p = softmax(self.z)
        # Falling score, ties to the lower expert; a caller that moves parameters a little keeps the choice.
        self.chosen = numpy.argsort(-self.z, axis=1, kind="stable")[:, :k] if chosen is None else chosen
        of_slots = numpy.take_along_axis(self.z, self.chosen, 1)
        self.w = numpy.take_along_axis(self.p, self.chosen, 1) if k == 1 else softmax(of_slots)
        self.y = softmax(numpy.einsum("nd,edc->nec", x, expert) + expert_bias)
        self.y_of_slots = numpy.take_along_axis(self.y, self.chosen[:, :, None], 1)
        self.mixture = (self.w[:, :, None] * self.y_of_slots).sum(axis=1)
        self.usage = numpy.zeros(E)
        numpy.add.at(self.usage, self.chosen, self.w)
        self.load = numpy.bincount(self.chosen.ravel(), minlength=E)
        rows = numpy.arange(self.n)
        self.largest = self.chosen[rows, self.w.argmax(axis=1)]
        self.by_label = self.table(labels)
        self.by_prediction = self.table(self.y[rows, self.largest].argmax(axis=1))
        self.share = self.by_label.sum(axis=0) / self.n
        self.serves = self.share if self.k == E else self.load / self.n
        self.task_loss = -numpy.log(self.mixture[rows, labels]).mean()
        answer = self.mixture / self.w.sum(axis=1, keepdims=True)
        self.loss = -numpy.log(answer[rows, labels]).mean()

    def regularisers(self, f=None):
        f = self.load / self.load.sum() if f is None else f
        d = numpy.sqrt(((self.x[:, None] - self.x[None]) ** 2).sum(axis=-1))
        pairs = ~numpy.eye(self.n, dtype=bool)
        log_sum = numpy.log(numpy.exp(self.z - self.z.max(axis=1, keepdims=True)).sum(axis=1)) + self.z.max(axis=1)
        parts = {"importance": self.usage.var(ddof=1) / self.usage.mean() ** 2,
                 "balance": E * (f * self.p.mean(axis=0)).sum(),
                 "z_loss": (log_sum ** 2).mean(),
                 "gate_entropy": (entropy(self.p) * math.log(2)).mean(),
                 "similarity": (d / d[pairs].mean() * (self.p @ self.p.T))[pairs].mean()}
        return {name: weights_of(self.k)[name] * value for name, value in parts.items()}

    def table(self, rows):
        counts = numpy.zeros((C, E), int)
        numpy.add.at(counts, (rows, self.largest), 1)
        return counts

    def shared_figures(self):
        predicted = self.mixture.argmax(axis=1)
        return {"error": (predicted != self.labels).mean(), "task_loss": self.task_loss,
                "h_s": entropy(self.p).mean(), "h_s_chosen": entropy(self.w / self.w.sum(axis=1, keepdims=True)).mean(),
                "h_u": entropy(self.usage / self.usage.sum()), "mi_predicted": information(self.by_prediction),
                "mi_true": information(self.by_label), "load": self.load.tolist(),
                "dead_experts": [e for e in range(E) if self.serves[e] < 1e-3]}

    def evaluation(self):
        within = sum(-count / self.n * math.log(count / self.by_label[:, e].sum())
                     for e in range(E) for count in self.by_label[:, e] if count > 0)
        return {**self.shared_figures(), "loss": self.loss, "dispatch_entropy_label": within,
                "largest_share": self.share.max(), "active_experts": int((self.share > 0.01).sum()),
                "expert_share": self.share.tolist(), "importance_share": (self.usage / self.n).tolist(),
                "class_by_expert": self.by_label.tolist(), "class_by_expert_predicted": self.by_prediction.tolist()}

    def step(self):
        parts = self.regularisers()
        return {**self.shared_figures(), "loss": self.task_loss + sum(parts.values()),
                **{PARTS[name]: value for name, value in parts.items()}, "importance": self.usage.tolist()}


def gradient_norm(parameters, x, labels, k):
    """By central differences of the whole loss: the choice of experts and the shares f are constants."""
    at = Reference(parameters, x, labels, k)
    f = at.load / at.load.sum()

    def loss(moved):
        there = Reference(moved, x, labels, k, at.chosen)
        return there.task_loss + sum(there.regularisers(f).values())

    square = 0.0
    for which, array in enumerate(parameters):
        for place in numpy.ndindex(array.shape):
            ends = []
            for side in (1e-6, -1e-6):
                moved = [a.copy() for a in parameters]
                moved[which][place] += side
                ends.append(loss(moved))
            square += ((ends[0] - ends[1]) / 2e-6) ** 2
    return math.sqrt(square)


class Figures(runs.RunTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.bright = {name: cls.write_pictures(name) for name in LIT}

    @classmethod
    def write_pictures(cls, name):
        """24 training and 12 test pictures, of which the first LIT[name] pixels are lit in turn."""
        folder = cls.folder / name
        folder.mkdir()
        for prefix, split in (("train", "train"), ("t10k", "test")):
            x, labels = cls.batch(name, split)
            runs.write_idx(folder / f"{prefix}-images-idx3-ubyte", 255 * x.reshape(-1, 2, 2))
            runs.write_idx(folder / f"{prefix}-labels-idx1-ubyte", labels)
        return folder

    @staticmethod
    def batch(name, split):
        count, pixels = (24 if split == "train" else 12), LIT[name]
        x = numpy.zeros((count, 4))
        x[numpy.arange(count), numpy.arange(count) % pixels] = 1
        return x, (numpy.arange(count) // pixels) % C

    def parameters(self, gate):
        random = numpy.random.default_rng(5)
        kinds = {"even": (numpy.zeros((4, E)), numpy.zeros(E)), "decided": (60 * numpy.eye(4), numpy.zeros(E)),
                 "between": (random.normal(size=(4, E)), random.normal(size=E))}
        drawn = (*kinds[gate], random.normal(size=(E, 4, C)), random.normal(size=(E, C)))
        return [array.astype(numpy.float32).astype(float) for array in drawn]

    def start(self, name, k, **sections):
        """Configuration keys of a run of one step of all training pictures."""
        return dict(data_dir=self.bright[name], data_mean=0, data_standard_deviation=1, data_validation_samples=0,
                    model_gate="dense:experts", model_expert="dense:classes", moe_experts=E, moe_top_k=k,
                    optim_name="sgd", optim_schedule="constant", optim_warmup_steps=0, optim_clip_norm=0,
                    train_batch_size=24, train_epochs=1, train_log_every_steps=1, **sections)

    def checkpoint_of(self, name, k, parameters):
        run = self.train(ranks=0, **self.start(name, k))
        file = runs.newest_checkpoint(run)

        def put(opened):
            gate, gate_bias, expert, expert_bias = parameters
            opened["parameters/gate/dense_1/weight"][...] = gate
            opened["parameters/gate/dense_1/bias"][...] = gate_bias
            for e in range(E):
                opened[f"parameters/experts/{e:04}/dense_1/weight"][...] = expert[e]
                opened[f"parameters/experts/{e:04}/dense_1/bias"][...] = expert_bias[e]

        runs.edit_checkpoint(file, put)
        return file

    def expect_figures(self, found, expected, tolerance=2e-6):
        for name, value in expected.items():
            with self.subTest(figure=name):
                numpy.testing.assert_allclose(found[name], value, rtol=tolerance, atol=tolerance, err_msg=name)

    def test_every_figure(self):
        cases = [("all", "even"), ("all", "decided"), ("three", "decided"), ("all", "between")]
        for (name, gate), k in itertools.product(cases, (1, 2, E)):
            with self.subTest(pictures=name, gate=gate, k=k):
                parameters = self.parameters(gate)
                checkpoint = self.checkpoint_of(name, k, parameters)
                for split, ranks in (("test", 0), ("train", 2)):
                    finished = self.expect(runs.switchyard("eval", checkpoint, f"--split={split}", ranks=ranks), 0)
                    expected = Reference(parameters, *self.batch(name, split), k).evaluation()
                    found = json.loads(finished.out)
                    self.expect_figures(found, {key: expected[key] for key in found if key in expected})
                regularised = {f"moe_{part}": weight for part, weight in weights_of(k).items()}
                run = self.train(ranks=0, **self.start(name, k, init_from=checkpoint, **regularised,
                                                       optim_learning_rate=0.125))
                step = runs.metrics(run)[0]
                x, labels = self.batch(name, "train")
                expected = Reference(parameters, x, labels, k).step()
                expected["gradient_norm"] = gradient_norm(parameters, x, labels, k)
                expected.update(step=1, epoch=1, samples=24, learning_rate=0.125)
                # The scores of a decided gate are 60, and their squares are summed in float32.
                self.expect_figures(step, expected, 1e-5)
                self.assertEqual(set(step) - set(expected), {"kind", "load_loss"})

    def known(self, name, gate, k):
        checkpoint = self.checkpoint_of(name, k, self.parameters(gate))
        return json.loads(self.expect(runs.switchyard("eval", checkpoint), 0).out)

    def test_an_even_gate_has_log2_of_the_experts(self):
        for k in (1, 2, E):
            with self.subTest(k=k):
                found = self.known("all", "even", k)
                self.assertAlmostEqual(found["h_s"], 2, delta=1e-6)
                self.assertAlmostEqual(found["h_s_chosen"], math.log2(k), delta=1e-6)
                self.assertAlmostEqual(found["h_u"], math.log2(k), delta=1e-6)  # ties go to the lower experts
                self.assertEqual(found["load"], [12] * k + [0] * (E - k))

    def test_a_decided_gate_has_no_entropy_and_even_use(self):
        for name, used in (("all", 4), ("three", 3)):
            for k in (1, 2, E):
                with self.subTest(name, k=k):
                    found = self.known(name, "decided", k)
                    self.assertAlmostEqual(found["h_s"], 0, delta=1e-6)
                    self.assertAlmostEqual(found["h_s_chosen"], 0, delta=1e-6)
                    self.assertAlmostEqual(found["h_u"], math.log2(used), delta=1e-6)
                    self.assertEqual(found["active_experts"], used)
                    self.assertEqual(found["expert_share"], [1 / used] * used + [0] * (E - used))
                    # A weight of (nearly) one: what is trained is the likelihood.
                    self.assertAlmostEqual(found["loss"], found["task_loss"], delta=1e-6)

    def test_one_of_an_even_gate_answers_with_its_own_likelihood(self):
        found = self.known("all", "even", 1)
        self.assertAlmostEqual(found["task_loss"] - found["loss"], math.log(E), delta=1e-6)

    def test_the_expected_load_of_a_decided_gate_is_its_load(self):
        for name, variation in (("all", 0), ("three", 4 / 9)):
            with self.subTest(name):
                checkpoint = self.checkpoint_of(name, 1, self.parameters("decided"))
                run = self.train(ranks=0, **self.start(name, 1, init_from=checkpoint, moe_load=0.5, moe_noise="normal",
                                                       moe_noise_scale=0.001))
                self.assertAlmostEqual(runs.metrics(run)[0]["load_loss"], 0.5 * variation, delta=1e-6)


if __name__ == "__main__":
    runs.main()
