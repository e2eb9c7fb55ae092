"""A step of a model of tokens, beside the same step in float64 (token_reference.py)."""

import itertools
import shutil

import h5py
import numpy

import gate_noise
import runs
import token_reference as reference
import token_runs
from token_runs import EXPERTS, WINDOW

WINDOWS = 7  # an odd batch
# Of what each adds to the loss, in metrics.jsonl: the three forms of similarity are one member.
MEMBERS = {name: "z_loss" if name == "z_loss" else f"{name}_loss" for name in reference.REGULARISERS[:6]}
MEMBERS |= dict.fromkeys(reference.REGULARISERS[6:], "similarity_loss")
# Large, so that a gradient of each is seen beside that of the task.
WEIGHTS = {"importance": 0.3, "balance": 0.2, "z_loss": 0.1, "gate_entropy": 0.15, "similarity": 0.7,
           "similarity_same": 0.001, "similarity_different": 0.9}
# float32 beside float64: losses and gradients are sums of some hundred products, each rounded to 6e-8 of the largest.
TOLERANCE = 1e-5
SEED = 7
BIAS = "buffers/blocks/{:02}/mixture/gate/choice/bias"
# The first step of plain gradient descent over all samples at once, in their order.
ONE_STEP = dict(run_seed=SEED, optim_name="sgd", train_order="fixed", train_batch_size=64, train_max_steps=1)


