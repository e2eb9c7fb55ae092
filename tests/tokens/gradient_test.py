"""The reference itself: its gradient against differences of its loss, its random numbers against published ones."""

import unittest

import numpy

import gate_noise
import runs
import token_reference as reference

EXPERTS, WIDTH, WINDOWS, WINDOW = 5, 6, 3, 7
BLOCKS = 2
ALL = {"importance": 0.3, "balance": 0.2, "z_loss": 0.1, "gate_entropy": 0.15, "similarity": 0.7,
       "similarity_same": 0.02, "similarity_different": 0.9}


class Gradient(unittest.TestCase):
    def check(self, gate_hidden=0, with_noise=False, change=lambda parameters: None, mixture_every=None, sub_heads=1,
              shared=0, cosine_width=0, **keys):
        random = numpy.random.default_rng(5)
        if mixture_every is None:
            parameters = reference.random_parameters(random, BLOCKS, WIDTH, 8, EXPERTS, gate_hidden, cosine_width)
        else:
            parameters = reference.random_transformer(random, 3, WIDTH, 5, EXPERTS, 4, mixture_every, sub_heads, shared)
        change(parameters)
        tokens, targets = random.integers(0, 12, (2, WINDOWS, WINDOW))
        noise = random.normal(0, 0.4, (BLOCKS, WINDOWS * WINDOW, EXPERTS)) if with_noise else None
        gate = f"dense:{gate_hidden} relu dense:experts" if gate_hidden else "dense:experts"
        gate = "cosine:experts" if cosine_width else gate
        model = reference.Model(EXPERTS, gate=gate, noise_deviation=0.4, **keys)
        found, distances = reference.step(model, parameters, tokens, targets, noise)
        self.assertEqual(sorted(found.gradients), sorted(parameters))
        self.assertGreater(min((routing.margin for routing in found.routings), default=1), 1e-4, "a difference would change a choice")
        for name, weight in model.weights.items():
            self.assertNotEqual(found.regularisers[name], 0, name)

        def loss():
            return reference.step(model, parameters, tokens, targets, noise, distances)[0].loss

        self.assertEqual(loss(), found.loss)
        for name, array in parameters.items():
            flat, gradient = array.reshape(-1), found.gradients[name].reshape(-1)
            places = set(random.choice(flat.size, min(3, flat.size), replace=False)) | {abs(gradient).argmax()}
            for place in places:
                was, both = flat[place], []
                for sign in (1, -1):
                    flat[place] = was + sign * 1e-6
                    both.append(loss())
                flat[place] = was
                # The loss is rounded to 2^-53 of about 5, so the quotient to 5e-10 or a few times that.
                self.assertAlmostEqual((both[0] - both[1]) / 2e-6, gradient[place], delta=1e-8, msg=f"{name} {place}")
        return found

    def test_one_slot(self):
        self.check(top_k=1, weights=ALL)

    def test_two_slots(self):
        self.check(top_k=2, weights=ALL)

    def test_all_slots(self):
        self.check(top_k=0, weights=ALL)

    def test_of_cosines(self):
        self.check(cosine_width=4, top_k=2, temperature=0.3, weights={"importance": 0.3, "z_loss": 0.1})

    def test_of_sigmoids_of_all_experts_and_of_a_scale(self):
        weights = {name: weight for name, weight in ALL.items() if name != "z_loss"}
        for scores in ("softmax", "sigmoid"):
            for normalise in ("auto", "chosen", "all"):
                for top_k in (0, 1, 2):
                    with self.subTest(scores=scores, normalise=normalise, top_k=top_k):
                        self.check(top_k=top_k, scores=scores, normalise=normalise, scale=2.5, weights=weights)

    def test_without_regularisers(self):
        self.check(top_k=2)

    def test_an_expert_without_rows(self):
        found = self.check(top_k=1, change=lambda p: p["blocks/01/mixture/gate/dense_1/bias"].__setitem__(3, -30))
        self.assertFalse(found.routings[1].is_chosen[:, 3].any())
        self.assertFalse(found.gradients["blocks/01/mixture/experts/0003/dense_2/weight"].any())

    def test_parts_of_unequal_size(self):
        for parts in (2, 3, 4):
            self.check(top_k=2, parts=parts, weights=ALL)

    def test_a_gate_with_a_hidden_layer(self):
        for similarity_layer in (0, 1, 2):
            self.check(top_k=2, gate_hidden=4, similarity_layer=similarity_layer, weights=ALL)

    def test_a_transformer(self):
        for mixture_every in (0, 2):
            self.check(top_k=2, heads=3, mixture_every=mixture_every)
        self.check(top_k=2, heads=3, mixture_every=1, sub_heads=2, shared=3, parts=2)

    def test_noise(self):
        for gate_value in ("softmax", "noisy_softmax", "noisy_logit"):
            for top_k in (1, 2):
                with self.subTest(gate_value=gate_value, top_k=top_k):
                    self.check(top_k=top_k, gate_value=gate_value, with_noise=True, parts=2, weights={**ALL, "load": 0.4})


class Weights(unittest.TestCase):
    def test_of_the_slots(self):
        """By hand, of odds 1 : 2 : 5."""
        scores = numpy.log([[1.0, 2.0, 5.0]])
        for top_k, expected in ((1, [0, 0, 5 / 8]), (2, [0, 2 / 7, 5 / 7]), (0, [1 / 8, 2 / 8, 5 / 8])):
            weights = reference.Routing(reference.Model(3, top_k=top_k), scores, 0).weights
            numpy.testing.assert_allclose(weights, [expected], rtol=1e-15)

    def test_ties_go_to_the_lower_expert(self):
        routing = reference.Routing(reference.Model(4, top_k=2), numpy.array([[0.0, 1, 1, 1]]), 0)
        self.assertEqual(routing.is_chosen.tolist(), [[False, True, True, False]])


class RandomNumbers(unittest.TestCase):
    def test_philox(self):
        """The known answers of Random123 for philox4x32 with 10 rounds."""
        for a, b, use, seed, answer in (
                (0, 0, 0, 0, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
                (2**64 - 1, 2**32 - 1, 2**32 - 1, 2**64 - 1, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
                (0x85A308D3243F6A88, 0x13198A2E, 0x03707344, 0x299F31D0A4093822, "d16cfe09 94fdcceb 5001e420 24126ea1")):
            words = gate_noise.philox(seed, use, [a], b)[0]
            self.assertEqual(" ".join(f"{int(word):08x}" for word in words), answer)

    def test_noise_is_spread_as_it_says(self):
        uniform, normal = (gate_noise.noise(kind, 0.5, 3, 1, range(2000), EXPERTS) for kind in ("uniform", "normal"))
        self.assertEqual(uniform.shape, (2000, EXPERTS))
        self.assertTrue(0 <= uniform.min() and 0.499 < uniform.max() < 0.5)
        # Five standard deviations of the mean and of the standard deviation of 10,000 numbers.
        self.assertAlmostEqual(normal.mean(), 0, delta=0.025)
        self.assertAlmostEqual(normal.std(), 0.5, delta=0.018)


if __name__ == "__main__":
    runs.main()
