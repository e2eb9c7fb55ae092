"""What a run says at its start: what was decided, and what it will hardly have been meant to be."""

import json
import re

import numpy

import runs


def warnings(finished):
    """The start table's, each as one line."""
    text = re.sub(r"\n {9}", " ", finished.out)
    return [line.removeprefix("warning: ") for line in text.splitlines() if line.startswith("warning: ")]


class Start(runs.RunTest):
    train_samples = 500
    test_samples = 60
    KEYS = {"train_max_steps": 2, "moe_importance": 0, "run_threads": 1}

    def start(self, ranks=0, **keys):
        config, run = self.write_config(**{**self.KEYS, "data_validation_samples": 60, **keys})
        return self.expect(runs.switchyard("train", config, ranks=ranks), 0), run

    def test_no_warning_where_all_is_well(self):
        finished, _ = self.start()
        self.assertEqual([w for w in warnings(finished) if not w.startswith("dead experts")], [])

    def test_each_warning_is_said_once_by_the_root(self):
        data = self.new_path("data")
        runs.write_data_set(data, self.train_samples, self.test_samples)
        for prefix, count in (("train", self.train_samples), ("t10k", self.test_samples)):
            runs.write_idx(data / f"{prefix}-labels-idx1-ubyte", numpy.arange(count) % 3 + 1)
        finished, run = self.start(ranks=3, data_dir=data, data_mean=0, data_standard_deviation=1, moe_experts=2, train_shards=2,
                                   train_batch_size=441)
        said = warnings(finished)
        for fragment in ("class 0 has no training sample", "the pixels are not normalised", "1 of 3 ranks has no samples",
                         "1 of 3 ranks hosts no expert", "train.batch_size = 441 exceeds the 440 training samples"):
            self.assertEqual(sum(fragment in warning for warning in said), 1, (fragment, finished))
        resumed = self.resume(run, "--train.max_steps=3")
        self.assertEqual(sum("class 0 has" in warning for warning in warnings(resumed)), 1, resumed)
        self.assertFalse(any("ranks" in warning for warning in warnings(resumed)), resumed)

    def test_a_tenth_is_for_validation_unless_told_otherwise(self):
        finished, run = self.start(data_validation_samples="auto")
        self.assertIn("450 train, 50 validation, 60 test", finished.out)
        told, same = self.start(data_validation_samples=50)
        self.assertIn("450 train, 50 validation, 60 test", told.out)
        self.assert_same_run(run, same)
        for each in (run, same):
            resumed = self.resume(each, "--train.max_steps=4", ranks=2)
            self.assertIn("450 train, 50 validation, 60 test", resumed.out)
        self.assert_same_run(run, same)

    def test_a_balanced_validation_split_is_that_of_every_layout(self):
        balanced = {"data_validation_balanced": "yes", "data_validation_samples": 62}
        finished, alone = self.start(**balanced)
        self.assertIn("438 train, 62 validation", finished.out)
        _, spread = self.start(ranks=3, **balanced)
        self.assert_same_run(alone, spread)
        evaluated = self.expect(runs.switchyard("eval", alone, "--split=validation"), 0)
        of_classes = [sum(row) for row in json.loads(evaluated.out)["class_by_expert"]]
        self.assertEqual(of_classes, [11, 11, 10, 10, 10, 10])
        refused = runs.switchyard("resume", alone, "--data.validation_balanced=no")
        self.expect_failure(refused, 2, "data.validation_balanced")
        _, other = self.start(data_validation_samples=62)
        finished = runs.switchyard("diff", alone, other)
        self.assertEqual(finished.code, 1, finished)


if __name__ == "__main__":
    runs.main()
