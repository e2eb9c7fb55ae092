"""A model of text that begins with the weights of another run: what is read, and what is refused with what to do instead."""

import re

import runs
import token_runs

# An update that is too small to change a weight: the checkpoint holds the first weights.
FIRST_WEIGHTS = dict(optim_name="sgd", optim_learning_rate=1e-30, train_max_steps=1)
MIXTURE = dict(data_source="random", data_window=128, model_family="mixture", model_expert="dense:16 relu dense:classes",
               tokens_width=64)  # what no mixture reads has its default


class FirstWeightsTest(token_runs.TokenTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        _, cls.source = cls.train_for_all(ranks=2, train_max_steps=8)
        _, cls.scratch = cls.train_for_all(**FIRST_WEIGHTS)

    @staticmethod
    def weights(run):
        """Name -> bytes of those that are drawn: what begins with zeros takes even the smallest step."""
        found = runs.checkpoint_bytes(runs.newest_checkpoint(run))
        return {path.removeprefix("parameters/"): content for path, content in found.items()
                if path.startswith("parameters/") and path.endswith("/weight") and "norm/" not in path}


class Read(FirstWeightsTest):
    def check_read(self, parts, is_read):
        source, scratch = self.weights(self.source), self.weights(self.scratch)
        for ranks in (0, 3):
            with self.subTest(parts=parts, ranks=ranks):
                config, run = self.write_config(init_from=self.source, init_parts=parts, **FIRST_WEIGHTS)
                finished = self.expect(runs.switchyard("train", config, ranks=ranks), 0)
                for name, content in self.weights(run).items():
                    self.assertNotEqual(source[name], scratch[name])
                    self.assertEqual(content, (source if is_read(name) else scratch)[name], name)
        return " ".join(finished.out.split())

    def test_all(self):
        table = self.check_read("all", lambda name: True)
        self.assertIn(f"first weights the weights of {runs.newest_checkpoint(self.source)} goes on from", table)

    def test_gates(self):
        table = self.check_read("*/gate", lambda name: "/gate/" in name)
        self.assertIn(f"first weights */gate of {runs.newest_checkpoint(self.source)}; the rest drawn", table)

    def test_experts_of_a_block_and_the_embedding(self):
        self.check_read("blocks/01/mixture/experts, embedding",
                        lambda name: name.startswith(("blocks/01/mixture/experts/", "embedding")))

    def test_a_gate_with_a_new_last_layer(self):
        plain, longer = ("dense:5 relu dense:experts", "dense:5 relu dense:5 relu dense:experts")
        source = self.train(model_gate=plain, **FIRST_WEIGHTS)
        config, _ = self.write_config(model_gate=longer, init_from=source, **FIRST_WEIGHTS)
        table = " ".join(self.expect(runs.switchyard("train", config, ranks=2), 0).out.split())
        self.assertIn("; blocks/00/mixture/gate/dense_3/weight, blocks/00/mixture/gate/dense_3/bias, "
                      "blocks/01/mixture/gate/dense_3/weight, blocks/01/mixture/gate/dense_3/bias drawn", table)


class Refused(FirstWeightsTest):
    def refuse(self, *fragments, ranks=(3,), **sections):
        """Its message, the same of any number of ranks."""
        found = set()
        for number in ranks:
            with self.subTest(ranks=number):
                config, run = self.write_config(**{"train_max_steps": 2, "init_from": self.source, **sections})
                finished = self.expect_failure(runs.switchyard("train", config, ranks=number), 2, "init.from = ", *fragments,
                                               kind="ConfigError")
                self.assertFalse((run / "config.ini").exists())
                found.add(re.sub("rank . on .*?: ", "", finished.err[finished.err.index("init.from"):]).splitlines()[0])
        self.assertEqual(len({re.sub("experts/000.", "", message) for message in found}), 1, found)
        return found.pop()

    def check_remedy(self, message, parts, **sections):
        """It proposes these parts, and they are read."""
        self.assertTrue(message.endswith(f", or set init.parts = {parts}"), message)
        self.train(**{"init_from": self.source, "init_parts": parts, **FIRST_WEIGHTS, **sections})

    def test_fewer_blocks(self):
        message = self.refuse("its array 'parameters/blocks/01/", "is not of this run's model", ranks=(0, 3), tokens_blocks=1)
        self.check_remedy(message, "blocks/00, embedding, norm", tokens_blocks=1)

    def test_more_blocks(self):
        message = self.refuse("its array 'parameters/blocks/02/", "is missing", ranks=(0, 3), tokens_blocks=3)
        self.check_remedy(message, "blocks/00, blocks/01, embedding, norm", tokens_blocks=3)
        message = self.refuse("it holds nothing of this run's 'blocks/02/mixture/gate'", tokens_blocks=3, init_parts="*/gate")
        self.check_remedy(message, "blocks/00/mixture/gate, blocks/01/mixture/gate", tokens_blocks=3)

    def test_experts_of_another_size(self):
        larger = dict(model_expert="dense:17 relu dense:width")
        message = self.refuse("has the shape 12 x 16", "the shape 12 x 17", **larger)
        self.check_remedy(message, "blocks/*/mixture/gate, blocks/*/norm, embedding, norm", **larger)
        message = self.refuse("has the shape 12 x 16", init_parts="blocks", **larger)
        self.check_remedy(message, "blocks/*/mixture/gate, blocks/*/norm", **larger)

    def test_a_layer_that_an_expert_lacks(self):
        source = self.train(model_expert="dense:12 relu dense:12 relu dense:width", **FIRST_WEIGHTS)
        shorter = dict(model_expert="dense:12 relu dense:width", init_from=source)
        message = self.refuse("'parameters/blocks/00/mixture/experts/0000/dense_3/bias' is not of this run's model", **shorter)
        self.check_remedy(message, "blocks/*/mixture/experts/*/dense_1, blocks/*/mixture/experts/*/dense_2, "
                          "blocks/*/mixture/gate, blocks/*/norm, embedding, norm", **shorter)

    def test_gates_of_another_size(self):
        other = dict(model_gate="dense:9 relu dense:experts")
        message = self.refuse("'parameters/blocks/00/mixture/gate/dense_1/weight' has the shape 12 x 5", **other)
        self.check_remedy(message, "blocks/*/mixture/experts, blocks/*/norm, embedding, norm", **other)

    def test_another_number_of_experts(self):
        message = self.refuse("it holds 5 experts, and this run has 4", "set moe.experts = 5", moe_experts=4)
        self.check_remedy(message, "blocks/*/norm, embedding, norm", moe_experts=4)

    def test_another_width(self):
        message = self.refuse("'parameters/embedding/weight' has the shape 256 x 12", "256 x 13", tokens_width=13)
        self.assertTrue(message.endswith("(`switchyard inspect` lists its arrays)"), message)

    def test_the_other_family(self):
        mixture = self.train(**MIXTURE, **FIRST_WEIGHTS)
        for sections in (dict(init_from=mixture), dict(init_from=mixture, init_parts="*/gate"), MIXTURE):
            self.refuse("it holds no array of this run's model", "its model.family is another", **sections)

    def test_names_of_a_mixture(self):
        for parts, meant in {"gate": "*/gate", "experts": "*/experts", "experts/0003": "*/experts/0003",
                             "norms": "norm"}.items():
            self.refuse(f"'{parts}' names nothing of this run's model; is '{meant}' meant?", init_parts=parts)

    def test_a_draw_of_nothing(self):
        self.refuse("init.draw = 1 with all weights read", "name in init.parts what is read", init_draw=1)


if __name__ == "__main__":
    runs.main()
