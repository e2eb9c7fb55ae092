"""What a run says of its best checkpoint: the one with the smallest validation error, which need not be the last."""

import json
import re

import runs

STEPS = 19  # 8 per epoch: the best is the 8th or the 16th, the last one in the middle of an epoch


class Best(runs.RunTest):
    def evaluated(self, file):
        found = json.loads(self.expect(runs.switchyard("eval", file), 0).out)
        return {key: found[key] for key in ("error", "loss", "h_s", "h_u", "load", "class_by_expert")}

    def assert_says(self, said, file):
        self.assertEqual({key: said[key] for key in ("error", "loss", "h_s", "h_u", "load", "class_by_expert")},
                         self.evaluated(file))

    def evaluations(self, run):
        return [record for record in runs.metrics(run) if record["kind"] == "evaluation"]

    def best_checkpoint(self, run):
        return run / "checkpoints" / (run / "checkpoints" / "best").read_text().strip()

    def test_the_summary_has_test_figures_of_both(self):
        run = self.train(train_max_steps=STEPS)
        found = runs.summary(run)
        self.assertIn(found["best"]["step"], (8, 16))
        self.assertNotEqual(found["best"]["test"]["loss"], found["test"]["loss"])
        self.assert_says(found["best"]["test"], self.best_checkpoint(run))
        self.assert_says(found["test"], runs.checkpoint_at(run, STEPS))

    def test_the_result_says_which_is_which(self):
        config, run = self.write_config(train_max_steps=STEPS)
        out = self.expect(runs.switchyard("train", config, ranks=2), 0).out
        best = runs.summary(run)["best"]
        self.assertIn(f"best checkpoint: step {best['step']}, validation error {best['error']:.4f}; "
                      f"test error {best['test']['error']:.4f}", out)

    def test_the_last_may_be_the_best(self):
        run = self.train(train_max_steps=8)
        found = runs.summary(run)
        self.assertEqual(found["best"]["step"], 8)
        self.assertEqual(found["best"]["test"], found["test"])

    def test_evaluations_may_come_within_epochs(self):
        config, run = self.write_config(train_max_steps=STEPS, train_evaluate_every_steps=5)
        out = self.expect(runs.switchyard("train", config), 0).out
        evaluated = self.evaluations(run)
        self.assertEqual([record["step"] for record in evaluated], [5, 10, 15])
        self.assertEqual(re.findall(r"(?m)^step (\d+): validation error", out), ["5", "10", "15"])
        best = min(evaluated, key=lambda record: record["error"])
        self.assertEqual(runs.summary(run)["best"]["step"], best["step"])
        self.assertTrue(self.best_checkpoint(run).name.endswith(f"{best['step']:07}.h5"))
        # Stopped between two of them, and then where one is due.
        config, other = self.write_config(train_max_steps=7, train_evaluate_every_steps=5)
        self.expect(runs.switchyard("train", config), 0)
        self.resume(other, "--train.max_steps=10", ranks=2)
        self.resume(other, f"--train.max_steps={STEPS}")
        self.assertEqual([(record["step"], record["error"]) for record in self.evaluations(other)],
                         [(record["step"], record["error"]) for record in evaluated])
        self.assertEqual(runs.summary(other)["best"], runs.summary(run)["best"])

    def test_without_a_validation_split_there_is_none(self):
        run = self.train(train_max_steps=STEPS, data_validation_samples=0)
        self.assertIsNone(runs.summary(run)["best"])

    def test_a_best_checkpoint_that_is_gone_is_said(self):
        run = self.train(train_max_steps=STEPS)
        with open(self.best_checkpoint(run), "r+b") as file:
            file.seek(-100, 2)
            file.write(b"damaged")
        finished = self.resume(run, "--train.max_steps=20")
        self.assertIn("no test figures of the best checkpoint", finished.err)
        self.assertIsNone(runs.summary(run)["best"]["test"])
        self.assertIsNotNone(runs.summary(run)["test"])


if __name__ == "__main__":
    runs.main()
