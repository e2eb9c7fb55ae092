"""An attentive mixture, distilled into a plain gate over its frozen experts, and routed sparsely afterwards."""

import json

import runs

PARENT = dict(model_gate="conv:8 batch_norm relu max_pool dense:64 relu dense:16 relu attention:experts",
              model_expert="conv:1 relu max_pool dense:16 relu dense:16 relu dense:classes", train_epochs=20)
CHILD = dict(PARENT, model_gate="conv:8 batch_norm relu max_pool dense:64 relu dense:16 relu dense:experts",
             train_freeze="experts", moe_importance=0)
RANKS = 3  # each hosts one or two of the experts


class Distilled(runs.RunTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.parent = cls.run_of(PARENT, 2)
        cls.child = cls.run_of(dict(CHILD, init_from=cls.parent), RANKS)

    @classmethod
    def run_of(cls, keys, ranks):
        config, run = cls.write_config(**keys)
        finished = runs.switchyard("train", config, ranks=ranks)
        if finished.code != 0:
            raise AssertionError(finished)
        return run

    def evaluate(self, run, *arguments, ranks=RANKS):
        found = json.loads(self.expect(runs.switchyard("eval", run, *arguments, ranks=ranks), 0).out)
        return found, found.pop("time")["sent_rows"]

    def test_the_experts_are_those_of_the_parent(self):
        parent, child = (runs.checkpoint_bytes(runs.newest_checkpoint(run)) for run in (self.parent, self.child))
        experts = [path for path in parent if path.startswith("parameters/experts/")]
        self.assertGreater(len(experts), 0)
        for path in experts:
            self.assertEqual(parent[path], child[path], path)
        self.assertIn("parameters/gate/dense_3/weight", child)
        self.assertNotIn("parameters/gate/query/weight", child)

    def test_one_expert_a_sample_is_as_good_and_moves_only_its_row(self):
        dense, dense_rows = self.evaluate(self.child)
        sparse, sparse_rows = self.evaluate(self.child, "--moe.top_k=1")
        self.assertLess(dense["error"], 0.3, "the mixture learned nothing: equal errors would prove nothing")
        self.assertLessEqual(abs(sparse["error"] - dense["error"]), 0.01)
        samples = dense["samples"]
        self.assertEqual(dense["load"], [samples] * runs.EXPERTS)
        self.assertEqual(sum(sparse["load"]), samples)
        self.assertEqual(dense_rows, (RANKS - 1) * samples, "to every other rank once")
        self.assertGreater(sparse_rows, 0)
        self.assertLessEqual(sparse_rows, samples, "to the rank of its expert, if that is another one")
        self.assertEqual(self.evaluate(self.child, "--moe.top_k=1", ranks=1), (sparse, 0))

    def test_training_goes_on_sparsely(self):
        run = self.run_of(dict(CHILD, init_from=self.child, train_freeze="none", moe_top_k=1, train_epochs=2), RANKS)
        for line in runs.metrics(run):
            if line["kind"] == "step":
                self.assertEqual(sum(line["load"]), line["samples"])
        self.assertLess(runs.summary(run)["test"]["error"], 0.3)

    def test_the_parent_needs_all_its_experts(self):
        self.expect_failure(runs.switchyard("eval", self.parent, "--moe.top_k=1"), 2,
                            "only scores of the gate's own can choose before an expert ran")


if __name__ == "__main__":
    runs.main()
