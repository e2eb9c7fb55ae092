"""One step of the trainer against the same step in float64 (tests/support/token_reference.py): loss and every gradient."""

import numpy

import runs
import token_reference as reference
import token_runs
from token_runs import EXPERTS, WINDOW
from token_steps import ONE_STEP, TOLERANCE, WEIGHTS, WINDOWS, StepTest, all_regularisers

WIDTH, HIDDEN, BLOCKS = (token_runs.BASE_KEYS["tokens.width"], 16, token_runs.BASE_KEYS["tokens.blocks"])


class ReferenceTest(StepTest):
    MIXTURES = [f"blocks/{b:02}/mixture" for b in range(BLOCKS)]

    def random_parameters(self, random, keys):
        gate = keys.get("model_gate", "dense:experts").split()
        gate_hidden = int(gate[0].removeprefix("dense:")) if len(gate) > 1 else 0
        return reference.random_parameters(random, BLOCKS, WIDTH, HIDDEN, keys.get("moe_experts", EXPERTS), gate_hidden,
                                           keys.get("moe_cosine_width", 0))

    @staticmethod
    def of_model(keys):
        return dict(gate=keys.get("model_gate", "dense:experts"), expert=token_runs.BASE_KEYS["model.expert"])


class Gradients(ReferenceTest):
    def test_of_the_task(self):
        for top_k in (1, 2, 0):
            with self.subTest(top_k=top_k):
                self.check(moe_top_k=top_k)

    def test_of_all_regularisers(self):
        for top_k in (1, 2, 0):
            for leave_out in (("similarity",), ("similarity_same", "similarity_different")):  # one form or the other
                with self.subTest(top_k=top_k, leave_out=leave_out):
                    self.check(moe_top_k=top_k, **all_regularisers(top_k, leave_out))

    def test_of_each_regulariser(self):
        for name, weight in WEIGHTS.items():
            with self.subTest(name):
                expected = self.check(ranks=[3], moe_top_k=2, **{f"moe_{name}": weight})
                self.assertGreater(expected.regularisers[name], 1e-3 if name != "similarity_different" else -1)

    def test_of_distances_of_a_hidden_layer(self):
        self.check(model_gate="dense:9 relu dense:experts", moe_top_k=2, moe_similarity=0.7, moe_similarity_layer=1)

    def test_of_a_gate_with_a_hidden_layer(self):
        self.check(model_gate="dense:9 relu dense:experts", moe_top_k=1, moe_z_loss=0.1)

    def test_of_an_even_batch_of_several_documents(self):
        documents = [d for d in self.documents if len(d) == (WINDOWS + 1) * WINDOW + 1][:2] + self.documents[:2]
        expected = self.check(documents=documents[:2], moe_top_k=2, moe_balance=0.2)
        self.assertEqual(len(expected.routings[0].p), 2 * (WINDOWS + 1) * WINDOW)

    def test_of_an_expert_without_rows(self):
        def avoid_expert_3(parameters):
            for block in range(BLOCKS):
                parameters[f"blocks/{block:02}/mixture/gate/dense_1/bias"][3] = -30

        for top_k in (1, 2):
            expected = self.check(seed=4, change=avoid_expert_3, moe_top_k=top_k, moe_importance=0.3)
            for routing in expected.routings:
                self.assertFalse(routing.is_chosen[:, 3].any())

    def test_of_rows_that_are_all_equal(self):
        for top_k in (1, 2, 0):
            with self.subTest(top_k=top_k):
                keys = dict(moe_balance=0.2) if top_k else {}
                expected = self.check(documents=[self.one_byte], moe_top_k=top_k, moe_z_loss=0.1, **keys)
                self.assertEqual(len(numpy.unique(expected.routings[1].p[:, 0])), 1)

    def test_of_parts(self):
        for parts in (2, 4, WINDOWS + 2):  # of which there are as many as samples
            with self.subTest(parts=parts):
                self.check(moe_top_k=2, train_parts=parts, **all_regularisers(2))


class Weights(ReferenceTest):
    """Of sigmoids, of all experts, and more than one."""

    def test_of_every_kind(self):
        for scores in ("softmax", "sigmoid"):
            for top_k, normalise in ((1, "all"), (2, "auto"), (2, "all"), (0, "all")):
                with self.subTest(scores=scores, top_k=top_k, normalise=normalise):
                    self.check(moe_top_k=top_k, moe_scores=scores, moe_normalise=normalise, moe_scale=2.5, moe_importance=0.3,
                               moe_gate_entropy=0.15, moe_similarity=0.7)

    def test_with_noise(self):
        for gate_value in ("softmax", "noisy_softmax"):
            with self.subTest(gate_value):
                self.check(moe_top_k=2, moe_scores="sigmoid", moe_gate_value=gate_value, moe_balance=0.2, moe_load=0.4,
                           train_parts=2, **Noise.KEYS)


class Cosine(ReferenceTest):
    def test_of_every_choice(self):
        for top_k in (1, 2, 0):
            with self.subTest(top_k=top_k):
                self.check(model_gate="cosine:experts", moe_cosine_width=4, moe_cosine_temperature=0.3, moe_top_k=top_k,
                           moe_importance=0.3, moe_z_loss=0.1)