class StepTest(token_runs.TokenTest):
    MIXTURES = []  # scopes of the mixture layers
    layouts = itertools.cycle((3, 0))

    def random_parameters(self, random, keys):
        """Arrays of the model that the keys say."""
        raise NotImplementedError

    @staticmethod
    def of_model(keys):
        """What the reference has to know of them besides what all models have."""
        raise NotImplementedError

    @classmethod
    def write_data(cls):
        """Documents of random bytes: few rows are equal, between which a distance is the root of its rounding."""
        super().write_data()
        random = numpy.random.default_rng(2)
        documents = [random.bytes((WINDOWS + more) * WINDOW + 1) for _ in range(20) for more in (0, 1)]
        documents += [bytes([value]) * (WINDOWS * WINDOW + 1) for value in range(97, 103)]
        splits = cls.splits_of(documents)

        def of_split(split, some):
            return [document for document, found in zip(documents, splits) if found == split and some(document)]

        def is_mixed(document):
            return len(set(document)) > 1

        cls.documents = of_split("train", is_mixed)
        cls.one_byte = of_split("train", lambda document: not is_mixed(document))[0]
        cls.test = of_split("test", is_mixed)[0]
        cls.sources = {}

    def start_from(self, parameters, biases=None, **keys):
        """A checkpoint with these arrays."""
        of_shape = ("model_gate", "moe_experts", "moe_cosine_width", "transformer_mixture_every", "moe_sub_heads",
                    "moe_shared_hidden", "transformer_tied", "moe_router", "moe_head", "moe_merge")
        of_shape += ("moe_bias_rate", "moe_top_k") if biases else ()
        shape = tuple((name, keys[name]) for name in of_shape if name in keys)
        if shape not in self.sources:
            run = self.train(optim_learning_rate=1e-30, **{**ONE_STEP, **dict(shape)})
            self.sources[shape] = runs.newest_checkpoint(run)
        file = self.new_path("start.h5")
        shutil.copy(self.sources[shape], file)

        def write(opened):
            found = []
            opened["parameters"].visititems(lambda name, item: found.append(name) if hasattr(item, "shape") else None)
            self.assertEqual(sorted(found), sorted(parameters))
            for name, array in parameters.items():
                opened["parameters"][name][...] = array
            for block, bias in enumerate(biases or ()):
                opened[BIAS.format(block)][...] = bias

        runs.edit_checkpoint(file, write)
        return file

    def folder_of(self, *documents):
        """Data of these for training."""
        folder = self.new_path("data")
        token_runs.write_texts(folder, [*documents, self.test])
        return folder

    def parameters_of(self, seed, change=lambda parameters: None, **keys):
        found = self.random_parameters(numpy.random.default_rng(seed), keys)
        change(found)
        return {name: array.astype(numpy.float32) for name, array in found.items()}

    def reference_of(self, keys):
        weights = {name: keys[f"moe_{name}"] for name in reference.REGULARISERS if f"moe_{name}" in keys}
        return reference.Model(
            keys.get("moe_experts", EXPERTS), top_k=keys.get("moe_top_k", 0),
            gate_value=keys.get("moe_gate_value", "softmax"), scores=keys.get("moe_scores", "softmax"),
            normalise=keys.get("moe_normalise", "auto"), scale=keys.get("moe_scale", 1), groups=keys.get("moe_groups", 0),
            top_groups=keys.get("moe_top_groups", 0), capacity=str(keys.get("moe_capacity", 0)),
            drop=keys.get("moe_drop", "position"), temperature=keys.get("moe_cosine_temperature", 0.07),
            noise_deviation=keys.get("moe_noise_scale", 0), similarity_layer=keys.get("moe_similarity_layer", 0),
            parts=keys.get("train_parts", 1), weights=weights, dropout=keys.get("transformer_dropout", 0), seed=SEED,
            quantiser=reference.Bitnet() if keys.get("transformer_quantise") == "bitnet" else None, **self.of_model(keys))

    def noise_of(self, keys, rows):
        """Of each mixture layer in the first step, or None."""
        if "moe_noise" not in keys:
            return None
        return [gate_noise.noise(keys["moe_noise"], keys["moe_noise_scale"], gate_noise.seed_of(SEED, f"{name}/gate"), 0,
                                 range(rows), EXPERTS) for name in self.MIXTURES]

    def expected_step(self, keys, parameters, tokens, targets, biases):
        return reference.step(self.reference_of(keys), parameters, tokens, targets, self.noise_of(keys, tokens.size),
                              biases=biases)[0]

    @staticmethod
    def rate_for(parameters, gradients):
        """The gradient is read from how far a step goes, (before - after) / rate, and `after` is rounded to 2^-24 of itself:
        where a step goes as far as the largest weight of an array, that is 2^-23 of the largest gradient. A power of two,
        so that dividing by it rounds nothing."""
        ratios = [abs(parameters[name]).max() / abs(gradient).max() for name, gradient in gradients.items() if gradient.any()]
        return 2.0 ** numpy.ceil(numpy.log2(max(ratios)))

    def expected(self, documents, before, biases, keys):
        tokens, targets = (numpy.concatenate(of_all) for of_all in zip(*map(token_runs.windows, documents)))
        return self.expected_step(keys, before, tokens, targets, biases), tokens.size

    def check(self, documents=None, ranks=None, seed=1, change=lambda parameters: None, biases=None, **keys):
        documents = documents or self.documents[:1]
        before = self.parameters_of(seed, change, **keys)
        expected, size = self.expected(documents, before, biases, keys)
        self.assertGreater(min((routing.margin for routing in expected.routings), default=1), 1e-5, "rounding may change a choice")
        self.assertGreater(expected.rounding_margin, 1e-6, "rounding may change another one")
        rate = self.rate_for(before, expected.gradients)
        keys = {**ONE_STEP, **keys, "optim_learning_rate": rate, "data_dir": self.folder_of(*documents),
                "init_from": self.start_from(before, biases, **keys)}
        # One process and three in turn, from check to check: that both have the same bits is for layouts_test.py to say.
        for number in [next(self.layouts)] if ranks is None else ranks:
            with self.subTest(ranks=number):
                run = self.train(ranks=number, **keys)
                self.assert_losses(runs.metrics(run)[0], expected, size)
                self.assert_gradients(before, token_runs.parameters(runs.newest_checkpoint(run)), expected, rate)
                with h5py.File(runs.newest_checkpoint(run)) as opened:
                    for block, bias in enumerate(biases or ()):
                        after = reference.moved(bias, expected.routings[block], keys["moe_bias_rate"])
                        self.assertEqual(opened[BIAS.format(block)][()].tolist(), after.tolist())
        return expected

    def assert_losses(self, found, expected, rows):
        self.assertEqual(found["samples"], rows)
        losses = {"loss": expected.loss, "task_loss": expected.task_loss, **dict.fromkeys(MEMBERS.values(), 0)}
        for name, loss in expected.regularisers.items():
            losses[MEMBERS[name]] += loss
        norm = numpy.sqrt(sum((gradient**2).sum() for gradient in expected.gradients.values()))
        for name, value in {**losses, "gradient_norm": norm, "error": expected.error}.items():
            self.assertAlmostEqual(found[name], value, delta=TOLERANCE * abs(value), msg=name)
        self.assertEqual([layer["name"] for layer in found["layers"]], self.MIXTURES[: len(expected.routings)])
        for layer, routing in zip(found["layers"], expected.routings):
            self.assertEqual(layer["load"], routing.is_chosen.sum(0).tolist())
            self.assertAlmostEqual(layer.get("dropped", 0), routing.dropped, delta=1e-15)
            importance = routing.weights.sum(0)
            for name, values in {"importance": importance, "h_s": reference.entropy(routing.p).mean(),
                                 "h_s_chosen": reference.entropy(routing.weights / routing.weights.sum(1)[:, None]).mean(),
                                 "h_u": reference.entropy(importance / importance.sum())}.items():
                # An entropy near 0 is small beside its terms.
                error = abs(numpy.asarray(layer[name]) - values).max()
                self.assertLessEqual(error, TOLERANCE * max(1, numpy.max(values)), name)

    def assert_gradients(self, before, after, expected, rate):
        self.assertEqual(sorted(after), sorted(before))
        for name, gradient in expected.gradients.items():
            error = abs((before[name].astype(float) - after[name]) / rate - gradient).max()
            self.assertLessEqual(error, TOLERANCE * abs(gradient).max(), f"{name}, of {abs(gradient).max()}")


def all_regularisers(top_k, leave_out=("similarity_same", "similarity_different")):
    left_out = leave_out if top_k else (*leave_out, "balance")  # it is refused where the load is even whatever the gate does
    return {f"moe_{name}": weight for name, weight in WEIGHTS.items() if name not in left_out}
