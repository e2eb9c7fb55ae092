"""Keys that name parameters by patterns: train.freeze and init.parts."""

import runs

# An update that is too small to change a weight: the checkpoint holds the first weights.
FIRST_WEIGHTS = dict(optim_name="sgd", optim_learning_rate=1e-30, optim_clip_norm=0, optim_warmup_steps=0,
                     optim_schedule="constant", train_max_steps=1, moe_importance=0)


class Freeze(runs.RunTest):
    def plan(self, freeze):
        config, _ = self.write_config(train_freeze=freeze, moe_importance=0,
                                      model_expert="conv:1 relu max_pool dense:2048 relu dense:classes")
        return runs.switchyard("plan", config)

    def test_patterns_of_whole_networks_are_the_words(self):
        def output(freeze):
            out = self.expect(self.plan(freeze), 0).out
            return out[:out.index("run folder")]
        plans = {word: output(word) for word in ("none", "gate", "experts")}
        self.assertEqual(len(set(plans.values())), 3)
        for word, patterns in {"gate": ("gate/*", "g*", "gate, gate/*"),
                               "experts": ("experts/*", "experts/000[0-4]", "experts/000[0-2], experts/0003 experts/0004")
                               }.items():
            for pattern in patterns:
                with self.subTest(pattern):
                    self.assertEqual(output(pattern), plans[word])

    def test_what_is_no_whole_network_is_refused(self):
        for pattern in ("gatee", "gate/dense_1", "gate/conv_1/weight", "experts/*/dense_1", "parameters/gate"):
            with self.subTest(pattern):
                self.expect_failure(self.plan(pattern), 2, f"'{pattern}' is the name of no whole network",
                                    "write gate, experts or all")
        self.expect_failure(self.plan("experts/0003"), 2, "names 1 of 5 experts", "write experts")
        self.expect_failure(self.plan("all"), 2, "nothing would be trained")


class InitParts(runs.RunTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        _, cls.source = cls.train_for_all(**{**FIRST_WEIGHTS, "run_seed": 8})
        _, cls.scratch = cls.train_for_all(**FIRST_WEIGHTS)

    @staticmethod
    def weights(run):
        found = runs.checkpoint_bytes(runs.newest_checkpoint(run))
        return {path.removeprefix("parameters/"): content for path, content in found.items()
                if path.startswith("parameters/") and path.endswith("/weight") and "/batch_norm_" not in path}

    def check_read(self, parts, is_read):
        source, scratch = self.weights(self.source), self.weights(self.scratch)
        for ranks in (0, 3):
            with self.subTest(parts=parts, ranks=ranks):
                run = self.train(ranks=ranks, init_from=self.source, init_parts=parts, **FIRST_WEIGHTS)
                for name, content in self.weights(run).items():
                    self.assertNotEqual(source[name], scratch[name])
                    self.assertEqual(content, (source if is_read(name) else scratch)[name], name)

    def test_patterns_of_whole_networks(self):
        self.check_read("gate/*", lambda name: name.startswith("gate/"))
        self.check_read("experts/*", lambda name: name.startswith("experts/"))

    def test_parts_of_networks_and_some_experts(self):
        self.check_read("gate/dense_1, experts/000[24]",
                        lambda name: name.startswith(("gate/dense_1/", "experts/0002/", "experts/0004/")))

    def test_the_table_says_which(self):
        config, _ = self.write_config(init_from=self.source, init_parts="gate/dense_1", **FIRST_WEIGHTS)
        table = " ".join(self.expect(runs.switchyard("train", config), 0).out.split())
        self.assertIn(f"gate/dense_1 of {runs.newest_checkpoint(self.source)}; the rest drawn", table)

    def test_what_matches_nothing_is_refused(self):
        for parts, near in {"gate/dens_1": "gate/dense_1", "expert": "experts", "gate, experts/0007": "experts/0000"}.items():
            for ranks in (0, 3):
                with self.subTest(parts=parts, ranks=ranks):
                    config, run = self.write_config(init_from=self.source, init_parts=parts, **FIRST_WEIGHTS)
                    self.expect_failure(runs.switchyard("train", config, ranks=ranks), 2,
                                        f"init.parts = {parts}: '{parts.split()[-1]}' names nothing of this run's model",
                                        f"is '{near}' meant?")
                    self.assertFalse((run / "config.ini").exists())


if __name__ == "__main__":
    runs.main()