class Bias(ReferenceTest):
    def test_of_the_choice(self):
        random = numpy.random.default_rng(9)
        for scores in ("softmax", "sigmoid"):
            for top_k, parts in ((1, 1), (2, 1), (2, 3)):
                with self.subTest(scores=scores, top_k=top_k, parts=parts):
                    biases = random.normal(0, 0.3, (BLOCKS, EXPERTS)).astype(numpy.float32)
                    unbiased = self.check(moe_top_k=top_k, ranks=[])
                    expected = self.check(moe_top_k=top_k, moe_scores=scores, moe_bias_rate=0.01, biases=list(biases),
                                          train_parts=parts, moe_importance=0.3, moe_balance=0.2)
                    self.assertTrue((unbiased.routings[0].is_chosen != expected.routings[0].is_chosen).any())


class Capacity(ReferenceTest):
    """Of rows of which many are equal, and of more experts than ranks and fewer."""

    def test_of_both_ways_to_drop(self):
        for drop in ("position", "score"):
            for more in (dict(moe_capacity=0.8, moe_top_k=1, **all_regularisers(1)),
                         dict(moe_capacity=1.2, moe_top_k=2, moe_experts=4, moe_scores="sigmoid", moe_scale=2.5, train_parts=2),
                         dict(moe_capacity=0.9, moe_top_k=2, moe_gate_value="noisy_logit", **Noise.KEYS)):
                with self.subTest(drop=drop, **more):
                    expected = self.check(ranks=(0, 3, 8), moe_drop=drop, **more)
                    self.assertGreater(expected.routings[0].dropped, 0.02)

    def test_of_rows_that_are_all_equal(self):
        for drop in ("position", "score"):
            expected = self.check(documents=[self.one_byte], moe_top_k=2, moe_capacity=0.5, moe_drop=drop)
            self.assertGreater(expected.routings[0].dropped, 0.5)


class Groups(ReferenceTest):
    def test_of_one_to_three_experts(self):
        for scores, groups, top_groups, top_k in (("softmax", 6, 3, 2), ("sigmoid", 3, 2, 3), ("softmax", 2, 1, 1),
                                                  ("sigmoid", 2, 1, 2)):
            with self.subTest(scores=scores, groups=groups, top_groups=top_groups, top_k=top_k):
                self.check(moe_experts=6, moe_top_k=top_k, moe_scores=scores, moe_groups=groups, moe_top_groups=top_groups,
                           moe_balance=0.2)

    def test_with_a_bias(self):
        biases = list(numpy.random.default_rng(9).normal(0, 0.3, (BLOCKS, 6)).astype(numpy.float32))
        self.check(moe_experts=6, moe_top_k=2, moe_groups=3, moe_top_groups=1, moe_bias_rate=0.01, biases=biases)


class Noise(ReferenceTest):
    """Of a known kind and scale, so that the load is known, too."""

    KEYS = dict(moe_noise="normal", moe_noise_scale=0.4)

    def test_normal(self):
        for top_k in (1, 2, EXPERTS):
            with self.subTest(top_k=top_k):
                self.check(moe_top_k=top_k, moe_importance=0.3, **self.KEYS)

    def test_load(self):
        for top_k in (1, 2):
            for parts in (1, 3):
                with self.subTest(top_k=top_k, parts=parts):
                    expected = self.check(moe_top_k=top_k, moe_load=0.4, train_parts=parts, **self.KEYS)
                    self.assertGreater(expected.regularisers["load"], 1e-3)

    def test_in_the_weights(self):
        for top_k in (1, 2, EXPERTS):
            with self.subTest(top_k=top_k):
                self.check(moe_top_k=top_k, moe_gate_value="noisy_softmax", moe_z_loss=0.1, **self.KEYS)

    def test_as_the_factor(self):
        self.check(moe_top_k=2, moe_gate_value="noisy_logit", moe_importance=0.3, **self.KEYS)

    def test_uniform(self):
        self.check(moe_top_k=1, moe_noise="uniform", moe_noise_scale=1.5)


class Evaluation(ReferenceTest):
    def test_loss_of_the_test_split(self):
        before = self.parameters_of(3)
        tokens, targets = token_runs.windows(self.test)
        file = self.start_from(before)
        for top_k in (1, 2, EXPERTS):
            for ranks in (0, 3):
                with self.subTest(top_k=top_k, ranks=ranks):
                    # Noise is of training alone.
                    keys = dict(moe_top_k=top_k, **Noise.KEYS)
                    run = self.train(ranks=ranks, init_from=file, data_dir=self.folder_of(self.documents[0]), **keys,
                                     **{**ONE_STEP, "optim_learning_rate": 1e-30})
                    expected, _ = reference.step(self.reference_of(keys), before, tokens, targets)
                    found = runs.summary(run)["test"]
                    self.assertAlmostEqual(found["loss"], expected.task_loss, delta=TOLERANCE * expected.task_loss)
                    self.assertAlmostEqual(found["bits_per_byte"], found["loss"] / numpy.log(2), delta=1e-12)


if __name__ == "__main__":
    runs.main()
